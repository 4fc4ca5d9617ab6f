/* A bulk is all there or not at all: whatever the disk, the memory or the caller does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/power_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/bulk.h"

enum { ROWS = 40, LARGE = 100000 };

/* Puts a row; false: it failed. */
static bool put(struct store *store, struct bulk *bulk, const char *bucket, const char *key, const char *json,
                int64_t expires_at_ms, struct err *err) {
  struct bucket *into;
  return !store_bucket(store, bucket, &into, err) &&
         !store_bulk_put(bulk, into, key, strlen(key), json, strlen(json), expires_at_ms, err);
}

/* Rows of two stores, several groups of them. */
static bool put_rows(struct store *store, struct bulk *bulk, size_t size, struct err *err) {
  char *json = malloc(size + 1), key[8];
  memset(json, '1', size);
  json[0] = json[size - 1] = '"';
  json[size] = '\0';
  bool ok = true;
  for (int i = 0; ok && i < ROWS; i++) {
    snprintf(key, sizeof key, "k%02d", i);
    ok = put(store, bulk, i % 2 ? "odd" : "even", key, json, 0, err);
  }
  free(json);
  return ok;
}

/* The whole life of a bulk on the open store. */
static enum moonkeep_code write_bulk(struct store *store, size_t size) {
  struct bulk *bulk;
  struct err err;
  enum moonkeep_code code = store_bulk_begin(store, &bulk, &err);
  if (code) return code;
  if (put_rows(store, bulk, size, &err)) return store_bulk_commit(bulk, &err);
  store_bulk_abandon(bulk);
  return err.code;
}

static uint64_t count(struct store *store, const char *bucket) {
  struct store_call *call = store_call_new(STORE_SCAN, sync_bucket(store, bucket), NULL, 0);
  CHECK(call && store_call_pattern(call, "%", 1));
  call->want = STORE_COUNT;
  sync_run(store, call);
  CHECK(!call->err);
  uint64_t found = call->count;
  store_call_free(call);
  return found;
}

/* All of it or nothing, as the code says; and the store goes on. */
static void verify(const char *dir, enum moonkeep_code code) {
  struct store *store = sync_open(dir);
  uint64_t even = count(store, "even"), odd = count(store, "odd");
  CHECK_INT(even, odd);
  CHECK(even == 0 || even == ROWS / 2);
  if (code == MOONKEEP_OK) CHECK_INT(even, ROWS / 2);
  if (code != MOONKEEP_OK && code != MOONKEEP_UNKNOWN) CHECK_INT(even, 0);
  CHECK_STR(sync_get(store, "appData", "before"), "1");
  sync_set(store, "appData", "after", "2");
  sync_close(store);
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM _journal"), "0");
}

TEST(a_bulk_is_seen_when_it_is_committed) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct bulk *bulk;
  struct err err;
  sync_set(store, "appData", "a", "1");
  CHECK(!store_bulk_begin(store, &bulk, &err));
  CHECK(put(store, bulk, "appData", "a", "2", 0, &err));
  CHECK(put(store, bulk, "appData", "b", "3", 0, &err));
  CHECK(put(store, bulk, "appData", "b", "4", 0, &err));
  CHECK(put(store, bulk, "economy", "a", "5", clock_wall_ms(&sync_clock) + 1000, &err));
  CHECK(!store_bulk_commit(bulk, &err));
  CHECK_STR(sync_select(store, "appData", "%"), "a=2 b=4");
  CHECK_STR(sync_get(store, "economy", "a"), "5");
  sync_set(store, "appData", "b", "6");
  sync_advance(1000);
  CHECK_STR(sync_get(store, "economy", "a"), "absent");
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=2 b=6");
  sync_close(store);
}

TEST(an_abandoned_bulk_was_never_there) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct bulk *bulk;
  struct err err;
  sync_set(store, "appData", "before", "1");
  CHECK(!store_bulk_begin(store, &bulk, &err));
  CHECK(put_rows(store, bulk, LARGE, &err));
  store_bulk_abandon(bulk);
  store_bulk_abandon(NULL);
  sync_set(store, "Even", "a", "1"); /* the name is free */
  CHECK_INT(count(store, "odd"), 0);
  CHECK_INT(write_bulk(store, 10), MOONKEEP_INVALID_KEY);
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "Even", "%"), "a=1");
  CHECK_INT(count(store, "odd"), 0);
  sync_close(store);
}

