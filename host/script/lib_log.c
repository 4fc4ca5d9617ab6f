/* The script's log.
 *
 *   bot.log.debug(…) bot.log.info(…) bot.log.warn(…) bot.log.error(…)
 *   print(…)          the same as bot.log.info
 *
 * The values are written as print writes them, with tabs between. Too many lines are left out: bounds.h.
 */
#include <lauxlib.h>

#include "script/lib.h"

const char *lib_line(lua_State *L, const char *end) {
  int count = lua_gettop(L);
  luaL_Buffer line;
  luaL_checkstack(L, 8, NULL);
  luaL_buffinit(L, &line);
  for (int i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&line, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&line);
  }
  luaL_addstring(&line, end);
  luaL_pushresult(&line);
  return lua_tostring(L, -1);
}

static int write_line(lua_State *L, enum log_level level) {
  bounds_log(script_of(L), level, lib_line(L, ""));
  return 0;
}

static int log_debug(lua_State *L) {
  return write_line(L, LOG_DEBUG);
}

static int log_info(lua_State *L) {
  return write_line(L, LOG_INFO);
}

static int log_warn(lua_State *L) {
  return write_line(L, LOG_WARN);
}

static int log_error(lua_State *L) {
  return write_line(L, LOG_ERROR);
}

static const luaL_Reg functions[] = {
    {"debug", log_debug}, {"info", log_info}, {"warn", log_warn}, {"error", log_error}, {NULL, NULL}};

void lib_add_log(lua_State *L) {
  luaL_newlib(L, functions);
  lib_seal(L, "bot.log", NULL);
  lua_setfield(L, -2, "log");
  lua_pushcfunction(L, log_info);
  lua_setglobal(L, "print");
}
