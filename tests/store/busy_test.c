/* Another program has the store file too, and holds its lock for longer than the store waits; or the file
 * system does not let programs share a file at all. */
#include <string.h>
#include <sqlite3.h>

#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

static struct store *store;
static sqlite3 *program;

static void program_runs(const char *sql) {
  char *why = NULL;
  if (sqlite3_exec(program, sql, NULL, NULL, &why) != SQLITE_OK) FAIL("%s: %s", sql, why);
}

static bool journal_is_empty(void) {
  sqlite3_stmt *count;
  CHECK(sqlite3_prepare_v2(program, "SELECT count(*) FROM _journal", -1, &count, NULL) == SQLITE_OK);
  CHECK(sqlite3_step(count) == SQLITE_ROW);
  bool empty = sqlite3_column_int(count, 0) == 0;
  sqlite3_finalize(count);
  return empty;
}

/* Another program holds the file, in which k is 1, or 2 where the journal has been taken in. */
static void hold(const char *dir) {
  CHECK(sqlite3_open(temp_path(dir, "appdata.db"), &program) == SQLITE_OK);
  sqlite3_busy_timeout(program, 5000);
  sync_set(store, "appData", "k", "1");
  sync_flush(store);
  for (;;) { /* until the store has not folded in between */
    sync_set(store, "appData", "k", "2");
    program_runs("BEGIN IMMEDIATE");
    if (!journal_is_empty()) break;
    program_runs("ROLLBACK");
  }
}

static void let_go(void) {
  program_runs("ROLLBACK");
  sqlite3_close(program);
}

static void check_busy(struct store_call *call) {
  sync_run(store, call);
  CHECK(call->err);
  CHECK_INT(call->err->code, MOONKEEP_BUSY);
  CHECK(strstr(call->err->message, "another program is writing to the store file"));
  store_call_free(call);
}

TEST(changes_are_busy_while_another_program_holds_the_file_and_reads_go_on) {
  const char *dir = temp_dir();
  fault_install();
  store = sync_open(dir);
  struct bucket *bucket = sync_bucket(store, "appData");
  hold(dir);
  check_busy(make_set(bucket, "other", "1", 0));
  check_busy(make_add(bucket, "k", 1));
  struct store_call *erase = store_call_new(STORE_DELETE_LIKE, bucket, NULL, 0);
  store_call_pattern(erase, "k%", 2);
  check_busy(erase);
  check_busy(store_call_new(STORE_FLUSH, NULL, NULL, 0));
  CHECK_STR(sync_get(store, "appData", "k"), "2");
  CHECK_STR(sync_select(store, "appData", "%"), "k=2");
  let_go();
  CHECK_INT(sync_add(store, "appData", "k", 1), 3);
  sync_set(store, "appData", "other", "1");
  CHECK_STR(sync_select(store, "appData", "%"), "k=3 other=1");
  CHECK_INT(sync_delete_like(store, "appData", "o%"), 1);
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "k=3");
  sync_close(store);
}

TEST(a_store_that_is_closed_while_another_program_holds_the_file_loses_nothing) {
  const char *dir = temp_dir();
  struct err err;
  fault_install();
  store = sync_open(dir);
  hold(dir);
  CHECK_INT(store_close(store, &err), MOONKEEP_BUSY);
  CHECK(strstr(err.message, "another program is writing to the store file"));
  let_go();
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "k=2");
  sync_close(store);
}

TEST(a_file_system_without_shared_memory_is_refused) {
  const char *dir = temp_dir();
  struct err err;
  fault_install();
  fault_without_shared_memory(true);
  enum moonkeep_code code = sync_try_open(dir, &store, &err);
  fault_without_shared_memory(false);
  CHECK_INT(code, MOONKEEP_INVALID);
  CHECK(strstr(err.message, "cannot share memory between programs"));
  sync_close(sync_open(dir));
}
