/* The CPU budget: script code that runs for too long without giving way is stopped, and cannot help it.
 *
 * Private to host/script. Whoever lets script code run puts a frame around it: budget_enter, lua_resume or
 * lua_pcall, budget_leave. Frames nest, where a call that blocks lets others' update functions run. What
 * counts is the CPU time of the host's thread: a slow disk is no stuck script.
 *
 * The kernel's timer on that time sends a signal to the host's thread every few milliseconds of it. Its
 * handler charges the frame that runs, and where that is over its budget sets Lua's count hook on the
 * coroutine that runs. So a script that keeps within its budget pays nothing, and from there on every
 * instruction of it meets the hook, which stops it: by a yield that nobody ever answers, since no script can
 * catch that; where Lua cannot yield by an error, again at every instruction, until something can. C
 * functions that loop ask budget_check. Where there is no such timer (in a program around the library, whose
 * signals are its own, and under ThreadSanitizer, which holds signals back) the hook is always set and looks
 * at the clock itself: each instruction then costs more.
 *
 * A coroutine that was stopped is never resumed, reset or closed: what it has to close stays open, and it is
 * the collector's. */
#ifndef SCRIPT_BUDGET_H
#define SCRIPT_BUDGET_H

#include <lua.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"

struct log;
struct script;

enum { BUDGET_MESSAGE = 256 };

struct budget_frame {
  struct budget_frame *below;
  struct script *script;  /* borrowed */
  lua_State *L;           /* the coroutine that runs, the frame's own or one of the script's inside it */
  bool can_yield;         /* every coroutine from the frame's own up to the one that runs can */
  bool told;              /* it was stopped: message and trace say where */
  volatile bool over;     /* it has used up its budget */
  volatile unsigned seen; /* the last tick that found it here */
  int64_t used_ns;
  char message[BUDGET_MESSAGE]; /* set when told */
  struct buf trace;             /* also; owned */
};

struct budget { /* of all scripts of a host */
  struct budget_frame *volatile top;
  int64_t limit_ns;
  volatile bool ticking; /* the timer is set */
  bool counting;         /* there is no timer: the hook counts */
  int signal;            /* see scripts_options.budget_signal */
  int taken;             /* the one that the timer sends */
  bool opened;
  bool off; /* nothing is measured: the code is not ours to stop */
  timer_t timer;
  pthread_t thread; /* that the timer measures */
  const struct log *log;
  unsigned tick; /* how many there were */
  unsigned polls;
  int64_t last_ns; /* CPU time at the last one */
};

/* Nothing is started before the first frame. limit_ms is the budget; signal: see scripts_options. */
void budget_init(struct budget *budget, int64_t limit_ms, int signal, const struct log *log);
void budget_deinit(struct budget *budget);

/* A frame around code of this script that runs on L. can_yield: L is resumed, not called. */
void budget_enter(struct budget_frame *frame, struct script *script, lua_State *L, bool can_yield);
void budget_leave(struct budget_frame *frame);
void budget_frame_deinit(struct budget_frame *frame); /* after budget_leave, when it was told */

/* The frame that runs now; NULL: none. */
struct budget_frame *budget_frame(lua_State *L);

/* Within a frame: from now on it is this coroutine that runs. */
void budget_switch(struct budget_frame *frame, lua_State *L);

/* Whether what runs is over its budget. Cheap. In a state that is no script's nothing ever is. */
bool budget_is_over(lua_State *L);

/* For C functions, every few thousand steps: stops the script where it is over its budget, and then does not
 * return. */
void budget_check(lua_State *L);

/* Stops what runs, as if it were over its budget. `message` may be NULL: then it says that. The return
 * statement of a C function. */
int budget_stop(lua_State *L, const char *message);

#endif
