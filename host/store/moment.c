#include "store/moment.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/schema.h"
#include "store/slice.h"
#include "store/sum.h"
#include "store/view.h"

struct moment {
  char *path; /* owned: of the store file */
  const struct clock *clock;
  const char *only; /* borrowed; NULL: all stores */
  bool alone;
  struct view view;
  char (*names)[STORE_NAME_BYTES + 1]; /* owned: the stores, in order */
  size_t names_count, names_cap, at;   /* at: the store that is being read */
  struct scan scan;
  enum moonkeep_code (*unusable)(void *ctx, const struct unusable *row, struct err *err);
  void *ctx;               /* its */
  struct store_call *call; /* owned: where the scan puts what it finds */
  bool scanning, scanned;
  struct buf left_out; /* names of tables that are no stores */
  size_t taken;        /* of the rows that the call holds */
};

/* ---- the stores ---- */

static enum moonkeep_code add_name(struct moment *moment, const char *name, size_t len, struct err *err) {
  if (moment->only && (strlen(moment->only) != len || memcmp(moment->only, name, len) != 0))
    return MOONKEEP_OK;
  size_t at = 0;
  while (at < moment->names_count &&
         slice_compare(moment->names[at], strlen(moment->names[at]), name, len) < 0)
    at++;
  if (at < moment->names_count && strlen(moment->names[at]) == len &&
      memcmp(moment->names[at], name, len) == 0)
    return MOONKEEP_OK;
  if (moment->names_count == moment->names_cap) {
    size_t cap = moment->names_cap ? moment->names_cap * 2 : 16;
    void *grown = mem_resize(moment->names, cap * sizeof *moment->names);
    if (!grown) return err_memory(err);
    moment->names = grown;
    moment->names_cap = cap;
  }
  memmove(moment->names + at + 1, moment->names + at, (moment->names_count - at) * sizeof *moment->names);
  memcpy(moment->names[at], name, len);
  moment->names[at][len] = '\0';
  moment->names_count++;
  return MOONKEEP_OK;
}

static enum moonkeep_code add_table(void *ctx, const char *name, struct err *err) {
  return add_name(ctx, name, strlen(name), err);
}

static enum moonkeep_code refuse_the_only(void *ctx, const char *name, struct err *err) {
  const struct moment *moment = ctx;
  return strcmp(name, moment->only) == 0 ? schema_refuse_stranger(name, err) : MOONKEEP_OK;
}

static enum moonkeep_code look_for_strangers(struct moment *moment, struct err *err) {
  sqlite3 *db = moment->view.scans;
  if (moment->only) return schema_strangers(db, true, refuse_the_only, moment, err);
  enum moonkeep_code code = schema_name_strangers(db, &moment->left_out, err);
  buf_text(&moment->left_out); /* ends it with a NUL */
  return code || !moment->left_out.failed ? code : err_memory(err);
}

/* A store that is new may be in the journal alone. */
static enum moonkeep_code add_from_journal(struct moment *moment, struct err *err) {
  struct slice slice;
  struct slice_limits limits = {SIZE_MAX, SIZE_MAX, UINT64_MAX};
  enum moonkeep_code code = slice_read(&slice, moment->view.scans, &limits, err);
  for (size_t i = 0; !code && i < slice.count; i++) {
    const struct journal_change *change = slice.order[i].change;
    if (change->bucket_len <= STORE_NAME_BYTES)
      code = add_name(moment, change->bucket, change->bucket_len, err);
  }
  slice_free(&slice);
  return code;
}

/* ---- opening ---- */

/* A clock that stands where nothing has expired yet. */
static int64_t at_the_beginning(void *ctx) {
  (void)ctx;
  return 0;
}

static const struct clock clock_of_the_beginning = {at_the_beginning, at_the_beginning, NULL};

/* While a crash's journal is being taken over, some of the tables are newer than it. */
static enum moonkeep_code check_settled(struct moment *moment, struct err *err) {
  int64_t edits;
  enum moonkeep_code code =
      sql_number(moment->view.scans, "SELECT count(*) FROM _edited", "read the store", &edits, err);
  if (!code && edits > 0)
    code = err_set(err, MOONKEEP_BUSY, "another process is opening the store file %s", moment->path);
  return code;
}

static enum moonkeep_code begin(struct moment *moment, bool settled, bool backup, struct err *err) {
  int64_t version = 0;
  enum moonkeep_code code = schema_check_header(moment->path, err);
  if (!code && access(moment->path, F_OK) != 0)
    return err_set(err, MOONKEEP_BUSY, "there is no store file %s yet", moment->path);
  if (!code) code = view_hold(&moment->view, err);
  if (!code) code = schema_recognise(moment->view.scans, moment->path, &version, err);
  if (code) return code;
  if (version < 1 || (version < SCHEMA_VERSION && !backup)) /* a backup stays as it is, and reads the same */
    return err_set(err, MOONKEEP_BUSY, "another process is bringing the store file %s up to date",
                   moment->path);
  if (!settled && !backup) code = check_settled(moment, err);
  if (!code) code = schema_buckets(moment->view.scans, add_table, moment, err);
  if (!code) code = look_for_strangers(moment, err);
  return code ? code : add_from_journal(moment, err);
}

