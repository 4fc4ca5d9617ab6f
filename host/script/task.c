#include "script/task.h"

#include <assert.h>
#include <lauxlib.h>

#include "base/mem.h"
#include "script/event.h"
#include "script/fault.h"
#include "script/reload.h"

enum { IDLE_TASKS = 256 }; /* coroutines that a script keeps for use again */

static void run_task(struct job *job);

static void forget(struct task *task) {
  luaL_unref(task->script->L, LUA_REGISTRYINDEX, task->ref);
  bounds_give(task->script, sizeof *task);
  mem_free(task);
}

void task_free_idle(struct script *script) {
  for (struct list *node; (node = list_pop(&script->idle));) forget(list_of(node, struct task, link));
  script->idle_count = 0;
}

/* A task that has no function yet: one that is kept, or a new one. Raises. */
static struct task *take(lua_State *L, struct script *script) {
  struct list *node = list_pop(&script->idle);
  if (node) {
    script->idle_count--;
    return list_of(node, struct task, link);
  }
  lua_State *thread = lua_newthread(L);
  thread_mark(thread, THREAD_HOST, true);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  bool taken = bounds_take(script, sizeof(struct task));
  struct task *task = taken ? mem_zero(sizeof *task) : NULL;
  if (!task) {
    if (taken) bounds_give(script, sizeof *task);
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  task->job.run = run_task;
  list_init(&task->job.link);
  list_init(&task->link);
  task->script = script;
  task->L = thread;
  task->ref = ref;
  return task;
}

/* Out of use: kept while there is room, if its coroutine can run again. */
static void give_back(struct task *task, bool reusable) {
  struct script *script = task->script;
  list_take(&task->link);
  task->state = TASK_IDLE;
  if (!reusable || script->idle_count >= IDLE_TASKS) {
    forget(task);
    return;
  }
  lua_settop(task->L, 0);
  list_add(&script->idle, &task->link);
  script->idle_count++;
}

void task_start(lua_State *L, int args, const char *what, struct event *event) {
  struct script *script = script_of(L);
  if (script->stage == SCRIPT_OVER) luaL_error(L, "the script is over");
  if (script->bounds.tasks >= BOUND_TASKS)
    luaL_error(L, "%d tasks are under way, and a script may have no more", BOUND_TASKS);
  struct task *task = take(L, script);
  if (!lua_checkstack(task->L, args + 1)) {
    list_add(&script->tasks, &task->link);
    give_back(task, true);
    luaL_error(L, "not enough memory");
  }
  lua_xmove(L, task->L, args + 1);
  task->args = args;
  task->what = what;
  task->event = event_ref(event);
  task->starts = event && event->starts;
  script->starting += task->starts;
  waiter_init(&task->waiter, script, task);
  list_add(&script->tasks, &task->link);
  script->scripts->tasks++;
  script->bounds.tasks++;
  task_wake(task);
}

void task_wake(struct task *task) {
  task->state = TASK_READY;
  list_add(&task->script->scripts->ready, &task->job.link);
}

void task_slow(struct task *task) {
  task->state = TASK_SLOWED;
  list_add(&task->script->scripts->slowed, &task->job.link);
  task->script->scripts->slowed_count++;
}

/* A `start` handler that has ended, or sleeps and may do so for ever, holds up the script's events no longer.
 */
static void has_started(struct task *task) {
  if (!task->starts) return;
  task->starts = false;
  if (--task->script->starting == 0) reload_poke(task->script);
}

/* The end of a task's life, whichever way it came. */
static void end(struct task *task, bool reusable) {
  struct script *script = task->script;
  struct event *event = task->event;
  task->event = NULL;
  has_started(task);
  waiter_drop(&task->waiter);
  script->scripts->tasks--;
  script->bounds.tasks--;
  give_back(task, reusable);
  if (script->stage != SCRIPT_LIVE) reload_poke(script);
  event_free(event);
}

static void slept(struct timer *timer) {
  struct task *task = list_of(timer, struct task, timer);
  task->script->scripts->sleeping--;
  task_wake(task);
}

/* It was over its budget, whatever it has made of that since. */
static void stop(struct task *task, struct budget_frame *frame) {
  task->script->errors++;
  fault_of_stop(task, frame);
  budget_frame_deinit(frame);
  bounds_stopped(task->script);
  task_drop(task, frame->message);
}

/* The script has a break: what handles an event fails, since whoever has sent it waits; the rest waits too.
 */
static bool has_break(struct task *task) {
  struct scripts *scripts = task->script->scripts;
  int64_t left_ms = bounds_break_ms(task->script);
  if (left_ms == 0 || (task->event && task->event->lifecycle)) return false;
  if (task->event) {
    task_drop(task, bounds_break_text);
    return true;
  }
  task->timer.fire = slept;
  if (!timer_set(scripts->options.timers, &task->timer, clock_steady_ms(scripts->options.clock) + left_ms))
    return false;
  scripts->slowed_count -= task->state == TASK_SLOWED;
  scripts->sleeping++;
  task->state = TASK_SLEEPING;
  return true;
}

/* Only a state that is not ours, whose coroutine.yield is Lua's own, lets such a yield leave a task. */
static int refuse_yield(struct task *task) {
  assert(task->script->guest);
  lua_settop(task->L, 0);
  lua_pushliteral(task->L, "attempt to yield out of a task; store calls wait by themselves");
  return LUA_ERRRUN;
}

static void run_task(struct job *job) {
  struct task *task = list_of(job, struct task, job);
  struct script *script = task->script;
  if (has_break(task)) return;
  int args = task->args, results;
  task->args = 0;
  script->scripts->slowed_count -= task->state == TASK_SLOWED;
  task->state = TASK_RUNNING;
  script->current = task;
  script->can_wait = true;
  struct budget_frame frame;
  script->runs++;
  budget_enter(&frame, script, task->L, true);
  int status = lua_resume(task->L, NULL, args, &results);
  if (script->guest) script->scripts = script->guest; /* its last call may have been another folder's */
  budget_leave(&frame);
  script->current = NULL;
  script->can_wait = false;
  if (status == LUA_YIELD && !script->host_yield) status = refuse_yield(task);
  script->host_yield = false;
  if (frame.told) {
    stop(task, &frame);
  } else if (status != LUA_YIELD) {
    script->errors += status != LUA_OK;
    if (status == LUA_ERRMEM) bounds_stopped(script);
    if (status != LUA_OK) fault_of_task(task);
    end(task, status == LUA_OK);
  }
}

/* In a state that is not ours, Lua's own coroutines would take the wait for a yield of theirs. */
static bool guest_can_wait(const struct script *script, const lua_State *L) {
  return script->current && script->current->L == L && script->scripts == script->guest;
}

bool task_can_wait(lua_State *L) {
  struct script *script = script_of(L);
  if (script->guest && !guest_can_wait(script, L)) return false;
  return script->current && script->can_wait && !script->in_update && lua_isyieldable(L);
}

int task_wait(lua_State *L, lua_KFunction finish) {
  return task_wait_with(L, finish, 0);
}

int task_wait_with(lua_State *L, lua_KFunction finish, lua_KContext ctx) {
  struct script *script = script_of(L);
  assert(task_can_wait(L));
  if (script->current->state == TASK_RUNNING) script->current->state = TASK_WAITING;
  script->host_yield = true;
  return lua_yieldk(L, 0, ctx, finish);
}

int task_sleep(lua_State *L, int64_t ms, lua_KFunction finish) {
  struct script *script = script_of(L);
  struct task *task = script->current;
  struct scripts *scripts = script->scripts;
  if (ms == 0) {
    task_wake(task);
    return task_wait(L, finish);
  }
  task->timer.fire = slept;
  int64_t due = clock_steady_ms(scripts->options.clock) + ms;
  if (!timer_set(scripts->options.timers, &task->timer, due)) return luaL_error(L, "not enough memory");
  scripts->sleeping++;
  has_started(task);
  task->state = TASK_SLEEPING;
  return task_wait(L, finish);
}

void task_drop(struct task *task, const char *why) {
  struct scripts *scripts = task->script->scripts;
  list_take(&task->job.link);
  scripts->slowed_count -= task->state == TASK_SLOWED;
  if (task->state == TASK_SLEEPING) {
    timer_clear(scripts->options.timers, &task->timer);
    scripts->sleeping--;
  }
  if (task->event) event_fail(task->event, task->script, why);
  end(task, false);
}
