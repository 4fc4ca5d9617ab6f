/* require "moonkeep"
 *
 *   moonkeep.array([table])  marks a table as an array, so that it stays one when it is empty; returns it
 *   moonkeep.null            JSON's null, the same as cjson.null
 *   moonkeep.unchanged       what an update function returns to leave the value as it is
 *   moonkeep.absent          what an update function returns to delete the key
 *   moonkeep.version         such as "1.2.0"
 */
#include <lauxlib.h>

#include "script/lib.h"
#include "script/value.h"

static const char unchanged_key, absent_key; /* where the registry has them */

static int moonkeep_array(lua_State *L) {
  if (lua_isnone(L, 1)) lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1) && !value_is_marked(L, 1))
    return luaL_argerror(L, 1, "the table has a metatable of its own, and the mark is one too");
  lua_settop(L, 1);
  value_mark_array(L, 1);
  return 1;
}

static int word_tostring(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* Sets the field `name` of the table on top to a value that is equal to nothing but itself. */
static void add_word(lua_State *L, const char *name, const void *key) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushfstring(L, "moonkeep.%s", name);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, word_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_setfield(L, -2, name);
}

static bool is_word(lua_State *L, int index, const void *key) {
  if (lua_type(L, index) != LUA_TUSERDATA) return false;
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  bool same = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return same;
}

bool lib_is_unchanged(lua_State *L, int index) {
  return is_word(L, index, &unchanged_key);
}

bool lib_is_absent(lua_State *L, int index) {
  return is_word(L, index, &absent_key);
}

void lib_push_moonkeep(lua_State *L) {
  lua_createtable(L, 0, 6);
  lua_pushcfunction(L, moonkeep_array);
  lua_setfield(L, -2, "array");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  add_word(L, "unchanged", &unchanged_key);
  add_word(L, "absent", &absent_key);
  lua_pushliteral(L, MOONKEEP_VERSION);
  lua_setfield(L, -2, "version");
}

void lib_open_moonkeep(lua_State *L) {
  lib_push_moonkeep(L);
  lib_seal(L, "moonkeep", NULL);
  lib_provide(L, "moonkeep");
}