static char *path_of(const struct moment_options *options) {
  struct buf path = {0};
  if (options->file)
    buf_puts(&path, options->file);
  else
    buf_printf(&path, "%s/appdata.db", options->dir);
  char *copy = path.failed ? NULL : mem_copy(path.data, path.len);
  buf_deinit(&path);
  return copy;
}

enum moonkeep_code moment_open(struct moment **out, const struct moment_options *options, struct err *err) {
  *out = NULL;
  struct moment *moment = mem_zero(sizeof *moment);
  if (!moment) return err_memory(err);
  moment->clock = options->clock ? options->clock : &clock_system;
  if (options->whole) moment->clock = &clock_of_the_beginning;
  moment->only = options->store;
  moment->alone = options->alone;
  moment->unusable = options->unusable;
  moment->ctx = options->ctx;
  moment->path = path_of(options);
  moment->call = store_call_new(STORE_SCAN, NULL, NULL, 0);
  view_init(&moment->view, moment->path, moment->clock);
  bool made = moment->path && moment->call && store_call_pattern(moment->call, "%", 1);
  enum moonkeep_code code =
      made ? begin(moment, options->settled, options->file != NULL, err) : err_memory(err);
  if (code)
    moment_close(moment);
  else
    *out = moment;
  return code;
}

/* The log that SQLite made for us alone is taken away again. Where anybody else has the file open, SQLite
 * leaves it as it is. */
static void leave_tidy(struct moment *moment) {
  if (moment->alone && moment->view.scans)
    sqlite3_db_config(moment->view.scans, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}

void moment_close(struct moment *moment) {
  if (!moment) return;
  if (moment->scanning) view_end_scan(&moment->view, &moment->scan);
  leave_tidy(moment);
  view_close(&moment->view);
  store_call_free(moment->call);
  buf_deinit(&moment->left_out);
  mem_free(moment->names);
  mem_free(moment->path);
  mem_free(moment);
}

const char *moment_left_out(const struct moment *moment) {
  return moment->left_out.data ? moment->left_out.data : "";
}

enum moonkeep_code moment_place(struct moment *moment, uint64_t *epoch, uint64_t *seq, struct err *err) {
  sqlite3 *db = moment->view.scans;
  static const char doing[] = "read the store";
  int64_t number = 0, folded = 0, last = 0;
  enum moonkeep_code code = sql_number(db, "SELECT value FROM _meta WHERE name='epoch'", doing, &number, err);
  if (!code) code = sql_number(db, "SELECT value FROM _meta WHERE name='folded_seq'", doing, &folded, err);
  if (!code) code = sql_number(db, "SELECT max(seq) FROM _journal", doing, &last, err);
  *epoch = (uint64_t)number;
  *seq = (uint64_t)(last > folded ? last : folded);
  return code;
}

/* ---- rows ---- */

static void begin_store(struct moment *moment) {
  moment->scan = (struct scan){.call = moment->call,
                               .bucket = moment->names[moment->at],
                               .journal_seq = UINT64_MAX,
                               .unusable = moment->unusable,
                               .unusable_ctx = moment->ctx,
                               .cap = moment->scan.cap};
  moment->scanning = true;
  moment->scanned = false;
}

static void end_store(struct moment *moment) {
  view_end_scan(&moment->view, &moment->scan);
  moment->scanning = false;
  moment->at++;
}

/* Reads on until the call holds a row, or there are no more. One row of the table at a time, with what the
 * journal has before it. */
static enum moonkeep_code fill(struct moment *moment, bool *end, struct err *err) {
  struct store_call *call = moment->call;
  *end = false;
  while (moment->taken == call->found_count) {
    if (moment->scanned && moment->scanning) end_store(moment);
    if (moment->at == moment->names_count) {
      *end = true;
      return MOONKEEP_OK;
    }
    if (!moment->scanning) begin_store(moment);
    moment->taken = call->found_count = 0;
    buf_clear(&call->text);
    enum moonkeep_code code = view_scan(&moment->view, &moment->scan, 1, &moment->scanned, err);
    if (code) return code;
  }
  return MOONKEEP_OK;
}

enum moonkeep_code moment_next(struct moment *moment, struct moment_row *row, bool *end, struct err *err) {
  enum moonkeep_code code = fill(moment, end, err);
  if (code || *end) return code;
  const struct store_found *found = &moment->call->found_rows[moment->taken++];
  const char *text = moment->call->text.data;
  *row = (struct moment_row){.store = moment->names[moment->at],
                             .key = text + found->key,
                             .key_len = found->key_len,
                             .json = text + found->json,
                             .json_len = found->json_len,
                             .expires_at_ms = found->expires_at_ms};
  return MOONKEEP_OK;
}

int64_t moment_sum(const struct moment_row *row) {
  return sum_row(row->store, row->key, row->key_len, row->json, row->json_len, row->expires_at_ms);
}
