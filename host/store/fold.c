/* The fold: the oldest groups of the journal go into the tables, sorted by key, each key once. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/engine_parts.h"
#include "store/journal.h"
#include "store/schema.h"
#include "store/sum.h"

struct step { /* one change of the slice */
  struct journal_change change;
  size_t turn;
};

struct slice {      /* the groups that one fold takes */
  struct buf bytes; /* copies of their changes, one behind the other */
  size_t *ends;     /* owned: where each group ends */
  size_t groups, groups_cap;
  uint64_t last_seq;
  struct step *steps; /* owned */
  size_t count, cap;
};

static void slice_free(struct slice *slice) {
  buf_deinit(&slice->bytes);
  mem_free(slice->ends);
  mem_free(slice->steps);
}

/* Makes room for one more element of an owned array. */
static bool room(void **array, size_t count, size_t *cap, size_t size) {
  if (count < *cap) return true;
  size_t more = *cap ? *cap * 2 : 64;
  void *grown = mem_resize(*array, more * size);
  if (!grown) return false;
  *array = grown;
  *cap = more;
  return true;
}

static enum moonkeep_code take_group(struct slice *slice, sqlite3_stmt *row, struct err *err) {
  int64_t seq = sqlite3_column_int64(row, 0), at = sqlite3_column_int64(row, 1);
  const void *changes = sqlite3_column_blob(row, 2);
  size_t len = (size_t)sqlite3_column_bytes(row, 2);
  if (sqlite3_column_int64(row, 3) != sum_group(seq, at, changes, len))
    return err_set(err, MOONKEEP_CORRUPT, "the journal's row %lld does not match its checksum",
                   (long long)seq);
  if (!room((void **)&slice->ends, slice->groups, &slice->groups_cap, sizeof *slice->ends))
    return err_memory(err);
  buf_add(&slice->bytes, changes, len);
  if (slice->bytes.failed) return err_memory(err);
  slice->ends[slice->groups++] = slice->bytes.len;
  slice->last_seq = (uint64_t)seq;
  return MOONKEEP_OK;
}

static enum moonkeep_code read_groups(struct engine *engine, struct slice *slice, struct err *err) {
  sqlite3_stmt *rows;
  enum moonkeep_code code =
      sql_prepare(engine->db, "SELECT seq, at, changes, sum FROM _journal ORDER BY seq", &rows, err);
  if (code) return code;
  int rc = SQLITE_DONE;
  while (!code && slice->bytes.len < ENGINE_FOLD_BYTES && slice->groups < ENGINE_FOLD_ROWS &&
         (rc = sqlite3_step(rows)) == SQLITE_ROW)
    code = take_group(slice, rows, err);
  if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
    code = sql_fail(engine->db, rc, "read the journal", err);
  sqlite3_finalize(rows);
  return code;
}

static enum moonkeep_code read_changes(struct slice *slice, struct err *err) {
  size_t start = 0;
  for (size_t i = 0; i < slice->groups; start = slice->ends[i++]) {
    struct journal_reader reader;
    struct journal_change change;
    journal_read(&reader, slice->bytes.data + start, slice->ends[i] - start);
    while (journal_next(&reader, &change)) {
      if (change.op == 'l') continue; /* the tables show it already */
      if (!room((void **)&slice->steps, slice->count, &slice->cap, sizeof *slice->steps))
        return err_memory(err);
      slice->steps[slice->count] = (struct step){change, slice->count};
      slice->count++;
    }
    if (reader.broken) return err_set(err, MOONKEEP_CORRUPT, "the journal holds a group that cannot be read");
  }
  return MOONKEEP_OK;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len) {
  int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int same_place(const struct step *a, const struct step *b) {
  int order = compare_bytes(a->change.bucket, a->change.bucket_len, b->change.bucket, b->change.bucket_len);
  return order ? order : compare_bytes(a->change.key, a->change.key_len, b->change.key, b->change.key_len);
}

static int in_order(const void *a, const void *b) {
  const struct step *x = a, *y = b;
  int order = same_place(x, y);
  return order ? order : (x->turn > y->turn) - (x->turn < y->turn);
}

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

static enum moonkeep_code apply(struct engine *engine, const struct journal_change *change, struct err *err) {
  struct shelf *shelf = shelf_of(&engine->shelves, change->bucket, change->bucket_len, err);
  if (!shelf) return err->code;
  if (!shelf->made) {
    enum moonkeep_code code = schema_make_bucket(engine->db, shelf->name, err);
    if (code) return code;
    shelf->made = true;
  }
  return change->op == 'p' ? put(engine, shelf, change, err) : erase(engine, shelf, change, err);
}

/* The last change to a key is the one that counts. */
static enum moonkeep_code apply_all(struct engine *engine, struct slice *slice, struct err *err) {
  if (slice->count > 1) qsort(slice->steps, slice->count, sizeof *slice->steps, in_order);
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = 0; !code && i < slice->count; i++) {
    bool last = i + 1 == slice->count || same_place(&slice->steps[i], &slice->steps[i + 1]) != 0;
    if (last) code = apply(engine, &slice->steps[i].change, err);
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

static enum moonkeep_code write_slice(struct engine *engine, struct slice *slice, struct err *err) {
  static const char doing[] = "fold the journal into the tables";
  /* What is folded is durable already, in the journal, so this transaction needs no sync of its own. NORMAL,
   * never OFF: the order of writes still counts. */
  enum moonkeep_code code = engine_relax(engine, doing, err);
  if (!code) code = apply_all(engine, slice, err);
  if (!code) code = drop_groups(engine, slice->last_seq, err);
  if (!code) code = sql_run(engine->db, "COMMIT", doing, err);
  if (code) {
    engine_rollback(engine, code);
    forget_made(engine);
  }
  if (code) return code;
  engine->folded_seq = slice->last_seq;
  engine->journal_bytes -=
      slice->bytes.len < engine->journal_bytes ? slice->bytes.len : engine->journal_bytes;
  return engine_tighten(engine, err);
}

enum moonkeep_code engine_fold(struct engine *engine, struct err *err) {
  if (engine->folded_seq == engine->last_seq) return MOONKEEP_OK;
  struct slice slice = {0};
  enum moonkeep_code code = read_groups(engine, &slice, err);
  if (!code) code = read_changes(&slice, err);
  if (!code && slice.groups > 0) code = write_slice(engine, &slice, err);
  if (!code && slice.groups == 0) engine->folded_seq = engine->last_seq;
  slice_free(&slice);
  return code;
}

enum moonkeep_code engine_fold_all(struct engine *engine, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && engine->folded_seq < engine->last_seq) code = engine_fold(engine, err);
  return code;
}
