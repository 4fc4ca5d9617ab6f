/* Calls that are made from the answer to another call, and many that wait for one another: none is lost, none
 * waits for ever, and what has been acknowledged stays to be seen. */
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

static int unfinished;

static void count_down(struct store_call *call) {
  if (call->err) FAIL("%s", call->err->message);
  unfinished--;
  store_call_free(call);
}

static void submit_with(struct store *store, struct store_call *call, void (*done)(struct store_call *)) {
  unfinished++;
  call->done = done;
  if (store_submit(store, call)) done(call);
}

static void submit(struct store *store, struct store_call *call) {
  submit_with(store, call, count_down);
}

/* A call that is lost is a failed test, not one that hangs. */
static void finish(struct store *store) {
  while (unfinished > 0)
    if (!store_wait(store, 10000)) FAIL("%d calls are not answered", unfinished);
}

static struct store_call *make_get(struct bucket *bucket, const char *key) {
  return store_call_new(STORE_GET, bucket, key, strlen(key));
}

static struct store_call *make_erase(struct bucket *bucket, const char *pattern) {
  struct store_call *call = store_call_new(STORE_DELETE_LIKE, bucket, NULL, 0);
  store_call_pattern(call, pattern, strlen(pattern));
  return call;
}

static struct store_call *make_pair(struct bucket *bucket, const char *first, const char *second) {
  struct store_call *call = store_call_new(STORE_SET, bucket, NULL, 0);
  call->rows = mem_alloc(2 * sizeof *call->rows);
  call->row_count = 2;
  call->rows[0] = (struct store_row){first, strlen(first), value_new("7", 1, 0), NULL};
  call->rows[1] = (struct store_row){second, strlen(second), value_new("8", 1, 0), NULL};
  return call;
}

static void fill(struct store *store, const char *bucket, int count) {
  for (int i = 0; i < count; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    submit(store, make_set(sync_bucket(store, bucket), key, "1", 0));
  }
  finish(store);
}

/* Reopened, so that nothing is in the cache and every key has to be loaded. */
static struct store *reopened(struct store *store, const char *dir) {
  sync_close(store);
  return sync_open(dir);
}

struct chain {
  struct store *store;
  struct bucket *bucket;
  int next, last;
};

static void next_link(struct store_call *call);

static void start_link(struct chain *chain) {
  char key[16];
  snprintf(key, sizeof key, "k%d", chain->next++);
  struct store_call *call = make_get(chain->bucket, key);
  call->ctx = chain;
  submit_with(chain->store, call, next_link);
}

static void next_link(struct store_call *call) {
  struct chain *chain = call->ctx;
  if (call->err) FAIL("%s", call->err->message);
  CHECK(call->value);
  store_call_free(call);
  unfinished--;
  if (chain->next < chain->last) start_link(chain);
}

/* Who has only so long hands out one answer, and is told that more have come. */
TEST(answers_can_be_handed_out_a_few_at_a_time) {
  enum { GETS = 30 };
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  bool at_once = false;
  for (int i = 0; i < GETS; i++) {
    char key[24];
    snprintf(key, sizeof key, "unknown%d", i);
    submit(store, make_get(bucket, key));
  }
  while (unfinished > 0) {
    struct pollfd answers = {.fd = store_fd(store), .events = POLLIN};
    int before = unfinished;
    if (!at_once && poll(&answers, 1, 10000) != 1) FAIL("%d calls are not answered", unfinished);
    bool left = store_pump_until(store, 1);
    if (at_once) CHECK_INT(unfinished, before - 1);
    CHECK(unfinished >= before - 1);
    at_once = left;
  }
  CHECK(!at_once);
  sync_close(store);
}

TEST(a_call_made_in_the_answer_to_another_leaves_the_way_to_a_scan_open) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  unfinished = 0;
  fill(store, "appData", 30);
  store = reopened(store, dir);
  struct chain chains[3];
  for (int i = 0; i < 3; i++) {
    chains[i] = (struct chain){store, sync_bucket(store, "appData"), 10 * i, 10 * i + 10};
    start_link(&chains[i]);
  }
  submit(store, make_scan(sync_bucket(store, "appData"), "%"));
  finish(store);
  submit(store, make_scan(sync_bucket(store, "appData"), "%"));
  submit(store, make_erase(sync_bucket(store, "appData"), "k1%"));
  finish(store);
  sync_close(store);
}

TEST(a_list_a_delete_like_and_an_update_that_wait_for_one_another_all_end) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  unfinished = 0;
  for (int round = 0; round < 20; round++) {
    fill(store, "appData", 3);
    store = reopened(store, dir);
    struct bucket *bucket = sync_bucket(store, "appData");
    submit(store, make_add(bucket, "k0", 1));
    submit(store, make_pair(bucket, "k0", "k1"));
    submit(store, make_erase(bucket, "k1%"));
    submit(store, make_add(bucket, "k1", 5));
    submit(store, make_scan(bucket, "%"));
    finish(store);
    CHECK_STR(sync_select(store, "appData", "%"), "k0=7 k1=5 k2=1");
  }
  sync_close(store);
}

