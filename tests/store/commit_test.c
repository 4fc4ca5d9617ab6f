/* Commits: what transactions hand to the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

/* One row: what it must have been ("?": it was not read, "-": absent), what it becomes ("=": nothing, "-":
 * absent). */
struct row {
  const char *bucket, *key, *seen, *value;
};

static struct value *value_of(const char *json) {
  return strcmp(json, "-") == 0 ? NULL : value_new(json, strlen(json), 0);
}

static struct store_call *make(struct store *store, const struct row *rows, size_t count) {
  struct store_call *call = store_call_new(STORE_COMMIT, sync_bucket(store, "appData"), NULL, 0);
  call->rows = mem_alloc(count * sizeof *call->rows);
  call->claims = mem_alloc(count * sizeof *call->claims);
  call->row_count = count;
  for (size_t i = 0; i < count; i++) {
    const struct row *row = &rows[i];
    bool read = strcmp(row->seen, "?") != 0, kept = strcmp(row->value, "=") == 0;
    call->rows[i] = (struct store_row){row->key, strlen(row->key), kept ? NULL : value_of(row->value),
                                       sync_bucket(store, row->bucket)};
    call->claims[i] = (struct store_claim){read, kept, read ? value_of(row->seen) : NULL, NULL};
  }
  return call;
}

/* "done", "conflict", or the error's code. */
static const char *run(struct store *store, const struct row *rows, size_t count) {
  struct store_call *call = sync_run(store, make(store, rows, count));
  const char *word = call->err ? moonkeep_code_name(call->err->code) : call->found ? "done" : "conflict";
  store_call_free(call);
  return word;
}
#define RUN(store, ...)                                                                                      \
  run(store, (const struct row[]){__VA_ARGS__},                                                              \
      sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

TEST(a_commit_writes_all_when_what_it_read_still_holds) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  CHECK_STR(RUN(store, {"appData", "a", "1", "2"}, {"other", "b", "-", "[3]"}, {"appData", "c", "?", "4"}),
            "done");
  CHECK_STR(sync_get(store, "appData", "a"), "2");
  CHECK_STR(sync_get(store, "other", "b"), "[3]");
  CHECK_STR(RUN(store, {"appData", "a", "1", "9"}, {"other", "b", "[3]", "9"}), "conflict");
  CHECK_STR(RUN(store, {"appData", "a", "-", "="}, {"other", "b", "[3]", "9"}), "conflict");
  CHECK_STR(sync_get(store, "other", "b"), "[3]");
  CHECK_STR(RUN(store, {"appData", "a", "2", "="}, {"other", "b", "[3]", "-"}), "done");
  CHECK_STR(sync_get(store, "other", "b"), "absent");
  CHECK_STR(RUN(store, {"appData", "a", "2", "="}), "done");
  sync_close(store);
  store = sync_open(dir); /* nothing is in the cache: the keys have to be loaded */
  CHECK_STR(RUN(store, {"appData", "a", "2", "5"}, {"appData", "c", "4", "="}, {"other", "b", "-", "6"}),
            "done");
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(RUN(store, {"appData", "a", "2", "7"}, {"appData", "c", "4", "="}), "conflict");
  CHECK_STR(sync_select(store, "appData", "%"), "a=5 c=4");
  CHECK_STR(sync_get(store, "other", "b"), "6");
  sync_close(store);
}

TEST(a_commit_is_checked_as_a_list_is) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  CHECK_STR(RUN(store, {"appData", "", "?", "2"}), "invalid_key");
  CHECK_STR(sync_get(store, "appData", "a"), "1");
  sync_close(store);
}

TEST(a_value_that_has_expired_has_changed) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct bucket *bucket = sync_bucket(store, "appData");
  const struct value *seen;
  sync_set_until(store, "appData", "a", "1", store_now_ms(store) + 1000);
  struct store_call *get = sync_call(store, STORE_GET, "appData", "a");
  struct store_call *call = make(store, &(struct row){"appData", "a", "-", "2"}, 1);
  call->claims[0].seen = value_ref(get->value);
  sync_advance(2000);
  call = sync_run(store, call);
  CHECK(!call->err && !call->found);
  store_call_free(call);
  store_call_free(get);
  CHECK(!store_newest(store, bucket, "a", 1, &seen) || !seen);
  CHECK_STR(RUN(store, {"appData", "a", "-", "3"}), "done");
  sync_close(store);
}

/* ---- many at once ---- */

enum { ACCOUNTS = 8, COINS = 100 };

struct many {
  struct store *store;
  int left, under_way, conflicts;
};

static const char *const accounts[ACCOUNTS] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"};

struct payment { /* the call's ctx */
  struct many *many;
  int from, to;
};

static void paid(struct store_call *call) {
  struct payment *payment = call->ctx;
  struct many *many = payment->many;
  CHECK(!call->err);
  many->under_way--;
  many->left -= call->found;
  many->conflicts += !call->found;
  store_call_free(call);
  free(payment);
}

/* The newest value that is at hand, or what a get brings, which may be older: then the commit notices. */
static int read_account(struct store *store, int account) {
  const struct value *value;
  if (store_newest(store, sync_bucket(store, "appData"), accounts[account], 2, &value))
    return atoi(value->json);
  return atoi(sync_get(store, "appData", accounts[account]));
}

static void pay(struct many *many) {
  struct payment *payment = malloc(sizeof *payment);
  *payment = (struct payment){many, (int)check_below(ACCOUNTS), (int)check_below(ACCOUNTS)};
  if (payment->from == payment->to) payment->to = (payment->to + 1) % ACCOUNTS;
  char texts[4][16];
  int from = read_account(many->store, payment->from), to = read_account(many->store, payment->to);
  int numbers[4] = {from, from - 1, to, to + 1};
  for (int i = 0; i < 4; i++) snprintf(texts[i], sizeof texts[i], "%d", numbers[i]);
  struct row rows[] = {{"appData", accounts[payment->from], texts[0], texts[1]},
                       {"appData", accounts[payment->to], texts[2], texts[3]}};
  struct store_call *call = make(many->store, rows, 2);
  call->done = paid;
  call->ctx = payment;
  many->under_way++;
  if (store_submit(many->store, call)) paid(call);
}

TEST(many_commits_at_once_neither_make_nor_lose_a_coin) {
  const char *dir = temp_dir();
  struct many many = {.store = sync_open(dir), .left = 300};
  for (int i = 0; i < ACCOUNTS; i++) sync_set(many.store, "appData", accounts[i], "100");
  sync_close(many.store);
  many.store = sync_open(dir);
  while (many.left > 0) {
    for (int n = 0; n < 20 && many.under_way < 20; n++) pay(&many);
    if (check_below(8) == 0) sync_delete_like(many.store, "appData", "b%"); /* something to wait behind */
    if (many.under_way > 0) store_wait(many.store, -1);
  }
  while (many.under_way > 0) store_wait(many.store, -1);
  sync_close(many.store);
  many.store = sync_open(dir);
  int sum = 0;
  for (int i = 0; i < ACCOUNTS; i++) sum += read_account(many.store, i);
  CHECK_INT(sum, ACCOUNTS * COINS);
  sync_close(many.store);
}
