/* The time.
 *
 *   os.time([table])           as in Lua; without a table, now by the host's clock
 *   os.date([format [, time]]) as in Lua; without a time, now by the host's clock. A format over 4 KiB is
 *                              refused: it would take long
 *   os.clock() os.difftime(a, b)  as in Lua
 *
 * Trusted scripts have the rest of Lua's os, too.
 */
#include <lauxlib.h>
#include <lualib.h>

#include "script/lib.h"

enum { FORMAT_BYTES = 4096 };

static lua_Integer now(lua_State *L) {
  int64_t ms = clock_wall_ms(script_of(L)->scripts->options.clock);
  return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

/* Calls Lua's function, which is upvalue 1, with all arguments. */
static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int os_time(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) return call_original(L);
  lua_pushinteger(L, now(L));
  return 1;
}

static int os_date(lua_State *L) {
  size_t len = 0;
  lua_settop(L, 2);
  luaL_optlstring(L, 1, "", &len);
  luaL_argcheck(L, len <= FORMAT_BYTES, 1, "the format is longer than 4 KiB");
  if (lua_isnil(L, 1)) {
    lua_pushliteral(L, "%c");
    lua_replace(L, 1);
  }
  if (lua_isnil(L, 2)) {
    lua_pushinteger(L, now(L));
    lua_replace(L, 2);
  }
  return call_original(L);
}

void lib_open_os(lua_State *L) {
  lua_pushcfunction(L, luaopen_os);
  lua_call(L, 0, 1);
  if (lib_trusts(L))
    lua_pushvalue(L, -1);
  else
    lua_createtable(L, 0, 4);
  lib_copy(L, "time", os_time);
  lib_copy(L, "date", os_date);
  lib_copy(L, "clock", NULL);
  lib_copy(L, "difftime", NULL);
  lua_setglobal(L, "os");
  lua_pop(L, 1);
}
