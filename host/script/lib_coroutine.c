/* Lua's coroutine library, written anew so that the host's waits pass through the script's own coroutines.
 *
 *   create(fn) running() close(co)   as in Lua
 *   resume(co, …) wrap(fn)           as in Lua; a store call in the middle waits and goes on by itself
 *   yield(…)                         only inside a coroutine of the script's own
 *   isyieldable()                    true only there
 *   status(co)                       one that waits for the host is "normal"
 *
 * A store call or a sleep in a coroutine marks its yield as the host's (script->host_yield). Each resume on
 * the way outward sees the mark, notes its coroutine as waiting, and yields on, up to the host. When the host
 * resumes the task, each resume takes up its coroutine again, with nothing: the answer is read from the call.
 */
#include <lauxlib.h>

#include "script/call.h"
#include "script/lib.h"

enum { CLOSINGS = 64 }; /* coroutine.close in __close in coroutine.close …: each level takes C stack */

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co) return "running";
  if (thread_is(co, THREAD_STOPPED)) return "dead";
  if (thread_is(co, THREAD_WAITS)) return "normal";
  switch (lua_status(co)) {
  case LUA_YIELD: return thread_is(co, THREAD_HOST) ? "normal" : "suspended";
  case LUA_OK: {
    lua_Debug frame;
    if (lua_getstack(co, 0, &frame)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  }
  default: return "dead";
  }
}

/* Why a coroutine must be left to the host; NULL: it need not. */
static const char *host_claim(lua_State *co) {
  if (thread_is(co, THREAD_STOPPED)) return "a coroutine that was stopped for its CPU budget is over";
  if (thread_is(co, THREAD_WAITS))
    return "a coroutine that waits for a store call or a sleep goes on by itself";
  if (thread_is(co, THREAD_HOST)) return "the coroutine of a task belongs to the host";
  return NULL;
}

static bool is_own(lua_State *L) {
  return !thread_is(L, THREAD_HOST) && L != script_of(L)->L;
}

/* ---- resume and wrap ---- */

/* Resumes co with `args` values from its stack. Returns how many values it left there, -1 for an error, or -2
 * when it waits for the host. */
static int step(lua_State *L, lua_State *co, int args) {
  struct script *script = script_of(L);
  bool could_wait = script->can_wait;
  struct budget_frame *frame = budget_frame(L);
  bool could_yield = frame->can_yield;
  int results;
  script->can_wait = could_wait && lua_isyieldable(L);
  frame->can_yield = could_yield && lua_isyieldable(L);
  budget_switch(frame, co);
  int status = lua_resume(co, L, args, &results);
  budget_switch(frame, L);
  frame->can_yield = could_yield;
  script->can_wait = could_wait;
  if (frame->told) thread_mark(co, THREAD_STOPPED, true);
  if (status == LUA_YIELD && script->host_yield) {
    thread_mark(co, THREAD_WAITS, true);
    return -2;
  }
  return status == LUA_OK || status == LUA_YIELD ? results : -1;
}

/* Moves the coroutine's results here; -1 and a message instead when there are too many. */
static int take_results(lua_State *L, lua_State *co, int results) {
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, results);
  return results;
}

/* Hands `args` values on top of L to co; -1 and a message on top of L when it cannot be resumed. */
static int give_args(lua_State *L, lua_State *co, int args) {
  const char *claim = host_claim(co);
  if (claim) {
    lua_pushfstring(L, "cannot resume: %s", claim);
    return -1;
  }
  if (!lua_checkstack(co, args)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  lua_xmove(L, co, args);
  return 0;
}

static int resume_end(lua_State *L, lua_State *co, int results) {
  if (results < 0)
    lua_xmove(co, L, 1);
  else
    results = take_results(L, co, results);
  lua_pushboolean(L, results >= 0);
  lua_insert(L, results >= 0 ? -(results + 1) : -2);
  return results >= 0 ? results + 1 : 2;
}

static int resume_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_State *co = lua_tothread(L, 1);
  thread_mark(co, THREAD_WAITS, false);
  int results = step(L, co, 0);
  if (results == -2) return lua_yieldk(L, 0, 0, resume_again);
  return resume_end(L, co, results);
}

