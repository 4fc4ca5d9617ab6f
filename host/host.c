#include "host.h"

#include <poll.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "base/note.h"
#include "script/head.h"

/* How long running tasks may take to end after host_stop, where the grace period is shorter. */
enum { PATIENCE_MS = 10000 };

/* What would begin in the last eighth of a tick's budget might end after it. */
enum { LAST_SHARE = 8 };

/* A host goes through these in order. */
enum phase {
  RUNNING,
  FINISHING, /* no more events; what runs, sleeps or is timed within the grace period goes on */
  STOPPING,  /* the `stop` handlers run */
  ENDED,
};

struct host {
  uv_loop_t loop;
  uv_poll_t answers; /* the store has some */
  uv_poll_t changes; /* in the scripts folder */
  uv_timer_t timer;  /* wakes the loop for `timers` and for the end of the grace period */
  uv_prepare_t before_sleep;
  uv_idle_t busy; /* active while tasks are ready, so that the loop does not sleep */
  struct timers timers;
  struct store *store;
  struct scripts *scripts;
  const struct clock *clock;
  const struct log *log;
  struct list listeners;
  struct list rooms; /* beside its own scripts */
  size_t events;     /* whose done has not been called */
  enum phase phase;
  int64_t grace_ms, grace_ends_ms;
  int64_t patience_ends_ms; /* what still runs then is dropped, except at the end of input */
  bool in_a_hurry;          /* host_stop */
  bool may_wait;            /* host_run: the thread has nothing else to do, and may wait for the disk */
  bool watching;            /* changes is active */
  int64_t until_us;         /* of clock_ticks_us: when a tick's budget is used up; 0: there is none */
  bool taking_in;           /* the first turn of a tick: what has come is looked at, and nothing runs yet */
  bool answers_left;        /* in the store, for the next turn */
  bool quiet;               /* nothing was left to be done after the last turn, and nothing has come since */
  int64_t next_ms;          /* steady time of what is due next */
};

/* ---- ending ---- */

static void enter(struct host *host, enum phase phase) {
  int64_t now = clock_steady_ms(host->clock);
  host->phase = phase;
  if (note) note->stopping = true; /* a host that ends is not started again */
  host->grace_ends_ms = now + host->grace_ms;
  host->patience_ends_ms = now + (host->grace_ms > PATIENCE_MS ? host->grace_ms : PATIENCE_MS);
}

/* The tasks of other rooms never sleep. */
static struct scripts_load load_of(const struct host *host) {
  struct scripts_load load =
      host->scripts ? scripts_load(host->scripts) : (struct scripts_load){.next_ms = INT64_MAX};
  for (const struct list *at = host->rooms.next; at != &host->rooms; at = at->next)
    load.running += scripts_load(list_of(at, struct host_room, link)->scripts).running;
  return load;
}

/* True: there is more to run. */
static bool run_all(struct host *host) {
  bool more = host->scripts && scripts_run(host->scripts);
  for (struct list *at = host->rooms.next, *next; at != &host->rooms; at = next) {
    next = at->next;
    if (scripts_run(list_of(at, struct host_room, link)->scripts)) more = true;
  }
  return more;
}

static void set_deadline(struct host *host, int64_t until_us) {
  if (host->scripts) scripts_set_deadline(host->scripts, until_us);
  for (struct list *at = host->rooms.next; at != &host->rooms; at = at->next)
    scripts_set_deadline(list_of(at, struct host_room, link)->scripts, until_us);
}

void host_add_room(struct host *host, struct host_room *room) {
  list_add(&host->rooms, &room->link);
}

void host_drop_room(struct host_room *room) {
  list_take(&room->link);
}

/* What runs is waited for: at the end of input as long as it takes, otherwise while there is patience.
 * Sleepers and timers are worth it when they are due within the grace period. */
static bool is_waiting_worth_it(const struct host *host, int64_t now_ms) {
  struct scripts_load load = load_of(host);
  bool in_a_hurry = host->in_a_hurry || host->phase == STOPPING;
  if (load.running > 0) return !in_a_hurry || now_ms < host->patience_ends_ms;
  return load.sleeping + load.timers > 0 && load.next_ms <= host->grace_ends_ms;
}

