/* The fold: the oldest groups of the journal go into the tables, sorted by key, each key once, in steps
 * between which other groups are written. */
#include "base/clock.h"
#include "store/engine_parts.h"
#include "store/schema.h"
#include "store/sum.h"

static enum moonkeep_code run(struct engine *engine, sqlite3_stmt *statement, const char *doing,
                              struct err *err) {
  int rc = sqlite3_step(statement);
  enum moonkeep_code code = rc == SQLITE_DONE ? MOONKEEP_OK : sql_fail(engine->db, rc, doing, err);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return code;
}

static enum moonkeep_code put(struct engine *engine, struct shelf *shelf, const struct journal_change *change,
                              struct err *err) {
  sqlite3_stmt *statement = shelf_statement(&engine->shelves, shelf, ENGINE_PUT, err);
  if (!statement) return err->code;
  sqlite3_bind_text64(statement, 1, change->key, change->key_len, SQLITE_STATIC, SQLITE_UTF8);
  sqlite3_bind_text64(statement, 2, change->json, change->json_len, SQLITE_STATIC, SQLITE_UTF8);
  if (change->time_ms) {
    sqlite3_bind_int64(statement, 3, change->time_ms);
    if (change->time_ms < engine->next_expiry_ms) engine->next_expiry_ms = change->time_ms;
  }
  sqlite3_bind_int64(
      statement, 4,
      sum_row(shelf->name, change->key, change->key_len, change->json, change->json_len, change->time_ms));
  return run(engine, statement, "fold the journal into the tables", err);
}

static enum moonkeep_code erase(struct engine *engine, struct shelf *shelf,
                                const struct journal_change *change, struct err *err) {
  sqlite3_stmt *statement = shelf_statement(&engine->shelves, shelf, ENGINE_ERASE, err);
  if (!statement) return err->code;
  sqlite3_bind_text64(statement, 1, change->key, change->key_len, SQLITE_STATIC, SQLITE_UTF8);
  return run(engine, statement, "fold the journal into the tables", err);
}

/* Whether another program has changed the key after the journal was written. */
static enum moonkeep_code is_edited(struct engine *engine, const struct journal_change *change, bool *edited,
                                    struct err *err) {
  *edited = false;
  if (!engine->edited) return MOONKEEP_OK;
  sqlite3_bind_text64(engine->edited, 1, change->bucket, change->bucket_len, SQLITE_STATIC, SQLITE_UTF8);
  sqlite3_bind_text64(engine->edited, 2, change->key, change->key_len, SQLITE_STATIC, SQLITE_UTF8);
  int rc = sqlite3_step(engine->edited);
  *edited = rc == SQLITE_ROW;
  enum moonkeep_code code = rc == SQLITE_ROW || rc == SQLITE_DONE
                                ? MOONKEEP_OK
                                : sql_fail(engine->db, rc, "look for edited rows", err);
  sqlite3_reset(engine->edited);
  sqlite3_clear_bindings(engine->edited);
  return code;
}

static enum moonkeep_code apply(struct engine *engine, const struct journal_change *change, struct err *err) {
  bool edited;
  enum moonkeep_code code = is_edited(engine, change, &edited, err);
  if (code || edited) return code;
  struct shelf *shelf = shelf_of(&engine->shelves, change->bucket, change->bucket_len, err);
  if (!shelf) return err->code;
  if (!shelf->made) {
    code = schema_make_bucket(engine->db, shelf->name, err);
    if (code) return code;
    shelf->made = true;
  }
  return change->op == 'p' ? put(engine, shelf, change, err) : erase(engine, shelf, change, err);
}

