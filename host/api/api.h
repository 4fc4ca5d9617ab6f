/* The C library: what include/moonkeep.h promises, on top of a host.
 *
 * Private to host/api. */
#ifndef API_API_H
#define API_API_H

#include <pthread.h>
#include <uv.h>

#include "host.h"
#include "moonkeep.h"
#include "script/provided.h"

struct moonkeep_host {
  struct host *host;
  struct moonkeep_options options; /* what it points to, but for ctx and the callbacks, is the caller's */
  struct host_listener listener;
  struct log log;
  struct provided *provided; /* owned */
  bool opened;               /* `posted` and `turn` are there */
  struct list answered;      /* store calls that were answered at once: `done` is called in the next tick */
  uv_prepare_t turn;         /* which does that */
  uv_async_t posted;         /* wakes the host for events from any thread */
  pthread_mutex_t lock;      /* of `events` */
  struct list events;
};

void api_answer(struct moonkeep_host *api); /* calls `done` of what was answered at once */
enum moonkeep_code api_fail(struct moonkeep_error *out, const struct err *err);

#endif