static void fill_the_disk(struct store_call *call) {
  fault_arm(&(struct fault){FAULT_WRITE, FAULT_WAL, 1, true, false, SQLITE_FULL});
  count_down(call);
}

static void make_room(struct store_call *call) {
  CHECK(call->err && call->err->code == MOONKEEP_FULL);
  fault_disarm();
  unfinished--;
  store_call_free(call);
}

/* A get waits behind a deleteLike, then for a value that is not saved after all, then for a load: it is one
 * call that waits, each time. */
TEST(a_get_that_waits_again_because_a_change_failed_leaves_the_way_to_a_scan_open) {
  fault_install();
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  unfinished = 0;
  fill(store, "appData", 1);
  submit_with(store, make_erase(bucket, "x%"), fill_the_disk);
  submit_with(store, make_set(bucket, "x1", "5", 0), make_room);
  submit(store, make_get(bucket, "x1"));
  finish(store);
  submit(store, make_scan(bucket, "%"));
  submit(store, make_erase(bucket, "k%"));
  finish(store);
  CHECK_STR(sync_select(store, "appData", "%"), "");
  sync_close(store);
}

TEST(a_list_that_waits_does_not_need_its_callers_keys_any_more) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  unfinished = 0;
  fill(store, "appData", 2);
  store = reopened(store, dir);
  struct bucket *bucket = sync_bucket(store, "appData");
  char first[] = "k0", second[] = "k9";
  submit(store, make_add(bucket, "k0", 1)); /* has to be loaded, and the list waits for that */
  submit(store, make_pair(bucket, first, second));
  memcpy(first, "xx", 2);
  memcpy(second, "yy", 2);
  finish(store);
  CHECK_STR(sync_select(store, "appData", "%"), "k0=7 k1=1 k9=8");
  sync_close(store);
}

/* A cache that holds nothing: each key is loaded anew as soon as the tables say what it holds. */
static struct store *open_without_cache(const char *dir) {
  struct err err;
  struct store *store;
  struct store_options options = {.dir = dir, .clock = &sync_clock, .cache_bytes = 1};
  if (store_open(&store, &options, &err)) FAIL("cannot open: %s", err.message);
  return store;
}

static void note_answer(struct store_call *call) {
  *(bool *)call->ctx = true;
}

static void get_again(struct store_call *call) {
  struct chain *chain = call->ctx;
  if (call->err) FAIL("%s", call->err->message);
  store_call_free(call);
  unfinished--;
  for (int i = 0; i < 3 && chain->next < chain->last; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", chain->next++ % 40);
    call = make_get(chain->bucket, key);
    call->ctx = chain;
    submit_with(chain->store, call, get_again);
  }
}

TEST(a_key_may_leave_the_cache_while_its_load_is_being_answered) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  unfinished = 0;
  fill(store, "appData", 40);
  sync_close(store);
  store = open_without_cache(dir);
  struct chain chain = {store, sync_bucket(store, "appData"), 1, 2000};
  struct store_call *call = make_get(chain.bucket, "k0");
  call->ctx = &chain;
  submit_with(store, call, get_again);
  finish(store);
  sync_close(store);
}

static void empty_cache(struct store *store) {
  for (int i = 0; i < 100; i++) store_pump(store); /* each lets go of some of what it can */
}

/* The reader has begun a batch of loads, and so a moment to read at; then a key changes, is folded, leaves
 * the cache and is asked for again. Its load must not be answered from the batch's moment. */
TEST(a_load_never_shows_less_than_what_was_acknowledged_before_it) {
  const char *dir = temp_dir();
  fault_install();
  struct store *store = open_without_cache(dir);
  struct bucket *bucket = sync_bucket(store, "appData");
  unfinished = 0;
  fill(store, "appData", 40);
  sync_flush(store);
  empty_cache(store);
  CHECK_STR(sync_get(store, "appData", "k1"), "1"); /* the reader knows the tables now */
  sync_set(store, "appData", "other", "1");
  sync_flush(store);
  empty_cache(store);
  fault_hold_read();
  submit(store, make_get(bucket, "k30"));
  fault_await();
  sync_set(store, "appData", "k2", "2");
  while (strcmp(sync_sql(dir, "SELECT count(*) FROM _journal"), "0") != 0) {} /* folded when idle */
  empty_cache(store);
  struct store_call *call = make_get(bucket, "k2");
  bool answered = false;
  call->ctx = &answered;
  call->done = note_answer;
  bool at_once = store_submit(store, call);
  fault_release();
  while (!at_once && !answered) store_wait(store, -1);
  CHECK(call->value);
  CHECK_STR(call->value->json, "2");
  store_call_free(call);
  finish(store);
  sync_close(store);
}

