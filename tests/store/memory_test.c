/* No memory: every allocation of a scenario fails in turn, the host's and SQLite's. Each call ends in success
 * or in its error, the file holds what was acknowledged, and what is acknowledged afterwards is still synced.
 *
 * Without MEMORY=all in the environment only some of SQLite's allocations are tried, ROUNDS of them. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

/* ---- the allocation that fails ---- */

enum whose { OURS, SQLITE };

static atomic_long left; /* allocations until the one that fails; 0 or less: none does */
static atomic_bool struck;
static atomic_int whose;
static _Thread_local bool exempt; /* the test's own do not count */

static bool fails(enum whose mine) {
  if (exempt || atomic_load(&whose) != (int)mine || atomic_load(&left) <= 0) return false;
  if (atomic_fetch_sub(&left, 1) != 1) return false;
  atomic_store(&struck, true);
  return true;
}

static bool gate(void) {
  return !fails(OURS);
}

static sqlite3_mem_methods system_memory;

static void *sqlite_alloc(int size) {
  return fails(SQLITE) ? NULL : system_memory.xMalloc(size);
}

static void *sqlite_resize(void *block, int size) {
  return fails(SQLITE) ? NULL : system_memory.xRealloc(block, size);
}

/* Once, before SQLite is first used: without lookaside, so that every allocation is one. */
static void install(void) {
  static bool installed;
  atomic_store(&left, 0);
  if (!installed) {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory);
    sqlite3_mem_methods methods = system_memory;
    methods.xMalloc = sqlite_alloc;
    methods.xRealloc = sqlite_resize;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
  }
  installed = true;
  mem_set_gate(gate);
  fault_install();
}

static void fail_the(enum whose who, long nth) {
  atomic_store(&whose, who);
  atomic_store(&struck, false);
  atomic_store(&left, nth);
}

/* ---- what the keys hold ---- */

enum { KEYS = 5, WORD = 16 };

static const char *const keys[KEYS] = {"a", "b", "c", "d:1", "d:2"};

static struct {
  char word[WORD];
  char other[WORD]; /* "" unless a call ended as unknown: it may be this as well */
} model[KEYS];

static struct store *store;
static unsigned turn;

static void changed(int key, const char *word, enum moonkeep_code code) {
  if (code == MOONKEEP_UNKNOWN)
    snprintf(model[key].other, WORD, "%s", word);
  else if (code == MOONKEEP_OK) {
    snprintf(model[key].word, WORD, "%s", word);
    model[key].other[0] = '\0';
  }
}

static void check_value(int key, const struct value *value) {
  const char *word = value ? value->json : "absent";
  if (strcmp(word, model[key].word) != 0 && strcmp(word, model[key].other) != 0)
    FAIL("%s holds %s, not %s", keys[key], word, model[key].word);
}

/* ---- calls ---- */

static struct store_call *new_call(enum store_op op, int key) {
  exempt = true;
  struct store_call *call =
      store_call_new(op, sync_bucket(store, "appData"), keys[key], key < 0 ? 0 : strlen(keys[key]));
  exempt = false;
  return call;
}

static enum moonkeep_code run(struct store_call *call) {
  sync_run(store, call);
  enum moonkeep_code code = call->err ? call->err->code : MOONKEEP_OK;
  if (code && code != MOONKEEP_MEMORY && code != MOONKEEP_UNKNOWN && code != MOONKEEP_IO)
    FAIL("a call ends in %s: %s", moonkeep_code_name(code), call->err->message);
  return code;
}

static enum store_verdict change(struct store_call *call, const struct value *current) {
  (void)current;
  char word[WORD];
  snprintf(word, sizeof word, "%u", turn);
  call->value = value_new(word, strlen(word), 0);
  return call->value ? STORE_WRITE : STORE_FAIL;
}

static void update(int key) {
  char word[WORD];
  struct store_call *call = new_call(STORE_UPDATE, key);
  snprintf(word, sizeof word, "%u", ++turn);
  call->apply = change;
  changed(key, word, run(call));
  store_call_free(call);
}

static enum moonkeep_code set(int first, int last, int64_t expires_at_ms) {
  char word[WORD];
  struct store_call *call = new_call(STORE_SET, first);
  snprintf(word, sizeof word, "%u", ++turn);
  exempt = true;
  call->row_count = (size_t)(last - first + 1);
  call->rows = mem_alloc(call->row_count * sizeof *call->rows);
  for (int key = first; key <= last; key++)
    call->rows[key - first] =
        (struct store_row){keys[key], strlen(keys[key]), value_new(word, strlen(word), expires_at_ms), NULL};
  exempt = false;
  enum moonkeep_code code = run(call);
  for (int key = first; key <= last; key++) changed(key, word, code);
  store_call_free(call);
  return code;
}

