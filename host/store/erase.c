/* The engine erases many rows: by pattern, and those that have expired. */
#include <string.h>

#include "base/buf.h"
#include "store/engine_parts.h"
#include "store/journal.h"
#include "store/like.h"
#include "store/range.h"
#include "store/row.h"
#include "store/schema.h"

enum { BATCH = 1000 }; /* rows are gathered, then deleted: nothing is deleted under a running SELECT */

struct batch {
  int64_t rowids[BATCH];
  size_t count;
};

static enum moonkeep_code delete_batch(struct engine *engine, const struct shelf *shelf, struct batch *batch,
                                       struct err *err) {
  if (batch->count == 0) return MOONKEEP_OK;
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("DELETE FROM \"%w\" WHERE rowid=?1", shelf->name);
  enum moonkeep_code code = sql ? sql_prepare(engine->db, sql, &statement, err) : err_memory(err);
  sqlite3_free(sql);
  for (size_t i = 0; !code && i < batch->count; i++) {
    sqlite3_bind_int64(statement, 1, batch->rowids[i]);
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE) code = sql_fail(engine->db, rc, "delete rows", err);
    sqlite3_reset(statement);
  }
  sqlite3_finalize(statement);
  return code;
}

/* ---- by pattern ---- */

struct erasure {
  struct shelf *shelf;
  const char *pattern;
  size_t pattern_len;
  int64_t now_ms;
  uint64_t count; /* erased, and not expired */
  struct range range;
};

/* Gathers the next matching rows; *done when the range is at its end. */
static enum moonkeep_code gather(struct engine *engine, struct erasure *erasure, sqlite3_stmt *rows,
                                 struct batch *batch, bool *done, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  int rc = SQLITE_ROW;
  batch->count = 0;
  range_bind(&erasure->range, rows);
  while (!code && batch->count < BATCH && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
    size_t len;
    if (row_nameless(rows)) continue; /* nobody's key matches a pattern */
    const char *key = row_key(rows, erasure->shelf->name, &len, err);
    if (!key) code = err->code;
    if (!key || !like_match(erasure->pattern, erasure->pattern_len, key, len)) continue;
    if (!row_has_its_key(rows)) {
      code = row_damaged(erasure->shelf->name, key, len, "the key that leads to it is another", err);
      continue;
    }
    int64_t expires = sqlite3_column_int64(rows, 3);
    erasure->count += expires == 0 || expires > erasure->now_ms;
    batch->rowids[batch->count++] = sqlite3_column_int64(rows, 5);
    if (batch->count == BATCH) code = range_continue(&erasure->range, key, len, err);
  }
  if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE) code = sql_fail(engine->db, rc, "find rows", err);
  *done = rc == SQLITE_DONE;
  sqlite3_reset(rows);
  sqlite3_clear_bindings(rows);
  return code;
}

static enum moonkeep_code erase_matches(struct engine *engine, struct erasure *erasure, struct err *err) {
  err->code = MOONKEEP_OK;
  sqlite3_stmt *rows = shelf_statement(&engine->shelves, erasure->shelf, ENGINE_RANGE, err);
  if (!rows) return err->code; /* no table is fine: nothing to erase */
  struct batch batch;
  bool done = false;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !done) {
    code = gather(engine, erasure, rows, &batch, &done, err);
    if (!code) code = delete_batch(engine, erasure->shelf, &batch, err);
  }
  return code;
}

static enum moonkeep_code record(struct engine *engine, uint64_t seq, const struct erasure *erasure,
                                 struct err *err) {
  struct buf changes = {0};
  journal_begin(&changes, engine->epoch);
  journal_bucket(&changes, erasure->shelf->name);
  journal_erase_like(&changes, erasure->pattern, erasure->pattern_len, erasure->now_ms);
  enum moonkeep_code code = changes.failed
                                ? err_memory(err)
                                : engine_append(engine, seq, erasure->now_ms, changes.data, changes.len, err);
  buf_deinit(&changes);
  return code;
}

enum moonkeep_code engine_erase_like(struct engine *engine, uint64_t seq, int64_t now_ms, const char *bucket,
                                     const char *pattern, size_t len, uint64_t *count, struct err *err) {
  struct erasure erasure = {.pattern = pattern, .pattern_len = len, .now_ms = now_ms};
  erasure.shelf = shelf_of(&engine->shelves, bucket, strlen(bucket), err);
  if (!erasure.shelf) return err->code;
  enum moonkeep_code code = engine_tighten(engine, err);
  if (!code) code = range_of(&erasure.range, pattern, len, NULL, 0, err);
  if (!code) code = sql_run(engine->db, "BEGIN IMMEDIATE", "erase by pattern", err);
  if (!code) code = erase_matches(engine, &erasure, err);
  uint64_t last_seq = engine->last_seq;
  size_t journal_bytes = engine->journal_bytes;
  if (!code) code = record(engine, seq, &erasure, err);
  *count = erasure.count; /* also where the commit seems to fail, and has not */
  if (!code) code = sql_run(engine->db, "COMMIT", "erase by pattern", err);
  range_free(&erasure.range);
  if (code) { /* the record went with the rest */
    engine->last_seq = last_seq;
    engine->journal_bytes = journal_bytes;
    return engine_rollback(engine, code);
  }
  return MOONKEEP_OK;
}

