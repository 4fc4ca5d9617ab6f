/* One host: a loop, a store and its scripts, built bottom-up by host_open and closed top-down by host_close.
 *
 *     host_open → host_run … host_finish or host_stop (from a signal, a link, the end of input) → host_run
 * returns → host_close
 *
 * One thread, the host thread, calls everything here. Links (NDJSON, the terminal, the control socket) live
 * on host_loop, hand events in with host_emit and take actions out by host_on_action. */
#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "script/scripts.h"
#include "store/store.h"

struct host;

struct host_listener; /* takes actions, see below */
typedef struct uv_loop_s uv_loop_t;

struct host_options {
  struct store_options store;
  const char *scripts_dir;                 /* NULL: a host without scripts */
  bool watch;                              /* reload scripts when their files change */
  const struct scripts_left_out *left_out; /* see scripts.h; borrowed by host_open alone */
  size_t left_out_count;
  int64_t cpu_budget_ms; /* see scripts_options; 0: the default, as for the next one */
  int budget_signal;     /* see scripts_options */
  size_t memory_bytes;
  const struct mem_source *memory; /* see scripts_options; borrowed until host_close */
  bool trust;                      /* see scripts_options */
  int64_t grace_ms; /* how long sleepers and timers may go on when the host ends, and what runs in a script
                     * that has been replaced */
  /* NULL, or one that is there before the scripts are loaded, and so misses nothing. */
  struct host_listener *listener;
  struct provided *provided; /* see scripts_options; borrowed until host_close, as are clock and log */
  /* NULL, or called when the store is open and before the scripts are loaded. */
  void (*opened)(void *ctx, struct host *host);
  void *ctx;
  const struct clock *clock; /* NULL: the system's */
  const struct log *log;
};

/* Opens the store, loads the scripts and runs their `start` handlers (their tasks go on in host_run). */
enum moonkeep_code host_open(struct host **out, const struct host_options *options, struct err *err);

uv_loop_t *host_loop(struct host *host); /* owned by the host; close your handles before host_close */
struct store *host_store(struct host *host);
size_t host_scripts(const struct host *host); /* how many are loaded */

/* Every action of the scripts is handed to every listener, in the order in which they were added. */
struct host_listener {
  void (*action)(struct host_listener *, const char *json, size_t len); /* see scripts_options.action */
  /* A script was "loaded", "reloaded" or "unloaded" while the host runs; NULL: need not know. */
  void (*changed)(struct host_listener *, const char *script, const char *what);
  /* See scripts_options.fault; NULL: need not know. */
  void (*fault)(struct host_listener *, const char *script, const char *what, const char *message,
                const char *trace);
  void (*before_sleep)(struct host_listener *); /* when what could run has run; NULL: need not know */
  struct list link;                             /* the host's */
};
void host_on_action(struct host *host, struct host_listener *listener); /* borrowed until host_off_action */
void host_off_action(struct host *host, struct host_listener *listener);

/* As scripts_emit, for JSON that nobody has looked at: one JSON object with a string "event". invalid_value
 * says what is wrong with it. `done` gets the event's "id" as it stood in the text (any JSON value; len 0: it
 * had none). closed: the host is ending. */
struct host_event {
  void (*done)(struct host_event *, const struct scripts_outcome *); /* called once; may free the struct */
  const char *id; /* valid until done returns; set by host_emit */
  size_t id_len;
};
enum moonkeep_code host_emit(struct host *host, const char *json, size_t len, struct host_event *event,
                             struct err *err);

/* Events whose done has not been called, and tasks that stand in line for the store, which events may leave
 * behind: stop reading at some thousands, and go on before_sleep. */
size_t host_events(const struct host *host);
size_t host_slowed(const struct host *host);

/* Where it stands. */
struct host_state {
  const char *phase;        /* "running", "finishing" (no more events), "stopping", "ended" */
  struct scripts_load load; /* of a host without scripts: zero */
  uint64_t events_done, events_failed;
};
void host_state(const struct host *host, struct host_state *state);

/* Another room of scripts, whose tasks run in the same turns (script/guest.h); borrowed until
 * host_drop_room. */
struct host_room {
  struct scripts *scripts;
  struct list link; /* the host's */
};
void host_add_room(struct host *host, struct host_room *room);
void host_drop_room(struct host_room *room);

/* What rooms of its own need to share. */
struct scripts_options host_room_options(struct host *host);

/* Its scripts, for script/prompt.h; NULL: it has none. */
struct scripts *host_room(struct host *host);

/* See scripts_each. */
void host_each_script(struct host *host, void (*visit)(void *ctx, const struct scripts_state *), void *ctx);

/* See scripts_reload. invalid where the host has no scripts. */
enum moonkeep_code host_reload(struct host *host, const char *name,
                               void (*done)(void *ctx, const char *json, size_t len), void *ctx,
                               struct err *err);

/* Runs the loop until the host has ended. */
void host_run(struct host *host);

/* For those who have a loop of their own. host_tick runs what is ready, for budget_us or a little more where
 * a handler takes longer, and never waits; it returns false when the host has ended. It is due when host_fd
 * is readable, and after host_timeout_ms (-1: not before that; 0: at once). Where nothing is to be done it
 * costs a look. */
bool host_tick(struct host *host, int64_t budget_us);
int host_fd(const struct host *host);
int host_timeout_ms(const struct host *host);

/* Until when (clock_ticks_us) what is taken in may go on, so that scripts have their turn, too: half of what
 * is left of a tick, or of nothing where it is used up; 0: this is no tick, or one without an end. */
int64_t host_share_us(const struct host *host);
/* See scripts_room_in_line. */
size_t host_room_in_line(const struct host *host, size_t most);
void host_stir(struct host *host); /* the store was called from outside: the next tick looks after it */

/* Ends it in order: no more events are taken; what is running finishes, however long it takes; sleepers and
 * timers that are due within the grace period too; then `stop` handlers run, with the grace period for their
 * sleeps; then host_run returns. */
void host_finish(struct host *host);

/* The same at once: sleepers and timers are ended now, and what is running has the grace period, or ten
 * seconds where that is shorter. */
void host_stop(struct host *host);

/* Closes the scripts, then the store. The error is the store's. */
enum moonkeep_code host_close(struct host *host, struct err *err);

#endif
