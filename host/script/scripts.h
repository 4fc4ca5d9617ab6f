/* The scripts of one host: the bots of a folder, each in a Lua state of its own, and their tasks.
 *
 * The life of it: scripts_open loads every bot of the folder (one that fails is logged and left out),
 * scripts_start runs their `start` handlers, scripts_emit hands them events, scripts_run gives the CPU to the
 * tasks that are ready, scripts_stop runs their `stop` handlers, scripts_close ends what is left. The host
 * calls it all on its one thread; nothing here waits, except where a script makes a store call in a place
 * where Lua cannot yield. */
#ifndef SCRIPT_SCRIPTS_H
#define SCRIPT_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timers.h"
#include "store/store.h"

struct provided;
struct scripts;
struct trial;

/* What came of one event. errors is a JSON array of {"script":…,"message":…}, "[]" when all went well; with a
 * NUL behind it. Valid until the callback returns. */
struct scripts_outcome {
  bool ok;
  const char *errors;
  size_t errors_len;
};

/* A script that is not loaded until its file has been saved again. */
struct scripts_left_out {
  const char *name, *why; /* why: "it was running when the host crashed"; for the log */
};

struct scripts_options {
  const char *dir;           /* the scripts folder */
  struct store *store;       /* borrowed until scripts_close, as are the next three */
  struct timers *timers;     /* on clock's steady time */
  const struct clock *clock; /* NULL: the system's */
  const struct log *log;
  int64_t cpu_budget_ms; /* how long a task may compute without giving way; 0: a second */
  /* The signal by which CPU time is measured; 0: a real-time signal that nobody uses; -1: none, the process's
   * signals are not ours, and scripts count their steps instead. */
  int budget_signal;
  bool trust; /* scripts get the whole of Lua's libraries: files, processes, the debugger */
  const struct mem_source *memory; /* of the Lua states; borrowed; NULL: the host's own */
  size_t memory_bytes;             /* the most that a script may use; 0: 64 MiB */
  /* An action of a script: a JSON object that carries "script". Called on the host thread, text valid until
   * it returns. `name` and `text` are set where the action is a `send`
   * ({"action":"send","channel":…,"text":…}). */
  void (*action)(void *ctx, const char *json, size_t len);
  void *ctx;
  /* While the host runs, a script was "loaded", "reloaded" or "unloaded". NULL: need not know. */
  void (*changed)(void *ctx, const char *name, const char *what);
  bool watch;                              /* load scripts anew when their files change, see below */
  int64_t grace_ms;                        /* how long what runs in a version that was replaced may go on */
  const struct scripts_left_out *left_out; /* borrowed by scripts_open alone */
  size_t left_out_count;
  /* An error that nobody has caught, or a script that does not load: the log tells it too. `what` is "error
   * in the event \"message\"", or "not loaded"; trace may be "". NULL: need not know. */
  void (*fault)(void *ctx, const char *script, const char *what, const char *message, const char *trace);
  /* Not all scripts of the folder: only this file, or those of these names. Borrowed by scripts_open alone.
   */
  const char *only_file;
  const char *const *only; /* NULL: all */
  size_t only_count;
  /* Of a state that was attached (guest.h): asked before each call of a store whether it may be made now;
   * waits: it would give way, not block. NULL: it may. */
  enum moonkeep_code (*enter)(void *ctx, bool waits, struct err *err);
  struct provided *provided; /* see provided.h; borrowed; NULL: nothing is */
  struct trial *trial;       /* see trial.h: its scripts get `test` in place of `bot`; NULL: none */
};

/* Errors: invalid (the folder is missing or not a folder: the message says how to make one), memory. A folder
 * without scripts is fine, and a warning in the log. */
enum moonkeep_code scripts_open(struct scripts **out, const struct scripts_options *options, struct err *err);
void scripts_close(
    struct scripts *scripts); /* pumps the store until no call of theirs is under way; NULL is fine */

size_t scripts_count(const struct scripts *scripts); /* that run */

/* Events that are done, and those of them that failed; the host's own are not counted. */
uint64_t scripts_events_done(const struct scripts *scripts, uint64_t *failed);

/* What the folder has, in order of name, also what could not be loaded or was left out. Valid during the
 * visit. */
