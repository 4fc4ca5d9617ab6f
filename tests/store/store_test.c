/* The store, call by call: what it answers, in which order, and what it keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/view.h"

TEST(what_is_set_is_there_also_after_reopening) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "absent");
  sync_set(store, "appData", "alice", "{\"xp\":50}");
  CHECK_STR(sync_get(store, "appData", "alice"), "{\"xp\":50}");
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "{\"xp\":50}");
  CHECK_STR(sync_select(store, "appData", "%"), "alice={\"xp\":50}");
  sync_close(store);
}

TEST(delete_says_whether_the_key_was_there) {
  struct store *store = sync_open(temp_dir());
  CHECK(!sync_delete(store, "appData", "alice"));
  sync_set(store, "appData", "alice", "1");
  CHECK(sync_delete(store, "appData", "alice"));
  CHECK(!sync_delete(store, "appData", "alice"));
  CHECK_STR(sync_get(store, "appData", "alice"), "absent");
  CHECK_STR(sync_select(store, "appData", "%"), "");
  sync_close(store);
}

TEST(a_scan_sees_what_was_just_set_in_byte_order) {
  struct store *store = sync_open(temp_dir());
  sync_set(store, "appData", "b", "2");
  sync_set(store, "appData", "\xC3\xA4", "4");
  sync_set(store, "appData", "B", "1");
  sync_set(store, "appData", "bb", "3");
  CHECK_STR(sync_select(store, "appData", "%"), "B=1 b=2 bb=3 \xC3\xA4=4");
  CHECK_STR(sync_select(store, "appData", "b%"), "b=2 bb=3");
  CHECK_STR(sync_select(store, "appData", "_"), "B=1 b=2 \xC3\xA4=4");
  CHECK_STR(sync_select(store, "economy", "%"), "");
  sync_close(store);
}

TEST(a_scan_stops_at_its_limit_and_goes_on_behind_a_key) {
  struct store *store = sync_open(temp_dir());
  for (int i = 0; i < 10; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    sync_set(store, "appData", key, "true");
  }
  struct store_call *call = make_scan(sync_bucket(store, "appData"), "k%");
  call->want = STORE_KEYS;
  call->limit = 3;
  store_call_after(call, "k4", 2);
  sync_run(store, call);
  CHECK_INT(call->found_count, 3);
  CHECK(call->more);
  CHECK_BYTES(call->text.data, call->text.len, "k5k6k7", 6);
  store_call_free(call);
  call = make_scan(sync_bucket(store, "appData"), "k%");
  call->limit = 3;
  store_call_after(call, "k6", 2);
  sync_run(store, call);
  CHECK_INT(call->found_count, 3);
  CHECK(!call->more);
  store_call_free(call);
  call = make_scan(sync_bucket(store, "appData"), "k%");
  call->want = STORE_COUNT;
  sync_run(store, call);
  CHECK_INT(call->count, 10);
  store_call_free(call);
  sync_close(store);
}

TEST(an_expired_key_is_gone_at_that_moment_for_every_call) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  int64_t now = store_now_ms(store);
  sync_set_until(store, "appData", "soon", "1", now + 1000);
  sync_set_until(store, "appData", "later", "2", now + 5000);
  sync_set(store, "appData", "never", "3");
  CHECK_STR(sync_select(store, "appData", "%"), "later=2 never=3 soon=1");
  sync_advance(999);
  CHECK_STR(sync_get(store, "appData", "soon"), "1");
  sync_advance(1);
  CHECK_STR(sync_get(store, "appData", "soon"), "absent");
  CHECK_STR(sync_select(store, "appData", "%"), "later=2 never=3");
  CHECK(!sync_delete(store, "appData", "soon"));
  CHECK_INT(sync_add(store, "appData", "soon", 7), 7);
  CHECK_INT(sync_add(store, "appData", "later", 7), 9);
  sync_advance(4000);
  CHECK_STR(sync_get(store, "appData", "later"), "absent");
  CHECK_STR(sync_get(store, "appData", "soon"), "7");
  CHECK_INT(sync_delete_like(store, "appData", "%"), 2);
  sync_close(store);
}

/* The sweep runs beside: the file is asked until it is so. */
static bool file_comes_to_hold(const char *dir, const char *sql, const char *want) {
  for (int i = 0; i < 2000; i++) {
    if (strcmp(sync_sql(dir, sql), want) == 0) return true;
  }
  return false;
}

TEST(an_expired_key_leaves_the_file_soon_after) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set_until(store, "appData", "soon", "1", store_now_ms(store) + 1000);
  sync_set(store, "appData", "never", "3");
  sync_flush(store);
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM appData"), "2");
  sync_advance(5000);
  CHECK(file_comes_to_hold(dir, "SELECT group_concat(key) FROM appData", "never"));
  sync_close(store);
}

