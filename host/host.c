#include "host.h"

#include "base/mem.h"
#include "host_inner.h"

static enum moonkeep_code load_scripts(struct host *host, const struct host_options *options,
                                       struct err *err) {
  if (!options->scripts_dir) return MOONKEEP_OK;
  struct scripts_options with = {.dir = options->scripts_dir,
                                 .store = host->store,
                                 .provided = options->provided,
                                 .timers = &host->timers,
                                 .clock = host->clock,
                                 .log = host->log,
                                 .cpu_budget_ms = options->cpu_budget_ms,
                                 .budget_signal = options->budget_signal,
                                 .memory = options->memory,
                                 .memory_bytes = options->memory_bytes,
                                 .trust = options->trust,
                                 .action = host_tell_action,
                                 .ctx = host,
                                 .changed = host_tell_changed,
                                 .fault = host_tell_fault,
                                 .watch = options->watch,
                                 .grace_ms = options->grace_ms,
                                 .left_out = options->left_out,
                                 .left_out_count = options->left_out_count};
  return scripts_open(&host->scripts, &with, err);
}

/* Tells the scripts what the store had to be restored from before they began. */
static void tell_restored(struct host *host) {
  static const char name[] = "restored";
  bool now;
  const char *receipt = store_receipt(host->store, &now);
  struct buf json = {0};
  struct err err;
  if (!now || receipt[0] != '{') return;
  buf_printf(&json, "{\"event\":\"%s\",%s", name, receipt + 1);
  if (json.failed ||
      scripts_emit(host->scripts, name, sizeof name - 1, json.data, json.len, NULL, NULL, &err))
    log_write(host->log, LOG_ERROR, "host", "the scripts were not told that the store was restored");
  else
    store_receipt_told(host->store);
  buf_deinit(&json);
}

static void start_scripts(struct host *host) {
  if (!host->scripts) return;
  scripts_start(host->scripts);
  tell_restored(host);
  host_wait_for_changes(host, scripts_watch_fd(host->scripts));
}

enum moonkeep_code host_open(struct host **out, const struct host_options *options, struct err *err) {
  *out = NULL;
  struct host *host = mem_zero(sizeof *host);
  if (!host) return err_memory(err);
  host->clock = options->clock ? options->clock : &clock_system;
  host->log = options->log;
  host->grace_ms = options->grace_ms;
  list_init(&host->listeners);
  list_init(&host->rooms);
  if (options->listener) host_on_action(host, options->listener);
  timers_init(&host->timers);
  enum moonkeep_code code = host_make_loop(host, err);
  if (code) {
    mem_free(host);
    return code;
  }
  struct store_options store = options->store;
  store.clock = host->clock;
  store.log = host->log;
  code = store_open(&host->store, &store, err);
  if (!code) code = host_begin_turns(host, err);
  if (!code && options->opened) options->opened(options->ctx, host);
  if (!code) code = load_scripts(host, options, err);
  if (code) {
    host_close(host, NULL);
    return code;
  }
  start_scripts(host);
  *out = host;
  return MOONKEEP_OK;
}

enum moonkeep_code host_close(struct host *host, struct err *err) {
  host_end_watch(host);
  scripts_close(host->scripts);
  host_close_loop(host);
  enum moonkeep_code code = host->store ? store_close(host->store, err) : MOONKEEP_OK;
  timers_deinit(&host->timers);
  mem_free(host);
  return code;
}

struct scripts_options host_room_options(struct host *host) {
  return (struct scripts_options){
      .dir = "", .store = host->store, .timers = &host->timers, .clock = host->clock, .log = host->log};
}

void host_each_script(struct host *host, void (*visit)(void *ctx, const struct scripts_state *), void *ctx) {
  if (host->scripts) scripts_each(host->scripts, visit, ctx);
}

enum moonkeep_code host_reload(struct host *host, const char *name,
                               void (*done)(void *ctx, const char *json, size_t len), void *ctx,
                               struct err *err) {
  if (!host->scripts) return err_set(err, MOONKEEP_INVALID, "this host has no scripts");
  return scripts_reload(host->scripts, name, done, ctx, err);
}

uv_loop_t *host_loop(struct host *host) {
  return &host->loop;
}

struct store *host_store(struct host *host) {
  return host->store;
}

size_t host_scripts(const struct host *host) {
  return host->scripts ? scripts_count(host->scripts) : 0;
}

struct scripts *host_room(struct host *host) {
  return host->scripts;
}
