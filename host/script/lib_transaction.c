/* store:transaction(fn)
 *
 *   tx:get(key [, default])                      as a store's, and so are the next three; they see what the
 *   tx:set(key, value [, options])               transaction itself has changed
 *   tx:update(key, fn, default [, options])
 *   tx:delete(key)
 *   tx:store(name)                               the same for another store; tx is that of the call
 *
 * fn(tx) reads the newest values and writes into the transaction. When it has returned, the store compares
 * what was read with what is there, and writes all in one piece or nothing; then fn runs again, on what is
 * there now. What fn returns is returned. When it raises, nothing is written; the error goes on once what it
 * rests on has held.
 */
#include <lauxlib.h>
#include <string.h>

#include "script/budget.h"
#include "script/call.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/lib_store.h"
#include "script/task.h"
#include "script/tx.h"
#include "script/value.h"

#define TRY  "moonkeep.try"
#define VIEW "moonkeep.tx"

struct run { /* one run of the function; a userdata */
  struct tx tx;
  struct waiter *waiter; /* whose transaction it is; NULL: it has ended */
  unsigned number;       /* from 1 */
};

struct view { /* what the function gets; its user value is the try */
  struct run *run;
  struct bucket *bucket;
};

/* ---- checks ---- */

static struct view *check_view(lua_State *L, const char *method) {
  struct view *view = luaL_testudata(L, 1, VIEW);
  if (!view) {
    fault(L, MOONKEEP_INVALID, "call %s with a colon: tx:%s(…)", method, method);
    return NULL; /* not reached */
  }
  if (!view->run->waiter) fault(L, MOONKEEP_INVALID, "tx:%s: the transaction has ended", method);
  if (view->run->waiter != waiter_of(L))
    fault(L, MOONKEEP_INVALID, "tx:%s: the transaction belongs to another task", method);
  if (script_of(L)->in_update) fault(L, MOONKEEP_NESTED, "tx:%s: inside an update function", method);
  return view;
}

static struct tx_row *need_row(lua_State *L, const struct view *view, const char *key, size_t len) {
  struct tx_row *row = tx_find(&view->run->tx, view->bucket, key, len);
  if (!row) row = tx_add(&view->run->tx, view->bucket, key, len);
  if (!row) fault(L, MOONKEEP_MEMORY, "tx: out of memory");
  return row;
}

/* ---- reading ---- */

/* The functions below have (tx, key, …) on their stack, and go on with one of these when the key's row is
 * there. */
static int go_on(lua_State *L, const struct view *view, struct tx_row *row, int which);

static void note_read(struct tx_row *row, const struct value *value) {
  tx_read(row, value_ref((struct value *)value));
}

static int load_end(lua_State *L, int status, lua_KContext which) {
  (void)status;
  size_t len;
  const struct view *view = lua_touserdata(L, 1);
  const char *key = lua_tolstring(L, 2, &len);
  const struct store_call *call = call_answer(L, "transaction");
  struct tx_row *row = need_row(L, view, key, len);
  const struct value *value;
  if (!store_newest(script_of(L)->scripts->options.store, view->bucket, key, len, &value))
    value = call->value;
  note_read(row, value);
  waiter_drop(waiter_of(L));
  return go_on(L, view, row, (int)which);
}

static int with_row(lua_State *L, const char *method, int which) {
  size_t len;
  struct view *view = check_view(L, method);
  const char *key = store_check_key_at(L, 2, view->bucket, method, &len);
  struct tx_row *row = tx_find(&view->run->tx, view->bucket, key, len);
  if (row && (row->read || row->written)) return go_on(L, view, row, which);
  const struct value *value;
  if (store_newest(script_of(L)->scripts->options.store, view->bucket, key, len, &value)) {
    call_without_room(L);
    row = need_row(L, view, key, len);
    note_read(row, value);
    return go_on(L, view, row, which);
  }
  call_await_room(L);
  call_begin(L, STORE_GET, view->bucket, key, len);
  if (call_submit(L)) return load_end(L, LUA_OK, which);
  return call_wait_with(L, load_end, which);
}

/* What the row holds at this moment of the transaction. */
static const struct value *value_of(lua_State *L, const struct tx_row *row) {
  return tx_value(row, store_now_ms(script_of(L)->scripts->options.store));
}

/* ---- get and delete ---- */

static void push_value(lua_State *L, const struct view *view, const char *method, const struct value *value) {
  store_push(L, view->bucket, method, value->json, value->len);
}

static int get_next(lua_State *L, const struct view *view, struct tx_row *row) {
  const struct value *value = value_of(L, row);
  if (value)
    push_value(L, view, "get", value);
  else
    lua_pushvalue(L, 3);
  return 1;
}

