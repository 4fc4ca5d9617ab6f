#include "store/view.h"

#include <string.h>

#include "base/mem.h"
#include "store/like.h"
#include "store/row.h"

enum { LOAD, SCAN, BELOW, ABOVE, KEYLESS };

static const char *const statements[SHELF_KINDS] = {
    [LOAD] = "SELECT ?1, " ROW_COLUMNS " FROM " ROW_FROM " WHERE i.key=?1",
    [SCAN] = "SELECT i.key, " ROW_COLUMNS " FROM " ROW_FROM " WHERE i.key>=?1 ORDER BY i.key",
    [KEYLESS] = "SELECT i.key, " ROW_COLUMNS " FROM " ROW_FROM " WHERE i.key IS NULL ORDER BY i.rowid",
    [BELOW] = "SELECT i.key, t.key FROM " ROW_FROM " WHERE i.key<?1 ORDER BY i.key DESC LIMIT 1",
    [ABOVE] = "SELECT i.key, t.key FROM " ROW_FROM " WHERE i.key>?1 ORDER BY i.key LIMIT 1",
};

void view_init(struct view *view, const char *path, const struct clock *clock) {
  *view = (struct view){.path = path, .clock = clock};
}

void view_close(struct view *view) {
  if (view->scan) view_end_scan(view, view->scan);
  shelves_deinit(&view->load_shelves);
  shelves_deinit(&view->scan_shelves);
  sqlite3_close(view->loads);
  sqlite3_close(view->scans);
  view->loads = view->scans = NULL;
  view->held = false;
}

static enum moonkeep_code connect(struct view *view, sqlite3 **db, struct shelves *shelves, struct err *err) {
  if (*db) return MOONKEEP_OK;
  enum moonkeep_code code = sql_open(db, view->path, false, err);
  if (code) return code;
  shelves_init(shelves, *db, statements);
  shelves->exact = true;
  return MOONKEEP_OK;
}

/* ---- one row ---- */

/* Reads the statement's row. The texts are valid until the statement moves on; scratch may come to hold the
 * value. */
static enum moonkeep_code read_row(sqlite3_stmt *rows, const char *bucket, struct row *row,
                                   struct buf *scratch, struct err *err) {
  enum moonkeep_code code = row_read(rows, bucket, row, err);
  return code || !row->foreign ? code : row_adopt(bucket, row, scratch, err);
}

/* ---- what is not there ---- */

/* The error of an entry of the index that is not its row's. */
static enum moonkeep_code misled(const char *bucket, const char *key, size_t key_len, struct err *err) {
  return err_key(err, MOONKEEP_CORRUPT, key, key_len,
                 "the index of %s is damaged near key \"%.*s\": an entry leads to a row of another key",
                 bucket, (int)(key_len < 200 ? key_len : 200), key);
}

/* Where a key is not found, the entry of the index on this side of its place has to be whole: one that is
 * damaged stands where the key would be found. */
static enum moonkeep_code check_beside(struct shelves *shelves, struct shelf *shelf, int side,
                                       const char *key, size_t key_len, struct err *err) {
  err->code = MOONKEEP_OK;
  sqlite3_stmt *entry = shelf_statement(shelves, shelf, side, err);
  if (!entry) return err->code;
  sqlite3_bind_text64(entry, 1, key, key_len, SQLITE_STATIC, SQLITE_UTF8);
  int rc = sqlite3_step(entry);
  enum moonkeep_code code = MOONKEEP_OK;
  if (rc == SQLITE_ROW && !row_has_its_key(entry))
    code = misled(shelf->name, key, key_len, err);
  else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    code = sql_fail(shelves->db, rc, "read the store", err);
  sqlite3_reset(entry);
  sqlite3_clear_bindings(entry);
  return code;
}

/* ---- single keys ---- */

enum moonkeep_code view_begin_loads(struct view *view, struct err *err) {
  enum moonkeep_code code = connect(view, &view->loads, &view->load_shelves, err);
  return code ? code : sql_run(view->loads, "BEGIN", "read the store", err);
}

void view_end_loads(struct view *view) {
  if (view->loads && !sqlite3_get_autocommit(view->loads))
    sqlite3_exec(view->loads, "COMMIT", NULL, NULL, NULL);
}

static enum moonkeep_code load_row(sqlite3_stmt *rows, const char *bucket, struct value **value,
                                   struct err *err) {
  struct row row;
  struct buf scratch = {0};
  enum moonkeep_code code = read_row(rows, bucket, &row, &scratch, err);
  if (!code && !(*value = value_new(row.json, row.json_len, row.expires_at_ms))) code = err_memory(err);
  buf_deinit(&scratch);
  return code;
}