/* Goes on to the next phase when nothing that runs in this one is worth waiting for. */
static void advance(struct host *host) {
  if (host->phase != RUNNING && host->scripts) scripts_end_reloads(host->scripts);
  while (host->phase == FINISHING || host->phase == STOPPING) {
    int64_t now = clock_steady_ms(host->clock);
    if (host->scripts && now >= host->grace_ends_ms) scripts_end_waits(host->scripts);
    if (is_waiting_worth_it(host, now)) return;
    if (host->scripts) scripts_end_waits(host->scripts);
    bool stopping = host->phase == FINISHING && host->scripts;
    enter(host, stopping ? STOPPING : ENDED);
    if (stopping) scripts_stop(host->scripts);
  }
  if (host->phase == ENDED) uv_stop(&host->loop);
}

void host_finish(struct host *host) {
  host->quiet = false;
  if (host->phase == RUNNING) enter(host, FINISHING);
}

void host_stop(struct host *host) {
  host->quiet = false;
  if (host->in_a_hurry || host->phase > FINISHING) return;
  enter(host, FINISHING);
  host->in_a_hurry = true;
  host->grace_ends_ms = clock_steady_ms(host->clock);
}

/* ---- the loop ---- */

/* What comes after a tick's budget is used up is left to the next one. */
static bool is_late(const struct host *host) {
  return host->until_us && clock_ticks_us() >= host->until_us;
}

int64_t host_share_us(const struct host *host) {
  int64_t now = host->until_us ? clock_ticks_us() : 0;
  return now ? now + (host->until_us - now) / 2 : 0;
}

static void hand_out_answers(struct host *host) {
  host->answers_left = store_pump_until(host->store, host_share_us(host));
}

static void on_answers(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct host *host = poll->data;
  host->quiet = false;
  if (!is_late(host) || host->taking_in) hand_out_answers(host);
}

static void on_changes(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct host *host = poll->data;
  host->quiet = false;
  scripts_look(host->scripts);
}

static void on_timer(uv_timer_t *timer) {
  (void)timer; /* the prepare callback, which comes next, looks at everything */
}

static void on_busy(uv_idle_t *idle) {
  (void)idle;
}

/* Wakes the loop when the next timer is due, or the phase may end. */
static void set_alarm(struct host *host) {
  int64_t now = clock_steady_ms(host->clock), next = timers_next_ms(&host->timers);
  if (host->phase != RUNNING) {
    int64_t end = now < host->grace_ends_ms ? host->grace_ends_ms : host->patience_ends_ms;
    if (end > now && end < next) next = end;
  }
  host->next_ms = next;
  if (next == INT64_MAX)
    uv_timer_stop(&host->timer);
  else
    uv_timer_start(&host->timer, on_timer, next > now ? (uint64_t)(next - now) : 0, 0);
}

static void tell_listeners(struct host *host) {
  for (struct list *at = host->listeners.next, *next; at != &host->listeners; at = next) {
    next = at->next;
    struct host_listener *listener = list_of(at, struct host_listener, link);
    if (listener->before_sleep) listener->before_sleep(listener);
  }
}

/* Before each sleep: timers fire, ready tasks run, gathered changes are sent on their way. A new phase makes
 * new tasks ready, which run in the same turn. */
static void on_before_sleep(uv_prepare_t *prepare) {
  struct host *host = prepare->data;
  enum phase phase;
  bool more;
  if (host->taking_in) return;
  timers_run(&host->timers, clock_steady_ms(host->clock));
  if (host->answers_left) hand_out_answers(host);
  do {
    phase = host->phase;
    more = run_all(host);
    advance(host);
  } while (host->phase != phase && host->phase != ENDED);
  more = more || host->answers_left;
  if (host->may_wait && !more) more = store_commit_here(host->store);
  store_kick(host->store, more);
  tell_listeners(host);
  set_alarm(host);
  host->quiet = !more;
  if (more)
    uv_idle_start(&host->busy, on_busy);
  else
    uv_idle_stop(&host->busy);
}

