/* Stores: rootServer.dataStore.NAME, and the global appData.
 *
 *   store:get(key [, default])    the value, or default
 *   store:delete(key)             true if the key was there
 *   store:deleteLike(pattern)     how many went
 *   store:set(…)                  lib_set.c
 *   store:update(…)               lib_update.c
 *   store:transaction(fn)         lib_transaction.c
 *   store:select, selectValue, keys, count, each(pattern …)   lib_scan.c
 *   rootServer.lifecycle.start(onStarting, onStopping)        lib_on.c
 *
 * In a task each of them waits; elsewhere it blocks. Errors are objects: fault.h.
 */
#include "script/lib_store.h"

#include <lauxlib.h>
#include <string.h>

#include "script/call.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/task.h"
#include "script/value.h"

static const char handle_mark; /* only a handle points to it: scripts make no userdata of their own */

/* ---- checks ---- */

/* Comparing metatables by their name would cost more than the rest of a get. */
struct handle *store_handle(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct handle)) return NULL;
  struct handle *handle = lua_touserdata(L, index);
  return handle->mark == &handle_mark ? handle : NULL;
}

static const char *name_of(const struct handle *handle) {
  return handle->anchor && !handle->anchor->scripts ? "store" : bucket_name(handle->bucket);
}

void store_enter(lua_State *L, struct anchor *anchor, const char *name, const char *method) {
  struct script *script = script_of(L);
  if (anchor && !anchor->scripts) fault(L, MOONKEEP_CLOSED, "%s:%s: the store has been closed", name, method);
  if (script->in_update)
    fault(L, MOONKEEP_NESTED,
          "%s:%s: a store call inside an update function; read what it needs before update, write what "
          "follows from it after",
          name, method);
  if (waiter_of(L)->in_transaction)
    fault(L, MOONKEEP_NESTED,
          "%s:%s: a store call inside a transaction, which may run again: use its tx (for another store "
          "tx:store(\"name\"))",
          name, method);
  if (!anchor) return;
  script->scripts = anchor->scripts;
  const struct scripts_options *options = &script->scripts->options;
  struct err err, named;
  if (!options->enter || options->enter(options->ctx, task_can_wait(L), &err) == MOONKEEP_OK) return;
  err_set(&named, err.code, "%s:%s: %s", name, method, err.message);
  fault_raise(L, &named);
}

struct bucket *store_check(lua_State *L, const char *method) {
  struct handle *handle = store_handle(L, 1);
  if (!handle) {
    fault(L, MOONKEEP_INVALID, "call %s with a colon: appData:%s(…)", method, method);
    return NULL; /* not reached */
  }
  store_enter(L, handle->anchor, name_of(handle), method);
  return handle->bucket;
}

int store_fail(lua_State *L, struct bucket *bucket, const char *method, const char *key, size_t key_len,
               const struct err *err) {
  struct err named;
  err_key(&named, err->code, key ? key : "", key_len, "%s:%s: %s", bucket_name(bucket), method, err->message);
  return fault_raise(L, &named);
}

static const char *what(char out[96], struct bucket *bucket, const char *method) {
  const char *name = bucket_name(bucket);
  size_t len = strlen(name);
  memcpy(out, name, len);
  out[len] = ':';
  strcpy(out + len + 1, method);
  return out;
}

const char *store_check_key_at(lua_State *L, int index, struct bucket *bucket, const char *method,
                               size_t *len) {
  char begin[96];
  struct err err;
  if (lua_type(L, index) != LUA_TSTRING)
    fault(L, MOONKEEP_INVALID_KEY, "%s: the key is %s, not a string%s", what(begin, bucket, method),
          lib_a_type(L, index), lua_type(L, index) == LUA_TNUMBER ? " (use tostring)" : "");
  const char *key = lua_tolstring(L, index, len);
  if (store_check_key("", key, *len, NULL) == MOONKEEP_OK) return key;
  store_check_key(what(begin, bucket, method), key, *len, &err);
  fault_raise(L, &err);
  return NULL;
}

const char *store_check_pattern_at(lua_State *L, int index, struct bucket *bucket, const char *method,
                                   size_t *len) {
  char begin[96];
  struct err err;
  if (lua_type(L, index) != LUA_TSTRING)
    fault(L, MOONKEEP_INVALID_PATTERN, "%s: the pattern is %s, not a string", what(begin, bucket, method),
          lib_a_type(L, index));
  const char *pattern = lua_tolstring(L, index, len);
  if (store_check_pattern(what(begin, bucket, method), pattern, *len, &err) != MOONKEEP_OK)
    fault_raise(L, &err);
  return pattern;
}

void store_push(lua_State *L, struct bucket *bucket, const char *method, const char *json, size_t len) {
  struct err err;
  if (value_push(L, json, len, &err) == MOONKEEP_OK) return;
  store_fail(L, bucket, method, NULL, 0, &err);
}

/* ---- get, delete, deleteLike ---- */

/* (store, key, default): pushes what get returns. */
static int push_got(lua_State *L, struct bucket *bucket, const struct value *value) {
  if (!value)
    lua_pushvalue(L, 3);
  else
    store_push(L, bucket, "get", value->json, value->len);
  return 1;
}

static int get_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const struct store_call *call = call_answer(L, "get");
  push_got(L, call->bucket, call->value);
  waiter_drop(waiter_of(L));
  return 1;
}

