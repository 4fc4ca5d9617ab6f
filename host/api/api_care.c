/* What an operator asks of a host: scripts loaded anew, a backup. */
#include <string.h>

#include "api/api.h"
#include "base/json.h"

/* ---- reload ---- */

struct reloading {
  struct answered answered;
  struct moonkeep_host *api;
  void (*done)(void *ctx, const char *json);
  void *ctx;
  struct buf results;
};

static void tell_reloaded(struct answered *answered) {
  struct reloading *reloading = list_of(answered, struct reloading, answered);
  buf_putc(&reloading->results, '\0');
  if (reloading->done)
    reloading->done(reloading->ctx, reloading->results.failed ? "[]" : reloading->results.data);
  buf_deinit(&reloading->results);
  mem_free(reloading);
}

/* `done` may reload again, which would be too early here, in the middle of a look at the folder. */
static void on_reloaded(void *ctx, const char *json, size_t len) {
  struct reloading *reloading = ctx;
  buf_add(&reloading->results, json, len);
  if (reloading->api->closing) {
    tell_reloaded(&reloading->answered);
    return;
  }
  list_add(&reloading->api->answered, &reloading->answered.link);
  host_stir(reloading->api->host);
}

enum moonkeep_code moonkeep_reload(struct moonkeep_host *host, const char *script,
                                   void (*done)(void *ctx, const char *json), void *ctx,
                                   struct moonkeep_error *error) {
  struct err err;
  enum moonkeep_code code = api_is_here(host, &err);
  struct reloading *reloading = code ? NULL : mem_zero(sizeof *reloading);
  if (!code && !reloading) code = err_memory(&err);
  if (code) return api_fail(error, &err);
  *reloading = (struct reloading){.answered.answer = tell_reloaded, .api = host, .done = done, .ctx = ctx};
  code = host_reload(host->host, script, on_reloaded, reloading, &err);
  host_stir(host->host);
  if (!code) return MOONKEEP_OK;
  mem_free(reloading);
  return api_fail(error, &err);
}

/* ---- backup ---- */

struct backing_up {
  struct store_backup backup;
  struct moonkeep_host *api;
  moonkeep_done *done;
  void *ctx;
};

static void put_backup(struct buf *out, const struct store_backup_state *made) {
  buf_puts(out, "{\"name\":");
  json_put_string(out, made->name, strlen(made->name));
  buf_printf(out, ",\"at_ms\":%lld,\"bytes\":%llu,\"keys\":%llu}", (long long)made->at_ms,
             (unsigned long long)made->bytes, (unsigned long long)made->keys);
  buf_putc(out, '\0');
}

static void on_backed_up(struct store_backup *backup, const struct store_backup_state *made,
                         const struct err *err) {
  struct backing_up *backing_up = list_of(backup, struct backing_up, backup);
  struct buf json = {0};
  struct moonkeep_answer answer = {.message = ""};
  if (err) {
    answer.code = err->code;
    answer.message = err->message;
  } else {
    put_backup(&json, made);
    answer.count = made->keys;
    answer.json = json.data;
  }
  if (json.failed)
    answer = (struct moonkeep_answer){.code = MOONKEEP_MEMORY,
                                      .message = "the backup was made, but there is no memory for its name"};
  api_done(backing_up->api, backing_up->done, backing_up->ctx, &answer);
  buf_deinit(&json);
  mem_free(backing_up);
}

enum moonkeep_code moonkeep_backup(struct moonkeep_host *host, moonkeep_done *done, void *ctx) {
  enum moonkeep_code code = api_may_call(host);
  if (code) return code;
  struct backing_up *backing_up = mem_zero(sizeof *backing_up);
  if (!backing_up) return err_memory(&host->refused);
  *backing_up = (struct backing_up){.backup.done = on_backed_up, .api = host, .done = done, .ctx = ctx};
  code = store_backup(host_store(host->host), &backing_up->backup, &host->refused);
  host_stir(host->host);
  if (code) mem_free(backing_up);
  return code;
}
