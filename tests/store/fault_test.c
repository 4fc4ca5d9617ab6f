/* A disk that fails: whatever operation it is, each call ends, what was acknowledged is there, what was
 * refused is not, and the store serves again when the disk does.
 *
 * A scenario runs once for each failing operation: the first, the second, … until it gets through without
 * meeting the fault. Without FAULTS=all in the environment only ROUNDS of each kind are tried, taken at
 * random. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/scenario.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

/* The disk is whole again: so is the store within five tries, a second of its clock apart. */
static void serves_again(void) {
  for (int i = 0; i < 5; i++) {
    sync_advance(1100);
    struct bucket *bucket = sync_bucket(scenario_store, "appData");
    struct store_call *call = sync_run(scenario_store, make_set(bucket, "k5", "5", 0));
    bool ok = call->err == NULL;
    store_call_free(call);
    if (!ok) continue;
    scenario_holds(K5, "5");
    return;
  }
  FAIL("the store does not serve again");
}

static void verify(const char *dir) {
  fault_disarm();
  if (!scenario_store) scenario_store = sync_open(dir);
  serves_again();
  scenario_check_reads();
  scenario_close(true);
  scenario_store = sync_open(dir);
  scenario_check_reads();
  scenario_close(true);
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM _journal"), "0");
}

/* Whether the scenario came to the fault. */
static bool strike(const struct fault *fault, bool wide) {
  const char *dir = temp_dir();
  sync_close(sync_open(dir));
  scenario_begin();
  fault_arm(fault);
  scenario_run(dir, wide);
  bool struck = fault_struck();
  verify(dir);
  return struck;
}

static long count_operations(const struct fault *fault, bool wide) {
  struct fault none = *fault;
  none.nth = 0;
  strike(&none, wide);
  return fault_count(fault->op);
}

/* How many operations have failed. */
static long strike_each(struct fault fault) {
  fault_install();
  const char *faults = getenv("FAULTS");
  long rounds = faults ? 0 : check_rounds(12), most = faults ? 0 : count_operations(&fault, false);
  fault.nth = 1;
  while (faults && strike(&fault, false)) fault.nth++;
  for (long round = 0; round < rounds; round++) {
    fault.nth = 1 + (long)check_below((uint64_t)most);
    strike(&fault, false);
  }
  return faults ? fault.nth - 1 : rounds;
}

static void once_and_for_good(enum fault_op op, int rc, bool cut) {
  long once = strike_each((struct fault){.op = op, .rc = rc, .cut = cut});
  long ever = strike_each((struct fault){.op = op, .rc = rc, .cut = cut, .for_good = true});
  printf("%ld failed once, %ld for good\n", once, ever);
}

TEST(a_disk_that_is_full_at_any_write) {
  once_and_for_good(FAULT_WRITE, SQLITE_FULL, false);
}

TEST(a_disk_that_is_full_in_the_middle_of_any_write) {
  once_and_for_good(FAULT_WRITE, SQLITE_FULL, true);
}

TEST(any_write_that_fails) {
  once_and_for_good(FAULT_WRITE, SQLITE_IOERR_WRITE, false);
}

TEST(any_write_that_fails_half_way) {
  once_and_for_good(FAULT_WRITE, SQLITE_IOERR_WRITE, true);
}

TEST(any_sync_that_fails) {
  once_and_for_good(FAULT_SYNC, SQLITE_IOERR_FSYNC, false);
}

TEST(any_read_that_fails) {
  once_and_for_good(FAULT_READ, SQLITE_IOERR_READ, false);
}

TEST(any_truncation_that_fails) {
  once_and_for_good(FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, false);
}

TEST(a_log_whose_index_cannot_be_mapped) {
  once_and_for_good(FAULT_MAP, SQLITE_IOERR_SHMMAP, false);
}

TEST(a_checkpoint_that_fails_in_the_middle) {
  static const struct fault faults[] = {
      {.op = FAULT_WRITE, .files = FAULT_DB, .rc = SQLITE_IOERR_WRITE},
      {.op = FAULT_WRITE, .files = FAULT_DB, .rc = SQLITE_FULL, .cut = true, .for_good = true},
      {.op = FAULT_SYNC, .files = FAULT_DB, .rc = SQLITE_IOERR_FSYNC},
      {.op = FAULT_READ, .files = FAULT_WAL, .rc = SQLITE_IOERR_READ},
  };
  fault_install();
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    struct fault fault = faults[i];
    for (fault.nth = 1; fault.nth < 4; fault.nth++) strike(&fault, true);
  }
}

/* ---- when the log cannot be saved either ---- */

static struct store *store;

static struct bucket *bucket(void) {
  return sync_bucket(store, "appData");
}

static enum moonkeep_code set_code(const char *key, const char *json) {
  struct store_call *call = sync_run(store, make_set(bucket(), key, json, 0));
  enum moonkeep_code code = call->err ? call->err->code : MOONKEEP_OK;
  store_call_free(call);
  return code;
}

