/* A change that the host's thread commits by itself, in the commit thread's place. */
#include <sqlite3.h>
#include <string.h>

#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/stats.h"

static struct store *store;
static int answered;

#ifdef FRONT_GROUP_BYTES
static const bool waits_for_none = true; /* so small that every change is handed over at once */
#else
static const bool waits_for_none = false;
#endif

static void note_answer(struct store_call *call) {
  (void)call;
  answered++;
}

static struct store_call *submit(const char *key, const char *json) {
  struct store_call *call = make_set(sync_bucket(store, "appData"), key, json, 0);
  call->done = note_answer;
  CHECK(!store_submit(store, call));
  return call;
}

static void finish(int calls) {
  while (answered < calls)
    if (!store_wait(store, 10000)) FAIL("%d of %d calls are answered", answered, calls);
}

/* The commit thread may be at work after a change of its own; then it is asked once more. */
static void commit_here(const char *key, const char *json) {
  for (;;) {
    int before = answered;
    struct store_call *call = submit(key, json);
    bool here = store_commit_here(store);
    CHECK_INT(answered, before + here);
    finish(before + 1);
    if (call->err) FAIL("%s", call->err->message);
    store_call_free(call);
    if (here || waits_for_none) return;
  }
}

static size_t unfolded(void) {
  struct store_stats stats;
  store_stats(store, &stats);
  return stats.journal_groups;
}

TEST(a_single_change_is_durable_and_answered_when_the_caller_has_committed_it) {
  const char *dir = temp_dir();
  fault_install();
  store = sync_open(dir);
  fault_arm(&(struct fault){.op = FAULT_SYNC});
  commit_here("a", "1");
  CHECK(fault_count_wal(FAULT_SYNC) > 0);
  commit_here("a", "2");
  commit_here("b", "3");
  CHECK_STR(sync_select(store, "appData", "%"), "a=2 b=3");
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=2 b=3");
  sync_close(store);
}

TEST(what_was_committed_so_comes_into_the_tables_like_the_rest) {
  store = sync_open(temp_dir());
  for (int i = 0; i < 20; i++) commit_here("a", "1");
  while (unfolded() > 0) store_wait(store, 10);
  commit_here("a", "2");
  while (unfolded() > 0) store_wait(store, 10);
  sync_close(store);
}

TEST(nothing_to_commit_and_changes_that_wait_together_are_left_to_the_commit_thread) {
  store = sync_open(temp_dir());
  answered = 0;
  CHECK(!store_commit_here(store));
  struct store_call *one = submit("a", "1"), *two = submit("b", "2");
  CHECK(!store_commit_here(store));
  CHECK_INT(answered, 0);
  finish(2);
  store_call_free(one);
  store_call_free(two);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
  sync_close(store);
}

TEST(a_file_that_another_program_holds_is_waited_for_on_the_commit_thread) {
  const char *dir = temp_dir();
  sqlite3 *program;
  fault_install();
  store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_flush(store);
  CHECK(sqlite3_open(temp_path(dir, "appdata.db"), &program) == SQLITE_OK);
  CHECK(sqlite3_exec(program, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
  answered = 0;
  struct store_call *call = submit("a", "2");
  CHECK(!store_commit_here(store));
  CHECK_INT(answered, 0);
  finish(1);
  CHECK(call->err);
  CHECK_INT(call->err->code, MOONKEEP_BUSY);
  store_call_free(call);
  CHECK(sqlite3_exec(program, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(program);
  commit_here("a", "3");
  CHECK_STR(sync_get(store, "appData", "a"), "3");
  sync_close(store);
}

/* Whatever the answer is, it is true, and the store goes on. */
static void fail_at(enum fault_op op, int rc) {
  answered = 0;
  store = sync_open(temp_dir());
  commit_here("a", "1");
  for (bool here = false; !here; here |= waits_for_none) {
    int before = answered;
    fault_arm(&(struct fault){.op = op, .files = FAULT_WAL, .nth = 1, .rc = rc});
    struct store_call *call = submit("a", "2");
    here = store_commit_here(store);
    finish(before + 1);
    fault_disarm();
    CHECK_STR(sync_get(store, "appData", "a"), call->err ? "1" : "2");
    store_call_free(call);
    sync_set(store, "appData", "a", "1");
  }
  commit_here("a", "3");
  CHECK_STR(sync_get(store, "appData", "a"), "3");
  sync_close(store);
}

TEST(a_disk_that_fails_meanwhile_is_answered_for_truthfully) {
  fault_install();
  fail_at(FAULT_SYNC, SQLITE_IOERR_FSYNC);
  fail_at(FAULT_WRITE, SQLITE_IOERR_WRITE);
  fail_at(FAULT_WRITE, SQLITE_FULL);
}