/* A row of a store that is larger than memory may cost a hundred times what one of a small store does. */
static enum moonkeep_code apply_some(struct engine *engine, size_t *rows, struct err *err) {
  enum { ROWS_A_LOOK = 16 };
  const struct slice *slice = &engine->folding;
  size_t left = slice->count - engine->folded_rows;
  size_t most = left < ENGINE_STEP_ROWS ? left : ENGINE_STEP_ROWS;
  int64_t end_us = clock_ticks_us() + ENGINE_STEP_US;
  enum moonkeep_code code = MOONKEEP_OK;
  for (*rows = 0; !code && *rows < most; ++*rows) {
    if (*rows > 0 && *rows % ROWS_A_LOOK == 0 && clock_ticks_us() > end_us) break;
    code = apply(engine, slice->order[engine->folded_rows + *rows].change, err);
  }
  return code;
}

static enum moonkeep_code drop_groups(struct engine *engine, uint64_t last_seq, struct err *err) {
  char sql[160];
  sqlite3_snprintf(sizeof sql, sql,
                   "DELETE FROM _journal WHERE seq<=%llu;"
                   "UPDATE _meta SET value=%llu WHERE name='folded_seq';",
                   (unsigned long long)last_seq, (unsigned long long)last_seq);
  return sql_run(engine->db, sql, "fold the journal into the tables", err);
}

static void forget_made(struct engine *engine) {
  for (struct shelf *shelf = engine->shelves.first; shelf; shelf = shelf->next) shelf->made = false;
}

void engine_end_fold(struct engine *engine) {
  slice_free(&engine->folding);
  engine->folded_rows = 0;
}

static void end_slice(struct engine *engine) {
  size_t bytes = engine->folding.bytes.len;
  engine->folded_seq = engine->folding.last_seq;
  engine->journal_bytes -= bytes < engine->journal_bytes ? bytes : engine->journal_bytes;
  engine_end_fold(engine);
}

static enum moonkeep_code write_step(struct engine *engine, size_t *rows, struct err *err) {
  static const char doing[] = "fold the journal into the tables";
  const struct slice *slice = &engine->folding;
  /* What is folded is durable already, in the journal, so this transaction needs no sync of its own. NORMAL,
   * never OFF: the order of writes still counts. */
  enum moonkeep_code code = engine_relax(engine, doing, err);
  if (!code) code = apply_some(engine, rows, err);
  bool last = !code && engine->folded_rows + *rows == slice->count;
  if (last) code = drop_groups(engine, slice->last_seq, err);
  if (!code) code = sql_run(engine->db, "COMMIT", doing, err);
  if (code) {
    engine_rollback(engine, code);
    engine_end_fold(engine);
    forget_made(engine);
    return code;
  }
  engine->folded_rows += *rows;
  if (last) end_slice(engine);
  return engine_tighten(engine, err);
}

/* What the fold takes is read and sorted; in pieces, because it may be the work of a second. */
static enum moonkeep_code read_step(struct engine *engine, uint64_t up_to, struct err *err) {
  struct slice_limits limits = {ENGINE_FOLD_ROWS, ENGINE_FOLD_BYTES, up_to};
  int64_t until_us = clock_ticks_us() + ENGINE_STEP_US;
  enum moonkeep_code code = slice_read_on(&engine->folding, engine->db, &limits, until_us, err);
  bool none = !code && engine->folding.groups == 0;
  if (none && up_to >= engine->last_seq) engine->folded_seq = engine->last_seq;
  if (code || none) engine_end_fold(engine);
  return code;
}

bool engine_is_folding(const struct engine *engine) {
  return engine->folding.groups > 0;
}

enum moonkeep_code engine_fold(struct engine *engine, uint64_t up_to, size_t *rows, struct err *err) {
  *rows = 0;
  if (engine->folded_seq == engine->last_seq) return MOONKEEP_OK;
  enum moonkeep_code code = engine->folding.whole ? MOONKEEP_OK : read_step(engine, up_to, err);
  return code || !engine->folding.whole ? code : write_step(engine, rows, err);
}

enum moonkeep_code engine_fold_all(struct engine *engine, struct err *err) {
  size_t rows;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && engine->folded_seq < engine->last_seq) code = engine_fold(engine, UINT64_MAX, &rows, err);
  return code;
}
