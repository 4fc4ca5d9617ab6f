/* The check of a store file or a backup: whether SQLite's structures are whole, whether the host's own tables
 * are as it has made them, and whether each row matches its checksum.
 *
 * It reads beside whoever has the file open, through a connection of its own which never checkpoints, and
 * changes nothing. Any thread; it may take long: see go_on. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct check {
  bool full;  /* every index entry and every row; else that each page is well-formed */
  bool still; /* nobody changes the file meanwhile, and there is no log beside it: no lock is taken */
  /* May be NULL: a row is damaged. The error names its key. */
  void (*damaged)(void *ctx, const char *bucket, const struct err *why);
  /* May be NULL: called now and then; false ends the check with `closed`. */
  bool (*go_on)(void *ctx);
  void *ctx;
};

struct check_found {
  uint64_t keys;          /* rows in the tables, whole ones */
  uint64_t foreign;       /* of these: written by other programs, so that nothing vouches for them */
  uint64_t unusable;      /* rows of other programs, beside these, that no store can use: no damage, */
  char unusable_why[300]; /*   and the first of them, as a sentence */
  uint64_t groups;        /* in the journal */
  uint64_t damaged;       /* rows */
  uint64_t faults;        /* of the structure; counted up to 100 */
  uint64_t epoch, last_seq;
  int64_t id;        /* of the database, 0: it has none */
  char left_out[96]; /* tables of other programs that are no stores, "": none */
  int64_t last_ms;   /* when the newest group that is still in the journal was written; 0: there is none */
};

/* corrupt: something is damaged; the sentence says what was found first. `closed`: go_on said so. Others: it
 * could not be read. */
enum moonkeep_code check_file(const char *path, const struct check *check, struct check_found *found,
                              struct err *err);

#endif