/* An update gives a key a new lease on life just before it expires; it is not durable yet when the old one is
 * over. Who reads then must not find the key gone, since nothing ever came after it was alive. */
TEST(a_key_renewed_before_it_expires_is_never_seen_as_gone) {
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  const struct value *value;
  bool answered = false;
  unfinished = 0;
  sync_set_until(store, "appData", "a", "1", store_now_ms(store) + 10);
  submit(store, make_set(bucket, "a", "2", store_now_ms(store) + 1000));
  sync_advance(10);
  CHECK(!store_peek(store, bucket, "a", 1, &value));
  struct store_call *call = make_get(bucket, "a");
  call->ctx = &answered;
  call->done = note_answer;
  bool at_once = store_submit(store, call);
  while (!at_once && !answered) store_wait(store, -1);
  CHECK(call->value);
  CHECK_STR(call->value->json, "2");
  store_call_free(call);
  finish(store);
  sync_close(store);
}

/* The reader is busy with a scan when another one is called; before its turn comes, a key expires and only
 * then another one is written. It must not show both. */
TEST(a_scan_shows_nothing_beside_what_was_written_after_it_had_expired) {
  fault_install();
  struct store *store = sync_open(temp_dir());
  struct bucket *bucket = sync_bucket(store, "appData");
  bool answered = false;
  unfinished = 0;
  sync_set_until(store, "appData", "a", "1", store_now_ms(store) + 10);
  sync_flush(store);
  fault_hold_read();
  submit(store, make_scan(bucket, "%"));
  fault_await();
  struct store_call *call = make_scan(bucket, "%");
  call->ctx = &answered;
  call->done = note_answer;
  bool at_once = store_submit(store, call);
  sync_advance(10);
  sync_set(store, "appData", "b", "2");
  sync_flush(store);
  fault_release();
  while (!at_once && !answered) store_wait(store, -1);
  CHECK_INT(call->found_count, 1);
  CHECK_BYTES(call->text.data + call->found_rows[0].key, call->found_rows[0].key_len, "b", 1);
  store_call_free(call);
  finish(store);
  sync_close(store);
}

/* It does not wait for what the reader has in hand, as a flush would. */
static void make_bucket(struct store *store, const char *dir) {
  static int made;
  char name[16];
  snprintf(name, sizeof name, "made%d", made++);
  sync_set(store, name, "k", "1");
  while (strcmp(sync_sql(dir, "SELECT count(*) FROM _journal"), "0") != 0) {} /* folded when idle */
}

/* Other stores come into being before a key is looked up in one that is not there, and while the reader is at
 * its nth read of what stores there are. */
static void look_while_stores_come(struct store *store, const char *dir, int nth) {
  struct store_call *call = make_get(sync_bucket(store, "none"), "k");
  bool answered = false;
  call->ctx = &answered;
  call->done = note_answer;
  make_bucket(store, dir);
  fault_hold_read();
  bool at_once = store_submit(store, call);
  while (!at_once && !answered) {
    store_wait(store, 0);
    if (!fault_is_held()) continue;
    if (--nth == 0) make_bucket(store, dir);
    fault_hold_read();
  }
  fault_release();
  if (call->err) FAIL("%s", call->err->message);
  CHECK(!call->value);
  store_call_free(call);
}

TEST(a_store_that_is_not_there_is_empty_whatever_stores_come_into_being) {
  fault_install();
  const char *dir = temp_dir();
  struct store *store = open_without_cache(dir);
  for (int i = 0; i < 20; i++) { /* so many that there is something to read */
    char name[24];
    snprintf(name, sizeof name, "before%d", i);
    sync_set(store, name, "k", "1");
  }
  look_while_stores_come(store, dir, 0); /* the reader knows the tables now */
  for (int nth = 1; nth <= 3; nth++) look_while_stores_come(store, dir, nth);
  sync_close(store);
}

static void end_in_error(struct store_call *call) {
  CHECK(call->err);
  CHECK_INT(call->err->code, MOONKEEP_INVALID_KEY);
  unfinished--;
  store_call_free(call);
}

TEST(a_long_key_that_is_not_text_is_refused) {
  struct store *store = sync_open(temp_dir());
  static char key[100000];
  unfinished = 0;
  memset(key, 0xFF, sizeof key);
  submit_with(store, store_call_new(STORE_GET, sync_bucket(store, "appData"), key, sizeof key), end_in_error);
  sync_close(store);
}
