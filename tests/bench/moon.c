/* moonkeep's side: a store and the script scripts/load.lua, whose tasks make the calls, on a loop like the
 * host's. */
#include "bench/moon.h"

#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/tools.h"
#include "script/script.h"

static void on_action(void *ctx, const char *json, size_t len) {
  static const char answer[] = "\"answer\":";
  struct moon *moon = ctx;
  if (!memmem(json, len, "finished", 8)) return;
  const char *at = memmem(json, len, answer, sizeof answer - 1);
  if (at) moon->answer = atof(at + sizeof answer - 1);
  moon->finished = true;
}

static void say(void *ctx, enum log_level level, const char *who, const char *text) {
  (void)ctx;
  if (level >= LOG_WARN) fprintf(stderr, "%s: %s\n", who, text);
}

static const struct log bench_log = {.write = say};

void moon_open(struct moon *moon, const char *data, enum store_archive archive) {
  struct err err;
  *moon = (struct moon){0};
  timers_init(&moon->timers);
  struct store_options store = {.dir = data, .owner = "the bench", .log = &bench_log, .archive = archive};
  bench_must(store_open(&moon->store, &store, &err) == MOONKEEP_OK, "opening the store");
  struct scripts_options scripts = {.dir = "tests/bench/scripts",
                                    .store = moon->store,
                                    .timers = &moon->timers,
                                    .log = &bench_log,
                                    .action = on_action,
                                    .ctx = moon};
  bench_must(scripts_open(&moon->scripts, &scripts, &err) == MOONKEEP_OK, "loading the scripts");
  bench_must(scripts_count(moon->scripts) == 1, "loading load.lua");
  lua_State *L = list_of(moon->scripts->all.next, struct script, link)->L;
  luaopen_bench_tools(L);
  lua_setglobal(L, "bench");
  scripts_start(moon->scripts);
}

static void on_backup(struct store_backup *backup, const struct store_backup_state *made,
                      const struct err *err) {
  (void)backup, (void)made;
  bench_must(err == NULL, "a backup");
}

double moon_run(struct moon *moon, const char *name, const char *event) {
  struct err err;
  moon->finished = false;
  bench_must(scripts_emit(moon->scripts, name, strlen(name), event, strlen(event), NULL, NULL, &err) ==
                 MOONKEEP_OK,
             "an event");
  while (!moon->finished) {
    bool more = scripts_run(moon->scripts);
    more |= !more && store_commit_here(moon->store); /* as the host's own loop does */
    store_kick(moon->store, more);
    struct pollfd answers = {.fd = store_fd(moon->store), .events = POLLIN};
    if (poll(&answers, 1, more || moon->finished ? 0 : -1) > 0) store_pump(moon->store);
    if (!workload_backup()) continue;
    moon->backup.done = on_backup;
    bench_must(store_backup(moon->store, &moon->backup, &err) == MOONKEEP_OK, "a backup");
  }
  return moon->answer;
}

void moon_close(struct moon *moon) {
  struct err err;
  scripts_close(moon->scripts);
  timers_deinit(&moon->timers);
  bench_must(store_close(moon->store, &err) == MOONKEEP_OK, "closing the store");
}

/* ---- the side ---- */

static void open_side(struct moon *moon, const struct load *load, enum store_archive archive) {
  char data[1024];
  snprintf(data, sizeof data, "%s/%s", load->dir, archive == STORE_ARCHIVE_OFF ? "moonkeep" : "archived");
  moon_open(moon, data, archive);
}

static void run(struct moon *moon, const char *name, const struct load *load) {
  char event[200];
  snprintf(event, sizeof event, "{\"event\":\"%s\",\"shape\":\"%s\",\"tasks\":%u,\"keys\":%u}", name,
           shape_names[load->shape], load->tasks, load->keys);
  moon_run(moon, name, event);
}

static void fill_it(const struct load *load, enum store_archive archive) {
  struct moon moon;
  open_side(&moon, load, archive);
  run(&moon, "fill", load);
  moon_close(&moon);
}

/* Servers have run for a while when they are measured: what fits into the cache is there, here too. */
static void measure_it(const struct load *load, struct figures *figures, enum store_archive archive) {
  struct moon moon;
  open_side(&moon, load, archive);
  if (load->keys <= KEYS) run(&moon, "warm", load);
  workload_start(load, 0);
  run(&moon, "load", load);
  workload_stop(figures);
  moon_close(&moon);
  workload_settled(figures, 0);
}

static void fill(const struct load *load) {
  fill_it(load, STORE_ARCHIVE_OFF);
}
static void measure(const struct load *load, struct figures *figures) {
  measure_it(load, figures, STORE_ARCHIVE_OFF);
}

static void fill_archived(const struct load *load) {
  fill_it(load, STORE_ARCHIVE_ON);
}
static void measure_archived(const struct load *load, struct figures *figures) {
  measure_it(load, figures, STORE_ARCHIVE_ON);
}

const struct side moon_side = {
    .name = "moonkeep",
    .settings = "defaults of `moonkeep run`: 64 MiB of cache, but no archive, since none of the others keeps "
                "its changes twice",
    .fill = fill,
    .measure = measure,
};

const struct side archived_side = {
    .name = "archived",
    .settings = "moonkeep as above with --archive on, as it runs where nobody says otherwise",
    .fill = fill_archived,
    .measure = measure_archived,
};