static int delete_next(lua_State *L, const struct view *view, struct tx_row *row) {
  (void)view;
  lua_pushboolean(L, value_of(L, row) != NULL);
  tx_write(row, NULL);
  return 1;
}

/* ---- set and update ---- */

/* Writes the value at index. */
static void write_at(lua_State *L, const struct view *view, struct tx_row *row, const char *method, int index,
                     int64_t expires_at_ms) {
  struct scripts *scripts = script_of(L)->scripts;
  struct buf *json = &scripts->scratch;
  struct err err;
  buf_clear(json);
  enum moonkeep_code code =
      value_encode(L, index, "value", store_value_limit(scripts->options.store), json, &err);
  if (!code && json->failed) code = err_memory(&err);
  struct value *value = code ? NULL : value_new(json->data, json->len, expires_at_ms);
  if (!code && !value) code = err_memory(&err);
  if (code)
    store_fail(L, view->bucket, method, row->key, row->key_len, &err);
  else
    tx_write(row, value);
}

static int update_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  struct tx_row *row = (struct tx_row *)ctx;
  const struct view *view = check_view(L, "update");
  const struct value *current = value_of(L, row);
  int64_t expires_at_ms = store_check_options(L, 5, view->bucket, "update", 2);
  if (lua_isnil(L, 6))
    return fault(L, MOONKEEP_INVALID_VALUE,
                 "tx:update: the function returned nil for key \"%.200s\" (a forgotten return? return "
                 "moonkeep.absent to delete the key, moonkeep.unchanged to leave it)",
                 row->key);
  if (lib_is_unchanged(L, 6)) {
    if (current)
      push_value(L, view, "update", current);
    else
      lua_pushvalue(L, 4);
    return 1;
  }
  if (lib_is_absent(L, 6)) {
    tx_write(row, NULL);
    lua_pushnil(L);
    return 1;
  }
  write_at(L, view, row, "update", 6, expires_at_ms || !current ? expires_at_ms : current->expires_at_ms);
  return 1;
}

/* The default, which is copied where it is a table: the function must not change the caller's. */
static void push_default(lua_State *L, const struct view *view) {
  struct scripts *scripts = script_of(L)->scripts;
  struct buf *json = &scripts->scratch;
  struct err err;
  if (!lua_istable(L, 4)) {
    lua_pushvalue(L, 4);
    return;
  }
  buf_clear(json);
  enum moonkeep_code code =
      value_encode(L, 4, "default", store_value_limit(scripts->options.store), json, &err);
  if (!code && json->failed) code = err_memory(&err);
  if (code) store_fail(L, view->bucket, "update", NULL, 0, &err);
  size_t len = json->len;
  const char *text =
      lua_pushlstring(L, json->data, len); /* decoding may run the collector, and that other code */
  store_push(L, view->bucket, "update", text, len);
  lua_remove(L, -2);
}

static int update_next(lua_State *L, const struct view *view, struct tx_row *row) {
  const struct value *current = value_of(L, row);
  lua_pushvalue(L, 3);
  if (current)
    push_value(L, view, "update", current);
  else
    push_default(L, view);
  lua_callk(L, 1, 1, (lua_KContext)row, update_end);
  return update_end(L, LUA_OK, (lua_KContext)row);
}

enum { GET, DELETE, UPDATE };

static int go_on(lua_State *L, const struct view *view, struct tx_row *row, int which) {
  static int (*const next[])(lua_State *, const struct view *, struct tx_row *) = {get_next, delete_next,
                                                                                   update_next};
  return next[which](L, view, row);
}

static int tx_get(lua_State *L) {
  lua_settop(L, 3);
  return with_row(L, "get", GET);
}

static int tx_delete(lua_State *L) {
  lua_settop(L, 2);
  return with_row(L, "delete", DELETE);
}

static int tx_update(lua_State *L) {
  lua_settop(L, 5);
  const struct view *view = check_view(L, "update");
  if (!lua_isfunction(L, 3))
    return fault(L, MOONKEEP_INVALID, "tx:update: fn is a %s, not a function: update(key, fn, default)",
                 luaL_typename(L, 3));
  store_check_options(L, 5, view->bucket, "update", 2);
  return with_row(L, "update", UPDATE);
}

static int tx_set(lua_State *L) {
  size_t len;
  const struct view *view = check_view(L, "set");
  lua_settop(L, 4);
  const char *key = store_check_key_at(L, 2, view->bucket, "set", &len);
  int64_t expires_at_ms = store_check_options(L, 4, view->bucket, "set", 2);
  write_at(L, view, need_row(L, view, key, len), "set", 3, expires_at_ms);
  return 0;
}

/* ---- the function's turn ---- */

