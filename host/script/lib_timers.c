/* Timers.
 *
 *   bot.after(seconds, fn)  runs fn once, in a task of its own
 *   bot.every(seconds, fn)  runs fn again and again, on the beat: a late one does not move the next, missed
 * ones are left out. A firing does not wait for the one before it to finish
 *
 * Both return a handle; handle:cancel() ends the timer, at any time, any number of times.
 */
#include <lauxlib.h>
#include <stdio.h>

#include "script/lib.h"
#include "script/task.h"

#define TIMER "moonkeep.timer"

enum { ERR_TEXT = 1024 };

struct ticker {     /* a userdata; the registry keeps it as long as it is set */
  struct list link; /* in script->timers */
  struct timer timer;
  struct script *script;
  int64_t period_ms; /* 0: once */
  bool set;
};

static void unset(struct ticker *ticker) {
  struct scripts *scripts = ticker->script->scripts;
  if (!ticker->set) return;
  ticker->set = false;
  timer_clear(scripts->options.timers, &ticker->timer);
  list_take(&ticker->link);
  scripts->timers--;
  ticker->script->bounds.timers--;
}

/* Lets the registry forget the userdata: setting a field that is there to nil allocates nothing. */
static void release(lua_State *L, struct ticker *ticker) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, ticker);
}

static int timer_cancel(lua_State *L) {
  struct ticker *ticker = luaL_testudata(L, 1, TIMER);
  if (!ticker) return luaL_error(L, "call cancel with a colon: handle:cancel()");
  bool was_set = ticker->set;
  unset(ticker);
  if (was_set) release(L, ticker);
  return 0;
}

static int start_firing(lua_State *L) {
  struct ticker *ticker = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, ticker);
  lua_getiuservalue(L, -1, 1);
  task_start(L, 0, ticker->period_ms ? "a bot.every timer" : "a bot.after timer", NULL);
  if (!ticker->set) release(L, ticker);
  return 0;
}

/* The next beat that is still to come. */
static int64_t next_beat(const struct ticker *ticker) {
  int64_t now_ms = clock_steady_ms(ticker->script->scripts->options.clock);
  int64_t late_ms = now_ms - ticker->timer.due_ms;
  int64_t beats = late_ms > 0 ? late_ms / ticker->period_ms + 1 : 1;
  return ticker->timer.due_ms + beats * ticker->period_ms;
}

static void fire(struct timer *timer) {
  struct ticker *ticker = list_of(timer, struct ticker, timer);
  struct script *script = ticker->script;
  struct err err;
  if (!ticker->period_ms || !timer_set(script->scripts->options.timers, timer, next_beat(ticker)))
    unset(ticker);
  if (script_protect(script, start_firing, ticker, &err)) return;
  char text[ERR_TEXT];
  snprintf(text, sizeof text, "a timer could not fire: %s", err.message);
  bounds_log(script, LOG_ERROR, text);
}

static int set_timer(lua_State *L, int64_t delay_ms, int64_t period_ms) {
  struct script *script = script_of(L);
  struct scripts *scripts = script->scripts;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (script->bounds.timers >= BOUND_TIMERS)
    return luaL_error(L, "%d timers are set, and a script may have no more", BOUND_TIMERS);
  struct ticker *ticker = lua_newuserdatauv(L, sizeof *ticker, 1);
  *ticker = (struct ticker){.script = script, .period_ms = period_ms, .timer.fire = fire};
  list_init(&ticker->link);
  luaL_setmetatable(L, TIMER);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  if (script->stage >= SCRIPT_DRAINING) return 1; /* the timers of a version that is over have ended */
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, ticker);
  int64_t due_ms = clock_steady_ms(scripts->options.clock) + delay_ms;
  if (!timer_set(scripts->options.timers, &ticker->timer, due_ms)) {
    release(L, ticker);
    return luaL_error(L, "not enough memory");
  }
  ticker->set = true;
  list_add(&script->timers, &ticker->link);
  scripts->timers++;
  script->bounds.timers++;
  return 1;
}

static int bot_after(lua_State *L) {
  lib_no_colon(L, "bot.after");
  return set_timer(L, lib_check_ms(L, 1), 0);
}

static int bot_every(lua_State *L) {
  lib_no_colon(L, "bot.every");
  int64_t period_ms = lib_check_ms(L, 1);
  luaL_argcheck(L, period_ms > 0, 1, "the number of seconds is zero");
  return set_timer(L, period_ms, period_ms);
}

int64_t lib_next_timer(const struct script *script) {
  int64_t next_ms = INT64_MAX;
  for (struct list *node = script->timers.next; node != &script->timers; node = node->next) {
    const struct ticker *ticker = list_of(node, struct ticker, link);
    if (ticker->timer.due_ms < next_ms) next_ms = ticker->timer.due_ms;
  }
  return next_ms;
}

static int release_ended(lua_State *L) {
  release(L, lua_touserdata(L, 1));
  return 0;
}

void lib_end_timers(struct script *script) {
  while (!list_empty(&script->timers)) {
    struct ticker *ticker = list_of(script->timers.next, struct ticker, link);
    struct err err;
    unset(ticker);
    script_protect(script, release_ended, ticker, &err);
  }
}

void lib_add_timers(lua_State *L) {
  lib_class(L, TIMER, "cancel", timer_cancel);
  lua_pushcfunction(L, bot_after);
  lua_setfield(L, -2, "after");
  lua_pushcfunction(L, bot_every);
  lua_setfield(L, -2, "every");
}
