/* What a store file says of itself in _meta, under a checksum: which database it is, the number of its newest
 * log (mark.h), up to which one it had everything without a log when that was written, and whether it was
 * closed in order. Power that goes during a checkpoint may leave anything in a page that the log has whole:
 * so only what is sealed counts against a file that is looked at without its log. Any thread. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/sql.h"

struct seal {
  int64_t id, logs, base;
  bool closed;
};

/* Writes it, as a part of the transaction that is open. `doing` is for the error. */
enum moonkeep_code seal_write(sqlite3 *db, const struct seal *seal, const char *doing, struct err *err);

/* Whether _meta is whole, as far as can be told: where it is sealed the seal has to match. *sealed: it is,
 * which files of older versions and backups are not. */
bool seal_read(sqlite3 *db, struct seal *seal, bool *sealed);

#endif