TEST(delete_like_takes_what_matches_and_counts_it) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  for (int i = 0; i < 2500; i++) {
    char key[32];
    snprintf(key, sizeof key, "%s:%d", i % 2 ? "user" : "item", i);
    sync_set(store, "appData", key, "1");
  }
  CHECK_INT(sync_delete_like(store, "appData", "user:%"), 1250);
  CHECK_INT(sync_delete_like(store, "appData", "user:%"), 0);
  CHECK_STR(sync_get(store, "appData", "user:1"), "absent");
  CHECK_STR(sync_get(store, "appData", "item:2"), "1");
  sync_close(store);
  store = sync_open(dir);
  CHECK_INT(sync_delete_like(store, "appData", "%"), 1250);
  sync_close(store);
}

static int finished;

static void count_done(struct store_call *call) {
  if (call->err) FAIL("%s", call->err->message);
  finished++;
  store_call_free(call);
}

static void submit(struct store *store, struct store_call *call) {
  call->done = count_done;
  if (store_submit(store, call)) count_done(call);
}

TEST(a_thousand_updates_of_one_key_that_wait_together_all_count) {
  struct store *store = sync_open(temp_dir());
  finished = 0;
  for (int i = 1; i <= 1000; i++) submit(store, make_add(sync_bucket(store, "appData"), "sum", i));
  while (finished < 1000) store_wait(store, -1);
  CHECK_STR(sync_get(store, "appData", "sum"), "500500");
  sync_close(store);
}

TEST(a_get_answers_with_what_is_durable_while_a_change_is_on_its_way) {
  struct store *store = sync_open(temp_dir());
  sync_set(store, "appData", "k", "1");
  finished = 0;
  submit(store, make_set(sync_bucket(store, "appData"), "k", "2", 0));
  const struct value *value;
  CHECK(store_peek(store, sync_bucket(store, "appData"), "k", 1, &value));
  CHECK_STR(value->json, "1");
  while (!finished) store_wait(store, -1);
  CHECK_STR(sync_get(store, "appData", "k"), "2");
  sync_close(store);
}

TEST(calls_around_a_delete_like_keep_their_order) {
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  for (int round = 0; round < 50; round++) {
    finished = 0;
    submit(store, make_add(bucket, "a:1", 5));
    submit(store, make_add(bucket, "b:1", 1));
    struct store_call *erase = store_call_new(STORE_DELETE_LIKE, bucket, NULL, 0);
    store_call_pattern(erase, "a:%", 3);
    submit(store, erase);
    submit(store, make_add(bucket, "a:1", 3));
    submit(store, make_add(bucket, "b:1", 1));
    while (finished < 5) store_wait(store, -1);
    CHECK_STR(sync_get(store, "appData", "a:1"), "3");
  }
  CHECK_STR(sync_get(store, "appData", "b:1"), "100");
  sync_close(store);
}

TEST(a_list_is_written_whole_or_not_at_all) {
  struct store *store = sync_open(temp_dir());
  struct store_call *call = store_call_new(STORE_SET, sync_bucket(store, "appData"), NULL, 0);
  call->rows = mem_alloc(3 * sizeof *call->rows);
  call->row_count = 3;
  call->rows[0] = (struct store_row){"a", 1, value_new("1", 1, 0), NULL};
  call->rows[1] = (struct store_row){"b", 1, value_new("2", 1, 0), NULL};
  call->rows[2] = (struct store_row){"", 0, value_new("3", 1, 0), NULL};
  sync_run(store, call);
  CHECK(call->err && call->err->code == MOONKEEP_INVALID_KEY);
  store_call_free(call);
  CHECK_STR(sync_select(store, "appData", "%"), "");
  call = store_call_new(STORE_SET, sync_bucket(store, "appData"), NULL, 0);
  call->rows = mem_alloc(3 * sizeof *call->rows);
  call->row_count = 3;
  call->rows[0] = (struct store_row){"a", 1, value_new("1", 1, 0), NULL};
  call->rows[1] = (struct store_row){"b", 1, value_new("2", 1, 0), NULL};
  call->rows[2] = (struct store_row){"a", 1, value_new("3", 1, 0), NULL};
  store_call_free(sync_run(store, call));
  CHECK_STR(sync_select(store, "appData", "%"), "a=3 b=2");
  sync_close(store);
}

static const char *bad_name(struct store *store, const char *name) {
  static struct err err;
  struct bucket *bucket;
  err.message[0] = '\0';
  if (store_bucket(store, name, &bucket, &err) && err.code != MOONKEEP_INVALID_KEY) FAIL("%s", err.message);
  return err.message;
}

