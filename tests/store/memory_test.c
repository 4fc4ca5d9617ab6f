/* Memory that runs out: every allocation of the host in a scenario fails in turn. Each call ends in success
 * or in an error, nothing leaks (a sanitizer sees that), and the file holds what was acknowledged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

enum { KEYS = 4 };

static char acknowledged[KEYS][32]; /* what each key holds, as far as answers said so; "" absent */

/* Runs a call and frees it; a call that could not even be made is no memory too. */
static enum moonkeep_code outcome(struct store *store, struct store_call *call) {
  if (!call) return MOONKEEP_MEMORY;
  sync_run(store, call);
  enum moonkeep_code code = call->err ? call->err->code : MOONKEEP_OK;
  store_call_free(call);
  return code;
}

static struct store_call *new_set(struct bucket *bucket, const char *key, const char *json) {
  struct store_call *call = store_call_new(STORE_SET, bucket, key, strlen(key));
  struct value *value = value_new(json, strlen(json), 0);
  if (call) call->rows = mem_alloc(sizeof *call->rows);
  if (!call || !value || !call->rows) {
    value_free(value);
    store_call_free(call);
    return NULL;
  }
  call->rows[0] = (struct store_row){call->key, call->key_len, value};
  call->row_count = 1;
  return call;
}

static struct store_call *new_scan(struct bucket *bucket, enum store_op op, const char *pattern) {
  struct store_call *call = store_call_new(op, bucket, NULL, 0);
  if (call && store_call_pattern(call, pattern, strlen(pattern))) return call;
  store_call_free(call);
  return NULL;
}

static void must_be_memory(enum moonkeep_code code) {
  if (code && code != MOONKEEP_MEMORY) FAIL("an error other than memory: %s", moonkeep_code_name(code));
}

static void use(struct store *store, struct bucket *bucket, int round) {
  for (int i = 0; i < KEYS; i++) {
    char key[16], json[32];
    snprintf(key, sizeof key, "k%d", i);
    snprintf(json, sizeof json, "[%d,%d]", round, i);
    enum moonkeep_code code = outcome(store, new_set(bucket, key, json));
    if (!code) strcpy(acknowledged[i], json);
    must_be_memory(code);
    must_be_memory(outcome(store, store_call_new(STORE_GET, bucket, key, strlen(key))));
  }
  must_be_memory(outcome(store, new_scan(bucket, STORE_SCAN, "k%")));
  enum moonkeep_code code = outcome(store, new_scan(bucket, STORE_DELETE_LIKE, "k3%"));
  if (!code) acknowledged[3][0] = '\0';
  must_be_memory(code);
}

static void look(const char *dir) {
  struct store *store = sync_open(dir);
  for (int i = 0; i < KEYS; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    CHECK_STR(sync_get(store, "appData", key), *acknowledged[i] ? acknowledged[i] : "absent");
  }
  sync_close(store);
}

/* Opens, uses, closes, with the nth allocation failing. False: it did not come to an nth. */
static bool run_with_failure(const char *dir, long nth) {
  struct err err;
  struct store *store;
  struct bucket *bucket;
  check_fail_alloc(nth);
  enum moonkeep_code code = sync_try_open(dir, &store, &err);
  must_be_memory(code);
  if (!code) {
    if (!store_bucket(store, "appData", &bucket, &err)) use(store, bucket, (int)nth);
    must_be_memory(store_close(store, &err));
  }
  bool failed = check_alloc_failed();
  check_fail_alloc(0);
  return failed;
}

TEST(any_allocation_that_fails_costs_one_call_and_nothing_that_was_saved) {
  const char *dir = temp_dir();
  long nth = 1;
  memset(acknowledged, 0, sizeof acknowledged);
  for (; run_with_failure(dir, nth); nth++) look(dir);
  CHECK(nth > 50);
  look(dir);
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
}
