/* Events in, actions out: what a chat adapter or a game server needs to join a running host.
 *
 *     emit        event [, wait]  {"ok":true}, or {"ok":false,"errors":[{"script":…,"message":…}]}, when all
 *                                 handlers have finished and what they saved is on disk; with "wait":false
 *                                 {"queued":true} at once
 *     subscribe                   true; from then on every action is told:
 *                                 {"jsonrpc":"2.0","method":"action","params":{"script":…,"action":"send",…}}
 *     unsubscribe                 whether there was a subscription
 *
 * What an event's handlers send is told before its emit is answered. */
#include "base/mem.h"
#include "host.h"
#include "link/methods.h"

struct emission {
  struct host_event event;
  struct request *request; /* NULL: nobody waits for it */
};

static void put_outcome(struct buf *out, const struct scripts_outcome *outcome) {
  buf_puts(out, outcome->ok ? "{\"ok\":true" : "{\"ok\":false,\"errors\":");
  if (!outcome->ok) buf_add(out, outcome->errors, outcome->errors_len);
  buf_putc(out, '}');
}

static void on_done(struct host_event *event, const struct scripts_outcome *outcome) {
  struct emission *emission = list_of(event, struct emission, event);
  if (emission->request) {
    struct buf result = {0};
    put_outcome(&result, outcome);
    request_result_buf(emission->request, &result);
  }
  mem_free(emission);
}

static void on_gone(struct request *request) {
  struct emission *emission = request->ctx;
  struct err err;
  emission->request = NULL;
  err_set(&err, MOONKEEP_CLOSED, "emit: the host ended before the event's handlers had");
  request_fail(request, &err);
}

static enum moonkeep_code emit(struct request *request, bool *wait, struct err *err) {
  const struct field *event = request_param(request, "event");
  struct emission *emission;
  enum moonkeep_code code = request_flag(request, "wait", wait, err);
  if (code) return code;
  if (!(emission = mem_zero(sizeof *emission))) return err_memory(err);
  emission->event.done = on_done;
  code = host_emit(request->site->host, event->at, event->len, &emission->event, err);
  if (code) {
    mem_free(emission);
  } else if (*wait) {
    emission->request = request;
    request->ctx = emission;
    request->gone = on_gone;
  }
  return code;
}

void method_emit(struct request *request) {
  struct err err;
  bool wait = true;
  request->peer->emits = true;
  enum moonkeep_code code = emit(request, &wait, &err);
  if (code == MOONKEEP_INVALID || code == MOONKEEP_INVALID_VALUE)
    request_refuse(request, &err);
  else if (code)
    request_fail(request, &err);
  else if (!wait)
    request_result(request, "{\"queued\":true}");
}

/* ---- actions ---- */

struct subscription {
  struct hearing hearing;
  struct host_listener listener;
  struct host *host;
};

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  struct subscription *it = list_of(listener, struct subscription, listener);
  hearing_tell(&it->hearing, "action", json, len);
}

static void on_end(struct hearing *hearing) {
  struct subscription *it = list_of(hearing, struct subscription, hearing);
  host_off_action(it->host, &it->listener);
  mem_free(it);
}

static struct hearing *find_subscription(const struct rpc_peer *peer) {
  for (struct list *at = peer->hearings.next; at != &peer->hearings; at = at->next)
    if (list_of(at, struct hearing, link)->end == on_end) return list_of(at, struct hearing, link);
  return NULL;
}

void method_subscribe(struct request *request) {
  struct err err;
  struct subscription *it = NULL;
  if (find_subscription(request->peer)) { /* one is enough: each action is told once */
    request_result(request, "true");
  } else if ((it = mem_zero(sizeof *it))) {
    it->host = request->site->host;
    it->listener.action = on_action;
    list_init(&it->listener.link);
    hearing_begin(&it->hearing, request->peer, on_end);
    host_on_action(it->host, &it->listener);
    request_result(request, "true");
  } else {
    err_memory(&err);
    request_fail(request, &err);
  }
}

void method_unsubscribe(struct request *request) {
  struct hearing *hearing = find_subscription(request->peer);
  if (hearing) {
    list_take(&hearing->link);
    on_end(hearing);
  }
  request_result(request, hearing ? "true" : "false");
}