void host_run(struct host *host) {
  host->may_wait = true;
  while (host->phase != ENDED) uv_run(&host->loop, UV_RUN_ONCE);
  host->may_wait = false;
}

/* ---- ticking ---- */

int host_fd(const struct host *host) {
  return uv_backend_fd(&host->loop);
}

int host_timeout_ms(const struct host *host) {
  if (!host->quiet) return 0;
  if (host->next_ms == INT64_MAX) return -1;
  int64_t left = host->next_ms - clock_steady_ms(host->clock);
  return left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

void host_stir(struct host *host) {
  host->quiet = false;
}

static bool has_something_to_do(struct host *host) {
  struct pollfd backend = {.fd = uv_backend_fd(&host->loop), .events = POLLIN};
  return host_timeout_ms(host) == 0 || poll(&backend, 1, 0) > 0;
}

bool host_tick(struct host *host, int64_t budget_us) {
  if (host->phase == ENDED) return false;
  if (!has_something_to_do(host)) return true;
  host->until_us = clock_ticks_us() + budget_us - budget_us / LAST_SHARE;
  set_deadline(host, host->until_us);
  host->taking_in = true;
  uv_run(&host->loop, UV_RUN_NOWAIT);
  host->taking_in = false;
  do {
    uv_run(&host->loop, UV_RUN_NOWAIT);
  } while (!host->quiet && host->phase != ENDED && !is_late(host));
  host->until_us = 0;
  set_deadline(host, 0);
  return host->phase != ENDED;
}

/* ---- events and actions ---- */

static void on_action(void *ctx, const char *json, size_t len) {
  struct host *host = ctx;
  for (struct list *at = host->listeners.next, *next; at != &host->listeners; at = next) {
    next = at->next;
    struct host_listener *listener = list_of(at, struct host_listener, link);
    listener->action(listener, json, len);
  }
}

static void on_changed(void *ctx, const char *script, const char *what) {
  struct host *host = ctx;
  for (struct list *at = host->listeners.next, *next; at != &host->listeners; at = next) {
    next = at->next;
    struct host_listener *listener = list_of(at, struct host_listener, link);
    if (listener->changed) listener->changed(listener, script, what);
  }
}

static void on_fault(void *ctx, const char *script, const char *what, const char *message,
                     const char *trace) {
  struct host *host = ctx;
  for (struct list *at = host->listeners.next, *next; at != &host->listeners; at = next) {
    next = at->next;
    struct host_listener *listener = list_of(at, struct host_listener, link);
    if (listener->fault) listener->fault(listener, script, what, message, trace);
  }
}

struct scripts_options host_room_options(struct host *host) {
  return (struct scripts_options){
      .dir = "", .store = host->store, .timers = &host->timers, .clock = host->clock, .log = host->log};
}

void host_on_action(struct host *host, struct host_listener *listener) {
  list_add(&host->listeners, &listener->link);
}

void host_off_action(struct host *host, struct host_listener *listener) {
  (void)host;
  list_take(&listener->link);
}

/* What is kept of an event until its handlers have finished. */
struct pending {
  struct host *host;
  struct host_event *event;
  struct buf id;
};

static void on_event_done(void *ctx, const struct scripts_outcome *outcome) {
  struct pending *pending = ctx;
  pending->host->events--;
  pending->event->id = pending->id.data;
  pending->event->id_len = pending->id.len;
  pending->event->done(pending->event, outcome);
  buf_deinit(&pending->id);
  mem_free(pending);
}

static enum moonkeep_code deliver(struct host *host, const char *json, size_t len, struct pending *pending,
                                  struct err *err) {
  struct buf name = {0};
  enum moonkeep_code code = scripts_read_event(json, len, &name, &pending->id, err);
  if (!code) {
    host->events++;
    code = scripts_emit(host->scripts, name.data, name.len, json, len, on_event_done, pending, err);
    if (code) host->events--;
  }
  buf_deinit(&name);
  return code;
}

enum moonkeep_code host_emit(struct host *host, const char *json, size_t len, struct host_event *event,
                             struct err *err) {
  if (host->phase != RUNNING || !host->scripts)
    return err_set(err, MOONKEEP_CLOSED, "the host takes no events now");
  host->quiet = false;
  struct pending *pending = mem_zero(sizeof *pending);
  if (!pending) return err_memory(err);
  pending->host = host;
  pending->event = event;
  enum moonkeep_code code = deliver(host, json, len, pending, err);
  if (!code) return MOONKEEP_OK;
  buf_deinit(&pending->id);
  mem_free(pending);
  return code;
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

size_t host_events(const struct host *host) {
  return host->events;
}

size_t host_slowed(const struct host *host) {
  return host->scripts ? scripts_slowed(host->scripts) : 0;
}

void host_state(const struct host *host, struct host_state *state) {
  static const char *const phases[] = {"running", "finishing", "stopping", "ended"};
  *state = (struct host_state){.phase = phases[host->phase], .load = load_of(host)};
  if (host->scripts) state->events_done = scripts_events_done(host->scripts, &state->events_failed);
}

struct scripts *host_room(struct host *host) {
  return host->scripts;
}

/* ---- opening and closing ---- */

uv_loop_t *host_loop(struct host *host) {
  return &host->loop;
}

struct store *host_store(struct host *host) {
  return host->store;
}

size_t host_scripts(const struct host *host) {
  return host->scripts ? scripts_count(host->scripts) : 0;
}

static enum moonkeep_code uv_fail(int rc, struct err *err) {
  return err_set(err, rc == UV_ENOMEM ? MOONKEEP_MEMORY : MOONKEEP_IO, "cannot start the event loop: %s",
                 uv_strerror(rc));
}

/* None of the host's own handles keeps the loop alive; the phase does that. */
static enum moonkeep_code make_handles(struct host *host, struct err *err) {
  int rc = uv_poll_init(&host->loop, &host->answers, store_fd(host->store));
  if (rc != 0) return uv_fail(rc, err);
  host->answers.data = host;
  uv_timer_init(&host->loop, &host->timer);
  uv_prepare_init(&host->loop, &host->before_sleep);
  uv_idle_init(&host->loop, &host->busy);
  host->before_sleep.data = host;
  uv_prepare_start(&host->before_sleep, on_before_sleep);
  rc = uv_poll_start(&host->answers, UV_READABLE, on_answers);
  return rc == 0 ? MOONKEEP_OK : uv_fail(rc, err);
}

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
                                 .action = on_action,
                                 .ctx = host,
                                 .changed = on_changed,
                                 .fault = on_fault,
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

/* Where the descriptor cannot be waited for, changes are found by the looks that come anyway. */
static void start_scripts(struct host *host) {
  if (!host->scripts) return;
  scripts_start(host->scripts);
  tell_restored(host);
  int fd = scripts_watch_fd(host->scripts);
  if (fd < 0 || uv_poll_init(&host->loop, &host->changes, fd) != 0) return;
  host->changes.data = host;
  host->watching = uv_poll_start(&host->changes, UV_READABLE, on_changes) == 0;
}

static void close_handle(uv_handle_t *handle, void *ctx) {
  (void)ctx;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static void close_loop(struct host *host) {
  uv_walk(&host->loop, close_handle, NULL);
  while (uv_run(&host->loop, UV_RUN_DEFAULT) != 0) {}
  uv_loop_close(&host->loop);
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
  int rc = uv_loop_init(&host->loop);
  if (rc != 0) {
    mem_free(host);
    return uv_fail(rc, err);
  }
  struct store_options store = options->store;
  store.clock = host->clock;
  store.log = host->log;
  enum moonkeep_code code = store_open(&host->store, &store, err);
  if (!code) code = make_handles(host, err);
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
  if (host->watching) uv_poll_stop(&host->changes); /* before its descriptor is closed */
  scripts_close(host->scripts);
  close_loop(host);
  enum moonkeep_code code = host->store ? store_close(host->store, err) : MOONKEEP_OK;
  timers_deinit(&host->timers);
  mem_free(host);
  return code;
}
