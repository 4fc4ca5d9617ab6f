/* What a host is made of, for its own files alone: host.c opens and closes it, host_turn.c runs it,
 * host_events.c is what goes in and comes out. */
#ifndef HOST_INNER_H
#define HOST_INNER_H

#include <uv.h>

#include "host.h"

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

/* host_turn.c. host_begin_turns: the store is open. host_end_watch: before the scripts close the descriptor.
 */
enum moonkeep_code host_make_loop(struct host *host, struct err *err);
enum moonkeep_code host_begin_turns(struct host *host, struct err *err);
void host_wait_for_changes(struct host *host, int fd);
void host_end_watch(struct host *host);
void host_close_loop(struct host *host);
struct scripts_load host_load(const struct host *host); /* of all its rooms */

/* host_events.c: what the scripts tell, for all listeners. ctx is the host. */
void host_tell_action(void *ctx, const char *json, size_t len);
void host_tell_changed(void *ctx, const char *script, const char *what);
void host_tell_fault(void *ctx, const char *script, const char *what, const char *message, const char *trace);
void host_tell_before_sleep(struct host *host);

#endif
