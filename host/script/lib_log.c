/* The script's log.
 *
 *   bot.log.debug(…) bot.log.info(…) bot.log.warn(…) bot.log.error(…)
 *   print(…)          the same as bot.log.info
 *
 * The values are written as print writes them, with tabs between. Too many lines are left out: bounds.h.
 */
#include <lauxlib.h>

#include "script/lib.h"

static int write_line(lua_State *L, enum log_level level) {
  struct script *script = script_of(L);
  int count = lua_gettop(L);
  luaL_Buffer line;
  luaL_checkstack(L, 8, NULL);
  luaL_buffinit(L, &line);
  for (int i = 1; i <= count; i++) {
    if (i > 1) luaL_addchar(&line, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&line);
  }
  luaL_pushresult(&line);
  bounds_log(script, level, lua_tostring(L, -1));
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
