/* The table `bot`.
 *
 *   bot.on(event, fn)                       lib_on.c
 *   bot.emit(event [, data])                lib_act.c
 *   bot.act(action)  bot.send(channel, text)
 *   bot.after(seconds, fn)  bot.every(seconds, fn)   lib_timers.c
 *   bot.log.debug/info/warn/error(…)        lib_log.c
 *   bot.sleep(seconds)                      waits; other tasks run. Only in tasks, where Lua can yield
 *   bot.spawn(fn, …)                        a task of its own, once the present one gives up the CPU
 *   bot.handover(fn)  bot.inherited         lib_handover.c
 *   bot.name                                the script's name
 */
#include <lauxlib.h>

#include "script/lib.h"
#include "script/task.h"

static int sleep_end(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

static int bot_sleep(lua_State *L) {
  lib_no_colon(L, "bot.sleep");
  int64_t ms = lib_check_ms(L, 1);
  if (script_of(L)->in_update) return luaL_error(L, "bot.sleep: an update function may not wait");
  if (!task_can_wait(L))
    return luaL_error(
        L, "bot.sleep cannot wait here: only in event handlers, timers and bot.spawn, and not inside "
           "a callback of table.sort, string.gsub and the like");
  return task_sleep(L, ms, sleep_end);
}

static int bot_spawn(lua_State *L) {
  lib_no_colon(L, "bot.spawn");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  task_start(L, lua_gettop(L) - 1, "bot.spawn", NULL);
  return 0;
}

void lib_open_bot(lua_State *L) {
  lua_createtable(L, 0, 12);
  lua_pushcfunction(L, bot_sleep);
  lua_setfield(L, -2, "sleep");
  lua_pushcfunction(L, bot_spawn);
  lua_setfield(L, -2, "spawn");
  lua_pushstring(L, script_of(L)->name);
  lua_setfield(L, -2, "name");
  lib_add_on(L);
  lib_add_act(L);
  lib_add_timers(L);
  lib_add_log(L);
  lib_add_handover(L);
  lib_seal(L, "bot", "inherited");
  lua_setglobal(L, "bot");
}