TEST(a_change_that_cannot_be_looked_at_is_unknown_and_reads_go_on) {
  const char *dir = temp_dir(), *in_the_way = temp_path(dir, "appdata.db-wal.new");
  fault_install();
  store = sync_open(dir);
  CHECK_INT(set_code("k", "1"), MOONKEEP_OK);
  CHECK_INT(set_code("other", "1"), MOONKEEP_OK);
  sync_flush(store);
  CHECK_INT(set_code("k", "2"), MOONKEEP_OK); /* in the journal, not in the table */
  CHECK(mkdir(in_the_way, 0777) == 0);
  fault_arm(&(struct fault){.op = FAULT_SYNC, .files = FAULT_WAL, .nth = 1, .rc = SQLITE_IOERR_FSYNC});
  CHECK_INT(set_code("k", "3"), MOONKEEP_UNKNOWN);
  CHECK_INT(set_code("k", "4"), MOONKEEP_IO);
  CHECK_STR(sync_get(store, "appData", "k"), "2");
  CHECK_STR(sync_get(store, "appData", "other"), "1");
  CHECK_STR(sync_select(store, "appData", "%"), "k=2 other=1");
  sync_advance(1100);
  CHECK_INT(set_code("other", "4"), MOONKEEP_IO);
  CHECK_STR(sync_select(store, "appData", "%"), "k=2 other=1");
  CHECK_STR(sync_get(store, "appData", "k"), "2");
  CHECK_STR(sync_get(store, "appData", "other"), "1");
  rmdir(in_the_way);
  sync_advance(1100);
  for (int i = 0; i < 3 && set_code("other", "5") != MOONKEEP_OK; i++) {}
  CHECK_STR(sync_get(store, "appData", "k"), "3"); /* the log was written, only its sync had failed */
  CHECK_INT(sync_add(store, "appData", "k", 1), 4);
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "k=4 other=5");
  sync_close(store);
}

TEST(a_store_that_is_closed_while_it_cannot_write_says_so_and_keeps_what_was_saved) {
  struct err err;
  const char *dir = temp_dir(), *in_the_way = temp_path(dir, "appdata.db-wal.new");
  fault_install();
  store = sync_open(dir);
  CHECK_INT(set_code("k", "1"), MOONKEEP_OK);
  CHECK(mkdir(in_the_way, 0777) == 0);
  fault_arm(&(struct fault){.op = FAULT_SYNC, .files = FAULT_WAL, .nth = 1, .rc = SQLITE_IOERR_FSYNC});
  CHECK_INT(set_code("other", "2"), MOONKEEP_UNKNOWN);
  fault_disarm();
  CHECK_INT(store_close(store, &err), MOONKEEP_IO);
  CHECK(strstr(err.message, "the store was closed after a disk error"));
  rmdir(in_the_way);
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  sync_close(store);
}

/* The keys that a scan finds, one behind the other. */
static const char *keys_found(struct store_call *call) {
  static char text[256];
  size_t len = 0;
  call->want = STORE_KEYS;
  sync_run(store, call);
  if (call->err) FAIL("%s", call->err->message);
  for (size_t i = 0; i < call->found_count; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%.*s%s", (int)call->found_rows[i].key_len,
                            call->text.data + call->found_rows[i].key, call->more ? "+" : " ");
  store_call_free(call);
  text[len] = '\0';
  return text;
}

TEST(scans_see_what_cannot_be_folded_because_the_disk_is_full) {
  const char *dir = temp_dir();
  fault_install();
  store = sync_open(dir);
  for (int i = 1; i <= 4; i++) {
    char key[16];
    snprintf(key, sizeof key, "t%d", i);
    CHECK_INT(set_code(key, "1"), MOONKEEP_OK);
  }
  sync_set_until(store, "appData", "u1", "1", store_now_ms(store) + 50);
  sync_flush(store);
  CHECK_INT(set_code("s", "0"), MOONKEEP_OK);
  CHECK_INT(set_code("t2", "2"), MOONKEEP_OK);
  CHECK(sync_delete(store, "appData", "t3"));
  CHECK_INT(set_code("t35", "3"), MOONKEEP_OK);
  sync_set_until(store, "appData", "u2", "1", store_now_ms(store) + 50);
  sync_set(store, "newborn", "k", "5");
  fault_arm(&(struct fault){.op = FAULT_WRITE, .nth = 1, .for_good = true, .rc = SQLITE_FULL});
  CHECK_STR(sync_select(store, "appData", "%"), "s=0 t1=1 t2=2 t35=3 t4=1 u1=1 u2=1");
  CHECK_STR(sync_select(store, "appData", "t3%"), "t35=3");
  CHECK_STR(sync_select(store, "newborn", "%"), "k=5");
  CHECK_STR(sync_select(store, "nobody", "%"), "");
  struct store_call *call = make_scan(bucket(), "t%");
  call->limit = 3;
  CHECK_STR(keys_found(call), "t1+t2+t35+");
  call = make_scan(bucket(), "t%");
  store_call_after(call, "t2", 2);
  CHECK_STR(keys_found(call), "t35 t4 ");
  CHECK_INT(set_code("t5", "1"), MOONKEEP_FULL);
  CHECK_STR(sync_select(store, "appData", "t%"), "t1=1 t2=2 t35=3 t4=1");
  sync_advance(100);
  CHECK_STR(sync_select(store, "appData", "u%"), "");
  fault_disarm();
  CHECK_STR(sync_select(store, "appData", "t%"), "t1=1 t2=2 t35=3 t4=1");
  CHECK_INT(set_code("t5", "1"), MOONKEEP_OK);
  sync_close(store);
}

