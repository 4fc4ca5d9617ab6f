#include "store/receipt.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "store/sql.h"

static const char *const kinds[] = {"none", "restored", "completed", "repaired"};

static const char *print_time(char text[RECEIPT_TIME], const char *format, int64_t ms) {
  time_t seconds = (time_t)(ms / 1000);
  struct tm tm;
  char whole[RECEIPT_TIME] = "";
  if (gmtime_r(&seconds, &tm)) strftime(whole, sizeof whole - 8, format, &tm);
  snprintf(text, RECEIPT_TIME, "%.24s.%03dZ", whole, (int)(ms % 1000));
  return text;
}

const char *receipt_time(char text[RECEIPT_TIME], int64_t ms) {
  return print_time(text, "%Y-%m-%dT%H:%M:%S", ms);
}

const char *receipt_stamp(char text[RECEIPT_TIME], int64_t ms) {
  return print_time(text, "%Y%m%dT%H%M%S", ms);
}

static void put_text(struct buf *out, const char *name, const char *text) {
  if (!*text) return;
  buf_printf(out, ",\"%s\":", name);
  json_put_string(out, text, strlen(text));
}

static void put_time(struct buf *out, const char *name, int64_t ms) {
  char text[RECEIPT_TIME];
  if (ms != 0) put_text(out, name, receipt_time(text, ms));
}

void receipt_put_json(struct buf *out, const struct receipt *receipt) {
  buf_printf(out, "{\"kind\":\"%s\"", kinds[receipt->kind]);
  put_text(out, "why", receipt->why);
  put_text(out, "backup", receipt->backup);
  put_time(out, "backup_at", receipt->backup_ms);
  put_time(out, "up_to", receipt->up_to_ms);
  buf_printf(out, ",\"archived\":%llu,\"keys\":%llu,\"missing\":%llu", (unsigned long long)receipt->groups,
             (unsigned long long)receipt->keys, (unsigned long long)receipt->missing);
  put_text(out, "damaged", receipt->damaged);
  put_time(out, "at", receipt->at_ms);
  buf_putc(out, '}');
}

static void put_source(struct buf *out, const struct receipt *receipt) {
  char text[RECEIPT_TIME];
  if (*receipt->backup) buf_printf(out, " from the backup %s", receipt->backup);
  if (receipt->groups > 0)
    buf_printf(out, "%s %llu commit%s of the archive", *receipt->backup ? " and" : " from",
               (unsigned long long)receipt->groups, receipt->groups == 1 ? "" : "s");
  if (receipt->up_to_ms) buf_printf(out, ", up to %s", receipt_time(text, receipt->up_to_ms));
}

void receipt_put_text(struct buf *out, const struct receipt *receipt) {
  static const char *const done[] = {"", "the store was restored", "the store was completed", "repaired"};
  unsigned long long keys = receipt->keys, missing = receipt->missing;
  bool asked = receipt->why[0] == '\0';
  buf_printf(out, "%s%s%s", receipt->why, asked ? "" : ": ", asked ? "restored" : done[receipt->kind]);
  put_source(out, receipt);
  buf_printf(out, ", %llu key%s. ", keys, keys == 1 ? "" : "s");
  if (missing > 0)
    buf_printf(out, "MISSING: %llu commit%s that had been acknowledged later. ", missing,
               missing == 1 ? "" : "s");
  else if (receipt->kind == RECEIPT_RESTORED && !asked)
    buf_puts(out, "What was saved later, if anything was, is missing. ");
  if (*receipt->damaged)
    buf_printf(out, "The files that were replaced are in the folder %s of the data folder", receipt->damaged);
  while (out->len > 0 && !out->failed && out->data[out->len - 1] == ' ') out->len--;
}

enum moonkeep_code receipt_save(sqlite3 *db, const struct receipt *receipt, struct err *err) {
  static const char doing[] = "write a receipt";
  struct buf json = {0};
  sqlite3_stmt *put = NULL;
  receipt_put_json(&json, receipt);
  enum moonkeep_code code =
      json.failed
          ? err_memory(err)
          : sql_prepare(db, "INSERT OR REPLACE INTO _meta VALUES('receipt', ?1), ('untold', 1)", &put, err);
  if (!code) {
    sqlite3_bind_text64(put, 1, json.data, json.len, SQLITE_STATIC, SQLITE_UTF8);
    int rc = sqlite3_step(put);
    if (rc != SQLITE_DONE) code = sql_fail(db, rc, doing, err);
  }
  sqlite3_finalize(put);
  buf_deinit(&json);
  return code;
}

enum moonkeep_code receipt_load(sqlite3 *db, struct buf *out, struct err *err) {
  sqlite3_stmt *get = NULL;
  enum moonkeep_code code = sql_prepare(db, "SELECT value FROM _meta WHERE name='receipt'", &get, err);
  if (code) return code;
  int rc = sqlite3_step(get);
  if (rc == SQLITE_ROW)
    buf_add(out, sqlite3_column_blob(get, 0), (size_t)sqlite3_column_bytes(get, 0));
  else if (rc != SQLITE_DONE)
    code = sql_fail(db, rc, "read the last receipt", err);
  sqlite3_finalize(get);
  buf_text(out); /* ends it with a NUL */
  return code || !out->failed ? code : err_memory(err);
}

enum moonkeep_code receipt_is_untold(sqlite3 *db, bool *untold, struct err *err) {
  int64_t count = 0;
  enum moonkeep_code code =
      sql_number(db, "SELECT count(*) FROM _meta WHERE name='untold'", "read the last receipt", &count, err);
  *untold = count > 0;
  return code;
}

enum moonkeep_code receipt_note_told(sqlite3 *db, struct err *err) {
  return sql_run(db, "DELETE FROM _meta WHERE name='untold'", "note that a receipt was told", err);
}
