#include "script/foreign.h"

#include <lauxlib.h>
#include <string.h>

#include "script/fault.h"
#include "script/lib.h"
#include "script/lib_store.h"
#include "script/module.h"
#include "script/value.h"

static const char script_key,
    helper_key; /* where the registry has the script, and a thread for its own calls */

struct script *foreign_find(lua_State *L) {
  if (!lua_checkstack(L, 1)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &script_key);
  struct script *script = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return script;
}

/* ---- what stands for a script ---- */

static int script_gc(lua_State *L) {
  struct script *script = lua_touserdata(L, 1);
  waiter_drop(&script->waiter);
  return 0;
}

/* ---- the class of stores, which can do more here ---- */

/* (store, key); upvalue: the methods */
static int handle_index(lua_State *L) {
  lua_settop(L, 2);
  const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (store_handle(L, 1) && strcmp(word, "dataStore") == 0) {
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, -1, 1);
  } else {
    lua_gettable(L, lua_upvalueindex(1));
  }
  return 1;
}

/* (store, name) */
static int store_store(lua_State *L) {
  store_check(L, "store");
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 1);
  lua_getiuservalue(L, -1, 1);
  lua_pushvalue(L, 2);
  lua_gettable(L, -2);
  return 1;
}

/* Closing one store of a folder closes the folder, so only that which open gave does it. */
static bool is_first(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  lua_getiuservalue(L, -1, 2);
  bool first = lua_touserdata(L, -1) == lua_touserdata(L, 1);
  lua_pop(L, 2);
  return first;
}

/* Twice is fine. */
static int store_close_(lua_State *L) {
  struct handle *handle = store_handle(L, 1);
  if (!handle) return fault(L, MOONKEEP_INVALID, "call close with a colon: store:close()");
  if (!handle->anchor->scripts) return 0;
  if (script_of(L)->in_update || script_of(L)->waiter.in_transaction)
    return fault(L, MOONKEEP_NESTED, "%s:close: inside an update function or a transaction",
                 bucket_name(handle->bucket));
  if (!is_first(L))
    return fault(L, MOONKEEP_INVALID, "%s:close: close the store that moonkeep.open gave: it has the folder",
                 bucket_name(handle->bucket));
  module_close(L, handle->anchor);
  return 0;
}

static int handle_close(lua_State *L) {
  struct handle *handle = store_handle(L, 1);
  if (handle && is_first(L)) module_close(L, handle->anchor);
  return 0;
}

static void add_class(lua_State *L) {
  static const luaL_Reg more[] = {{"store", store_store}, {"close", store_close_}, {NULL, NULL}};
  store_add_class(L);
  luaL_setfuncs(L, more, 0);
  luaL_getmetatable(L, STORE_CLASS);
  lua_insert(L, -2);
  lua_pushcclosure(L, handle_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, handle_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}

void foreign_bind(lua_State *L) {
  if (foreign_find(L)) return;
  luaL_checkstack(L, 8, NULL);
  fault_open(L);
  value_open(L);
  add_class(L);
  struct script *script = lua_newuserdatauv(L, sizeof *script, 0);
  memset(script, 0, sizeof *script);
  script_init(script);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, script_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  script->L = lua_newthread(L); /* its stack is always free, whoever runs */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &helper_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &script_key);
}

void foreign_push_store(lua_State *L, int anchor) {
  store_push_names(L, anchor);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, anchor, 1);
  lua_getfield(L, -1, "appData");
  lua_remove(L, -2);
  lua_pushlightuserdata(L, lua_touserdata(L, -1));
  lua_setiuservalue(L, anchor, 2);
}
