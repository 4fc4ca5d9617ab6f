/* A store of many keys: reading what is in no cache, selecting a part of it, changing it, opening it when the
 * system has none of it in memory. Beside plain C with SQLite where that does the same. */
#include <fcntl.h>
#include <lauxlib.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/beside.h"
#include "bench/bench.h"
#include "bench/moon.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "script/value.h"

/* The walk over the keys, each once: a prime that divides no round number of them. */
enum { STRIDE = 7368787, PART = 10000 }; /* PART: of one prefix of four digits */

static unsigned round_number;

static struct load load_of(const struct beside *beside, unsigned keys) {
  static char few[1024], many[1024];
  snprintf(few, sizeof few, "%s/few", beside->dir);
  snprintf(many, sizeof many, "%s/many", beside->dir);
  return (struct load){.op = "update",
                       .shape = OBJECT,
                       .keys = keys,
                       .tasks = 1000,
                       .seconds = beside->seconds * 4, /* until folding is part of it */
                       .dir = keys == KEYS ? few : many};
}

static double fill(const void *ctx) {
  const struct load *load = ctx;
  moon_side.fill(load);
  plain_side.fill(load);
  return 0;
}

/* ---- moonkeep ---- */

static void store_path(const struct beside *beside, char path[1100]) {
  snprintf(path, 1100, "%s/moonkeep", load_of(beside, beside->keys).dir);
}

static double run(const struct beside *beside, const char *name, const char *event) {
  char path[1100];
  struct moon moon;
  store_path(beside, path);
  moon_open(&moon, path, STORE_ARCHIVE_OFF);
  double answer = moon_run(&moon, name, event);
  moon_close(&moon);
  return answer;
}

static unsigned first_key(const struct beside *beside) {
  return round_number * 12347 % beside->keys;
}

static double get_uncached(const void *ctx) {
  const struct beside *beside = ctx;
  char event[160];
  snprintf(event, sizeof event,
           "{\"event\":\"uncached\",\"from\":%u,\"stride\":%d,\"keys\":%u,\"seconds\":%g}", first_key(beside),
           STRIDE, beside->keys, beside->seconds);
  return run(beside, "uncached", event);
}

static unsigned part(const struct beside *beside) {
  return round_number * 7 % (beside->keys / PART);
}

static double select_part(const void *ctx) {
  const struct beside *beside = ctx;
  char event[160];
  snprintf(event, sizeof event, "{\"event\":\"select\",\"pattern\":\"user:%04u%%\",\"seconds\":%g}",
           part(beside), beside->seconds);
  return run(beside, "select", event);
}

static double update(const struct beside *beside, unsigned keys) {
  struct figures figures;
  struct load load = load_of(beside, keys);
  moon_side.measure(&load, &figures);
  return figures.rate;
}

static double update_few(const void *ctx) {
  return update(ctx, KEYS);
}
static double update_many(const void *ctx) {
  return update(ctx, ((const struct beside *)ctx)->keys);
}

/* The file leaves the system's memory; what is dirty has to be on the disk before. */
static void forget_store(const struct beside *beside) {
  char path[1100], file[1200];
  store_path(beside, path);
  snprintf(file, sizeof file, "%s/appdata.db", path);
  int fd = open(file, O_RDONLY);
  bench_must(fd >= 0 && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, file);
  close(fd);
}

static double store_gb(const struct beside *beside) {
  char path[1100], file[1200];
  struct stat st;
  store_path(beside, path);
  snprintf(file, sizeof file, "%s/appdata.db", path);
  bench_must(stat(file, &st) == 0, file);
  return (double)st.st_size / 1e9;
}

static double open_cold(const void *ctx) {
  char path[1100];
  struct store *store;
  struct err err;
  store_path(ctx, path);
  struct store_options options = {.dir = path, .owner = "the bench"};
  int64_t began = workload_now_us();
  bench_must(store_open(&store, &options, &err) == MOONKEEP_OK, "opening the store");
  double took = (double)(workload_now_us() - began) / 1000;
  bench_must(store_close(store, &err) == MOONKEEP_OK, "closing the store");
  return took;
}

/* ---- plain C ---- */

