/* Killed at any moment while an older store file is brought up to date: the next start finds all that it held
 * and brings it up to date, and there is a backup of it as it was. ROUNDS in the environment says how often
 * it is killed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/disk.h"
#include "store/snapshot.h"

enum { ROWS = 400 };

/* As the first version left it, in the middle of its work: with a log beside it. */
static void make_version_1(const char *dir) {
  char sql[2048];
  snprintf(sql, sizeof sql,
           "PRAGMA journal_mode=WAL; PRAGMA application_id=1836019566; PRAGMA user_version=1;"
           "CREATE TABLE _meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
           "INSERT INTO _meta VALUES('epoch', 1), ('folded_seq', 41);"
           "CREATE TABLE _journal(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, changes BLOB NOT NULL,"
           " sum INTEGER NOT NULL);"
           "CREATE TABLE appData(key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER, sum INTEGER);"
           "CREATE TABLE economy(key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER, sum INTEGER);"
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
           " INSERT INTO appData(key, value) SELECT printf('k%%05d', i), i FROM n;"
           "INSERT INTO economy(key, value, expires_at) VALUES('gold', 7, 4000000000000);",
           ROWS);
  sync_sql(dir, sql);
}

/* ---- what is there afterwards ---- */

static void check_rows(const char *dir) {
  char want[64];
  snprintf(want, sizeof want, "%d|%d", ROWS, ROWS * (ROWS + 1) / 2);
  CHECK_STR(sync_sql(dir, "SELECT count(*), sum(value) FROM appData"), want);
  CHECK_STR(sync_sql(dir, "SELECT value, expires_at FROM economy"), "7|4000000000000");
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
}

/* A copy of the backup, which a start may then bring up to date. */
static const char *copy_of(const char *dir, const char *name) {
  const char *copy = temp_dir();
  size_t len;
  char *bytes = temp_read(temp_path(temp_path(dir, "backups"), name), &len);
  CHECK(bytes != NULL);
  temp_write_bytes(temp_path(copy, "appdata.db"), bytes, len);
  free(bytes);
  return copy;
}

static void open_and_close(const char *dir) {
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "k00007"), "7");
  CHECK_STR(sync_get(store, "economy", "gold"), "7");
  sync_close(store);
}

/* Every file that is called a backup is whole; one of them is of the older version still, and can be used. */
static void check_backups(const char *dir) {
  struct snapshot *all, read;
  struct err err;
  size_t count, older = 0;
  CHECK_INT(snapshot_list(temp_path(dir, "backups"), &all, &count, &err), MOONKEEP_OK);
  for (size_t i = 0; i < count; i++) {
    const char *copy = copy_of(dir, all[i].name);
    if (snapshot_verify(temp_path(temp_path(dir, "backups"), all[i].name), &read, &err))
      FAIL("%s: %s", all[i].name, err.message);
    CHECK_INT(read.keys, ROWS + 1);
    bool is_older = strcmp(sync_sql(copy, "PRAGMA user_version"), "1") == 0;
    if (is_older && older++ == 0) open_and_close(copy);
    check_rows(copy);
    temp_remove(copy);
  }
  mem_free(all);
  if (older == 0) FAIL("of %zu backups none is of the file as it was", count);
}

static void check_whole(const char *dir) {
  open_and_close(dir);
  CHECK_STR(sync_sql(dir, "PRAGMA user_version"), "2");
  CHECK_STR(sync_sql(dir, "SELECT value FROM _meta WHERE name='folded_seq'"), "41");
  check_rows(dir);
  check_backups(dir);
}

/* ---- the kills ---- */

/* Says when it begins, and dies later, or at once where `gate` says so. */
static pid_t kill_a_start(const char *dir, long after_us, int (*gate)(const char *, const char *)) {
  int ready[2];
  char byte;
  CHECK(pipe(ready) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    disk_set_gate(gate);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    sync_close(sync_open(dir));
    _exit(0);
  }
  CHECK(read(ready[0], &byte, 1) == 1);
  if (!gate) {
    nanosleep(&(struct timespec){.tv_sec = after_us / 1000000, .tv_nsec = after_us % 1000000 * 1000}, NULL);
    kill(pid, SIGKILL);
  }
  CHECK(waitpid(pid, NULL, 0) == pid);
  close(ready[0]);
  close(ready[1]);
  return pid;
}

/* What one start takes here, that is left alone: somewhere in it the others are killed. */
static long measure_us(void) {
  const char *dir = temp_dir();
  make_version_1(dir);
  int64_t began_us = clock_ticks_us();
  sync_close(sync_open(dir));
  return (long)(clock_ticks_us() - began_us) + 1;
}

TEST(a_kill_at_any_moment_leaves_the_older_file_or_the_newer_one) {
  long rounds = check_rounds(8), most_us = measure_us(), all = 0;
  for (long i = 0; i < rounds; i++) {
    const char *dir = temp_dir();
    make_version_1(dir);
    long kills = 1 + (long)check_below(3); /* one start after the other */
    for (long j = 0; j < kills; j++) kill_a_start(dir, (long)check_below((uint64_t)most_us), NULL);
    all += kills;
    check_whole(dir);
    temp_remove(dir);
  }
  printf("%ld files, %ld starts killed; seed %llu\n", rounds, all, (unsigned long long)check_seed());
}

static int die_at, operations;

static int die_there(const char *doing, const char *path) {
  (void)doing;
  (void)path;
  if (++operations == die_at) kill(getpid(), SIGKILL);
  return 0;
}

/* Each start comes to an operation on files further than the one before. */
TEST(starts_that_are_killed_one_operation_later_each_leave_it_whole) {
  const char *dir = temp_dir();
  make_version_1(dir);
  for (die_at = 1; die_at <= 30; die_at++) {
    operations = 0;
    kill_a_start(dir, 0, die_there);
    CHECK(access(temp_path(dir, "appdata.db"), F_OK) == 0);
  }
  check_whole(dir);
}

TEST(each_operation_of_a_migration_may_be_the_last) {
  for (die_at = 1; die_at <= 24; die_at++) {
    const char *dir = temp_dir();
    make_version_1(dir);
    operations = 0;
    kill_a_start(dir, 0, die_there);
    check_whole(dir);
    temp_remove(dir);
  }
}

/* In a container each host has the same number. */
TEST(what_a_process_of_the_same_number_has_left_half_made_is_in_nobodys_way) {
  int found = 0;
  for (die_at = 1; die_at <= 24; die_at++) {
    const char *dir = temp_dir();
    char left[64], mine[64];
    make_version_1(dir);
    operations = 0;
    pid_t pid = kill_a_start(dir, 0, die_there);
    snprintf(left, sizeof left, "backups/" SNAPSHOT_HALF_MADE "%ld-before", (long)pid);
    snprintf(mine, sizeof mine, "backups/" SNAPSHOT_HALF_MADE "%ld-before", (long)getpid());
    if (rename(temp_path(dir, left), temp_path(dir, mine)) == 0) {
      found++;
      check_whole(dir);
      CHECK(access(temp_path(dir, mine), F_OK) != 0);
    }
    temp_remove(dir);
  }
  CHECK(found > 0);
}
