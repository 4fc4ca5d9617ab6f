/* The C library: what include/moonkeep.h promises, on top of a host.
 *
 * Private to host/api. */
#ifndef API_API_H
#define API_API_H

#include <pthread.h>
#include <uv.h>

#include "base/mem.h"
#include "host.h"
#include "link/logbook.h"
#include "moonkeep.h"
#include "script/guest.h"
#include "script/provided.h"

struct control;
struct http;

struct answered { /* a call that was answered at once: in the next tick */
  struct list link;
  void (*answer)(struct answered *);
};

struct moonkeep_host {
  struct host *host;
  struct moonkeep_options options; /* what it points to, but for ctx and the callbacks, is the caller's */
  struct host_listener listener;
  struct log log;          /* the program's */
  struct logbook book;     /* before it, for who asks over the control socket */
  struct control *control; /* owned; NULL: the host does not listen */
  struct http *http;       /* owned; NULL: nor serve its metrics */
  struct clock clock;
  struct mem_source memory;
  struct provided *provided; /* owned */
  struct list guests;        /* Lua states of the program's, see api_lua.c */
  pthread_t thread;          /* the host's */
  bool ticking;
  bool closing;         /* nothing will be answered in a tick any more */
  bool opened;          /* `posted` and `turn` are there */
  bool ready;           /* moonkeep_open has returned it */
  unsigned answering;   /* `done` runs, within so many others */
  struct err refused;   /* why a call was refused when it was made, last */
  struct list answered; /* store calls that were answered at once: `done` is called in the next tick */
  uv_prepare_t turn;    /* which does that */
  uv_async_t posted;    /* wakes the host for events from any thread */
  pthread_mutex_t lock; /* of `events` */
  struct list events;   /* emitted by any thread */
  struct list taken;    /* came before those, and are the host's thread's to hand out */
};

void api_answer(struct moonkeep_host *api); /* calls `done` of what was answered at once */

/* Calls `done`, where there is one; nothing may wait for the store meanwhile. */
void api_done(struct moonkeep_host *api, moonkeep_done *done, void *ctx,
              const struct moonkeep_answer *answer);

/* Whether this is the host's thread. invalid */
enum moonkeep_code api_is_here(const struct moonkeep_host *api, struct err *err);

/* Ends what the program's Lua states have of the host. */
void api_detach(struct moonkeep_host *api);

/* Closes what moonkeep_listen has opened. */
void api_unlisten(struct moonkeep_host *api);

/* Waits for the next answers. */
void api_await(struct moonkeep_host *api);

/* Whether the store may be waited for now; fills api->refused where not. */
enum moonkeep_code api_may_wait(struct moonkeep_host *api);

/* Whether the store may be called now; fills api->refused where not. */
enum moonkeep_code api_may_call(struct moonkeep_host *api);

/* The store of this name (NULL: "appData"). */
enum moonkeep_code api_bucket(struct moonkeep_host *api, const char *store, struct bucket **bucket,
                              struct err *err);

/* The text as a value, compact; NULL: it is none, and err says why. */
struct value *api_value(struct moonkeep_host *api, const char *json, int64_t expires_at_ms, struct err *err);

/* Refuses a moment that no key can expire at. */
enum moonkeep_code api_check_expiry(int64_t expires_at_ms, struct err *err);

enum moonkeep_code api_fail(struct moonkeep_error *out, const struct err *err);

#endif
