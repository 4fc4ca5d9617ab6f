/* A host inside a program: opened, ticked, closed; events from any thread. */
#include "api/api.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/which_lua.h"

/* So many handlers are in line for their turn, at most, before more events are handed out. */
enum { IN_LINE = 256 };

struct posted { /* an event on its way to the host's thread, and then until it is done */
  struct host_event event;
  struct list link;
  void (*done)(void *ctx, const char *errors);
  void *ctx;
  size_t len;
  char json[];
};

enum moonkeep_code api_fail(struct moonkeep_error *out, const struct err *err) {
  if (out) {
    out->code = err->code;
    memcpy(out->message, err->message, sizeof out->message);
  }
  return err->code;
}

enum moonkeep_code api_is_here(const struct moonkeep_host *api, struct err *err) {
  if (pthread_equal(api->thread, pthread_self())) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_INVALID,
                 "it was called on another thread than the one that has opened the host: of all calls only "
                 "moonkeep_emit, and the answers to functions that are provided, may come from there");
}

/* ---- callbacks ---- */

static void write_log(void *ctx, enum log_level level, const char *source, const char *text) {
  const struct moonkeep_host *api = ctx;
  api->options.log(api->options.ctx, (enum moonkeep_level)level, source, text);
}

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  const struct moonkeep_host *api = list_of(listener, struct moonkeep_host, listener);
  if (api->options.action) api->options.action(api->options.ctx, json, len);
}

static void on_changed(struct host_listener *listener, const char *script, const char *what) {
  const struct moonkeep_host *api = list_of(listener, struct moonkeep_host, listener);
  if (api->options.changed) api->options.changed(api->options.ctx, script, what);
}

static void on_fault(struct host_listener *listener, const char *script, const char *what,
                     const char *message, const char *trace) {
  const struct moonkeep_host *api = list_of(listener, struct moonkeep_host, listener);
  const struct moonkeep_failure failure = {script, what, message, trace};
  if (api->options.failed) api->options.failed(api->options.ctx, &failure);
}

/* What was answered at once in this turn is told in the next one, and events that found no room find it
 * there. Where there is none, what makes it wakes the host. */
static void before_sleep(struct host_listener *listener) {
  const struct moonkeep_host *api = list_of(listener, struct moonkeep_host, listener);
  bool more = !list_empty(&api->taken) && host_room_in_line(api->host, IN_LINE) > 0;
  if (more || !list_empty(&api->answered)) host_stir(api->host);
}

/* ---- events ---- */

static const char out_of_memory[] = "[{\"message\":\"out of memory\"}]";

static void on_done(struct host_event *event, const struct scripts_outcome *outcome) {
  struct posted *posted = list_of(event, struct posted, event);
  bool untold = !outcome->ok && outcome->errors_len <= 2; /* there was no memory for what went wrong */
  if (posted->done) posted->done(posted->ctx, untold ? out_of_memory : outcome->errors);
  mem_free(posted);
}

static void refuse(struct posted *posted, const struct err *err) {
  struct buf errors = {0};
  buf_puts(&errors, "[{\"message\":\"");
  for (const char *at = err->message; *at; at++) {
    if (*at == '"' || *at == '\\') buf_puts(&errors, "\\");
    buf_add(&errors, (unsigned char)*at < 0x20 ? " " : at, 1);
  }
  buf_puts(&errors, "\"}]");
  const char *text = buf_text(&errors);
  if (posted->done) posted->done(posted->ctx, errors.failed ? out_of_memory : text);
  buf_deinit(&errors);
  mem_free(posted);
}

static void refuse_all(struct moonkeep_host *api, const struct err *err) {
  for (struct list *link;;) {
    list_join(&api->taken, &api->events);
    if (!(link = list_pop(&api->taken))) return;
    refuse(list_of(link, struct posted, link), err);
  }
}

/* Hands out events while there is room in line, until the tick's share is used up. What is left keeps its
 * place in front of those that come. */
static void hand_out_taken(struct moonkeep_host *api) {
  int64_t until_us = host_share_us(api->host);
  size_t room = list_empty(&api->taken) ? 0 : host_room_in_line(api->host, IN_LINE);
  struct err err;
  for (struct list *link; room > 0 && (link = list_pop(&api->taken)); room--) {
    struct posted *posted = list_of(link, struct posted, link);
    posted->event.done = on_done;
    if (host_emit(api->host, posted->json, posted->len, &posted->event, &err)) refuse(posted, &err);
    if (until_us && clock_ticks_us() >= until_us) break;
  }
}

static void on_posted(uv_async_t *async) {
  struct moonkeep_host *api = async->data;
  pthread_mutex_lock(&api->lock);
  list_join(&api->taken, &api->events);
  pthread_mutex_unlock(&api->lock);
  provided_take_in(api->provided);
  host_stir(api->host);
}

/* From any thread. */
static void wake(void *ctx) {
  struct moonkeep_host *api = ctx;
  uv_async_send(&api->posted);
}

