/* A slice of the journal: the changes of some groups, sorted by key, each key once with its last change. */
#ifndef STORE_SLICE_H
#define STORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/journal.h"

/* A change and its place: the larger number comes later; where numbers are equal, keys are compared. */
struct spot {
  uint64_t number;
  struct journal_change *change; /* borrowed from the slice */
};

struct slice {
  struct buf bytes; /* owned: the groups' changes, one behind the other; the changes point into it */
  size_t *ends;     /* owned: where each group ends */
  size_t groups, groups_cap;
  bool read;         /* there is no other group to be read */
  uint64_t last_seq; /* of the newest group in it */

  struct journal_change *changes; /* owned: as they came, without the records of erased patterns, which the
                                     tables show already */
  size_t changes_count, changes_cap;
  size_t parsed; /* they are those of so many groups */

  bool whole;         /* and now of all, and in order: */
  struct spot *order; /* owned: by bucket, then key, in byte order, each key once with its last change */
  size_t count;
};

struct slice_limits { /* whole groups, and at least one */
  size_t groups, bytes;
  uint64_t last_seq; /* none that is newer */
};

/* Reads the oldest groups and checks their sums: corrupt, io, memory. slice_free in any case. */
enum moonkeep_code slice_read(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                              struct err *err);

/* The same in pieces, of a slice that begins zeroed: until it is `whole`, or this moment (clock_ticks_us) has
 * come. Between two pieces groups may be appended to the journal, but none removed. */
enum moonkeep_code slice_read_on(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                                 int64_t until_us, struct err *err);
void slice_free(struct slice *slice);

/* The last part of it, in slice_order.c: makes the order of the changes. False: no memory. */
bool slice_sort(struct slice *slice);

/* Orders byte strings as SQLite does: by bytes, the shorter one first. */
int slice_compare(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
