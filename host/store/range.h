/* The range of keys in which all matches of a pattern lie, so that a pattern with a literal prefix costs what
 * its matches cost. Used as `key>=?1 AND key<?2`. */
#ifndef STORE_RANGE_H
#define STORE_RANGE_H

#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"

struct range {
  struct buf from; /* owned: the first key that can match */
  struct buf to;   /* owned: the first behind them; empty: no end */
};

/* after (may be NULL): only keys behind this one. Memory is the only error; range_free in any case. */
enum moonkeep_code range_of(struct range *range, const char *pattern, size_t len, const char *after,
                            size_t after_len, struct err *err);
void range_free(struct range *range);

/* Begins again behind this key. */
enum moonkeep_code range_continue(struct range *range, const char *key, size_t len, struct err *err);

/* Binds the ends to the parameters 1 and 2; the range stays as it is until the statement is reset. */
void range_bind(const struct range *range, sqlite3_stmt *statement);

#endif
