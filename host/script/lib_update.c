/* store:update(key, fn, default [, options])
 *
 * fn runs on the host thread at the moment when the call's turn comes, which may be inside store_submit or
 * while another script waits, and always on a coroutine that the script has for this alone: so an error in it
 * cannot run through frames that are not its own, and it cannot yield. Its arguments are fetched from the
 * caller's frame, which stands still meanwhile, and what came of it is left there.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/call.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/lib_store.h"
#include "script/provided.h"
#include "script/value.h"

enum { KEY = 2, FN = 3, DEFAULT = 4, OPTIONS = 5, RESULT = 6 }; /* the caller's stack */

/* ---- the function's turn ---- */

struct turn { /* valid while the function runs */
  struct waiter *waiter;
  struct store_call *call;
  const struct value *current;
  enum store_verdict verdict;
  struct err err; /* what the verdict STORE_FAIL says */
};

/* Encodes the value at index into the scratch of all scripts. */
static enum moonkeep_code encode(lua_State *L, struct scripts *scripts, int index, const char *name,
                                 struct err *err) {
  struct buf *json = &scripts->scratch;
  buf_clear(json);
  enum moonkeep_code code =
      value_encode(L, index, name, store_value_limit(scripts->options.store), json, err);
  return !code && json->failed ? err_memory(err) : code;
}

/* Keeps a copy of a table that is the default, as JSON: the script goes on owning the table. */
static enum moonkeep_code copy_default(struct waiter *waiter, struct err *err) {
  struct scripts *scripts = waiter->script->scripts;
  if (waiter->default_json.len > 0) return MOONKEEP_OK;
  enum moonkeep_code code = encode(waiter->L, scripts, DEFAULT, "default", err);
  if (code) return code;
  buf_add(&waiter->default_json, scripts->scratch.data, scripts->scratch.len);
  return waiter->default_json.failed ? err_memory(err) : MOONKEEP_OK;
}

/* Pushes what the update begins with where the key is absent. Refuses what is no value. */
static enum moonkeep_code push_default(lua_State *to, struct waiter *waiter, struct err *err) {
  lua_State *L = waiter->L;
  enum moonkeep_code code = MOONKEEP_OK;
  if (lua_istable(L, DEFAULT)) {
    code = copy_default(waiter, err);
    if (!code)
      store_push(to, waiter->call->bucket, "update", waiter->default_json.data, waiter->default_json.len);
    return code;
  }
  if (!lua_isnil(L, DEFAULT)) code = encode(L, waiter->script->scripts, DEFAULT, "default", err);
  if (code) return code;
  lua_pushvalue(L, DEFAULT);
  if (to != L) lua_xmove(L, to, 1);
  return MOONKEEP_OK;
}

/* The value that the function has returned, which is on top: encoded for the store. */
static void take_value(lua_State *C, struct turn *turn) {
  struct scripts *scripts = turn->waiter->script->scripts;
  turn->verdict = STORE_FAIL;
  if (encode(C, scripts, -1, "value", &turn->err) != MOONKEEP_OK) return;
  const struct buf *json = &scripts->scratch;
  struct value *value = value_new(json->data, json->len, turn->waiter->expires_at_ms);
  if (!value) {
    err_memory(&turn->err);
    return;
  }
  turn->call->value = value;
  turn->verdict = STORE_WRITE;
}

static void judge(lua_State *C, struct turn *turn) {
  if (lib_is_unchanged(C, -1)) {
    turn->verdict = STORE_KEEP;
  } else if (lib_is_absent(C, -1)) {
    turn->verdict = STORE_ERASE;
  } else if (lua_isnil(C, -1)) {
    turn->verdict = STORE_FAIL;
    err_set(&turn->err, MOONKEEP_INVALID_VALUE,
            "the function returned nil for key \"%.200s\" (a forgotten return? return moonkeep.absent to "
            "delete the key, moonkeep.unchanged to leave it)",
            turn->call->key);
  } else {
    take_value(C, turn);
  }
}