enum moonkeep_code view_load(struct view *view, const char *bucket, const char *key, size_t key_len,
                             struct value **value, struct err *err) {
  *value = NULL;
  err->code = MOONKEEP_OK;
  struct shelf *shelf = shelf_of(&view->load_shelves, bucket, strlen(bucket), err);
  sqlite3_stmt *rows = shelf ? shelf_statement(&view->load_shelves, shelf, LOAD, err) : NULL;
  if (!rows) return err->code;
  sqlite3_bind_text64(rows, 1, key, key_len, SQLITE_STATIC, SQLITE_UTF8);
  int rc = sqlite3_step(rows);
  enum moonkeep_code code = MOONKEEP_OK;
  if (rc == SQLITE_ROW)
    code = load_row(rows, bucket, value, err);
  else if (rc != SQLITE_DONE)
    code = sql_fail(view->loads, rc, "read the store", err);
  sqlite3_reset(rows);
  sqlite3_clear_bindings(rows);
  if (rc != SQLITE_DONE) return code;
  code = check_beside(&view->load_shelves, shelf, BELOW, key, key_len, err);
  return code ? code : check_beside(&view->load_shelves, shelf, ABOVE, key, key_len, err);
}

/* ---- scans ---- */

static void forget_results(struct store_call *call) {
  call->found_count = 0;
  call->count = 0;
  call->more = false;
  buf_clear(&call->text);
}

/* Whether the scan is about the key of this change. */
static bool concerns(const struct scan *scan, const struct journal_change *change) {
  const struct store_call *call = scan->call;
  const struct buf *from = &scan->range.from;
  return change->bucket_len == strlen(scan->bucket) &&
         memcmp(change->bucket, scan->bucket, change->bucket_len) == 0 &&
         slice_compare(change->key, change->key_len, from->data ? from->data : "", from->len) >= 0 &&
         like_match(call->pattern, call->pattern_len, change->key, change->key_len);
}

/* Reads what the journal holds, in the same read transaction, and keeps what the scan is about. */
static enum moonkeep_code read_journal(struct view *view, struct scan *scan, struct err *err) {
  struct slice_limits limits = {SIZE_MAX, SIZE_MAX, scan->journal_seq};
  scan->next = 0;
  if (scan->journal_seq == 0) return MOONKEEP_OK;
  enum moonkeep_code code = slice_read(&scan->journal, view->scans, &limits, err);
  size_t kept = 0;
  for (size_t i = 0; !code && i < scan->journal.count; i++)
    if (concerns(scan, scan->journal.order[i].change)) scan->journal.order[kept++] = scan->journal.order[i];
  scan->journal.count = kept;
  return code;
}

/* The scan sees the tables of one moment, and what has expired is what had by then. Where the clock goes on
 * while they are opened, a change from after an expiry could be seen beside what had expired: then once more.
 */
