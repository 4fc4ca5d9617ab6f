/* Lua's own globals, less what reaches outside the script; where scripts are trusted, all of them.
 *
 *   assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen rawset select tonumber tostring
 *   type _G _VERSION             as in Lua
 *   xpcall                       its handler does not get the error of a script that is being stopped
 *   load(chunk, name, mode, env) text only
 *   setmetatable(t, mt)          refuses __gc: it would run outside any task
 *   collectgarbage("count")      nothing else
 *   string, table                lib_string.c, lib_table.c
 *   math, utf8                   as in Lua
 *   debug, io, package, dofile, loadfile, warn   only for the trusted, and then the rest is Lua's own, too,
 * but for xpcall and what answers to the CPU budget
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "script/budget.h"
#include "script/lib.h"
#include "script/load.h"

static int base_setmetatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  if (type == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "setmetatable: scripts cannot have __gc");
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

/* upvalue: the script's handler. Lua calls handlers of errors in hooks with hooks off, so that nothing could
 * stop this one any more. */
static int handle_error(lua_State *L) {
  if (budget_is_over(L)) return 1;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* (function, handler, true, results …) */
static int xpcall_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

static int base_xpcall(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, handle_error, 1);
  lua_replace(L, 2);
  int args = lua_gettop(L) - 2;
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* function, handler, true, function, arguments */
  return xpcall_end(L, lua_pcallk(L, args, LUA_MULTRET, 2, 0, xpcall_end), 0);
}

/* (chunk, name, mode, env) */
static int base_load(lua_State *L) {
  bool env = !lua_isnone(L, 4);
  luaL_optstring(L, 3, "bt");
  lua_settop(L, 4);
  size_t len;
  const char *text = lua_tolstring(L, 1, &len);
  const char *name = luaL_optstring(L, 2, text ? text : "=(load)");
  if (!text) luaL_checktype(L, 1, LUA_TFUNCTION);
  int status = text ? load_text(L, text, len, name) : load_function(L, 1, name);
  if (status != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (!env) return 1;
  lua_pushvalue(L, 4);
  if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  return 1;
}

static int base_collectgarbage(lua_State *L) {
  const char *what = luaL_optstring(L, 1, "collect");
  if (strcmp(what, "count") != 0)
    return luaL_error(L, "collectgarbage: the host looks after memory; scripts may only ask for \"count\"");
  lua_pushnumber(L, (lua_Number)script_of(L)->bytes / 1024);
  return 1;
}

/* Of the table on top. */
static void take_away(lua_State *L) {
  static const char *const gone[] = {"dofile", "loadfile", "warn"};
  for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
    lua_pushnil(L);
    lua_setfield(L, -2, gone[i]);
  }
  lua_pushcfunction(L, base_load);
  lua_setfield(L, -2, "load");
  lua_pushcfunction(L, base_setmetatable);
  lua_setfield(L, -2, "setmetatable");
  lua_pushcfunction(L, base_collectgarbage);
  lua_setfield(L, -2, "collectgarbage");
}

static void open_globals(lua_State *L) {
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  if (!lib_trusts(L)) take_away(L);
  lua_pushcfunction(L, base_xpcall);
  lua_setfield(L, -2, "xpcall");
  lua_pop(L, 1);
}

static void open_for_trusted(lua_State *L) {
  luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 1);
  luaL_requiref(L, LUA_DBLIBNAME, luaopen_debug, 1);
  luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
  lua_pop(L, 3);
}

void lib_open_base(lua_State *L) {
  open_globals(L);
  if (lib_trusts(L)) open_for_trusted(L);
  lib_open_string(L);
  lib_open_table(L);
  luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
  luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
  lua_pop(L,
          2); /* requiref's own table of modules stays, for the names in tracebacks; scripts have another */
}
