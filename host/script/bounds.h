/* What a script may have at a time: memory that the host keeps for it, timers, events, tasks, lines of the
 * log; and the break that it is given when it has to be stopped again and again.
 *
 * Private to host/script. One `struct bounds` is embedded in each script. Host thread only. */
#ifndef SCRIPT_BOUNDS_H
#define SCRIPT_BOUNDS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"

struct event;
struct script;

enum {
  BOUND_TIMERS = 10000,        /* that are set */
  BOUND_EVENTS = 10000,        /* that it has raised and that are not done */
  BOUND_TASKS = 100000,        /* under way; its memory may end first */
  BOUND_LINES_AT_ONCE = 10000, /* of its log */
  BOUND_LINES_A_SECOND = 1000, /*   in the long run */
  BOUND_LINE_BYTES = 64 << 10, /*   of each; the rest is cut off */
  BOUND_STOPS = 5,             /* for its CPU budget or its memory, within the next, before it gets a break */
  BOUND_STOPS_MS = 60 * 1000,  /*   and when it has had none for so long all is forgotten */
  BOUND_BREAK_MS = 1000,       /* the first break; each one is twice as long as the one before */
  BOUND_BREAK_MOST_MS = 30000,
};

struct bounds {
  size_t timers, events, tasks;
  unsigned refusals;  /* of memory */
  struct list raised; /* of its events that are not done */

  double lines; /* that it may still log, at refilled_ms */
  int64_t refilled_ms;
  size_t lines_left_out;

  unsigned stops;  /* since first_stop_ms */
  unsigned breaks; /* one after the other */
  int64_t first_stop_ms, last_stop_ms, break_ends_ms;
};

void bounds_init(struct script *script);

/* At the end: nothing points to it any more, and lines that were left out are told. */
void bounds_deinit(struct script *script);

/* Counts memory that the host keeps for it among its own; false: it has no more. give takes it back. */
bool bounds_take(struct script *script, size_t bytes);
void bounds_give(struct script *script, size_t bytes);

/* An event that the script has raised, from the queue to its end; raises where it has too many. */
void bounds_check_event(lua_State *L, size_t bytes);
void bounds_add_event(struct script *script, struct event *event);
void bounds_drop_event(struct event *event);

/* Writes a line of its log. Where it writes too many they are left out, and then a line says how many. */
void bounds_log(struct script *script, enum log_level level, const char *text);

/* A task of it was stopped for its CPU budget, or has died of its memory: before it does, the collector has
 * gone through all of that in vain. */
void bounds_stopped(struct script *script);

/* How long its break goes on; 0: it has none. */
int64_t bounds_break_ms(const struct script *script);

/* What its events are told meanwhile. */
extern const char bounds_break_text[];

#endif
