/* moonkeep's side: a store and the script scripts/load.lua, whose tasks make the calls, on a loop like the
 * host's. The script gets its keys and takes its times through a few functions of ours. */
#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/timers.h"
#include "bench/bench.h"
#include "script/script.h"

static const char scripts_dir[] = "tests/bench/scripts";

struct moon {
  struct store *store;
  struct timers timers;
  struct scripts *scripts;
  bool loaded;
};

static int64_t end_us;

/* key() */
static int bench_key(lua_State *L) {
  char key[KEY_BYTES + 1];
  workload_key(key);
  lua_pushlstring(L, key, KEY_BYTES);
  return 1;
}

/* name(i): the key of this number */
static int bench_name(lua_State *L) {
  char key[KEY_BYTES + 1];
  workload_name((unsigned)luaL_checkinteger(L, 1), key);
  lua_pushlstring(L, key, KEY_BYTES);
  return 1;
}

/* now(): microseconds */
static int bench_now(lua_State *L) {
  lua_pushinteger(L, workload_now_us());
  return 1;
}

/* lap(began): the call that began then has been answered; now, or nil when the time is over */
static int bench_lap(lua_State *L) {
  workload_answered(luaL_checkinteger(L, 1), 1);
  int64_t now = workload_now_us();
  if (now >= end_us) return 0;
  lua_pushinteger(L, now);
  return 1;
}

static void on_action(void *ctx, const char *json, size_t len) {
  struct moon *moon = ctx;
  if (memmem(json, len, "loaded", 6)) moon->loaded = true;
}

static void say(void *ctx, enum log_level level, const char *who, const char *text) {
  (void)ctx;
  if (level >= LOG_WARN) fprintf(stderr, "%s: %s\n", who, text);
}

static const struct log bench_log = {.write = say};

static void open_moon(struct moon *moon, const char *dir) {
  static const luaL_Reg functions[] = {
      {"key", bench_key}, {"name", bench_name}, {"now", bench_now}, {"lap", bench_lap}, {NULL, NULL}};
  char data[1024];
  struct err err;
  snprintf(data, sizeof data, "%s/data", dir);
  *moon = (struct moon){0};
  timers_init(&moon->timers);
  struct store_options store = {.dir = data, .owner = "the bench", .log = &bench_log};
  bench_must(store_open(&moon->store, &store, &err) == MOONKEEP_OK, "opening the store");
  struct scripts_options scripts = {.dir = scripts_dir,
                                    .store = moon->store,
                                    .timers = &moon->timers,
                                    .log = &bench_log,
                                    .action = on_action,
                                    .ctx = moon};
  bench_must(scripts_open(&moon->scripts, &scripts, &err) == MOONKEEP_OK, "loading the scripts");
  bench_must(scripts_count(moon->scripts) == 1, "loading load.lua");
  lua_State *L = list_of(moon->scripts->all.next, struct script, link)->L;
  luaL_newlib(L, functions);
  lua_setglobal(L, "bench");
  scripts_start(moon->scripts);
}

/* Runs until the script says that it has finished. */
static void run(struct moon *moon, const char *event) {
  struct err err;
  bench_must(scripts_emit(moon->scripts, "load", 4, event, strlen(event), NULL, NULL, &err) == MOONKEEP_OK,
             "an event");
  while (!moon->loaded) {
    bool more = scripts_run(moon->scripts);
    store_kick(moon->store, more);
    struct pollfd answers = {.fd = store_fd(moon->store), .events = POLLIN};
    if (poll(&answers, 1, more || moon->loaded ? 0 : -1) > 0) store_pump(moon->store);
  }
}

static void close_moon(struct moon *moon) {
  struct err err;
  scripts_close(moon->scripts);
  timers_deinit(&moon->timers);
  bench_must(store_close(moon->store, &err) == MOONKEEP_OK, "closing the store");
}

static void make_event(char event[200], const struct load *load, const char *op) {
  snprintf(event, 200, "{\"event\":\"load\",\"op\":\"%s\",\"shape\":\"%s\",\"tasks\":%u}", op,
           shape_names[load->shape], load->tasks);
}

void moon_fill(const struct load *load) {
  char event[200];
  struct moon moon;
  open_moon(&moon, load->dir);
  make_event(event, load, "fill");
  run(&moon, event);
  close_moon(&moon);
}

void moon_measure(const struct load *load, struct figures *figures) {
  char event[200];
  struct moon moon;
  open_moon(&moon, load->dir);
  make_event(event, load, load->op);
  workload_start(load->zipf);
  end_us = workload_now_us() + (int64_t)(load->seconds * 1e6);
  run(&moon, event);
  workload_stop(load, figures);
  close_moon(&moon);
  workload_written(load, figures);
}