static int coroutine_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  int args = lua_gettop(L) - 1;
  if (give_args(L, co, args) < 0) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  int results = step(L, co, args);
  if (results == -2) return lua_yieldk(L, 0, 0, resume_again);
  return resume_end(L, co, results);
}

/* Closes what an ended coroutine has open. Its __close functions run where nothing can yield. */
static int close_variables(lua_State *L, lua_State *co) {
  struct script *script = script_of(L);
  if (script->closings == CLOSINGS) return luaL_error(L, "too many nested closings of coroutines");
  struct budget_frame *frame = budget_frame(L);
  bool could_wait = script->can_wait, could_yield = frame->can_yield;
  lua_State *outer = script->closed;
  script->can_wait = frame->can_yield = false;
  script->closed = co;
  script->closings++;
  budget_switch(frame, co);
  int status = lua_resetthread(co);
  budget_switch(frame, L);
  frame->can_yield = could_yield;
  script->closings--;
  script->closed = outer;
  script->can_wait = could_wait;
  return status;
}

/* An error goes on in the caller, with the place of the call in front when it is a text: as in Lua. */
static int wrap_fail(lua_State *L, lua_State *co) {
  if (co) {
    bool died = lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD;
    if (died && !thread_is(co, THREAD_STOPPED)) close_variables(L, co);
    lua_xmove(co, L, 1);
  }
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap_end(lua_State *L, lua_State *co, int results) {
  if (results < 0) return wrap_fail(L, co);
  if (take_results(L, co, results) < 0) return wrap_fail(L, NULL);
  return results;
}

static int wrap_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  thread_mark(co, THREAD_WAITS, false);
  int results = step(L, co, 0);
  if (results == -2) return lua_yieldk(L, 0, 0, wrap_again);
  return wrap_end(L, co, results);
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int args = lua_gettop(L);
  if (give_args(L, co, args) < 0) return wrap_fail(L, NULL);
  int results = step(L, co, args);
  if (results == -2) return lua_yieldk(L, 0, 0, wrap_again);
  return wrap_end(L, co, results);
}

static int coroutine_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int coroutine_wrap(lua_State *L) {
  coroutine_create(L);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

/* ---- the rest ---- */

/* Whether a transaction's function runs on this coroutine; those that it has made may yield to it. */
static bool is_transaction(lua_State *L) {
  return waiter_of(L)->in_transaction == L;
}

static int coroutine_yield(lua_State *L) {
  struct script *script = script_of(L);
  if (L == script->closure) return luaL_error(L, "an update function may not yield");
  if (is_transaction(L)) return luaL_error(L, "a transaction's function may not yield out of it");
  if (!is_own(L))
    return luaL_error(L,
                      "attempt to yield outside a coroutine of the script's own; store calls and bot.sleep "
                      "wait by themselves");
  if (L == script->closed) return luaL_error(L, "attempt to yield in a coroutine that is being closed");
  return lua_yield(L, lua_gettop(L));
}

static int coroutine_isyieldable(lua_State *L) {
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, is_own(co) && !is_transaction(co) && co != script_of(L)->closed && lua_isyieldable(co));
  return 1;
}

static int coroutine_running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, !is_own(L));
  return 2;
}

static int coroutine_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

static int coroutine_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *claim = host_claim(co);
  if (claim) return luaL_error(L, "cannot close: %s", claim);
  const char *status = status_of(L, co);
  if (status[0] != 's' && status[0] != 'd') return luaL_error(L, "cannot close a %s coroutine", status);
  if (co == script_of(L)->closed) return luaL_error(L, "cannot close a coroutine that is being closed");
  if (close_variables(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

static const luaL_Reg functions[] = {
    {"close", coroutine_close},   {"create", coroutine_create},   {"isyieldable", coroutine_isyieldable},
    {"resume", coroutine_resume}, {"running", coroutine_running}, {"status", coroutine_status},
    {"wrap", coroutine_wrap},     {"yield", coroutine_yield},     {NULL, NULL}};

void lib_open_coroutine(lua_State *L) {
  luaL_newlib(L, functions);
  lua_setglobal(L, "coroutine");
}
