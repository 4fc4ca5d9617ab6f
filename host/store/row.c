#include "store/row.h"

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "store/store.h"
#include "store/sum.h"

static const int64_t last_moment_ms = 253402300799999; /* the end of the year 9999 */

enum moonkeep_code row_damaged(const char *bucket, const char *key, size_t key_len, const char *why,
                               struct err *err) {
  if (!key) key = ""; /* the row is not there at all */
  return err_key(err, MOONKEEP_CORRUPT, key, key_len, "the row of key \"%.*s\" in %s is damaged: %s",
                 (int)(key_len < 200 ? key_len : 200), key, bucket, why);
}

const char *row_key(sqlite3_stmt *statement, const char *bucket, size_t *len, struct err *err) {
  bool is_null = sqlite3_column_type(statement, 0) == SQLITE_NULL;
  const char *key = (const char *)sqlite3_column_text(statement, 0);
  *len = (size_t)sqlite3_column_bytes(statement, 0);
  if (is_null)
    row_damaged(bucket, NULL, 0, "the index has no key for it", err);
  else if (!key)
    err_memory(err);
  return key;
}

static bool is_same(sqlite3_stmt *statement, int a, int b) {
  int len = sqlite3_column_bytes(statement, a);
  return sqlite3_column_type(statement, a) == sqlite3_column_type(statement, b) &&
         len == sqlite3_column_bytes(statement, b) &&
         (len == 0 ||
          memcmp(sqlite3_column_blob(statement, a), sqlite3_column_blob(statement, b), (size_t)len) == 0);
}

bool row_has_its_key(sqlite3_stmt *statement) {
  return sqlite3_column_type(statement, 0) != SQLITE_NULL && is_same(statement, 0, 1);
}

static const char *fault_of_key(const char *key, size_t len) {
  if (len == 0) return "its key is empty";
  if (len > STORE_KEY_BYTES) return "its key is too long";
  if (memchr(key, '\0', len)) return "its key has a zero byte in it";
  return utf8_valid(key, len) == len ? NULL : "its key is not UTF-8";
}

const char *row_nameless(sqlite3_stmt *statement) {
  int type = sqlite3_column_type(statement, 1);
  if (sqlite3_column_type(statement, 4) != SQLITE_NULL || !is_same(statement, 0, 1)) return NULL;
  if (type != SQLITE_TEXT) return type == SQLITE_NULL ? "it has no key" : "its key is no text";
  const char *key = sqlite3_column_blob(statement, 1);
  return fault_of_key(key, (size_t)sqlite3_column_bytes(statement, 1));
}

int64_t row_raw_sum(sqlite3_stmt *statement, const char *bucket) {
  int64_t sum = 0;
  for (int column = 1; column <= 3; column++) {
    int type = sqlite3_column_type(statement, column);
    const char *bytes = sqlite3_column_blob(statement, column);
    sum = sum_chain(sum, sum_row(bucket, "", 0, bytes ? bytes : "",
                                 (size_t)sqlite3_column_bytes(statement, column), type));
  }
  return sum;
}

enum moonkeep_code row_adopt(const char *bucket, struct row *row, struct buf *scratch, struct err *err) {
  struct err why;
  buf_clear(scratch);
  enum moonkeep_code code = json_compact(scratch, row->json, row->json_len, SIZE_MAX, &why);
  if (code == MOONKEEP_MEMORY) return err_memory(err);
  if (code)
    return err_key(err, MOONKEEP_CORRUPT, row->key, row->key_len,
                   "the row of key \"%.*s\" in %s was written by another program and cannot be used: %.200s; "
                   "set the key anew, or delete it",
                   (int)(row->key_len < 200 ? row->key_len : 200), row->key, bucket, why.message);
  row->json = scratch->data;
  row->json_len = scratch->len;
  return MOONKEEP_OK;
}

/* Whether another program could have written this. One bit in the head of a row can hide its checksum, and
 * then the columns before it are not what the table makes of what is put in: a text (or a blob) and a moment
 * or none. */
static bool can_be_foreign(sqlite3_stmt *statement) {
  int value = sqlite3_column_type(statement, 2), expiry = sqlite3_column_type(statement, 3);
  int64_t moment_ms = sqlite3_column_int64(statement, 3); /* 0 where there is none */
  return (value == SQLITE_TEXT || value == SQLITE_BLOB) && expiry != SQLITE_TEXT && expiry != SQLITE_BLOB &&
         moment_ms >= 0 && moment_ms <= last_moment_ms;
}

static bool sum_matches(sqlite3_stmt *statement, const char *bucket, const struct row *row) {
  return sqlite3_column_int64(statement, 4) ==
         sum_row(bucket, row->key, row->key_len, row->json, row->json_len, row->expires_at_ms);
}

enum moonkeep_code row_read(sqlite3_stmt *statement, const char *bucket, struct row *row, struct err *err) {
  const char *wrong = NULL;
  *row = (struct row){.foreign = sqlite3_column_type(statement, 4) == SQLITE_NULL};
  if (!row_has_its_key(statement))
    wrong = "the key that leads to it is another";
  else if (sqlite3_column_type(statement, 2) == SQLITE_NULL)
    wrong = "its value is missing";
  else if (row->foreign && !can_be_foreign(statement))
    wrong = "it has no checksum, and no program can have written it so";
  row->key = (const char *)sqlite3_column_text(statement, 0);
  row->key_len = (size_t)sqlite3_column_bytes(statement, 0);
  row->json = (const char *)sqlite3_column_text(statement, 2);
  row->json_len = (size_t)sqlite3_column_bytes(statement, 2);
  row->expires_at_ms = sqlite3_column_int64(statement, 3);
  if (!wrong && (!row->key || !row->json)) return err_memory(err);
  if (!wrong && !row->foreign && !sum_matches(statement, bucket, row))
    wrong = "it does not match its checksum";
  return wrong ? row_damaged(bucket, row->key, row->key_len, wrong, err) : MOONKEEP_OK;
}