TEST(a_full_disk_at_the_start_is_told_with_what_to_do) {
  fault_install();
  const char *dir = temp_dir();
  struct err err;
  pid_t child = fork();
  if (child == 0) {
    store = sync_open(dir);
    sync_set(store, "appData", "alice", "1");
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  fault_arm(
      &(struct fault){.op = FAULT_WRITE, .files = FAULT_WAL, .nth = 1, .for_good = true, .rc = SQLITE_FULL});
  CHECK_INT(sync_try_open(dir, &store, &err), MOONKEEP_FULL);
  if (!strstr(err.message, "Nothing that was saved is lost: make room on the disk of "))
    FAIL("%s", err.message);
  fault_disarm();
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "1");
  sync_close(store);
}

TEST(a_delete_like_that_seemed_to_fail_still_says_how_many_went) {
  fault_install();
  store = sync_open(temp_dir());
  for (int i = 0; i < 3; i++) CHECK_INT(set_code(scenario_keys[i], "1"), MOONKEEP_OK);
  sync_flush(store);
  fault_arm(&(struct fault){.op = FAULT_SYNC, .files = FAULT_WAL, .nth = 1, .rc = SQLITE_IOERR_FSYNC});
  struct store_call *call = store_call_new(STORE_DELETE_LIKE, bucket(), NULL, 0);
  store_call_pattern(call, "d%", 2);
  sync_run(store, call);
  CHECK(fault_struck());
  fault_disarm();
  /* Where the log has just been wrapped, its header is synced before anything is in it. */
  bool wrapped = call->err && call->err->code == MOONKEEP_IO;
  if (!wrapped) CHECK_INT(call->count, 3);
  store_call_free(call);
  CHECK_INT(*sync_select(store, "appData", "%") != '\0', wrapped);
  sync_close(store);
}

/* As the files are at this moment: what a crash would leave. */
static const char *crashed_copy(const char *dir) {
  const char *copy = temp_dir();
  char command[1024];
  snprintf(command, sizeof command, "cp '%s'/appdata.db* '%s'", dir, copy);
  CHECK(system(command) == 0);
  return copy;
}

static struct store_call *make_wide_list(void) {
  enum { ROWS = 4, BYTES = (4 << 20) - 100 };
  static const char *const names[ROWS] = {"w0", "w1", "w2", "w3"};
  struct store_call *call = store_call_new(STORE_SET, bucket(), NULL, 0);
  call->rows = mem_alloc(ROWS * sizeof *call->rows);
  call->row_count = ROWS;
  for (int i = 0; i < ROWS; i++) {
    call->rows[i] = (struct store_row){names[i], 2, value_new(NULL, BYTES, 0), NULL};
    memset(call->rows[i].value->json, '1', BYTES);
  }
  return call;
}

/* The log has more frames than one page of its index tells of: the commit is on the disk when the next page
 * is asked for. */
TEST(a_change_without_memory_for_the_index_of_the_log_is_looked_at) {
  const char *dir = temp_dir();
  fault_install();
  store = sync_open(dir);
  CHECK_INT(set_code("k", "1"), MOONKEEP_OK);
  sync_flush(store);
  fault_arm(&(struct fault){.op = FAULT_MAP, .nth = 1, .rc = SQLITE_NOMEM});
  struct store_call *call = sync_run(store, make_wide_list());
  CHECK(fault_struck());
  fault_disarm();
  bool saved = call->err == NULL;
  store_call_free(call);
  const char *copy = crashed_copy(dir);
  sync_close(store);
  store = sync_open(copy);
  CHECK_INT(sync_delete_like(store, "appData", "w%"), saved ? 4 : 0);
  sync_close(store);
}

/* ---- what SQLite hides ---- */

TEST(a_store_that_cannot_be_read_is_not_taken_for_an_empty_one) {
  const char *dir = temp_dir();
  fault_install();
  store = sync_open(dir);
  sync_set(store, "appData", "k", "1");
  CHECK_STR(sync_select(store, "appData", "%"), "k=1"); /* the reader knows of no other store */
  sync_set(store, "economy", "k", "1");
  sync_flush(store);
  fault_arm(&(struct fault){.op = FAULT_READ, .nth = 1, .for_good = true, .rc = SQLITE_IOERR_READ});
  CHECK_STR(sync_select(store, "economy", "%"), "error: io");
  CHECK(fault_struck());
  fault_disarm();
  CHECK_STR(sync_select(store, "economy", "%"), "k=1");
  sync_close(store);
}
