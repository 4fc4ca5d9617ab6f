#include <poll.h>

#include "base/note.h"
#include "host_inner.h"

/* How long running tasks may take to end after host_stop, where the grace period is shorter. */
enum { PATIENCE_MS = 10000 };

/* What would begin in the last eighth of a tick's budget might end after it. */
enum { LAST_SHARE = 8 };

/* ---- ending ---- */

static void enter(struct host *host, enum phase phase) {
  int64_t now = clock_steady_ms(host->clock);
  host->phase = phase;
  if (note) note->stopping = true; /* a host that ends is not started again */
  host->grace_ends_ms = now + host->grace_ms;
  host->patience_ends_ms = now + (host->grace_ms > PATIENCE_MS ? host->grace_ms : PATIENCE_MS);
}

/* The tasks of other rooms never sleep. */
struct scripts_load host_load(const struct host *host) {
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
  struct scripts_load load = host_load(host);
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

size_t host_room_in_line(const struct host *host, size_t most) {
  return host->scripts ? scripts_room_in_line(host->scripts, most) : most;
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
  host->quiet = !more;
  host_tell_before_sleep(host); /* who may have more to do */
  set_alarm(host);
  if (host->quiet)
    uv_idle_stop(&host->busy);
  else
    uv_idle_start(&host->busy, on_busy);
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

/* When the loop has to turn for what lives on it beside the host's own handles. It counts from its last turn.
 */
static int loop_timeout_ms(const struct host *host) {
  int left = uv_backend_timeout(&host->loop);
  if (left <= 0) return left;
  int64_t passed = (int64_t)(uv_hrtime() / 1000000 - uv_now(&host->loop));
  return passed < left ? (int)(left - passed) : 0;
}

int host_timeout_ms(const struct host *host) {
  if (!host->quiet) return 0;
  int loop = loop_timeout_ms(host);
  if (host->next_ms == INT64_MAX || loop == 0) return loop;
  int64_t left = host->next_ms - clock_steady_ms(host->clock);
  if (loop > 0 && loop < left) left = loop;
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

/* ---- opening and closing ---- */

static enum moonkeep_code uv_fail(int rc, struct err *err) {
  return err_set(err, rc == UV_ENOMEM ? MOONKEEP_MEMORY : MOONKEEP_IO, "cannot start the event loop: %s",
                 uv_strerror(rc));
}

enum moonkeep_code host_make_loop(struct host *host, struct err *err) {
  int rc = uv_loop_init(&host->loop);
  return rc == 0 ? MOONKEEP_OK : uv_fail(rc, err);
}

/* None of the host's own handles keeps the loop alive; the phase does that. */
enum moonkeep_code host_begin_turns(struct host *host, struct err *err) {
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

/* Where the descriptor cannot be waited for, changes are found by the looks that come anyway. */
void host_wait_for_changes(struct host *host, int fd) {
  if (fd < 0 || uv_poll_init(&host->loop, &host->changes, fd) != 0) return;
  host->changes.data = host;
  host->watching = uv_poll_start(&host->changes, UV_READABLE, on_changes) == 0;
}

void host_end_watch(struct host *host) {
  if (host->watching) uv_poll_stop(&host->changes);
}

static void close_handle(uv_handle_t *handle, void *ctx) {
  (void)ctx;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void host_close_loop(struct host *host) {
  uv_walk(&host->loop, close_handle, NULL);
  while (uv_run(&host->loop, UV_RUN_DEFAULT) != 0) {}
  uv_loop_close(&host->loop);
}
