/* The yardstick: what plain C with SQLite does with the same values, and what the disk itself does.
 *
 *     plain sqlite GROUP SECONDS DIR    upserts of random keys of 100,000, GROUP of them a transaction:
 * operations a second plain disk append|overwrite SECONDS DIR    4 KiB writes, each with an fdatasync
 *
 * The settings are those of a careful author: WAL, synchronous=FULL, a prepared upsert, automatic
 * checkpoints. A value is an object of about 100 bytes that differs at every write, because SQLite does not
 * write a cell that stays as it is. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 100000, PAGE = 4096, PAGES = 256 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "plain: %s failed\n", what);
  exit(1);
}

static sqlite3 *open_db(const char *dir) {
  char path[1024];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/plain.db", dir);
  must(sqlite3_open(path, &db) == SQLITE_OK, "open");
  must(sqlite3_exec(db,
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                    "CREATE TABLE IF NOT EXISTS t(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
                    NULL, NULL, NULL) == SQLITE_OK,
       "schema");
  return db;
}

static void upsert(sqlite3_stmt *statement, long n) {
  char key[32], value[160];
  int key_len = snprintf(key, sizeof key, "user:%06d", rand() % KEYS);
  int value_len = snprintf(value, sizeof value,
                           "{\"xp\":%ld,\"level\":%ld,\"name\":\"a member of the guild\",\"items\":[1,2,3],"
                           "\"last\":%ld,\"active\":true}",
                           n, n / 100, 1700000000 + n);
  sqlite3_bind_text(statement, 1, key, key_len, SQLITE_STATIC);
  sqlite3_bind_text(statement, 2, value, value_len, SQLITE_STATIC);
  must(sqlite3_step(statement) == SQLITE_DONE, "upsert");
  sqlite3_reset(statement);
}

static double sqlite_rate(int group, double seconds, const char *dir) {
  sqlite3 *db = open_db(dir);
  sqlite3_stmt *statement;
  must(sqlite3_prepare_v2(db,
                          "INSERT INTO t VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                          -1, &statement, NULL) == SQLITE_OK,
       "prepare");
  long n = 0;
  double began = now(), end = began;
  for (; end < began + seconds; end = now()) {
    must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "begin");
    for (int i = 0; i < group; i++) upsert(statement, n++);
    must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return (double)n / (end - began);
}

static double disk_rate(int append, double seconds, const char *dir) {
  char path[1024];
  static char page[PAGE];
  snprintf(path, sizeof path, "%s/plain.disk", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  must(fd >= 0, "open");
  for (int i = 0; i < PAGES && !append; i++) must(pwrite(fd, page, PAGE, (off_t)i * PAGE) == PAGE, "write");
  fsync(fd);
  long n = 0;
  double began = now(), end = began;
  for (; end < began + seconds; end = now()) {
    off_t at = (off_t)(append ? n : n % PAGES) * PAGE;
    must(pwrite(fd, page, PAGE, at) == PAGE && fdatasync(fd) == 0, "write");
    n++;
  }
  close(fd);
  unlink(path);
  return (double)n / (end - began);
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "sqlite") == 0)
    printf("%.0f\n", sqlite_rate(atoi(argv[2]), atof(argv[3]), argv[4]));
  else if (argc == 5 && strcmp(argv[1], "disk") == 0)
    printf("%.0f\n", disk_rate(strcmp(argv[2], "append") == 0, atof(argv[3]), argv[4]));
  else
    must(0, "usage");
  return 0;
}
