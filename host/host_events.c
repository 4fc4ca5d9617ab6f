#include "base/mem.h"
#include "host_inner.h"
#include "script/head.h"

/* ---- what comes out ---- */

void host_on_action(struct host *host, struct host_listener *listener) {
  list_add(&host->listeners, &listener->link);
}

void host_off_action(struct host *host, struct host_listener *listener) {
  (void)host;
  list_take(&listener->link);
}

/* Whom to tell next, NULL after the last. Who is told may leave the list meanwhile. */
static struct host_listener *next_listener(struct host *host, struct list **at) {
  if (*at == &host->listeners) return NULL;
  struct host_listener *listener = list_of(*at, struct host_listener, link);
  *at = (*at)->next;
  return listener;
}

void host_tell_action(void *ctx, const char *json, size_t len) {
  struct host *host = ctx;
  struct list *at = host->listeners.next;
  for (struct host_listener *listener; (listener = next_listener(host, &at));)
    listener->action(listener, json, len);
}

void host_tell_changed(void *ctx, const char *script, const char *what) {
  struct host *host = ctx;
  struct list *at = host->listeners.next;
  for (struct host_listener *listener; (listener = next_listener(host, &at));)
    if (listener->changed) listener->changed(listener, script, what);
}

void host_tell_fault(void *ctx, const char *script, const char *what, const char *message,
                     const char *trace) {
  struct host *host = ctx;
  struct list *at = host->listeners.next;
  for (struct host_listener *listener; (listener = next_listener(host, &at));)
    if (listener->fault) listener->fault(listener, script, what, message, trace);
}

void host_tell_before_sleep(struct host *host) {
  struct list *at = host->listeners.next;
  for (struct host_listener *listener; (listener = next_listener(host, &at));)
    if (listener->before_sleep) listener->before_sleep(listener);
}

/* ---- what goes in ---- */

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

size_t host_events(const struct host *host) {
  return host->events;
}

size_t host_slowed(const struct host *host) {
  return host->scripts ? scripts_slowed(host->scripts) : 0;
}

void host_state(const struct host *host, struct host_state *state) {
  static const char *const phases[] = {"running", "finishing", "stopping", "ended"};
  *state = (struct host_state){.phase = phases[host->phase], .load = host_load(host)};
  if (host->scripts) state->events_done = scripts_events_done(host->scripts, &state->events_failed);
}
