/* For tools: the backups of a data folder, whether it is whole, and an earlier state of it brought back. What
 * the commands `backups`, `check` and `restore` do; no host is needed. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "store/inspect.h"
#include "store/recall.h"

static const char *data_of(const char *data) {
  return data ? data : "data";
}

static enum moonkeep_code no_size(const char *function, struct err *err) {
  return err_set(err, MOONKEEP_INVALID, "%s: options.size is not set: it has to be sizeof *options",
                 function);
}

/* ---- backups ---- */

static void visit_backup(const struct store_backup_state *backup,
                         void (*visit)(void *ctx, const struct moonkeep_backup_file *backup), void *ctx) {
  const struct moonkeep_backup_file file = {.name = backup->name,
                                            .at_ms = backup->at_ms,
                                            .bytes = backup->bytes,
                                            .keys = backup->keys,
                                            .until_ms = backup->until_ms,
                                            .problem = backup->error[0] ? backup->error : NULL};
  visit(ctx, &file);
}

enum moonkeep_code moonkeep_backups(const char *data, const char *backups,
                                    void (*visit)(void *ctx, const struct moonkeep_backup_file *backup),
                                    void *ctx, struct moonkeep_error *error) {
  struct store_backup_state *all = NULL;
  struct buf dir = {0};
  struct err err;
  size_t count = 0;
  if (backups)
    buf_puts(&dir, backups);
  else
    buf_printf(&dir, "%s/backups", data_of(data));
  const char *path = buf_text(&dir);
  enum moonkeep_code code = dir.failed ? err_memory(&err) : store_backups(path, true, &all, &count, &err);
  for (size_t i = 0; !code && i < count; i++) visit_backup(&all[i], visit, ctx);
  mem_free(all);
  buf_deinit(&dir);
  return code ? api_fail(error, &err) : MOONKEEP_OK;
}

/* ---- check ---- */

static void visit_checked(void *ctx, const struct inspected *inspected) {
  static const enum moonkeep_checked_kind kinds[] = {[INSPECTED_STORE] = MOONKEEP_CHECKED_STORE,
                                                     [INSPECTED_BACKUP] = MOONKEEP_CHECKED_BACKUP,
                                                     [INSPECTED_ARCHIVE] = MOONKEEP_CHECKED_ARCHIVE,
                                                     [INSPECTED_ARCHIVE_FILE] =
                                                         MOONKEEP_CHECKED_ARCHIVE_FILE};
  const struct moonkeep_check *options = ctx;
  const struct moonkeep_checked checked = {.name = inspected->name,
                                           .kind = kinds[inspected->kind],
                                           .problem = inspected->good ? NULL : inspected->why->message,
                                           .counted = inspected->counted,
                                           .keys = inspected->keys,
                                           .damaged = inspected->damaged,
                                           .unusable = inspected->unusable,
                                           .left_out = inspected->left_out,
                                           .files = inspected->files,
                                           .groups = inspected->groups,
                                           .until_ms = inspected->until_ms};
  if (options->visit) options->visit(options->ctx, &checked);
}

enum moonkeep_code moonkeep_check(const struct moonkeep_check *options, unsigned *bad,
                                  struct moonkeep_error *error) {
  struct err err;
  struct moonkeep_check full = {0};
  unsigned count = 0;
  size_t size = options->size < sizeof full ? options->size : sizeof full;
  memcpy(&full, options, size);
  struct inspect inspect = {.dir = data_of(full.data),
                            .backups = full.backups,
                            .full = full.full != 0,
                            .told = visit_checked,
                            .ctx = &full};
  enum moonkeep_code code =
      size <= sizeof size ? no_size("moonkeep_check", &err) : inspect_run(&inspect, &count, &err);
  if (bad) *bad = count;
  return code ? api_fail(error, &err) : MOONKEEP_OK;
}

/* ---- restore ---- */

static void write_log(void *ctx, enum log_level level, const char *source, const char *text) {
  const struct moonkeep_restore *options = ctx;
  options->log(options->ctx, (enum moonkeep_level)level, source, text);
}

static enum moonkeep_code restore(struct moonkeep_restore *options, struct recalled *recalled,
                                  struct err *err) {
  struct log log = {.write = options->log ? write_log : NULL, .ctx = options};
  struct recall recall = {.dir = data_of(options->data),
                          .backups = options->backups,
                          .owner = options->name ? options->name : "a program",
                          .name = options->backup,
                          .until_ms = options->until_ms ? options->until_ms : INT64_MAX,
                          .earlier = true,
                          .dry_run = options->dry_run != 0,
                          .lock_wait_ms = options->lock_wait_ms,
                          .log = &log};
  if (options->until_ms < 0)
    return err_set(err, MOONKEEP_INVALID, "moonkeep_restore: options.until_ms is before 1970");
  if (options->until_ms && options->backup)
    return err_set(
        err, MOONKEEP_INVALID,
        "moonkeep_restore takes options.backup or options.until_ms, not both: the latter finds the "
        "backup itself");
  return recall_run(&recall, recalled, err);
}

static enum moonkeep_code keep_result(const struct recalled *recalled, bool dry_run,
                                      struct moonkeep_result *result, struct err *err) {
  struct buf json = {0};
  recalled_put_json(&json, recalled, dry_run);
  result->json = json.failed ? NULL : mem_copy(json.data, json.len);
  buf_deinit(&json);
  return result->json ? MOONKEEP_OK
                      : err_set(err, MOONKEEP_MEMORY, "it was restored, but there is no memory to say what");
}

enum moonkeep_code moonkeep_restore(const struct moonkeep_restore *options, struct moonkeep_result *result) {
  struct err err;
  struct recalled recalled = {0};
  struct moonkeep_restore full = {0};
  size_t size = options->size < sizeof full ? options->size : sizeof full;
  memcpy(&full, options, size);
  enum moonkeep_code code =
      size <= sizeof size ? no_size("moonkeep_restore", &err) : restore(&full, &recalled, &err);
  if (result) *result = (struct moonkeep_result){.code = MOONKEEP_OK};
  if (result && !code) code = keep_result(&recalled, full.dry_run != 0, result, &err);
  if (result && code) {
    result->code = code;
    snprintf(result->message, sizeof result->message, "%s", err.message);
  }
  recalled_deinit(&recalled);
  return code;
}

int64_t moonkeep_moment(const char *text) {
  int64_t ms;
  return recall_moment(text, &ms) ? ms : -1;
}