enum moonkeep_code moonkeep_emit(struct moonkeep_host *host, const char *json, size_t len,
                                 void (*done)(void *ctx, const char *errors), void *ctx) {
  struct posted *posted = mem_zero(sizeof *posted + len + 1);
  if (!posted) return MOONKEEP_MEMORY;
  posted->done = done;
  posted->ctx = ctx;
  posted->len = len;
  memcpy(posted->json, json, len);
  pthread_mutex_lock(&host->lock);
  list_add(&host->events, &posted->link);
  pthread_mutex_unlock(&host->lock);
  uv_async_send(&host->posted);
  return MOONKEEP_OK;
}

/* ---- memory ---- */

static atomic_uint hosts; /* that there are: their memory has to be given back to where it came from */

enum moonkeep_code moonkeep_set_memory(void *(*resize)(void *ctx, void *block, size_t size), void *ctx) {
  const struct mem_source source = {resize, ctx};
  if (atomic_load(&hosts) > 0) return MOONKEEP_BUSY;
  mem_set_source(resize ? &source : NULL);
  return MOONKEEP_OK;
}

/* ---- open and close ---- */

static void on_turn(uv_prepare_t *turn) {
  api_answer(turn->data);
  hand_out_taken(turn->data);
}

static void free_api(struct moonkeep_host *api) {
  provided_free(api->provided);
  pthread_mutex_destroy(&api->lock);
  logbook_deinit(&api->book);
  mem_free(api);
  atomic_fetch_sub(&hosts, 1);
}

static struct moonkeep_host *make(const struct moonkeep_options *options) {
  struct moonkeep_host *api = mem_zero(sizeof *api);
  if (!api) return NULL;
  atomic_fetch_add(&hosts, 1);
  size_t size = options->size < sizeof api->options ? options->size : sizeof api->options;
  memcpy(&api->options, options, size);
  api->thread = pthread_self();
  api->listener.action = on_action;
  api->listener.changed = on_changed;
  api->listener.fault = on_fault;
  api->listener.before_sleep = before_sleep;
  api->clock = (struct clock){api->options.wall_ms, api->options.steady_ms, api->options.ctx};
  api->memory = (struct mem_source){api->options.resize_memory, api->options.ctx};
  api->log = (struct log){.write = api->options.log ? write_log : NULL, .ctx = api, .level = LOG_DEBUG};
  if (!api->options.log) api->log.level = LOG_INFO;
  logbook_init(&api->book, &api->log);
  list_init(&api->answered);
  list_init(&api->events);
  list_init(&api->taken);
  list_init(&api->guests);
  pthread_mutex_init(&api->lock, NULL);
  api->provided = provided_new(wake, api);
  if (api->provided) return api;
  free_api(api);
  return NULL;
}

static int64_t backup_every_ms(const struct moonkeep_options *options) {
  enum { USUAL_MS = 15 * 60 * 1000 };
  if (options->backup_every_ms < 0) return 0;
  return options->backup_every_ms > 0 ? options->backup_every_ms : USUAL_MS;
}

static int budget_signal(const struct moonkeep_options *options) {
  if (options->budget_signal == MOONKEEP_ANY_SIGNAL) return 0;
  return options->budget_signal > 0 ? options->budget_signal : -1;
}

static enum store_archive archive_mode(const struct moonkeep_options *options) {
  switch (options->archive) {
  case MOONKEEP_ARCHIVE_ON: return STORE_ARCHIVE_ON;
  case MOONKEEP_ARCHIVE_OFF: return STORE_ARCHIVE_OFF;
  case MOONKEEP_ARCHIVE_SYNC: return STORE_ARCHIVE_SYNC;
  case MOONKEEP_ARCHIVE_USUAL: break;
  }
  if (options->archive_sync) return STORE_ARCHIVE_SYNC;
  return options->backup_every_ms < 0 ? STORE_ARCHIVE_OFF : STORE_ARCHIVE_ON;
}

/* What nobody can have meant. */
static enum moonkeep_code check_options(const struct moonkeep_options *options, struct err *err) {
  if (options->size <= sizeof options->size)
    return err_set(err, MOONKEEP_INVALID,
                   "moonkeep_open: options.size is not set: it has to be sizeof(struct moonkeep_options)");
  if ((unsigned)options->archive > MOONKEEP_ARCHIVE_SYNC)
    return err_set(err, MOONKEEP_INVALID, "moonkeep_open: options.archive is no mode of the archive: %d",
                   (int)options->archive);
  return MOONKEEP_OK;
}

/* NULL: there are none, or no memory, which err says. */
static struct scripts_left_out *copy_left_out(const struct moonkeep_options *options, struct err *err) {
  size_t count = options->left_out_count;
  err->code = MOONKEEP_OK;
  if (count == 0) return NULL;
  struct scripts_left_out *left_out =
      count < SIZE_MAX / sizeof *left_out ? mem_alloc(count * sizeof *left_out) : NULL;
  if (!left_out) err_memory(err);
  for (size_t i = 0; left_out && i < count; i++) {
    const char *why = options->left_out[i].why;
    left_out[i] = (struct scripts_left_out){options->left_out[i].name, why ? why : "the server left it out"};
  }
  return left_out;
}