/* ---- expired ---- */

/* A damaged row stays: its expiry may be what is damaged, or the index that says it. */
static enum moonkeep_code take_expired(sqlite3_stmt *rows, struct shelf *shelf, int64_t now_ms,
                                       struct batch *batch, struct err *err) {
  struct row row;
  enum moonkeep_code code = row_read(rows, shelf->name, &row, err);
  if (code && code != MOONKEEP_CORRUPT) return code;
  if (!code && row.expires_at_ms != 0 && row.expires_at_ms <= now_ms)
    batch->rowids[batch->count++] = sqlite3_column_int64(rows, 5);
  else
    shelf->damaged++;
  return MOONKEEP_OK;
}

static enum moonkeep_code gather_expired(struct engine *engine, struct shelf *shelf, int64_t now_ms,
                                         struct batch *batch, bool *more, struct err *err) {
  int seen = 0;
  batch->count = 0;
  err->code = MOONKEEP_OK;
  sqlite3_stmt *rows = shelf_statement(&engine->shelves, shelf, ENGINE_EXPIRED, err);
  if (!rows) return err->code;
  sqlite3_bind_int64(rows, 1, now_ms);
  sqlite3_bind_int64(rows, 2, ENGINE_SWEEP_ROWS);
  sqlite3_bind_int64(rows, 3, shelf->damaged);
  enum moonkeep_code code = MOONKEEP_OK;
  int rc = SQLITE_DONE;
  for (; !code && (rc = sqlite3_step(rows)) == SQLITE_ROW; seen++)
    code = take_expired(rows, shelf, now_ms, batch, err);
  if (!code && rc != SQLITE_DONE) code = sql_fail(engine->db, rc, "find expired rows", err);
  sqlite3_reset(rows);
  if (!code && seen == ENGINE_SWEEP_ROWS) *more = true;
  return code;
}

static enum moonkeep_code sweep_shelf(struct engine *engine, struct shelf *shelf, int64_t now_ms, bool *more,
                                      struct err *err) {
  struct batch batch;
  unsigned damaged = shelf->damaged;
  enum moonkeep_code code = gather_expired(engine, shelf, now_ms, &batch, more, err);
  if (!code) code = delete_batch(engine, shelf, &batch, err);
  if (!code && shelf->damaged > damaged)
    log_write(engine->log, LOG_ERROR, "store", "%u expired rows of %s are damaged and were left alone",
              shelf->damaged - damaged, shelf->name);
  return code;
}

static enum moonkeep_code know_shelf(void *ctx, const char *name, struct err *err) {
  struct engine *engine = ctx;
  return shelf_of(&engine->shelves, name, strlen(name), err) ? MOONKEEP_OK : err->code;
}

static enum moonkeep_code find_next_expiry(struct engine *engine, int64_t now_ms, struct err *err) {
  int64_t next = INT64_MAX;
  enum moonkeep_code code = MOONKEEP_OK;
  for (struct shelf *shelf = engine->shelves.first; !code && shelf; shelf = shelf->next) {
    int64_t first = 0;
    if (!shelf->statements[ENGINE_EXPIRED]) continue; /* it has no table, though somebody has named it */
    char *sql = sqlite3_mprintf("SELECT min(expires_at) FROM \"%w\" WHERE expires_at>%lld", shelf->name,
                                (long long)now_ms);
    code = sql ? sql_number(engine->db, sql, "find expired rows", &first, err) : err_memory(err);
    sqlite3_free(sql);
    if (first > 0 && first < next) next = first;
  }
  engine->next_expiry_ms = code ? now_ms : next;
  return code;
}

enum moonkeep_code engine_sweep(struct engine *engine, int64_t now_ms, bool *more, struct err *err) {
  *more = false;
  enum moonkeep_code code = schema_buckets(engine->db, know_shelf, engine, err);
  if (!code) code = engine_relax(engine, "sweep expired rows", err);
  for (struct shelf *shelf = engine->shelves.first; !code && shelf; shelf = shelf->next)
    code = sweep_shelf(engine, shelf, now_ms, more, err);
  if (!code) code = sql_run(engine->db, "COMMIT", "sweep expired rows", err);
  if (code) engine_rollback(engine, code);
  if (!code) code = engine_tighten(engine, err);
  if (!code && !*more) code = find_next_expiry(engine, now_ms, err);
  return code;
}
