/* A slice of the journal: the changes of some groups, sorted by key, each key once with its last change. */
#ifndef STORE_SLICE_H
#define STORE_SLICE_H

#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/journal.h"

struct step { /* one change */
  struct journal_change change;
  size_t turn; /* among all that were read */
};

struct slice {
  struct buf bytes; /* owned: the groups' changes, one behind the other; the steps point into it */
  size_t *ends;     /* owned: where each group ends */
  size_t groups, groups_cap;
  uint64_t last_seq;  /* of the newest group in it */
  struct step *steps; /* owned: by bucket, then key, in byte order; without the records of erased patterns,
                         which the tables show already */
  size_t count, cap;
};

struct slice_limits { /* whole groups, and at least one */
  size_t groups, bytes;
  uint64_t last_seq; /* none that is newer */
};

/* Reads the oldest groups and checks their sums: corrupt, io, memory. slice_free in any case. */
enum moonkeep_code slice_read(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                              struct err *err);
void slice_free(struct slice *slice);

/* Orders byte strings as SQLite does: by bytes, the shorter one first. */
int slice_compare(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
