#include "script/value.h"

static const char mark_key; /* its address is the mark's key in the registry */

void value_open(lua_State *L) {
  lua_createtable(L, 0, 1);
  /* Keeps scripts from reaching the mark: a __gc put there would be called for every array that is read. */
  lua_pushliteral(L, "moonkeep.array");
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_key);
}

void value_mark_array(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_key);
  lua_setmetatable(L, index);
}

int value_is_marked(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_key);
  int marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return marked;
}