static sqlite3 *open_plain(const struct beside *beside, const char *sql, sqlite3_stmt **stmt) {
  char path[1100];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/plain.db", load_of(beside, beside->keys).dir);
  bench_must(sqlite3_open(path, &db) == SQLITE_OK &&
                 sqlite3_exec(db, "PRAGMA cache_size=-65536; BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
                 sqlite3_prepare_v2(db, sql, -1, stmt, NULL) == SQLITE_OK,
             "opening plain.db");
  return db;
}

static void close_plain(sqlite3 *db, sqlite3_stmt *stmt) {
  sqlite3_finalize(stmt);
  bench_must(sqlite3_close(db) == SQLITE_OK, "closing plain.db");
}

static double read_plainly(const void *ctx) {
  const struct beside *beside = ctx;
  char key[KEY_BYTES + 1], value[VALUE_BYTES];
  sqlite3_stmt *stmt;
  sqlite3 *db = open_plain(beside, "SELECT value FROM t WHERE key=?1", &stmt);
  long reads = 0;
  uint64_t at = first_key(beside);
  int64_t began = workload_now_us(), took;
  do {
    at = (at + STRIDE) % beside->keys;
    workload_name((unsigned)at, key);
    sqlite3_bind_text(stmt, 1, key, KEY_BYTES, SQLITE_STATIC);
    bench_must(sqlite3_step(stmt) == SQLITE_ROW, "reading");
    memcpy(value, sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
    sqlite3_reset(stmt);
    reads++;
    took = workload_now_us() - began;
  } while ((double)took < beside->seconds * 1e6);
  close_plain(db, stmt);
  return (double)reads * 1e6 / (double)took;
}

/* One row of the list: the same table that a script gets. */
static void push_row(lua_State *L, sqlite3_stmt *stmt, int n) {
  struct err err;
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, (const char *)sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
  lua_setfield(L, -2, "key");
  bench_must(value_push(L, (const char *)sqlite3_column_text(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1),
                        &err) == MOONKEEP_OK,
             "decoding");
  lua_setfield(L, -2, "value");
  lua_rawseti(L, -2, n);
}

static double select_plainly(const void *ctx) {
  const struct beside *beside = ctx;
  char from[16], to[16];
  sqlite3_stmt *stmt;
  sqlite3 *db = open_plain(beside, "SELECT key, value FROM t WHERE key>=?1 AND key<?2 ORDER BY key", &stmt);
  lua_State *L = luaL_newstate();
  bench_must(L != NULL, "memory");
  value_open(L);
  snprintf(from, sizeof from, "user:%04u", part(beside));
  snprintf(to, sizeof to, "user:%04u", part(beside) + 1);
  sqlite3_bind_text(stmt, 1, from, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 2, to, -1, SQLITE_STATIC);
  int times = 0;
  int64_t began = workload_now_us(), took;
  do {
    int rows = 0;
    lua_newtable(L);
    while (sqlite3_step(stmt) == SQLITE_ROW) push_row(L, stmt, ++rows);
    bench_must(rows == PART, "selecting");
    sqlite3_reset(stmt);
    lua_pop(L, 1);
    times++;
    took = workload_now_us() - began;
  } while ((double)took < beside->seconds * 1e6);
  lua_close(L);
  close_plain(db, stmt);
  return (double)took / 1000 / times;
}

/* ---- together ---- */

static const struct {
  const char *name, *unit;
  double (*measure)(const void *);
} measures[] = {
    {"get, uncached", "/s", get_uncached},        {"plain C reads, in a transaction", "/s", read_plainly},
    {"select of 10,000 keys", "ms", select_part}, {"plain C selects, same decoding", "ms", select_plainly},
    {"update among few keys", "/s", update_few},  {"update among many keys", "/s", update_many}};
enum { MEASURES = sizeof measures / sizeof *measures };

static void fill_both(const struct beside *beside) {
  struct load many = load_of(beside, beside->keys), few = load_of(beside, KEYS);
  int64_t began = workload_now_us();
  bench_must(mkdir(many.dir, 0700) == 0 && mkdir(few.dir, 0700) == 0, "making a folder");
  apart(fill, &few);
  apart(fill, &many);
  printf("(%u keys were filled in, here and for plain C, in %.0f s; the store has %.2f GB)\n", beside->keys,
         (double)(workload_now_us() - began) / 1e6, store_gb(beside));
}

/* Cold is only what comes last: the others are not to wait for what this has thrown out. */
static void measure_opening(const struct beside *beside) {
  struct figure *figure = figure_add("open a cold store", "ms");
  for (int round = 0; round < beside->rounds; round++) {
    forget_store(beside);
    figure->each[round] = apart(open_cold, beside);
    figure->rounds = round + 1;
  }
  figure_done(figure);
}

void beside_large(const struct beside *beside) {
  struct figure *figures[MEASURES];
  fill_both(beside);
  for (int i = 0; i < MEASURES; i++) figures[i] = figure_add(measures[i].name, measures[i].unit);
  for (int round = 0; round < beside->rounds; round++) {
    round_number++;
    for (int i = 0; i < MEASURES; i++) {
      figures[i]->each[round] = apart(measures[i].measure, beside);
      figures[i]->rounds = round + 1;
    }
  }
  for (int i = 0; i < MEASURES; i++) figure_done(figures[i]);
  measure_opening(beside);
  struct figure *keys = figure_add("keys of the large store", ""), *size = figure_add("its size", "GB");
  keys->each[0] = beside->keys, size->each[0] = store_gb(beside);
  keys->rounds = size->rounds = 1;
  figure_done(keys);
  figure_done(size);
}
