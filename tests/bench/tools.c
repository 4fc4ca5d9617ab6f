/* The stopwatch and the keys of the bench for programs in Lua, whichever Lua it is: only functions that 5.1
 * and 5.4 have alike are called. Linked into the bench, and a module of its own (build/tests/bench/tools.so)
 * for other programs: package.loadlib(path, "luaopen_bench_tools")().
 *
 *   start(line)  -> op, shape, tasks, sustained    begins the load that the line of text says
 *   next()       -> kind, key                      1: get, 2: set, 3: update
 *   name(i)      -> the key of this number
 *   turn()       -> a number that has not been before
 *   now()        -> microseconds
 *   lap(began)   -> now, or nil when the time is over; the call that began then has been answered
 *   laps(began, calls)                             the same for many that were answered together
 *   backup()     -> true once, when a backup is to be made
 *   stop()                                         the time is over, all calls are answered
 *   settled()    -> the figures, as a line of text */
#include <lauxlib.h>
#include <stdio.h>

#include "bench/bench.h"
#include "bench/tools.h"

static struct figures figures;

static int tools_start(lua_State *L) {
  struct load load = {0};
  if (!workload_parse(luaL_checklstring(L, 1, NULL), &load)) return luaL_error(L, "this is no load");
  workload_start(&load, 0);
  lua_pushstring(L, load.op);
  lua_pushstring(L, shape_names[load.shape]);
  lua_pushinteger(L, (lua_Integer)load.tasks);
  lua_pushboolean(L, load.sustained);
  return 4;
}

static int tools_next(lua_State *L) {
  char key[KEY_BYTES + 1];
  lua_pushinteger(L, workload_next(key));
  lua_pushlstring(L, key, KEY_BYTES);
  return 2;
}

static int tools_name(lua_State *L) {
  char key[KEY_BYTES + 1];
  workload_name((unsigned)luaL_checknumber(L, 1), key);
  lua_pushlstring(L, key, KEY_BYTES);
  return 1;
}

static int tools_turn(lua_State *L) {
  lua_pushinteger(L, workload_turn());
  return 1;
}

static int tools_now(lua_State *L) {
  lua_pushinteger(L, workload_now_us());
  return 1;
}

static int tools_laps(lua_State *L) {
  workload_answered((int64_t)luaL_checknumber(L, 1), (unsigned)luaL_checknumber(L, 2));
  if (workload_over()) return 0;
  lua_pushinteger(L, workload_now_us());
  return 1;
}

static int tools_lap(lua_State *L) {
  lua_settop(L, 1);
  lua_pushinteger(L, 1);
  return tools_laps(L);
}

static int tools_backup(lua_State *L) {
  lua_pushboolean(L, workload_backup());
  return 1;
}

static int tools_stop(lua_State *L) {
  (void)L;
  workload_stop(&figures);
  return 0;
}

static int tools_settled(lua_State *L) {
  char line[256];
  workload_settled(&figures, 0);
  snprintf(line, sizeof line, "%g %g %g %g %g %g %g %g", figures.rate, figures.p50, figures.p99, figures.p999,
           figures.worst, figures.cpu_us, figures.written, figures.memory_mb);
  lua_pushstring(L, line);
  return 1;
}

int luaopen_bench_tools(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"start", tools_start}, {"next", tools_next},      {"name", tools_name}, {"turn", tools_turn},
      {"now", tools_now},     {"lap", tools_lap},        {"laps", tools_laps}, {"backup", tools_backup},
      {"stop", tools_stop},   {"settled", tools_settled}};
  lua_createtable(L, 0, sizeof functions / sizeof *functions);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushcclosure(L, functions[i].func, 0);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
