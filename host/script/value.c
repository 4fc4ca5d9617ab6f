#include "script/value.h"

static const char mark_key; /* its address is the mark's key in the registry, and what the mark has at [1] */

void value_open(lua_State *L) {
  lua_createtable(L, 1, 1);
  lua_pushlightuserdata(L, (void *)&mark_key);
  lua_rawseti(L, -2, 1);
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

/* The mark is known by what only it has: to find it in the registry would take three times as long. */
int value_is_marked(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return 0;
  lua_rawgeti(L, -1, 1);
  int marked = lua_touserdata(L, -1) == &mark_key;
  lua_pop(L, 2);
  return marked;
}