struct scripts_state {
  const char *name, *file;
  const char *why;  /* what keeps the file from running as it was saved last; NULL: nothing */
  unsigned version; /* that runs, counted from 1; 0: none does */
  size_t tasks;     /* of that version, as are its bytes */
  size_t bytes, limit_bytes;
  int64_t loaded_ms;     /* since 1970: when that version took over, or the host began */
  uint64_t runs, errors; /* of its tasks: how often one was given the CPU, how many failed */
  uint64_t cpu_us;       /* what they took of it, as samples show: coarse for little */
};
void scripts_each(const struct scripts *scripts, void (*visit)(void *ctx, const struct scripts_state *),
                  void *ctx);

/* Delivers the lifecycle events: every script's handlers run in tasks of their own. */
void scripts_start(struct scripts *scripts);
void scripts_stop(struct scripts *scripts);

/* Queues an event: `json` is an object (checked by the caller with json_compact, so it is valid) whose
 * "event" is `name`; both are copied. scripts_run delivers events in order, from all sources in one line;
 * those that come before scripts_start wait for it. done (may be NULL) is called once, from scripts_run or a
 * call that ends tasks (scripts_end_waits, scripts_close), when all its handlers have finished; soon when
 * there are none. memory. */
enum moonkeep_code scripts_emit(struct scripts *scripts, const char *name, size_t name_len, const char *json,
                                size_t len, void (*done)(void *ctx, const struct scripts_outcome *),
                                void *ctx, struct err *err);

/* Delivers the events and runs the tasks that are in line, in order, and those that they make ready, up to a
 * bounded number; true when there are more. A loop that goes on at once still has to give the store its turn
 * (store_kick, store_pump): tasks that only ever say bot.sleep(0) must not keep the others waiting. */
bool scripts_run(struct scripts *scripts);

/* How many events may be emitted so that no more than `most` jobs are in line for scripts_run; 0 while some
 * times that many tasks wait for the store: what is begun and waits is memory that Lua's collector looks
 * through all at once. What stands in the way always ends by itself. */
size_t scripts_room_in_line(const struct scripts *scripts, size_t most);

/* scripts_run stops early at this moment of clock_ticks_us; 0: it does not. */
void scripts_set_deadline(struct scripts *scripts, int64_t until_us);

/* Reloading. From scripts_start on the folder is watched, where that is asked for: what has been saved is
 * loaded beside the version that runs and takes over between two events, what is new is loaded, what is gone
 * unloaded. scripts_look is to be called when the descriptor is readable (-1: there is none; timers do
 * without). */
int scripts_watch_fd(const struct scripts *scripts);
void scripts_look(struct scripts *scripts);

/* Reloads the script of this name, or all (NULL), whether their files have changed or not, and takes in what
 * is new or gone. done is called once, from here or later, when each of them has taken over or failed, with
 * [{"script":"xp","result":"reloaded"},{"script":"shop","result":"failed","error":"shop.lua:3: …"}, …];
 * results are also "loaded" and "unloaded". Errors, then done is not called: invalid (no such script: the
 * message names those that there are), closed, memory. */
enum moonkeep_code scripts_reload(struct scripts *scripts, const char *name,
                                  void (*done)(void *ctx, const char *json, size_t len), void *ctx,
                                  struct err *err);

/* The host ends: no version is replaced any more. */
void scripts_end_reloads(struct scripts *scripts);

/* What is under way, for a host that wants to end. */
struct scripts_load {
  size_t running; /* tasks that are ready or wait for the store, and events in line: they end by themselves */
  size_t sleeping; /* tasks in bot.sleep */
  size_t timers;   /* bot.after and bot.every that are set */
  int64_t next_ms; /* steady time at which the first sleeper or timer is due; INT64_MAX */
  size_t events;   /* events whose `done` has not been called */
};
struct scripts_load scripts_load(const struct scripts *scripts);

/* Tasks that want to call the store and stand in line until it has room: none, unless too much is going on.
 */
size_t scripts_slowed(const struct scripts *scripts);

/* Ends all sleepers (their tasks are dropped and their events answered as failed) and all timers. */
void scripts_end_waits(struct scripts *scripts);

#endif