static int store_get(lua_State *L) {
  size_t len;
  const struct value *value;
  struct bucket *bucket = store_check(L, "get");
  lua_settop(L, 3);
  const char *key = store_check_key_at(L, 2, bucket, "get", &len);
  if (store_peek(script_of(L)->scripts->options.store, bucket, key, len, &value)) {
    call_without_room(L);
    return push_got(L, bucket, value);
  }
  call_await_room(L);
  call_begin(L, STORE_GET, bucket, key, len);
  return call_run(L, get_end);
}

static int delete_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_pushboolean(L, call_answer(L, "delete")->found);
  waiter_drop(waiter_of(L));
  return 1;
}

static int store_delete(lua_State *L) {
  size_t len;
  struct bucket *bucket = store_check(L, "delete");
  call_await_room(L);
  const char *key = store_check_key_at(L, 2, bucket, "delete", &len);
  call_begin(L, STORE_DELETE, bucket, key, len);
  return call_run(L, delete_end);
}

static int delete_like_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_pushinteger(L, (lua_Integer)call_answer(L, "deleteLike")->count);
  waiter_drop(waiter_of(L));
  return 1;
}

static int store_deleteLike(lua_State *L) {
  size_t len;
  struct bucket *bucket = store_check(L, "deleteLike");
  call_await_room(L);
  const char *pattern = store_check_pattern_at(L, 2, bucket, "deleteLike", &len);
  struct store_call *call = call_begin(L, STORE_DELETE_LIKE, bucket, NULL, 0);
  if (!store_call_pattern(call, pattern, len)) return fault(L, MOONKEEP_MEMORY, "out of memory");
  return call_run(L, delete_like_end);
}

/* ---- the userdata ---- */

/* (methods, key): what a store does not have. */
static int no_method(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "a store has methods, no values: use store:get(key)");
  const char *word = lua_tostring(L, 2);
  return luaL_error(L, "a store has no method \"%s\"%s", word, lib_guess(L, 1, word));
}

static int handle_newindex(lua_State *L) {
  const char *name = name_of(luaL_checkudata(L, 1, STORE_CLASS));
  return luaL_error(L, "%s keeps nothing that is assigned to it: use %s:set(key, value)", name, name);
}

/* rootServer.dataStore:get(key), where `get` is taken for the name of a store. */
static int handle_call(lua_State *L) {
  const char *name = name_of(luaL_checkudata(L, 1, STORE_CLASS));
  return luaL_error(
      L, "\"%s\" is a store and no function; a call is like rootServer.dataStore.appData:get(key)", name);
}

static int handle_tostring(lua_State *L) {
  const struct handle *handle = luaL_checkudata(L, 1, STORE_CLASS);
  bool closed = handle->anchor && !handle->anchor->scripts;
  lua_pushfstring(L, "store %s", closed ? "(closed)" : bucket_name(handle->bucket));
  return 1;
}

static const luaL_Reg methods[] = {
    {"get", store_get}, {"delete", store_delete}, {"deleteLike", store_deleteLike}, {NULL, NULL}};

void store_add_class(lua_State *L) {
  luaL_newmetatable(L, STORE_CLASS);
  luaL_newlib(L, methods);
  lib_add_set(L);
  lib_add_update(L);
  lib_add_scan(L);
  lib_add_transaction(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, no_method);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_insert(L, -2);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, handle_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, handle_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, handle_call);
  lua_setfield(L, -2, "__call");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

/* ---- rootServer.dataStore ---- */

static struct bucket *check_bucket(lua_State *L) {
  size_t len;
  struct err err;
  struct bucket *bucket;
  if (lua_type(L, 2) != LUA_TSTRING)
    fault(L, MOONKEEP_INVALID_KEY, "rootServer.dataStore: a store's name is a string, not a %s",
          luaL_typename(L, 2));
  const char *name = lua_tolstring(L, 2, &len);
  if (strlen(name) != len)
    err_key(&err, MOONKEEP_INVALID_KEY, name, len, "rootServer.dataStore: the store's name contains a NUL");
  else if (store_bucket(script_of(L)->scripts->options.store, name, &bucket, &err) == MOONKEEP_OK)
    return bucket;
  struct err named;
  err_key(&named, err.code, name, strlen(name), "%s", err.message);
  fault_raise(L, &named);
  return NULL;
}

/* upvalues: the stores that were asked for, the anchor or nil */
static int dataStore_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  struct anchor *anchor = lua_touserdata(L, lua_upvalueindex(2));
  if (anchor) store_enter(L, anchor, "dataStore", "store");
  struct bucket *bucket = check_bucket(L);
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, anchor ? 1 : 0);
  *handle = (struct handle){&handle_mark, bucket, anchor};
  luaL_setmetatable(L, STORE_CLASS);
  if (anchor) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setiuservalue(L, -2, 1);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
  return 1;
}

static int dataStore_newindex(lua_State *L) {
  return luaL_error(L,
                    "rootServer.dataStore cannot be changed: a store comes into being when it is written to");
}

void store_push_names(lua_State *L, int anchor) {
  lua_newtable(L);
  lua_createtable(L, 0, 3);
  lua_newtable(L);
  if (anchor)
    lua_pushvalue(L, anchor);
  else
    lua_pushnil(L);
  lua_pushcclosure(L, dataStore_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, dataStore_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void lib_open_store(lua_State *L) {
  store_add_class(L);
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  store_push_names(L, 0);
  lua_getfield(L, -1, "appData");
  lua_setglobal(L, "appData");
  lua_setfield(L, -2, "dataStore");
  lib_push_lifecycle(L);
  lua_setfield(L, -2, "lifecycle");
  lib_seal(L, "rootServer", NULL);
  lua_setglobal(L, "rootServer");
}