static void delete (int key) {
  struct store_call *call = new_call(STORE_DELETE, key);
  changed(key, "absent", run(call));
  store_call_free(call);
}

static void delete_like_d(void) {
  struct store_call *call = new_call(STORE_DELETE_LIKE, 0);
  exempt = true;
  store_call_pattern(call, "d:%", 3);
  exempt = false;
  enum moonkeep_code code = run(call);
  for (int key = 3; key < KEYS; key++) changed(key, "absent", code);
  store_call_free(call);
}

static void get(int key) {
  struct store_call *call = new_call(STORE_GET, key);
  if (!run(call)) check_value(key, call->value);
  store_call_free(call);
}

static void scan(void) {
  exempt = true;
  struct store_call *call = make_scan(sync_bucket(store, "appData"), "%");
  exempt = false;
  run(call);
  store_call_free(call);
}

static void flush(void) {
  struct store_call *call = new_call(STORE_FLUSH, 0);
  run(call);
  store_call_free(call);
}

/* ---- the scenario ---- */

static bool opened(const char *dir) {
  struct err err;
  enum moonkeep_code code = sync_try_open(dir, &store, &err);
  if (code && code != MOONKEEP_MEMORY && code != MOONKEEP_IO)
    FAIL("opening ends in %s: %s", moonkeep_code_name(code), err.message);
  return !code;
}

static void close_store(void) {
  struct err err;
  store_close(store, &err);
  store = NULL;
}

static void use(void) {
  set(0, 0, 0), update(1), set(0, 2, 0), set(3, 4, 0);
  get(0), get(2), flush(), scan();
  delete (0), delete_like_d(), update(0);
  enum moonkeep_code code = set(2, 2, store_now_ms(store) + 10);
  sync_advance(1100);
  changed(2, "absent", code); /* by now what has been set has expired */
  flush(), get(2), set(3, 3, 0), scan();
}

static void scenario(const char *dir) {
  if (!opened(dir)) return;
  use();
  close_store();
  if (!opened(dir)) return;
  for (int key = 0; key < KEYS; key++) get(key);
  update(1), flush();
}

/* With memory again, what is acknowledged is synced as before. */
static void check_synced(void) {
  for (int i = 0; i < 5; i++) {
    sync_advance(1100);
    fault_arm(&(struct fault){.op = FAULT_SYNC});
    struct store_call *call = new_call(STORE_UPDATE, 0);
    char word[WORD];
    snprintf(word, sizeof word, "%u", ++turn);
    call->apply = change;
    enum moonkeep_code code = run(call);
    changed(0, word, code);
    store_call_free(call);
    if (code) continue;
    CHECK(fault_count_wal(FAULT_SYNC) >= 1);
    return;
  }
  FAIL("the store does not serve again");
}

static void check_all(void) {
  for (int key = 0; key < KEYS; key++) {
    struct store_call *call = sync_call(store, STORE_GET, "appData", keys[key]);
    CHECK(!call->err);
    check_value(key, call->value);
    store_call_free(call);
  }
}

/* Whether the scenario came to the allocation. */
static bool strike(enum whose who, long nth) {
  const char *dir = temp_dir();
  for (int key = 0; key < KEYS; key++) changed(key, "absent", MOONKEEP_OK);
  fail_the(who, nth);
  scenario(dir);
  bool came = atomic_load(&struck);
  atomic_store(&left, 0);
  if (!store) store = sync_open(dir);
  check_synced();
  check_all();
  sync_close(store);
  store = sync_open(dir);
  check_all();
  sync_close(store);
  store = NULL;
  if (nth % 16 == 0) CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  return came;
}

static long count_of_sqlite(void) {
  const long many = 0x7FFFFFFF;
  fail_the(SQLITE, many);
  const char *dir = temp_dir();
  for (int key = 0; key < KEYS; key++) changed(key, "absent", MOONKEEP_OK);
  scenario(dir);
  long count = many - atomic_load(&left);
  atomic_store(&left, 0);
  close_store();
  return count;
}

TEST(any_allocation_of_the_host_may_fail) {
  install();
  for (long nth = 1; strike(OURS, nth); nth++) {}
  mem_set_gate(NULL);
}

TEST(any_allocation_of_sqlite_may_fail) {
  install();
  const char *all = getenv("MEMORY");
  long count = count_of_sqlite(), rounds = all ? count : check_rounds(150);
  for (long round = 0; round < rounds; round++)
    strike(SQLITE, 1 + (all ? round : (long)check_below((uint64_t)count)));
  mem_set_gate(NULL);
}
