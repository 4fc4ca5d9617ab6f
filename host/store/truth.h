/* What a key holds by the backups and the archive, without the store file: for a row that is damaged there.
 */
#ifndef STORE_TRUTH_H
#define STORE_TRUTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/snapshot.h"

struct truth { /* deinit with truth_deinit */
  bool there;  /* else the key was erased, or never set */
  struct buf json;
  int64_t expires_at_ms;
  uint64_t epoch, seq; /* it is known up to this group */
  char backup[SNAPSHOT_NAME_BYTES];
};

/* corrupt: neither a backup that can be read nor an archive knows it. */
enum moonkeep_code truth_find(struct truth *truth, const char *dir, const char *bucket, const char *key,
                              size_t key_len, struct err *err);
void truth_deinit(struct truth *truth);

/* Up to which group, of which epoch, the newest backup that verifies and the archive know everything.
 * corrupt: there is no such backup, nor an archive from the beginning. */
enum moonkeep_code truth_reach(const char *dir, uint64_t *epoch, uint64_t *seq, struct err *err);

#endif