static enum moonkeep_code begin_moment(struct view *view, int64_t *now_ms, struct err *err) {
  for (int tries = 100;; tries--) {
    *now_ms = clock_wall_ms(view->clock);
    enum moonkeep_code code =
        sql_run(view->scans, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", "read the store", err);
    if (code || tries == 0 || clock_wall_ms(view->clock) == *now_ms) return code;
    code = sql_run(view->scans, "COMMIT", "read the store", err);
    if (code) return code;
  }
}

enum moonkeep_code view_hold(struct view *view, struct err *err) {
  enum moonkeep_code code = connect(view, &view->scans, &view->scan_shelves, err);
  if (!code) code = begin_moment(view, &view->held_ms, err);
  view->held = !code;
  return code;
}

/* Tells of a row that another program wrote and that no store can use. */
static enum moonkeep_code tell_unusable(const struct scan *scan, sqlite3_stmt *rows, const char *why,
                                        struct err *err) {
  struct unusable unusable = {.store = scan->bucket, .why = why, .row = rows};
  unusable.key = sqlite3_column_type(rows, 1) == SQLITE_TEXT ? sqlite3_column_blob(rows, 1) : NULL;
  unusable.key_len = unusable.key ? (size_t)sqlite3_column_bytes(rows, 1) : 0;
  return scan->unusable(scan->unusable_ctx, &unusable, err);
}

/* Rows without a key stand before all others in the index, where no scan comes by. */
static enum moonkeep_code tell_keyless(struct view *view, const struct scan *scan, struct shelf *shelf,
                                       struct err *err) {
  sqlite3_stmt *rows = shelf_statement(&view->scan_shelves, shelf, KEYLESS, err);
  if (!rows) return err->code;
  enum moonkeep_code code = MOONKEEP_OK;
  int rc;
  while ((rc = sqlite3_step(rows)) == SQLITE_ROW && !code) {
    const char *why = row_nameless(rows);
    code = why ? tell_unusable(scan, rows, why, err)
               : row_damaged(scan->bucket, NULL, 0, "its key is missing", err);
  }
  if (!code && rc != SQLITE_DONE) code = sql_fail(view->scans, rc, "read the store", err);
  sqlite3_reset(rows);
  return code;
}

static enum moonkeep_code begin_scan(struct view *view, struct scan *scan, struct err *err) {
  struct store_call *call = scan->call;
  forget_results(call);
  range_free(&scan->range);
  enum moonkeep_code code = connect(view, &view->scans, &view->scan_shelves, err);
  if (!code)
    code = range_of(&scan->range, call->pattern, call->pattern_len, call->after, call->after_len, err);
  scan->now_ms = view->held_ms;
  if (!code && !view->held) code = begin_moment(view, &scan->now_ms, err);
  if (!code) code = read_journal(view, scan, err);
  if (code) return code;
  view->scan = scan;
  err->code = MOONKEEP_OK;
  struct shelf *shelf = shelf_of(&view->scan_shelves, scan->bucket, strlen(scan->bucket), err);
  scan->rows = shelf ? shelf_statement(&view->scan_shelves, shelf, SCAN, err) : NULL;
  if (!scan->rows) return err->code;
  const char *from = scan->range.from.len ? scan->range.from.data : "";
  buf_clear(&scan->last);
  buf_add(&scan->last, from, scan->range.from.len);
  scan->has_last = false;
  if (scan->last.failed) return err_memory(err);
  sqlite3_bind_text64(scan->rows, 1, from, scan->range.from.len, SQLITE_STATIC, SQLITE_UTF8);
  code = check_beside(&view->scan_shelves, shelf, BELOW, from, scan->range.from.len, err);
  return code || !scan->unusable ? code : tell_keyless(view, scan, shelf, err);
}

void view_end_scan(struct view *view, struct scan *scan) {
  if (scan->rows) {
    sqlite3_reset(scan->rows);
    sqlite3_clear_bindings(scan->rows);
    scan->rows = NULL;
  }
  if (view->scans && !view->held && !sqlite3_get_autocommit(view->scans))
    sqlite3_exec(view->scans, "COMMIT", NULL, NULL, NULL);
  range_free(&scan->range);
  buf_deinit(&scan->last);
  slice_free(&scan->journal);
  view->scan = NULL;
}

static struct store_found *new_found(struct scan *scan) {
  struct store_call *call = scan->call;
  if (call->found_count == scan->cap) {
    size_t cap = scan->cap ? scan->cap * 2 : 16;
    void *grown = mem_resize(call->found_rows, cap * sizeof *call->found_rows);
    if (!grown) return NULL;
    call->found_rows = grown;
    scan->cap = cap;
  }
  return &call->found_rows[call->found_count];
}

static enum moonkeep_code keep_row(struct scan *scan, const struct row *row, struct err *err) {
  struct store_call *call = scan->call;
  struct store_found *found = new_found(scan);
  if (!found) return err_memory(err);
  *found = (struct store_found){
      .key = call->text.len, .key_len = (uint32_t)row->key_len, .expires_at_ms = row->expires_at_ms};
  buf_add(&call->text, row->key, row->key_len);
  if (call->want == STORE_ROWS) {
    found->json = call->text.len;
    found->json_len = (uint32_t)row->json_len;
    buf_add(&call->text, row->json, row->json_len);
  }
  if (call->text.failed) return err_memory(err);
  if (call->text.len > STORE_SCAN_BYTES)
    return err_set(err, MOONKEEP_TOO_LARGE,
                   "over %d MiB match; ask for less with a limit, or walk them with each",
                   STORE_SCAN_BYTES >> 20);
  call->found_count++;
  return MOONKEEP_OK;
}

/* Whether the call has what it asked for. The row that says so is not taken: it is the `more`. */
static bool is_full(const struct store_call *call) {
  if (call->want == STORE_COUNT) return false;
  return (call->limit && call->found_count >= call->limit) ||
         (call->page_bytes && call->text.len >= call->page_bytes);
}

/* Takes a row that matches, unless it has expired. */
static enum moonkeep_code take(struct scan *scan, const struct row *row, bool *done, struct err *err) {
  struct store_call *call = scan->call;
  if (row->expires_at_ms != 0 && row->expires_at_ms <= scan->now_ms) return MOONKEEP_OK;
  if (is_full(call)) {
    *done = call->more = true;
    return MOONKEEP_OK;
  }
  if (call->want != STORE_COUNT) return keep_row(scan, row, err);
  call->count++;
  return MOONKEEP_OK;
}

/* Takes what the journal has for keys up to this one, which is what counts for them; *same when for this one
 * too. NULL: for all that are left. */
static enum moonkeep_code take_journal(struct scan *scan, const char *key, size_t key_len, bool *same,
                                       bool *done, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  for (; !code && !*done && scan->next < scan->journal.count; scan->next++) {
    const struct journal_change *change = scan->journal.order[scan->next].change;
    int order = key ? slice_compare(change->key, change->key_len, key, key_len) : -1;
    if (order > 0) break;
    *same |= order == 0;
    struct row row = {change->key, change->json, change->key_len, change->json_len, change->time_ms, false};
    if (change->op == 'p') code = take(scan, &row, done, err);
  }
  return code;
}

/* Whether the key lies behind the scan's range. */
static bool is_behind(const struct scan *scan, const char *key, size_t key_len) {
  const struct buf *to = &scan->range.to;
  return to->len > 0 && slice_compare(key, key_len, to->data, to->len) >= 0;
}

/* Behind the last row of the table: what only the journal has. */
static enum moonkeep_code take_rest(struct scan *scan, bool *done, struct err *err) {
  bool ignored = false;
  enum moonkeep_code code = take_journal(scan, NULL, 0, &ignored, done, err);
  *done = true;
  return code;
}

/* Takes the statement's row. The keys of those that other programs wrote can be told whatever their values
 * are. */
static enum moonkeep_code take_table_row(struct scan *scan, bool *done, struct err *err) {
  struct buf scratch = {0};
  struct row row;
  bool needs_value = scan->call->want == STORE_ROWS;
  const char *why = "no store writes such a value or expiry";
  enum moonkeep_code code = row_read(scan->rows, scan->bucket, &row, err);
  if (!code) why = "its value is not JSON";
  if (!code && needs_value && row.foreign) code = row_adopt(scan->bucket, &row, &scratch, err);
  if (code == MOONKEEP_CORRUPT && row.foreign && scan->unusable && row_has_its_key(scan->rows))
    code = tell_unusable(scan, scan->rows, why, err);
  else if (!code)
    code = take(scan, &row, done, err);
  buf_deinit(&scratch);
  return code;
}

/* An index whose inner pages are damaged may lead round in circles, from one row that is whole to the next.
 */
static enum moonkeep_code check_order(struct scan *scan, const char *key, size_t key_len, struct err *err) {
  int order = slice_compare(key, key_len, scan->last.len ? scan->last.data : "", scan->last.len);
  if (order < 0 || (order == 0 && scan->has_last))
    return err_key(err, MOONKEEP_CORRUPT, key, key_len, "the index of %s is out of order at key \"%.*s\"",
                   scan->bucket, (int)(key_len < 200 ? key_len : 200), key);
  buf_clear(&scan->last);
  buf_add(&scan->last, key, key_len);
  scan->has_last = true;
  return scan->last.failed ? err_memory(err) : MOONKEEP_OK;
}

static enum moonkeep_code take_row(struct scan *scan, bool *done, struct err *err) {
  struct store_call *call = scan->call;
  bool in_journal = false;
  size_t key_len;
  const char *nameless = row_nameless(scan->rows);
  if (nameless) return scan->unusable ? tell_unusable(scan, scan->rows, nameless, err) : MOONKEEP_OK;
  const char *key = row_key(scan->rows, scan->bucket, &key_len, err);
  if (!key || check_order(scan, key, key_len, err)) return err->code;
  bool behind = is_behind(scan, key, key_len);
  if (behind || !like_match(call->pattern, call->pattern_len, key, key_len)) {
    if (!row_has_its_key(scan->rows)) return misled(scan->bucket, key, key_len, err);
    return behind ? take_rest(scan, done, err) : MOONKEEP_OK;
  }
  enum moonkeep_code code = take_journal(scan, key, key_len, &in_journal, done, err);
  return code || *done || in_journal ? code : take_table_row(scan, done, err);
}

enum moonkeep_code view_scan(struct view *view, struct scan *scan, unsigned max_rows, bool *done,
                             struct err *err) {
  *done = false;
  enum moonkeep_code code = scan->rows ? MOONKEEP_OK : begin_scan(view, scan, err);
  if (code) return code;
  if (!scan->rows) return take_rest(scan, done, err); /* no such table */
  for (unsigned i = 0; !code && !*done && i < max_rows; i++) {
    int rc = sqlite3_step(scan->rows);
    if (rc == SQLITE_ROW)
      code = take_row(scan, done, err);
    else if (rc == SQLITE_DONE)
      code = take_rest(scan, done, err);
    else
      code = sql_fail(view->scans, rc, "read the store", err);
  }
  return code;
}
