/* Everything that a data folder holds at one moment, read row by row in memory that does not grow with it.
 *
 * It reads the store file beside whoever owns the folder, another process or a store of this one, in one read
 * transaction: what has been acknowledged before moment_open is in it, and what comes later is not. While it
 * is open the write-ahead log cannot be wrapped, so it should not be kept waiting.
 *
 *     moment_open → moment_next until *end → moment_close
 *
 * One thread. */
#ifndef STORE_MOMENT_H
#define STORE_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/unusable.h"

struct moment;

struct moment_row { /* the texts are valid until the next moment_next */
  const char *store, *key, *json;
  size_t key_len, json_len;
  int64_t expires_at_ms; /* 0: never */
};

struct moment_options {
  const char *dir;   /* the data folder */
  const char *file;  /* a store file elsewhere, in its place; NULL: the folder's */
  const char *store; /* only this one; NULL: all */
  bool whole;        /* also what has expired and is still there */
  bool alone;        /* the caller knows that nobody owns the folder: it is left tidy */
  bool settled;      /* whoever owns the folder has opened it, and is not at work on what a crash has left */
  const struct clock *clock; /* NULL: the system's; borrowed */
  /* Called by moment_next with each row that cannot be used (unusable.h), in its place; an error of its ends
   * the walk. NULL: such a row is an error where its key can be named, and is passed over where not. */
  enum moonkeep_code (*unusable)(void *ctx, const struct unusable *row, struct err *err);
  void *ctx;
};

/* busy: somebody is about to open the folder, and a moment later there will be something to read; otherwise
 * as store_open. */
enum moonkeep_code moment_open(struct moment **out, const struct moment_options *options, struct err *err);

/* The tables of other programs that are no stores, and so are not in it: "other, players"; "": there are
 * none. Borrowed until moment_close. */
const char *moment_left_out(const struct moment *moment);

/* Where it stands in the order of changes: the epoch, and the newest group that it shows. */
enum moonkeep_code moment_place(struct moment *moment, uint64_t *epoch, uint64_t *seq, struct err *err);

/* The next row, store by store and in key order; what has expired is not there. corrupt: the row does not
 * match its checksum. After an error only moment_close. */
enum moonkeep_code moment_next(struct moment *moment, struct moment_row *row, bool *end, struct err *err);

int64_t moment_sum(const struct moment_row *row); /* the checksum that the row has in a table */

void moment_close(struct moment *moment); /* NULL is fine */

#endif
