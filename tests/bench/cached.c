/* How fast a script gets what is in the cache: an object and a number; and how fast lua-cjson decodes the
 * text of the object, which says how fast this machine is at such things. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

#include "bench/beside.h"
#include "bench/bench.h"
#include "bench/moon.h"
#include "bench/report.h"
#include "bench/rounds.h"

int luaopen_cjson(lua_State *L);

static double get(const struct beside *beside, enum shape shape) {
  char data[1024], event[128];
  struct moon moon;
  snprintf(data, sizeof data, "%s/cached", beside->dir);
  snprintf(event, sizeof event, "{\"event\":\"cached\",\"shape\":\"%s\",\"seconds\":%g}", shape_names[shape],
           beside->seconds);
  moon_open(&moon, data, STORE_ARCHIVE_OFF);
  double rate = moon_run(&moon, "cached", event);
  moon_close(&moon);
  return rate;
}

static double get_objects(const void *ctx) {
  return get(ctx, OBJECT);
}
static double get_numbers(const void *ctx) {
  return get(ctx, COUNTER);
}

static double decode(const void *ctx) {
  static const char loop[] = "local text, decode, times = ...\n"
                             "for _ = 1, times do decode(text) end";
  const struct beside *beside = ctx;
  char text[VALUE_BYTES];
  long done = 0;
  lua_State *L = luaL_newstate();
  bench_must(L != NULL, "memory");
  luaL_requiref(L, "cjson", luaopen_cjson, 0);
  bench_must(luaL_loadstring(L, loop) == LUA_OK, "loading the loop");
  int64_t began = workload_now_us(), took;
  do {
    lua_pushvalue(L, -1);
    lua_pushlstring(L, text, (size_t)workload_value(OBJECT, done, text, sizeof text));
    lua_getfield(L, 1, "decode");
    lua_pushinteger(L, 1000);
    bench_must(lua_pcall(L, 3, 0, 0) == LUA_OK, "decoding");
    done += 1000;
    took = workload_now_us() - began;
  } while ((double)took < beside->seconds * 1e6);
  lua_close(L);
  return (double)done * 1e6 / (double)took;
}

void beside_cached(const struct beside *beside) {
  struct figure *object = figure_add("get, cached object", "/s");
  struct figure *number = figure_add("get, cached number", "/s");
  struct figure *cjson = figure_add("lua-cjson decodes the object", "/s");
  for (int i = 0; i < beside->rounds; i++) {
    object->each[i] = apart(get_objects, beside);
    number->each[i] = apart(get_numbers, beside);
    cjson->each[i] = apart(decode, beside);
    object->rounds = number->rounds = cjson->rounds = i + 1;
  }
  figure_done(object);
  figure_done(number);
  figure_done(cjson);
}
