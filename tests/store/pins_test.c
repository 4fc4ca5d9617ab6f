/* Pins: a log that has grown while somebody read one moment goes into the file in pieces. */
#include <sqlite3.h>

#include "check.h"
#include "helpers/temp.h"
#include "store/pins.h"
#include "store/sql.h"

static sqlite3 *open_writer(const char *path) {
  sqlite3 *db;
  struct err err;
  if (sql_open(&db, path, true, &err)) FAIL("%s", err.message);
  if (sql_run(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(a)", "write", &err)) FAIL("%s", err.message);
  return db;
}

static int log_pages;

static int count_pages(void *ctx, sqlite3 *db, const char *name, int pages) {
  (void)ctx, (void)db, (void)name;
  log_pages = pages;
  return SQLITE_OK;
}

static void write_pages(sqlite3 *db, int pages) {
  struct err err;
  int end = log_pages + pages;
  while (log_pages < end)
    if (sql_run(db, "INSERT INTO t VALUES(zeroblob(3000))", "write", &err)) FAIL("%s", err.message);
}

static int checkpoint(sqlite3 *db, int *log) {
  int done;
  CHECK_INT(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, log, &done), SQLITE_OK);
  return done;
}

TEST(a_log_goes_into_the_file_from_pin_to_pin) {
  const char *path = temp_path(temp_dir(), "t.db");
  sqlite3 *writer = open_writer(path), *reader;
  struct pins pins;
  struct err err;
  int log, done = 0, pieces = 0;
  sqlite3_wal_hook(writer, count_pages, NULL);
  write_pages(writer, 10);
  if (sql_open(&reader, path, false, &err)) FAIL("%s", err.message);
  CHECK_INT(sql_run(reader, "BEGIN; SELECT 1 FROM sqlite_schema", "read", &err), MOONKEEP_OK);
  pins_init(&pins, path, 20);
  for (int i = 0; i < 100; i++) {
    write_pages(writer, 4);
    pins_look(&pins, log_pages);
    CHECK(pins.count <= PINS);
  }
  CHECK(pins.count >= 2);
  int held = checkpoint(writer, &log);
  CHECK(held < 20);
  sqlite3_close(reader);
  int largest = log / 2; /* in even pieces none is larger */
  for (int before = held; pins_first(&pins) > 0; pins_next(&pins), pieces++) {
    done = checkpoint(writer, &log);
    CHECK(done >= pins_first(&pins) && done < log);
    CHECK(done - before <= largest);
    before = done;
  }
  CHECK(pieces >= 2);
  CHECK_INT(checkpoint(writer, &log), log);
  CHECK(log - done <= largest);
  pins_free(&pins);
  sqlite3_close(writer);
}

TEST(pins_that_cannot_be_taken_hold_nothing_up) {
  struct pins pins;
  pins_init(&pins, temp_path(temp_dir(), "missing.db"), 20);
  pins_look(&pins, 1000);
  CHECK_INT(pins_first(&pins), 0);
  pins_next(&pins);
  pins_free(&pins);
}
