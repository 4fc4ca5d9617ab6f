/* A row of a bucket as it stands in the file: read by way of an index, and looked at whether it is whole.
 *
 * An index may lead to a row that is not the one it speaks of. So a statement reads the table apart from the
 * index, which SQLite would not do by itself: it takes from an index what it can. */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"

/* For statements: `i` is the row as an index has it, `t` as the table does. */
#define ROW_FROM "\"%w\" AS i LEFT JOIN \"%w\" AS t ON t.rowid=i.rowid"
#define ROW_COLUMNS                                                                                          \
  "t.key, t.value, t.expires_at, t.sum" /* from column 1 on; column 0 is the key that led there */

struct row {
  const char *key, *json; /* borrowed: valid until the statement moves on */
  size_t key_len, json_len;
  int64_t expires_at_ms;
  bool foreign; /* another program wrote it: nothing vouches for it */
};

/* The key that led to the statement's row, column 0; NULL with err. It may be that of another row. */
const char *row_key(sqlite3_stmt *statement, const char *bucket, size_t *len, struct err *err);

/* Reads the statement's row. corrupt, naming the key: it does not match its checksum, or its key is not the
 * one that led to it. */
enum moonkeep_code row_read(sqlite3_stmt *statement, const char *bucket, struct row *row, struct err *err);

/* What another program wrote has to be JSON, and becomes compact; scratch comes to hold it. corrupt, naming
 * the key: it is none. */
enum moonkeep_code row_adopt(const char *bucket, struct row *row, struct buf *scratch, struct err *err);

/* Whether another program wrote the row and gave it a key that no call can name: none, an empty one, no text,
 * no UTF-8, one that is too long. Says why; NULL: it is no such row. */
const char *row_nameless(sqlite3_stmt *statement);

/* Whether the row that the index led to has the key that the index has, in column 1 and column 0. */
bool row_has_its_key(sqlite3_stmt *statement);

/* A checksum over a row as it stands there, whatever is in it. */
int64_t row_raw_sum(sqlite3_stmt *statement, const char *bucket);

/* The error of a row that is damaged. */
enum moonkeep_code row_damaged(const char *bucket, const char *key, size_t key_len, const char *why,
                               struct err *err);

#endif
