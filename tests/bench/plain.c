/* Plain C with SQLite, doing in one transaction as many calls as there are tasks: what an update makes of a
 * value is there before, nothing is read or decoded for it, and nobody has to be woken. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

struct plain {
  sqlite3 *db;
  sqlite3_stmt *upsert, *select;
};

static void run(sqlite3 *db, const char *sql) {
  bench_must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void path_of(const struct load *load, const char *name, char path[1024]) {
  snprintf(path, 1024, "%s/%s", load->dir, name);
}

static void open_plain(struct plain *plain, const struct load *load) {
  char path[1024];
  path_of(load, "plain.db", path);
  bench_must(sqlite3_open(path, &plain->db) == SQLITE_OK, "opening plain.db");
  run(plain->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
                 "CREATE TABLE IF NOT EXISTS t(key TEXT PRIMARY KEY, value TEXT NOT NULL)");
  bench_must(
      sqlite3_prepare_v2(plain->db,
                         "INSERT INTO t VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                         -1, &plain->upsert, NULL) == SQLITE_OK &&
          sqlite3_prepare_v2(plain->db, "SELECT value FROM t WHERE key=?1", -1, &plain->select, NULL) ==
              SQLITE_OK,
      "preparing");
}

static void close_plain(struct plain *plain) {
  sqlite3_finalize(plain->upsert);
  sqlite3_finalize(plain->select);
  bench_must(sqlite3_close(plain->db) == SQLITE_OK, "closing plain.db");
}

static void put(const struct plain *plain, const char *key, enum shape shape, long n) {
  char value[VALUE_BYTES];
  sqlite3_bind_text(plain->upsert, 1, key, KEY_BYTES, SQLITE_STATIC);
  sqlite3_bind_text(plain->upsert, 2, value, workload_value(shape, n, value, sizeof value), SQLITE_STATIC);
  bench_must(sqlite3_step(plain->upsert) == SQLITE_DONE, "an upsert");
  sqlite3_reset(plain->upsert);
}

/* Copies the value out: the row may be gone when the caller uses it. */
static void get(const struct plain *plain, const char *key) {
  char value[VALUE_BYTES];
  sqlite3_bind_text(plain->select, 1, key, KEY_BYTES, SQLITE_STATIC);
  if (sqlite3_step(plain->select) == SQLITE_ROW)
    memcpy(value, sqlite3_column_text(plain->select, 0), (size_t)sqlite3_column_bytes(plain->select, 0));
  sqlite3_reset(plain->select);
}

static void fill(const struct load *load) {
  char key[KEY_BYTES + 1];
  struct plain plain;
  open_plain(&plain, load);
  run(plain.db, "BEGIN");
  for (unsigned i = 0; i < load->keys; i++) {
    workload_name(i, key);
    put(&plain, key, load->shape, 0);
  }
  run(plain.db, "COMMIT");
  close_plain(&plain);
}

/* SQLite's own backup, which has to start over at every commit unless its source stands in a transaction. */
static void *back_up(void *ctx) {
  char path[1024];
  sqlite3 *from, *to;
  path_of(ctx, "plain.db", path);
  bench_must(sqlite3_open(path, &from) == SQLITE_OK, "opening plain.db");
  run(from, "BEGIN; SELECT 1 FROM sqlite_schema");
  path_of(ctx, "plain.copy", path);
  unlink(path);
  bench_must(sqlite3_open(path, &to) == SQLITE_OK, "opening plain.copy");
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  bench_must(backup && sqlite3_backup_step(backup, -1) == SQLITE_DONE, "a backup");
  sqlite3_backup_finish(backup);
  sqlite3_close(to);
  run(from, "COMMIT");
  sqlite3_close(from);
  return NULL;
}

static void transaction(const struct plain *plain, const struct load *load) {
  char key[KEY_BYTES + 1];
  run(plain->db, load->op[0] == 'g' || load->op[0] == 'C' ? "BEGIN" : "BEGIN IMMEDIATE");
  for (unsigned i = 0; i < load->tasks; i++) {
    enum kind kind = workload_next(key);
    if (kind != WRITE && load->op[0] != 'u') get(plain, key);
    if (kind != READ) put(plain, key, load->shape, workload_turn());
  }
  run(plain->db, "COMMIT");
}

static void measure(const struct load *load, struct figures *figures) {
  struct plain plain;
  struct load copied = *load;
  pthread_t thread;
  bool backing_up = false;
  open_plain(&plain, load);
  workload_start(load, 0);
  while (!workload_over()) {
    int64_t began = workload_now_us();
    transaction(&plain, load);
    workload_answered(began, load->tasks);
    if (!backing_up && workload_backup()) backing_up = pthread_create(&thread, NULL, back_up, &copied) == 0;
  }
  workload_stop(figures);
  if (backing_up) pthread_join(thread, NULL);
  close_plain(&plain);
  workload_settled(figures, 0);
}

const struct side plain_side = {
    .name = "plain C",
    .settings = "SQLite as a careful author would set it: WAL, synchronous=FULL, prepared statements, "
                "checkpoints every 1,000 pages, 64 MiB of cache as moonkeep has it",
    .fill = fill,
    .measure = measure,
};
