/* The yardstick: what plain C with SQLite does with the same values, and what the disk itself does.
 *
 * The settings are those of a careful author: WAL, synchronous=FULL, a prepared upsert, automatic
 * checkpoints. Every value differs from the one before, because SQLite does not write a cell that stays as it
 * is. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/bench.h"

enum { PAGE = 4096, PAGES = 256 };

static sqlite3 *open_db(const struct load *load, sqlite3_stmt **upsert) {
  char path[1024];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/plain.db", load->dir);
  bench_must(sqlite3_open(path, &db) == SQLITE_OK, "opening plain.db");
  bench_must(sqlite3_exec(db,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "CREATE TABLE IF NOT EXISTS t(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
                          NULL, NULL, NULL) == SQLITE_OK,
             "making the table");
  bench_must(sqlite3_prepare_v2(
                 db, "INSERT INTO t VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=excluded.value", -1,
                 upsert, NULL) == SQLITE_OK,
             "preparing the upsert");
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  bench_must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void put(sqlite3_stmt *upsert, const char *key, enum shape shape, long n) {
  char value[4096];
  sqlite3_bind_text(upsert, 1, key, KEY_BYTES, SQLITE_STATIC);
  sqlite3_bind_text(upsert, 2, value, workload_value(shape, n, value, sizeof value), SQLITE_STATIC);
  bench_must(sqlite3_step(upsert) == SQLITE_DONE, "an upsert");
  sqlite3_reset(upsert);
}

static void end(sqlite3 *db, sqlite3_stmt *upsert) {
  sqlite3_finalize(upsert);
  bench_must(sqlite3_close(db) == SQLITE_OK, "closing plain.db");
}

void plain_fill(const struct load *load) {
  char key[KEY_BYTES + 1];
  sqlite3_stmt *upsert;
  sqlite3 *db = open_db(load, &upsert);
  run(db, "BEGIN");
  for (unsigned i = 0; i < KEYS; i++) {
    workload_name(i, key);
    put(upsert, key, load->shape, 0);
  }
  run(db, "COMMIT");
  end(db, upsert);
}

void plain_measure(const struct load *load, struct figures *figures) {
  char key[KEY_BYTES + 1];
  sqlite3_stmt *upsert;
  sqlite3 *db = open_db(load, &upsert);
  long n = workload_now_us() % 1000000000; /* other values than the last time */
  workload_start(load->zipf);
  int64_t end_us = workload_now_us() + (int64_t)(load->seconds * 1e6), began;
  while ((began = workload_now_us()) < end_us) {
    run(db, "BEGIN IMMEDIATE");
    for (unsigned i = 0; i < load->tasks; i++) {
      workload_key(key);
      put(upsert, key, load->shape, n++);
    }
    run(db, "COMMIT");
    workload_answered(began, load->tasks);
  }
  workload_stop(load, figures);
  end(db, upsert);
  workload_written(load, figures);
}

double disk_rate(bool append, double seconds, const char *dir) {
  static char page[PAGE];
  char path[1024];
  snprintf(path, sizeof path, "%s/plain.disk", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  bench_must(fd >= 0, "making a file");
  for (int i = 0; i < PAGES && !append; i++)
    bench_must(pwrite(fd, page, PAGE, (off_t)i * PAGE) == PAGE, "a write");
  fsync(fd);
  long n = 0;
  int64_t began = workload_now_us(), end_us = began + (int64_t)(seconds * 1e6), now = began;
  for (; now < end_us; now = workload_now_us(), n++) {
    off_t at = (off_t)(append ? n : n % PAGES) * PAGE;
    bench_must(pwrite(fd, page, PAGE, at) == PAGE && fdatasync(fd) == 0, "a write");
  }
  close(fd);
  unlink(path);
  return (double)n * 1e6 / (double)(now - began);
}