/* (turn, value) */
static int function_end(lua_State *C, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  judge(C, lua_touserdata(C, 1));
  return 1;
}

/* (turn): calls the function and returns what it returned. */
static int run_function(lua_State *C) {
  struct turn *turn = lua_touserdata(C, 1);
  struct waiter *waiter = turn->waiter;
  lua_pushvalue(waiter->L, FN);
  lua_xmove(waiter->L, C, 1);
  if (turn->current)
    store_push(C, turn->call->bucket, "update", turn->current->json, turn->current->len);
  else if (push_default(C, waiter, &turn->err) != MOONKEEP_OK)
    return 1; /* the verdict is STORE_FAIL */
  lua_callk(C, 1, 1, 0, function_end);
  return function_end(C, LUA_OK, 0);
}

static int guard_end(lua_State *C, int status, lua_KContext ctx) {
  (void)ctx;
  struct turn *turn = lua_touserdata(C, 1);
  turn->waiter->raised = status != LUA_OK && status != LUA_YIELD;
  return 1;
}

/* (turn): the same, protected, and still to be stopped by a yield. */
static int guard_function(lua_State *C) {
  lua_pushcfunction(C, run_function);
  lua_pushvalue(C, 1);
  return guard_end(C, lua_pcallk(C, 1, 1, 0, 0, guard_end), 0);
}

/* The function was over its budget: its coroutine is not touched again, and its caller will be stopped too.
 */
static void stop(struct waiter *waiter, struct budget_frame *frame) {
  waiter->raised = false;
  waiter->stopped = mem_copy(frame->message, strlen(frame->message));
  budget_frame_deinit(frame);
  script_forget_thread(waiter->script, &waiter->script->closure);
}

static void resume_closure(struct waiter *waiter, struct turn *turn) {
  struct script *script = waiter->script;
  lua_State *C = script->closure;
  int results;
  struct budget_frame frame;
  lua_pushcfunction(C, guard_function);
  lua_pushlightuserdata(C, turn);
  budget_enter(&frame, script, C, true);
  int status = lua_resume(C, NULL, 1, &results);
  budget_leave(&frame);
  if (status == LUA_YIELD) script->host_yield = false;
  if (status == LUA_YIELD && !frame.told) { /* only a state that is not ours lets it come so far */
    lua_settop(C, 0);
    lua_pushliteral(C, "attempt to yield across an update function");
  }
  if (frame.told) {
    stop(waiter, &frame);
    lua_pushnil(waiter->L);
    turn->verdict = STORE_FAIL;
    err_set(&turn->err, MOONKEEP_TIMEOUT, "the function was stopped");
    return;
  }
  if (status != LUA_OK) waiter->raised = true; /* no memory for the little that the guard needs */
  lua_xmove(C, waiter->L, 1);
  if (status != LUA_OK) script_forget_thread(script, &script->closure);
}

/* Runs it, and leaves what it returned, or its error, on the caller's stack. */
static void run_turn(struct turn *turn) {
  struct waiter *waiter = turn->waiter;
  struct script *script = waiter->script;
  bool could_wait = script->can_wait, was_in_update = script->in_update;
  if (!script_need_thread(script, &script->closure)) {
    err_memory(&turn->err);
    return;
  }
  struct provided *provided = script->scripts->options.provided;
  script->can_wait = false;
  script->in_update = true;
  if (provided) ++*provided_in_update(provided);
  waiter->ran = true;
  resume_closure(waiter, turn);
  if (provided) --*provided_in_update(provided);
  script->in_update = was_in_update;
  script->can_wait = could_wait;
  if (!waiter->raised) return;
  turn->verdict = STORE_FAIL;
  err_set(&turn->err, MOONKEEP_INVALID, "the function raised an error");
}

/* store_call.apply */
static enum store_verdict apply(struct store_call *call, const struct value *current) {
  struct turn turn; /* not cleared: the room for an error is large */
  turn.waiter = call->ctx;
  turn.call = call;
  turn.current = current;
  turn.verdict = STORE_FAIL;
  run_turn(&turn); /* cppcheck-suppress ctuuninitvar ; all but the error is set */
  if (turn.verdict == STORE_FAIL && (call->err = mem_alloc(sizeof *call->err))) *call->err = turn.err;
  return turn.verdict;
}