/* A scan may be at work when a store comes into being whose name differs from its own only in case. */
TEST(a_table_is_not_read_by_a_name_that_differs_only_in_case) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "economy", "gold", "1");
  sync_close(store);
  char path[1024];
  struct view view;
  struct value *value;
  struct err err;
  snprintf(path, sizeof path, "%s/appdata.db", dir);
  view_init(&view, path, &clock_system);
  CHECK_INT(view_begin_loads(&view, &err), MOONKEEP_OK);
  CHECK_INT(view_load(&view, "Economy", "gold", 4, &value, &err), MOONKEEP_OK);
  CHECK(!value);
  CHECK_INT(view_load(&view, "economy", "gold", 4, &value, &err), MOONKEEP_OK);
  CHECK_STR(value->json, "1");
  value_free(value);
  view_end_loads(&view);
  view_close(&view);
}

TEST(names_of_stores_are_checked) {
  struct store *store = sync_open(temp_dir());
  static const char *const bad[] = {
      "",         "1a",       "_a",
      "a-b",      "a b",      "sqlite_x",
      "SQLite_x", "\xC3\xA4", "a234567890123456789012345678901234567890123456789012345678901234"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(*bad_name(store, bad[i]));
  CHECK_STR(bad_name(store, "a23456789012345678901234567890123456789012345678901234567890123"), "");
  CHECK_STR(bad_name(store, "select"), "");
  CHECK(strstr(bad_name(store, "appdata"), "differs from the existing \"appData\" only in case"));
  CHECK_STR(bad_name(store, "appData"), "");
  sync_set(store, "select", "k", "1");
  CHECK_STR(sync_select(store, "select", "%"), "k=1");
  struct bucket *upper = sync_bucket(store, "Economy"); /* known, but not yet written */
  sync_set(store, "economy", "k", "1");
  CHECK(strstr(bad_name(store, "ECONOMY"), "differs from the existing \"economy\" only in case"));
  struct store_call *call = sync_run(store, make_set(upper, "k", "1", 0));
  CHECK(call->err && call->err->code == MOONKEEP_INVALID_KEY);
  store_call_free(call);
  sync_close(store);
}

static enum moonkeep_code key_fault(struct store *store, const char *key, size_t len) {
  struct store_call *call =
      sync_run(store, store_call_new(STORE_GET, sync_bucket(store, "appData"), key, len));
  enum moonkeep_code code = call->err ? call->err->code : MOONKEEP_OK;
  store_call_free(call);
  return code;
}

TEST(keys_are_checked) {
  struct store *store = sync_open(temp_dir());
  char key[1025];
  memset(key, 'k', sizeof key);
  CHECK_INT(key_fault(store, key, 1024), MOONKEEP_OK);
  CHECK_INT(key_fault(store, key, 1025), MOONKEEP_INVALID_KEY);
  memset(key, 0xFF, sizeof key);
  CHECK_INT(key_fault(store, key, 1025), MOONKEEP_INVALID_KEY);
  CHECK_INT(key_fault(store, "", 0), MOONKEEP_INVALID_KEY);
  CHECK_INT(key_fault(store, "a\0b", 3), MOONKEEP_INVALID_KEY);
  CHECK_INT(key_fault(store, "\xFF", 1), MOONKEEP_INVALID_KEY);
  CHECK_INT(key_fault(store, "\xED\xA0\x80", 3), MOONKEEP_INVALID_KEY);
  sync_close(store);
}

TEST(a_pattern_that_ends_in_a_backslash_is_refused) {
  struct store *store = sync_open(temp_dir());
  CHECK_STR(sync_select(store, "appData", "a\\"), "error: invalid_pattern");
  CHECK_STR(sync_select(store, "appData", "\xFF"), "error: invalid_pattern");
  CHECK_STR(sync_select(store, "appData", "a\\\\"), "");
  sync_close(store);
}

TEST(many_keys_do_not_outgrow_a_small_cache) {
  const char *dir = temp_dir();
  struct err err;
  struct store *store;
  struct store_options options = {.dir = dir, .clock = &sync_clock, .cache_bytes = 4096};
  CHECK(!store_open(&store, &options, &err));
  struct bucket *bucket = sync_bucket(store, "appData");
  finished = 0;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 1000; i++) {
      char key[16];
      snprintf(key, sizeof key, "k%d", i);
      submit(store, make_add(bucket, key, i));
    }
    while (finished < 1000 * (round + 1)) store_wait(store, -1);
    sync_flush(store);
  }
  for (int i = 0; i < 1000; i += 37) {
    char key[16], want[16];
    snprintf(key, sizeof key, "k%d", i);
    snprintf(want, sizeof want, "%d", 3 * i);
    CHECK_STR(sync_get(store, "appData", key), want);
  }
  sync_close(store);
}

