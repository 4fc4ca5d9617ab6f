/* Tasks: coroutines that the host resumes. One for each handler call, timer and spawn.
 *
 * Private to host/script. A task is ready (in the queue), running, waiting for a store call, slowed (in line
 * to make one) or sleeping; when its function returns, its coroutine is kept for the next task. */
#ifndef SCRIPT_TASK_H
#define SCRIPT_TASK_H

#include <lua.h>
#include <stdint.h>

#include "base/timers.h"
#include "script/call.h"
#include "script/script.h"

enum task_state { TASK_IDLE, TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_SLOWED, TASK_SLEEPING };

struct task {
  struct job job;
  struct list link;      /* in its script's tasks or idle */
  struct script *script; /* borrowed */
  lua_State *L;          /* the script's, kept alive by ref */
  int ref;
  enum task_state state;
  int args;            /* how many arguments its function gets; they stand on its stack */
  const char *what;    /* static: "bot.spawn"; for the log */
  struct event *event; /* one reference: the event that it handles; NULL: none */
  bool starts;         /* it handles `start`, and events wait until it ends or sleeps */
  struct timer timer;  /* while it sleeps */
  struct waiter waiter;
};

/* Makes a ready task of the function and its arguments on top of L, which it pops. `event` may be NULL; the
 * task takes a reference of its own. Raises Lua's memory error, then the stack is the caller's to clean. */
void task_start(lua_State *L, int args, const char *what, struct event *event);

/* Whether the caller runs in a task and everything up to it can yield. To be asked before anything is
 * started. */
bool task_can_wait(lua_State *L);

/* Gives the CPU up until task_wake; goes on with `finish`. The return statement of a C function for which
 * task_can_wait has said yes. */
int task_wait(lua_State *L, lua_KFunction finish);
int task_wait_with(lua_State *L, lua_KFunction finish, lua_KContext ctx); /* finish gets ctx */
int task_sleep(lua_State *L, int64_t ms,
               lua_KFunction finish); /* the same, wakes by itself; may raise (memory) */

void task_wake(struct task *task);
void task_slow(struct task *task); /* puts it in line for the store; task_wait comes next */

/* Ends a task that does not run: its coroutine is left to the collector, its event has failed. */
void task_drop(struct task *task, const char *why);

/* Frees the coroutines that are kept for use again. */
void task_free_idle(struct script *script);

#endif