/* ---- the call ---- */

static void fail_for_key(lua_State *L, struct bucket *bucket, const struct err *err) {
  size_t len;
  const char *key = lua_tolstring(L, KEY, &len);
  store_fail(L, bucket, "update", key, len, err);
}

static void push_kept(lua_State *L, struct waiter *waiter) {
  const struct store_call *call = waiter->call;
  struct err err;
  if (call->value)
    store_push(L, call->bucket, "update", call->value->json, call->value->len);
  else if (push_default(L, waiter, &err) != MOONKEEP_OK)
    fail_for_key(L, call->bucket, &err);
}

/* Whether the function's error is the answer. Where the disk has failed what the function saw, that is: then
 * the store has put its own error in the place of ours. */
static bool was_raised(const struct waiter *waiter) {
  return waiter->raised && waiter->call->err->code == MOONKEEP_INVALID;
}

static int update_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  struct waiter *waiter = waiter_of(L);
  if (waiter->stopped) return budget_stop(L, waiter->stopped);
  if (was_raised(waiter)) {
    waiter_drop(waiter);
    lua_settop(L, RESULT);
    return lua_error(L);
  }
  call_answer(L, "update");
  if (lib_is_unchanged(L, RESULT)) {
    push_kept(L, waiter);
  } else if (lib_is_absent(L, RESULT)) {
    lua_pushnil(L);
  } else {
    lua_settop(L, RESULT);
  }
  waiter_drop(waiter);
  return 1;
}

/* What can never be a value is refused at once; the rest is looked at when the default is needed. */
static void check_default(lua_State *L, struct bucket *bucket, const char *key, size_t key_len) {
  struct err err;
  int type = lua_type(L, DEFAULT);
  if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING ||
      type == LUA_TTABLE)
    return;
  if (encode(L, script_of(L)->scripts, DEFAULT, "default", &err) != MOONKEEP_OK)
    store_fail(L, bucket, "update", key, key_len, &err);
}

static void check_function(lua_State *L, struct bucket *bucket, const char *key, size_t key_len) {
  struct err err;
  if (lua_isfunction(L, FN)) return;
  err_set(&err, MOONKEEP_INVALID, "fn is %s, not a function: update(key, fn, default)", lib_a_type(L, FN));
  store_fail(L, bucket, "update", key, key_len, &err);
}

/* While the call waits, what becomes of the table makes no difference. */
static void keep_default(lua_State *L, struct waiter *waiter) {
  struct err err;
  struct bucket *bucket = waiter->call->bucket;
  if (!lua_istable(L, DEFAULT) || copy_default(waiter, &err) == MOONKEEP_OK) return;
  waiter_drop(waiter);
  fail_for_key(L, bucket, &err);
}

static int store_update(lua_State *L) {
  size_t len;
  struct bucket *bucket = store_check(L, "update");
  call_await_room(L);
  lua_settop(L, OPTIONS);
  luaL_checkstack(L, 8, NULL); /* also for what the function's turn puts there */
  const char *key = store_check_key_at(L, KEY, bucket, "update", &len);
  check_function(L, bucket, key, len);
  int64_t expires_at_ms = store_check_options(L, OPTIONS, bucket, "update", KEY);
  check_default(L, bucket, key, len);
  struct store_call *call = call_begin(L, STORE_UPDATE, bucket, key, len);
  struct waiter *waiter = waiter_of(L);
  waiter->expires_at_ms = expires_at_ms;
  call->apply = apply;
  call->keep_expiry = expires_at_ms == 0;
  if (call_submit(L)) return update_end(L, LUA_OK, 0);
  if (!waiter->ran) keep_default(L, waiter);
  return call_wait(L, update_end);
}

void lib_add_update(lua_State *L) {
  lua_pushcfunction(L, store_update);
  lua_setfield(L, -2, "update");
}