/* Pushes what the function gets for this store; `at` is the try's index. */
static void push_view(lua_State *L, int at, struct bucket *bucket) {
  struct run *run = lua_touserdata(L, at);
  lua_pushvalue(L, at);
  struct view *view = lua_newuserdatauv(L, sizeof *view, 1);
  *view = (struct view){run, bucket};
  luaL_setmetatable(L, VIEW);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
}

static int tx_store(lua_State *L) {
  struct err err;
  struct bucket *bucket;
  check_view(L, "store");
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TSTRING)
    return fault(L, MOONKEEP_INVALID_KEY, "tx:store: a store's name is a string, not a %s",
                 luaL_typename(L, 2));
  if (store_bucket(script_of(L)->scripts->options.store, lua_tostring(L, 2), &bucket, &err))
    return fault_raise(L, &err);
  lua_getiuservalue(L, 1, 1);
  push_view(L, 3, bucket);
  return 1;
}

static int run_gc(lua_State *L) {
  struct run *run = lua_touserdata(L, 1);
  tx_deinit(&run->tx);
  return 0;
}

enum { STORE_AT = 1, FN_AT, TRY_AT, RESULTS_AT }; /* the stack of store:transaction */

static int attempt(lua_State *L, unsigned number);

static int commit_end(lua_State *L, int status, lua_KContext raised) {
  (void)status;
  const struct run *run = lua_touserdata(L, TRY_AT);
  const struct store_call *call = call_answer(L, "transaction");
  bool done = call->found || call->row_count == 0;
  struct bucket *bucket = call->bucket;
  waiter_drop(waiter_of(L));
  if (done && raised) return lua_error(L);
  if (done) return lua_gettop(L) - TRY_AT;
  if (run->number < TX_TRIES) return attempt(L, run->number + 1);
  return fault(L, MOONKEEP_CONFLICT,
               "%s:transaction: what it had read was changed by others, %d times over; nothing was written",
               bucket_name(bucket), TX_TRIES);
}

static int function_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  struct run *run = lua_touserdata(L, TRY_AT);
  const struct handle *handle = store_handle(L, STORE_AT);
  bool raised = status != LUA_OK && status != LUA_YIELD;
  run->waiter->in_transaction = NULL;
  run->waiter = NULL;
  waiter_of(L)->admitted = false;
  struct store_call *call = call_begin(L, STORE_COMMIT, handle->bucket, NULL, 0);
  if (!tx_fill(&run->tx, call, !raised)) return fault(L, MOONKEEP_MEMORY, "transaction: out of memory");
  if (call_submit(L)) return commit_end(L, LUA_OK, raised);
  return call_wait_with(L, commit_end, raised);
}

/* The function may not yield to whoever resumes the script's coroutine: nobody might ever come back to end
 * the transaction. Our own coroutine.yield sees to that; in a state that is not ours C's stack does. */
static int attempt(lua_State *L, unsigned number) {
  lua_settop(L, FN_AT);
  struct run *run = lua_newuserdatauv(L, sizeof *run, 0);
  *run = (struct run){.number = number};
  tx_init(&run->tx);
  luaL_setmetatable(L, TRY);
  lua_pushvalue(L, FN_AT);
  push_view(L, TRY_AT, store_handle(L, STORE_AT)->bucket);
  run->waiter = waiter_of(L);
  run->waiter->in_transaction = L;
  if (!script_owns(L) && !task_can_wait(L)) return function_end(L, lua_pcall(L, 1, LUA_MULTRET, 0), 0);
  return function_end(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, function_end), 0);
}

static int store_transaction(lua_State *L) {
  struct bucket *bucket = store_check(L, "transaction");
  call_await_room(L);
  lua_settop(L, FN_AT);
  luaL_checkstack(L, 8, NULL);
  if (!lua_isfunction(L, FN_AT))
    return fault(L, MOONKEEP_INVALID,
                 "%s:transaction: fn is a %s, not a function: transaction(function(tx) … end)",
                 bucket_name(bucket), luaL_typename(L, FN_AT));
  return attempt(L, 1);
}

/* (methods, key) */
static int no_method(lua_State *L) {
  const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  return luaL_error(L, "a transaction has no method \"%s\"%s", word, lib_guess(L, 1, word));
}

static void add_view_class(lua_State *L) {
  static const luaL_Reg methods[] = {{"get", tx_get},       {"set", tx_set},     {"update", tx_update},
                                     {"delete", tx_delete}, {"store", tx_store}, {NULL, NULL}};
  luaL_newmetatable(L, VIEW);
  luaL_newlib(L, methods);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, no_method);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void lib_add_transaction(lua_State *L) {
  luaL_newmetatable(L, TRY);
  lua_pushcfunction(L, run_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  add_view_class(L);
  lua_pushcfunction(L, store_transaction);
  lua_setfield(L, -2, "transaction");
}