TEST(a_closed_store_refuses) {
  /* store_close answers what is under way before it ends: a change submitted right before is on the disk. */
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  finished = 0;
  submit(store, make_add(sync_bucket(store, "appData"), "k", 4));
  sync_close(store);
  CHECK_INT(finished, 1);
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "k"), "4");
  sync_close(store);
}

/* ---- too many at once ---- */

enum { CROWD_KEYS = 1000 };

struct crowd { /* what became of very many calls */
  size_t waiting, saved, refused;
  long submitted;
  long last[CROWD_KEYS]; /* the newest value of each key that was saved, as it was submitted */
};

static void crowd_count(struct store_call *call) {
  struct crowd *crowd = call->ctx;
  crowd->saved += !call->err;
  crowd->refused += call->err != NULL;
  if (call->err) CHECK_INT(call->err->code, MOONKEEP_BUSY);
  if (call->err) CHECK(strstr(call->err->message, "wait for an answer already"));
  store_call_free(call);
}

static void crowd_answered(struct store_call *call) {
  struct crowd *crowd = call->ctx;
  long n = strtol(call->rows[0].value->json, NULL, 10);
  if (!call->err) {
    CHECK(crowd->last[n % CROWD_KEYS] < n); /* in the order in which they were submitted */
    crowd->last[n % CROWD_KEYS] = n;
  }
  crowd_count(call);
}

static void crowd_submit(struct store *store, struct crowd *crowd, struct bucket *bucket) {
  char key[24], json[24];
  long n = ++crowd->submitted;
  snprintf(key, sizeof key, "k%ld", n % CROWD_KEYS);
  snprintf(json, sizeof json, "%ld", n);
  struct store_call *call = make_set(bucket, key, json, 0);
  call->done = crowd_answered;
  call->ctx = crowd;
  if (store_submit(store, call)) crowd_answered(call);
}

static void crowd_check(struct store *store, const struct crowd *crowd) {
  char key[24], json[24];
  for (int i = 0; i < CROWD_KEYS; i++) {
    snprintf(key, sizeof key, "k%d", i);
    snprintf(json, sizeof json, "%ld", crowd->last[i]);
    CHECK_STR(sync_get(store, "appData", key), json);
  }
}

/* ROUNDS: how many calls. */
TEST(what_is_submitted_above_the_limit_is_refused_and_the_rest_is_kept_in_order) {
  long calls = check_rounds(200000);
  struct crowd crowd = {0};
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct bucket *bucket = sync_bucket(store, "appData");
  while (crowd.submitted < calls) {
    crowd_submit(store, &crowd, bucket);
    CHECK(store_pending(store) <= STORE_CALLS);
  }
  while (store_pending(store) > 0) store_wait(store, -1);
  CHECK_INT(crowd.saved + crowd.refused, calls);
  CHECK(crowd.saved >= STORE_CALLS && crowd.refused > 0);
  crowd_submit(store, &crowd, bucket); /* then there is room again */
  sync_close(store);
  CHECK_INT(crowd.saved + crowd.refused, calls + 1);
  store = sync_open(dir);
  crowd_check(store, &crowd);
  sync_close(store);
}

TEST(what_calls_carry_is_bounded_too) {
  struct crowd crowd = {0};
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  enum { VALUE_BYTES = 1 << 20 };
  char *json = malloc(VALUE_BYTES);
  memset(json, '1', VALUE_BYTES - 1);
  json[VALUE_BYTES - 1] = '\0';
  for (int i = 0; i < 100; i++) {
    struct store_call *call = make_set(bucket, "big", json, 0);
    call->done = crowd_count;
    call->ctx = &crowd;
    if (store_submit(store, call)) crowd_count(call);
  }
  free(json);
  CHECK_INT(crowd.refused, 100 - (STORE_CALLS_BYTES / VALUE_BYTES));
  sync_close(store);
  CHECK_INT(crowd.saved + crowd.refused, 100);
}

TEST(who_waits_for_room_is_never_refused) {
  struct crowd crowd = {0};
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  while (crowd.submitted < 20000) {
    if (store_has_room(store))
      crowd_submit(store, &crowd, bucket);
    else
      store_wait(store, -1);
    CHECK(store_pending(store) <= STORE_ROOM_CALLS);
  }
  while (store_pending(store) > 0) store_wait(store, -1);
  CHECK_INT(crowd.saved, 20000);
  crowd_check(store, &crowd);
  sync_close(store);
}