TEST(rows_are_checked_and_the_bulk_can_go_on) {
  struct store *store = sync_open(temp_dir());
  struct bulk *bulk;
  struct err err;
  CHECK(!store_bulk_begin(store, &bulk, &err));
  CHECK(!put(store, bulk, "appData", "", "1", 0, &err));
  CHECK_INT(err.code, MOONKEEP_INVALID_KEY);
  CHECK(put(store, bulk, "one", "a", "1", 0, &err));
  CHECK(!put(store, bulk, "ONE", "a", "1", 0, &err));
  CHECK_INT(err.code, MOONKEEP_INVALID_KEY);
  size_t limit = store_value_limit(store);
  char *large = malloc(limit + 2);
  memset(large, '1', limit + 1);
  CHECK_INT(store_bulk_put(bulk, sync_bucket(store, "one"), "b", 1, large, limit + 1, 0, &err),
            MOONKEEP_TOO_LARGE);
  free(large);
  CHECK(!store_bulk_commit(bulk, &err));
  CHECK_STR(sync_select(store, "one", "%"), "a=1");
  sync_close(store);
}

/* ---- faults ---- */

/* Whether it came to the fault. */
static bool strike(const struct fault *fault) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "before", "1");
  sync_flush(store);
  fault_arm(fault);
  enum moonkeep_code code = write_bulk(store, LARGE);
  bool struck = fault_struck();
  struct err err;
  store_close(store, &err);
  fault_disarm();
  verify(dir, code);
  temp_remove(dir);
  return struck;
}

static void strike_some(enum fault_op op, int rc, bool for_good) {
  fault_install();
  struct fault fault = {.op = op, .rc = rc, .for_good = for_good};
  CHECK(!strike(&fault));
  long most = fault_count(op);
  for (long round = 0; round < check_rounds(3); round++) {
    fault.nth = round == 0 ? 1 : 1 + (long)check_below((uint64_t)(most > 0 ? most : 1));
    strike(&fault);
  }
}

TEST(a_disk_that_is_full_in_the_middle) {
  strike_some(FAULT_WRITE, SQLITE_FULL, false);
  strike_some(FAULT_WRITE, SQLITE_FULL, true);
}

TEST(a_disk_that_fails_in_the_middle) {
  strike_some(FAULT_WRITE, SQLITE_IOERR_WRITE, false);
  strike_some(FAULT_WRITE, SQLITE_IOERR_WRITE, true);
  strike_some(FAULT_SYNC, SQLITE_IOERR_FSYNC, false);
  strike_some(FAULT_SYNC, SQLITE_IOERR_FSYNC, true);
  strike_some(FAULT_READ, SQLITE_IOERR_READ, false);
}

TEST(no_memory_at_any_allocation) {
  for (long nth = 1;; nth++) {
    const char *dir = temp_dir();
    struct store *store = sync_open(dir);
    sync_set(store, "appData", "before", "1");
    check_fail_alloc(nth);
    enum moonkeep_code code = write_bulk(store, 10);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    sync_close(store);
    verify(dir, code);
    temp_remove(dir);
    if (!failed) break;
  }
}

/* Whether the power went before the bulk was through. */
static bool cut(const struct power *power) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct err err;
  sync_set(store, "appData", "before", "1");
  sync_close(store);
  power_on(dir, power);
  enum moonkeep_code code = sync_try_open(dir, &store, &err);
  if (!code) {
    code = write_bulk(store, LARGE / 10);
    store_close(store, &err);
  }
  bool went = power_is_off();
  power_cut();
  for (int i = 0; i < 2; i++) {
    const char *found = temp_dir();
    power_compose(found);
    verify(found, code == MOONKEEP_OK ? code : MOONKEEP_UNKNOWN); /* told or not, it may be on the disk */
    temp_remove(found);
  }
  power_end();
  temp_remove(dir);
  return went;
}

TEST(power_goes_at_any_sync_and_any_write) {
  for (struct power power = {.cut = POWER_CUT_BEFORE_SYNC, .nth = 1}; cut(&power); power.nth++) {}
  for (struct power power = {.cut = POWER_CUT_AFTER_SYNC, .nth = 1}; cut(&power); power.nth++) {}
  for (long round = 0; round < check_rounds(4); round++)
    cut(&(struct power){
        .cut = POWER_CUT_AFTER_CHANGE, .nth = 1 + (long)check_below(400), .fragile = round % 2});
}
