#include "script/event.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "script/lib.h"
#include "script/reload.h"

enum { MESSAGE_BYTES = 4096 }; /* of an error, in an event's answer */

/* ---- delivery ---- */

struct held { /* an event that waits for a script to have started */
  struct list link;
  struct event *event; /* one reference */
};

static void hold(struct script *script, struct event *event) {
  struct held *held = mem_alloc(sizeof *held);
  if (!held) {
    event_fail(event, script, "out of memory");
    return;
  }
  held->event = event_ref(event);
  list_add(&script->held, &held->link);
  script->scripts->queued++;
}

static struct event *take_held(struct script *script) {
  struct list *node = list_pop(&script->held);
  if (!node) return NULL;
  struct held *held = list_of(node, struct held, link);
  struct event *event = held->event;
  mem_free(held);
  script->scripts->queued--;
  return event;
}

void event_release(struct script *script) {
  for (struct event *event; (event = take_held(script));) {
    lib_deliver(script, event);
    event_free(event);
  }
}

void event_move_held(struct script *from, struct script *to) {
  list_join(&to->held, &from->held);
}

void event_drop_held(struct script *script, const char *why) {
  for (struct event *event; (event = take_held(script));) {
    event_fail(event, script, why);
    event_free(event);
  }
}

static void deliver_to(struct script *script, struct event *event) {
  bool waits = script->starting > 0 || script->handing_over || !list_empty(&script->held);
  if (waits && !event->lifecycle)
    hold(script, event);
  else
    lib_deliver(script, event);
}

/* Its handlers' tasks come next, before what is in line behind it: so a long line of events is worked through
 * with a few tasks, each used again and again, instead of with as many as there are events. */
static void deliver(struct job *job) {
  struct event *event = list_of(job, struct event, job);
  struct scripts *scripts = event->scripts;
  struct list behind;
  list_init(&behind);
  list_join(&behind, &scripts->ready);
  scripts->queued--;
  for (struct list *node = scripts->all.next; node != &scripts->all; node = node->next)
    deliver_to(list_of(node, struct script, link), event);
  list_join(&scripts->ready, &behind);
  event_free(event);
}

static void put_in_line(struct scripts *scripts, struct event *event) {
  if (!scripts->started && !event->lifecycle) {
    list_add(&scripts->held, &event->job.link);
    return;
  }
  list_add(&scripts->ready, &event->job.link);
  scripts->queued++;
}

struct event *event_make(struct scripts *scripts, bool lifecycle, const char *name, size_t name_len,
                         const char *json, size_t json_len) {
  struct event *event = mem_alloc(sizeof *event + name_len + json_len + 2);
  if (!event) return NULL;
  *event = (struct event){.job = {.run = deliver}, .scripts = scripts, .refs = 1, .lifecycle = lifecycle};
  list_init(&event->raised);
  event->starts = lifecycle && strcmp(name, "start") == 0;
  memcpy(event->text, name, name_len);
  event->text[name_len] = '\0';
  memcpy(event->text + name_len + 1, json, json_len);
  event->text[name_len + 1 + json_len] = '\0';
  event->json = event->text + name_len + 1;
  event->name_len = name_len;
  event->json_len = json_len;
  scripts->events++;
  return event;
}

struct event *event_queue(struct scripts *scripts, bool lifecycle, const char *name, size_t name_len,
                          const char *json, size_t json_len) {
  struct event *event = event_make(scripts, lifecycle, name, name_len, json, json_len);
  if (event) put_in_line(scripts, event);
  return event;
}

bool event_deliver_to(struct script *script, const char *name) {
  char json[32];
  int len = snprintf(json, sizeof json, "{\"event\":\"%s\"}", name);
  struct event *event = event_make(script->scripts, true, name, strlen(name), json, (size_t)len);
  if (!event) return false;
  lib_deliver(script, event);
  event_free(event);
  return true;
}

struct event *event_ref(struct event *event) {
  if (event) event->refs++;
  return event;
}

static void answer(struct event *event) {
  if (!event->done) return;
  struct scripts_outcome outcome = {.ok = !event->failed, .errors = "[]", .errors_len = 2};
  if (event->errors.len) {
    buf_putc(&event->errors, ']');
    const char *text = buf_text(&event->errors);
    if (!event->errors.failed) {
      outcome.errors = text;
      outcome.errors_len = event->errors.len;
    }
  }
  event->done(event->ctx, &outcome);
}

void event_free(struct event *event) {
  if (!event || --event->refs > 0) return;
  event->scripts->events--;
  event->scripts->events_done += !event->lifecycle;
  event->scripts->events_failed += !event->lifecycle && event->failed;
  bounds_drop_event(event);
  answer(event);
  buf_deinit(&event->errors);
  mem_free(event);
}

/* What Lua says need not be UTF-8; what goes out must be. */
void event_put_text(struct buf *out, const char *message) {
  struct buf text = {0};
  size_t len = strnlen(message, MESSAGE_BYTES);
  while (len > 0) {
    size_t valid = utf8_valid(message, len);
    buf_add(&text, message, valid);
    if (valid == len) break;
    buf_puts(&text, "\xEF\xBF\xBD");
    message += valid + 1;
    len -= valid + 1;
  }
  json_put_string(out, text.data ? text.data : "", text.failed ? 0 : text.len);
  buf_deinit(&text);
}

void event_fail(struct event *event, struct script *script, const char *message) {
  struct buf *errors = &event->errors;
  buf_putc(errors, errors->len ? ',' : '[');
  event->failed = true;
  if (event->starts) reload_start_failed(script, message, "");
  buf_puts(errors, "{\"script\":");
  json_put_string(errors, script->name, strlen(script->name));
  buf_puts(errors, ",\"message\":");
  event_put_text(errors, message);
  buf_putc(errors, '}');
}
