/* Events: delivered to the handlers of every script, and answered when all of these have finished.
 *
 * Private to host/script. An event is a job in the ready queue; when its turn comes each handler that wants
 * it gets a task, which holds a reference. The last reference given back answers the event. */
#ifndef SCRIPT_EVENT_H
#define SCRIPT_EVENT_H

#include "script/script.h"

struct event {
  struct job job;
  struct scripts *scripts;
  struct script *raiser; /* that has raised it, as long as it lives; NULL: the host, or nobody any more */
  struct list raised;    /* in the raiser's */
  unsigned refs;
  bool lifecycle; /* `start` or `stop`, from the host itself */
  bool starts;    /* `start` */
  bool failed;
  struct buf errors; /* the inside of the JSON array */
  void (*done)(void *ctx, const struct scripts_outcome *);
  void *ctx;
  const char *json; /* in text, behind the name */
  size_t name_len, json_len;
  char text[]; /* the name, NUL, the JSON, NUL */
};

/* Queues an event (json is an object; the texts are copied); what comes before scripts_start waits for it,
 * except the `lifecycle` events of the host itself. NULL: no memory. The caller may still set done and ctx.
 */
struct event *event_queue(struct scripts *scripts, bool lifecycle, const char *name, size_t name_len,
                          const char *json, size_t json_len);

/* The same, but it is in no queue: a task that is given a reference to it answers it. */
struct event *event_make(struct scripts *scripts, bool lifecycle, const char *name, size_t name_len,
                         const char *json, size_t json_len);

/* An event of the host's own for one script: `start` or `stop`, delivered at once. False: no memory. */
bool event_deliver_to(struct script *script, const char *name);

struct event *event_ref(struct event *event); /* NULL is fine */
void event_free(struct event *event);         /* gives a reference back; NULL is fine */

/* Events come to a script when its `start` handlers have ended or sleep, and not while it has handed over;
 * until then they are held. event_release delivers them, event_move_held gives them to the version that takes
 * over, event_drop_held ends them as failed. */
void event_release(struct script *script);
void event_move_held(struct script *from, struct script *to);
void event_drop_held(struct script *script, const char *why);

/* Appends any text, valid UTF-8 or not, as a JSON string; what is very long is cut. */
void event_put_text(struct buf *out, const char *text);

/* A handler of this script has failed. */
void event_fail(struct event *event, struct script *script, const char *message);

#endif
