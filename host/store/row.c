#include "store/row.h"

#include <string.h>

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

bool row_has_its_key(sqlite3_stmt *statement) {
  int len = sqlite3_column_bytes(statement, 0);
  return sqlite3_column_type(statement, 0) == sqlite3_column_type(statement, 1) && len > 0 &&
         len == sqlite3_column_bytes(statement, 1) &&
         memcmp(sqlite3_column_blob(statement, 0), sqlite3_column_blob(statement, 1), (size_t)len) == 0;
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