/* What the callbacks and other threads need is there before the first script is. */
static void on_opened(void *ctx, struct host *host) {
  struct moonkeep_host *api = ctx;
  api->host = host;
  uv_prepare_init(host_loop(host), &api->turn);
  api->turn.data = api->posted.data = api;
  uv_prepare_start(&api->turn, on_turn);
  api->opened = uv_async_init(host_loop(host), &api->posted, on_posted) == 0;
  if (api->opened && api->options.prepare) api->options.prepare(api->options.ctx, api);
}

static enum moonkeep_code open_host(struct moonkeep_host *api, struct err *err) {
  const struct moonkeep_options *from = &api->options;
  enum moonkeep_code code = check_options(from, err);
  if (code) return code;
  struct scripts_left_out *left_out = copy_left_out(from, err);
  if (err->code) return err->code;
  struct host_options options = {
      .store = {.dir = from->data ? from->data : "data",
                .owner = from->name ? from->name : "a program",
                .lock_wait_ms = from->lock_wait_ms,
                .cache_bytes = from->cache_bytes,
                .value_bytes = from->value_bytes,
                .backups_dir = from->backups,
                .backup_every_ms = backup_every_ms(from),
                .archive = archive_mode(from)},
      .scripts_dir = from->scripts,
      .watch = from->watch != 0,
      .listener = &api->listener,
      .cpu_budget_ms = from->cpu_budget_ms,
      .budget_signal = budget_signal(from),
      .memory_bytes = from->memory_bytes,
      .trust = from->trust != 0,
      .left_out = left_out,
      .left_out_count = from->left_out_count,
      .grace_ms = from->grace_ms,
      .clock = from->wall_ms && from->steady_ms ? &api->clock : NULL,
      .memory = from->resize_memory ? &api->memory : NULL,
      .log = &api->book.log,
      .provided = api->provided,
      .opened = on_opened,
      .ctx = api,
  };
  if (from->scripts) code = which_lua_check(err);
  if (!code) code = host_open(&api->host, &options, err);
  mem_free(left_out);
  if (code || api->opened) return code;
  host_close(api->host, NULL);
  return err_set(err, MOONKEEP_IO, "cannot make what wakes the host");
}

enum moonkeep_code moonkeep_open(struct moonkeep_host **out, const struct moonkeep_options *options,
                                 struct moonkeep_error *error) {
  struct err err;
  struct moonkeep_host *api = make(options);
  *out = NULL;
  enum moonkeep_code code = api ? open_host(api, &err) : err_memory(&err);
  if (code) {
    if (api) refuse_all(api, &err);
    if (api) free_api(api);
    return api_fail(error, &err);
  }
  *out = api;
  api->ready = true;
  return MOONKEEP_OK;
}

enum moonkeep_code moonkeep_close(struct moonkeep_host *host, struct moonkeep_error *error) {
  struct err err;
  if (!host) return MOONKEEP_OK;
  if (api_is_here(host, &err)) return api_fail(error, &err);
  api_unlisten(host);
  moonkeep_wait(host);
  host->closing = true;
  err_set(&err, MOONKEEP_CLOSED, "the host has been closed");
  refuse_all(host, &err);
  api_detach(host);
  provided_mute(host->provided);
  enum moonkeep_code code = host_close(host->host, &err);
  free_api(host);
  return code ? api_fail(error, &err) : MOONKEEP_OK;
}

/* ---- ticking ---- */

/* Of what returns no code. */
static bool is_refused(struct moonkeep_host *host, const char *function) {
  struct err err;
  if (!api_is_here(host, &err)) return false;
  log_write(&host->book.log, LOG_ERROR, "moonkeep", "%s did nothing: %s", function, err.message);
  return true;
}

int moonkeep_tick(struct moonkeep_host *host, int64_t budget_us) {
  if (is_refused(host, "moonkeep_tick")) return 1;
  host->ticking = true;
  int goes_on = host_tick(host->host, budget_us);
  host->ticking = false;
  return goes_on;
}

int moonkeep_fd(const struct moonkeep_host *host) {
  return host_fd(host->host);
}

int moonkeep_timeout_ms(const struct moonkeep_host *host) {
  return list_empty(&host->answered) ? host_timeout_ms(host->host) : 0;
}

void moonkeep_run(struct moonkeep_host *host) {
  if (is_refused(host, "moonkeep_run")) return;
  host->ticking = true;
  host_run(host->host);
  host->ticking = false;
}

void moonkeep_finish(struct moonkeep_host *host) {
  if (!is_refused(host, "moonkeep_finish")) host_finish(host->host);
}

void moonkeep_stop(struct moonkeep_host *host) {
  if (!is_refused(host, "moonkeep_stop")) host_stop(host->host);
}
