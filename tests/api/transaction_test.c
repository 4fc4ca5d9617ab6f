/* Transactions from C, and calls that wait. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#include "api/api.h"
#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/temp.h"
#include "moonkeep.h"

static struct moonkeep_host *open_host(const char *dir) {
  struct moonkeep_error error;
  struct moonkeep_host *host;
  struct moonkeep_options options = {.size = sizeof options, .data = dir, .backup_every_ms = -1};
  if (moonkeep_open(&host, &options, &error)) FAIL("%s", error.message);
  return host;
}

static void close_host(struct moonkeep_host *host) {
  struct moonkeep_error error;
  if (moonkeep_close(host, &error)) FAIL("%s", error.message);
}

/* What the key holds, or the code's name. Valid until the next call. */
static const char *get(struct moonkeep_host *host, const char *store, const char *key) {
  static char text[128];
  struct moonkeep_result result;
  enum moonkeep_code code = moonkeep_get_wait(host, store, key, &result);
  snprintf(text, sizeof text, "%s", code ? moonkeep_code_name(code) : result.json ? result.json : "absent");
  moonkeep_result_free(&result);
  return text;
}

struct answer {
  enum moonkeep_code code;
  char message[256];
  int count;
};

static void on_done(void *ctx, const struct moonkeep_answer *answer) {
  struct answer *to = ctx;
  to->code = answer->code;
  snprintf(to->message, sizeof to->message, "%s", answer->message);
  to->count++;
}

struct move { /* of an amount between two accounts */
  struct moonkeep_host *host;
  const char *from, *to;
  int amount, runs;
  enum moonkeep_code nested;
};

static void put(struct moonkeep_tx *tx, const char *key, int amount) {
  char text[32];
  snprintf(text, sizeof text, "%d", amount);
  moonkeep_tx_set(tx, "bank", key, text, 0);
}

static enum moonkeep_code move(void *ctx, struct moonkeep_tx *tx) {
  struct move *the = ctx;
  the->runs++;
  const char *from = moonkeep_tx_get(tx, "bank", the->from), *to = moonkeep_tx_get(tx, "bank", the->to);
  int has = from ? atoi(from) : 0, gets = to ? atoi(to) : 0;
  the->nested = moonkeep_get(the->host, NULL, "a", NULL, NULL);
  if (has < the->amount) return MOONKEEP_INVALID;
  put(tx, the->from, has - the->amount);
  put(tx, the->to, gets + the->amount);
  return MOONKEEP_OK;
}

TEST(a_transaction_is_made_whole_or_not_at_all) {
  const char *dir = temp_dir();
  struct moonkeep_host *host = open_host(dir);
  struct move the = {.host = host, .from = "ann", .to = "bob", .amount = 3};
  moonkeep_set_wait(host, "bank", "ann", "5", 0, NULL);
  CHECK_INT(moonkeep_transaction_wait(host, move, &the, NULL), MOONKEEP_OK);
  CHECK_INT(the.nested, MOONKEEP_NESTED);
  CHECK_STR(get(host, "bank", "ann"), "2");
  CHECK_STR(get(host, "bank", "bob"), "3");
  struct moonkeep_result result;
  CHECK_INT(moonkeep_transaction_wait(host, move, &the, &result), MOONKEEP_INVALID);
  CHECK(strstr(result.message, "given it up"));
  CHECK_STR(get(host, "bank", "ann"), "2");
  close_host(host);
  host = open_host(dir); /* nothing is at hand */
  the = (struct move){.host = host, .from = "bob", .to = "ann", .amount = 1};
  CHECK_INT(moonkeep_transaction_wait(host, move, &the, NULL), MOONKEEP_OK);
  CHECK(the.runs > 1);
  CHECK_STR(get(host, "bank", "bob"), "2");
  CHECK_STR(get(host, "bank", "ann"), "3");
  close_host(host);
}

/* ---- transactions that do one thing, as a word says ---- */

struct script {
  struct moonkeep_host *host;
  enum moonkeep_code (*body)(struct script *script, struct moonkeep_tx *tx);
  int runs, found;
  char saw[128];
  struct answer answer;
};

static enum moonkeep_code run_body(void *ctx, struct moonkeep_tx *tx) {
  struct script *script = ctx;
  script->runs++;
  return script->body(script, tx);
}

static void script_done(void *ctx, const struct moonkeep_answer *answer) {
  struct script *script = ctx;
  on_done(&script->answer, answer);
}

static void run(struct moonkeep_host *host, struct script *script,
                enum moonkeep_code (*body)(struct script *script, struct moonkeep_tx *tx)) {
  memset(script, 0, sizeof *script);
  script->host = host;
  script->body = body;
  CHECK_INT(moonkeep_transaction(host, run_body, script_done, script), MOONKEEP_OK);
  CHECK_INT(script->answer.count, 0);
}

static void wait_for(struct script *script) {
  while (script->answer.count == 0) {
    struct pollfd fd = {.fd = moonkeep_fd(script->host), .events = POLLIN};
    poll(&fd, 1, moonkeep_timeout_ms(script->host));
    CHECK(moonkeep_tick(script->host, 2000));
  }
  CHECK_INT(script->answer.count, 1);
}

static enum moonkeep_code nothing(struct script *script, struct moonkeep_tx *tx) {
  (void)script, (void)tx;
  return MOONKEEP_OK;
}

static const char *twice(void *ctx, const char *json) {
  static char text[32];
  (void)ctx;
  snprintf(text, sizeof text, "%d", json ? 2 * atoi(json) : 1);
  return text;
}

static const char *leave(void *ctx, const char *json) {
  (void)ctx, (void)json;
  return NULL;
}

static enum moonkeep_code everything(struct script *script, struct moonkeep_tx *tx) {
  moonkeep_tx_set(tx, NULL, "a", " [1, 2] ", 0);
  moonkeep_tx_update(tx, NULL, "n", twice, NULL);
  moonkeep_tx_update(tx, NULL, "n", twice, NULL);
  moonkeep_tx_update(tx, "other", "n", twice, NULL);
  moonkeep_tx_update(tx, NULL, "left", leave, NULL);
  script->found = 10 * moonkeep_tx_delete(tx, NULL, "gone") + moonkeep_tx_delete(tx, NULL, "never");
  const char *n = moonkeep_tx_get(tx, NULL, "n"), *gone = moonkeep_tx_get(tx, NULL, "gone");
  snprintf(script->saw, sizeof script->saw, "%s %s %s", moonkeep_tx_get(tx, NULL, "a"), n ? n : "absent",
           gone ? gone : "absent");
  return MOONKEEP_OK;
}

TEST(a_transaction_sees_what_it_has_changed) {
  const char *dir = temp_dir();
  int64_t later_ms = (int64_t)4102444800000; /* in the year 2100 */
  struct moonkeep_host *host = open_host(dir);
  struct moonkeep_result result;
  struct script script;
  run(host, &script, nothing);
  wait_for(&script);
  moonkeep_set_wait(host, NULL, "n", "3", later_ms, NULL);
  moonkeep_set_wait(host, NULL, "gone", "true", 0, NULL);
  for (int round = 0; round < 2; round++) {
    run(host, &script, everything);
    wait_for(&script);
    CHECK_INT(script.answer.code, MOONKEEP_OK);
    CHECK_STR(script.saw, round ? "[1,2] 48 absent" : "[1,2] 12 absent");
    CHECK_INT(script.found, round ? 0 : 10);
    close_host(host);
    host = open_host(dir);
  }
  CHECK_STR(get(host, "other", "n"), "2");
  CHECK_STR(get(host, NULL, "gone"), "absent");
  CHECK_STR(get(host, NULL, "left"), "absent");
  moonkeep_get_wait(host, NULL, "n", &result);
  CHECK_STR(result.json, "48");
  CHECK_INT(result.expires_at_ms, later_ms);
  moonkeep_result_free(&result);
  moonkeep_select_wait(host, NULL, "_", 0, &result);
  CHECK_STR(result.json,
            "[{\"key\":\"a\",\"value\":[1,2]},{\"key\":\"n\",\"value\":48,\"expires_at_ms\":4102444800000}]");
  moonkeep_result_free(&result);
  close_host(host);
}

static enum moonkeep_code bad_key(struct script *script, struct moonkeep_tx *tx) {
  (void)script;
  moonkeep_tx_set(tx, NULL, "good", "1", 0);
  moonkeep_tx_get(tx, NULL, "");
  return MOONKEEP_OK;
}

static enum moonkeep_code bad_store(struct script *script, struct moonkeep_tx *tx) {
  (void)script;
  moonkeep_tx_set(tx, NULL, "good", "1", 0);
  moonkeep_tx_delete(tx, "no name", "k");
  return MOONKEEP_OK;
}

static enum moonkeep_code bad_value(struct script *script, struct moonkeep_tx *tx) {
  (void)script;
  moonkeep_tx_set(tx, NULL, "good", "1", 0);
  moonkeep_tx_set(tx, NULL, "bad", "{1}", 0);
  moonkeep_tx_set(tx, NULL, "fine", "1", 0);
  return MOONKEEP_OK;
}

TEST(what_is_wrong_in_it_is_answered_and_nothing_written) {
  struct moonkeep_host *host = open_host(temp_dir());
  struct script script;
  run(host, &script, bad_key);
  wait_for(&script);
  CHECK_INT(script.answer.code, MOONKEEP_INVALID_KEY);
  run(host, &script, bad_store);
  wait_for(&script);
  CHECK_INT(script.answer.code, MOONKEEP_INVALID_KEY);
  run(host, &script, bad_value);
  wait_for(&script);
  CHECK_INT(script.answer.code, MOONKEEP_INVALID_VALUE);
  CHECK(script.answer.message[0]);
  CHECK_STR(get(host, NULL, "good"), "absent");
  close_host(host);
}

/* ---- conflicts ---- */

static enum moonkeep_code copy(struct script *script, struct moonkeep_tx *tx) {
  const char *a = moonkeep_tx_get(tx, NULL, "a"), *b = moonkeep_tx_get(tx, NULL, "b");
  (void)script;
  moonkeep_tx_set(tx, NULL, "copy", a ? a : "\"none\"", 0);
  moonkeep_tx_set(tx, NULL, "b", b ? b : "0", 0);
  return MOONKEEP_OK;
}

/* While one key is loaded the other is deleted by a pattern, so that what was read of it does not hold. */
TEST(what_gets_in_between_makes_it_run_again) {
  const char *dir = temp_dir();
  struct moonkeep_host *host = open_host(dir);
  moonkeep_set_wait(host, NULL, "a", "7", 0, NULL);
  moonkeep_set_wait(host, NULL, "b", "1", 0, NULL);
  close_host(host);
  host = open_host(dir);
  CHECK_STR(get(host, NULL, "a"), "7");
  struct script script;
  run(host, &script, copy);
  moonkeep_delete_like(host, NULL, "a%", NULL, NULL);
  wait_for(&script);
  CHECK_INT(script.answer.code, MOONKEEP_OK);
  CHECK_STR(get(host, NULL, "copy"), "\"none\"");
  CHECK_STR(get(host, NULL, "b"), "1");
  close_host(host);
}

/* A change behind the transaction's back, which no caller of the library could make. */
static enum moonkeep_code contend(struct script *script, struct moonkeep_tx *tx) {
  struct err err;
  struct bucket *bucket;
  char json[16];
  moonkeep_tx_get(tx, NULL, "hot");
  moonkeep_tx_set(tx, NULL, "mine", "1", 0);
  CHECK_INT(store_bucket(host_store(script->host->host), "appData", &bucket, &err), MOONKEEP_OK);
  struct store_call *call = store_call_new(STORE_SET, bucket, "hot", 3);
  snprintf(json, sizeof json, "%d", script->runs);
  call->rows = mem_alloc(sizeof *call->rows);
  call->rows[0] = (struct store_row){call->key, 3, value_new(json, strlen(json), 0), NULL};
  call->row_count = 1;
  call->done = store_call_free;
  if (store_submit(host_store(script->host->host), call)) store_call_free(call);
  return MOONKEEP_OK;
}

TEST(tries_are_bounded) {
  struct moonkeep_host *host = open_host(temp_dir());
  struct script script;
  CHECK_STR(get(host, NULL, "hot"), "absent");
  run(host, &script, contend);
  wait_for(&script);
  CHECK_INT(script.answer.code, MOONKEEP_CONFLICT);
  CHECK(script.runs >= 100 && script.runs < 110);
  CHECK_STR(get(host, NULL, "mine"), "absent");
  close_host(host);
}

/* ---- many at a time ---- */

enum { ACCOUNTS = 8, WEALTH = 100 };
static const char *const accounts[ACCOUNTS] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"};

static int total(struct moonkeep_host *host) {
  int sum = 0;
  for (int i = 0; i < ACCOUNTS; i++) sum += atoi(get(host, "bank", accounts[i]));
  return sum;
}

static const char *tax(void *ctx, const char *json) {
  static char text[32];
  struct move *the = ctx;
  the->amount = json && atoi(json) > 0; /* taken, to be given to another */
  snprintf(text, sizeof text, "%d", (json ? atoi(json) : 0) - the->amount);
  return text;
}

TEST(many_transactions_and_updates_lose_nothing) {
  enum { MOVES = 200 };
  static struct move moves[MOVES];
  const char *dir = temp_dir();
  int taken = 0;
  struct moonkeep_host *host = open_host(dir);
  for (int i = 0; i < ACCOUNTS; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", WEALTH);
    moonkeep_set_wait(host, "bank", accounts[i], text, 0, NULL);
  }
  for (long round = 0; round < check_rounds(4); round++) {
    for (int i = 0; i < MOVES; i++) {
      int from = (int)check_below(ACCOUNTS), to = (from + 1 + (int)check_below(ACCOUNTS - 1)) % ACCOUNTS;
      moves[i] = (struct move){.host = host, .from = accounts[from], .to = accounts[to]};
      bool update = check_below(4) == 0;
      if (update) {
        CHECK_INT(moonkeep_update(host, "bank", accounts[from], tax, NULL, &moves[i]), MOONKEEP_OK);
      } else {
        moves[i].amount = 1 + (int)check_below(40);
        CHECK_INT(moonkeep_transaction(host, move, NULL, &moves[i]), MOONKEEP_OK);
      }
      if (!update) moves[i].amount = 0;
      if (check_below(8) == 0) moonkeep_tick(host, 1000);
    }
    moonkeep_wait(host);
    for (int i = 0; i < MOVES; i++) taken += moves[i].amount;
    CHECK_INT(total(host) + taken, ACCOUNTS * WEALTH);
    close_host(host);
    host = open_host(dir);
    CHECK_INT(total(host) + taken, ACCOUNTS * WEALTH);
  }
  close_host(host);
}

/* ---- what fails under it ---- */

/* A disk that fails at the nth write or sync while a pair is changed: both of it, as the answer says. */
static bool strike(enum fault_op op, int rc, long nth) {
  const char *dir = temp_dir();
  struct moonkeep_host *host = open_host(dir);
  struct move the = {.host = host, .from = "ann", .to = "bob", .amount = 2};
  moonkeep_set_wait(host, "bank", "ann", "5", 0, NULL);
  moonkeep_set_wait(host, "bank", "bob", "5", 0, NULL);
  struct fault fault = {.op = op, .rc = rc, .nth = nth};
  fault_arm(&fault);
  enum moonkeep_code code = moonkeep_transaction_wait(host, move, &the, NULL);
  bool struck = fault_struck();
  fault_disarm();
  moonkeep_close(host, NULL);
  host = open_host(dir);
  char ann[8], bob[8];
  snprintf(ann, sizeof ann, "%s", get(host, "bank", "ann"));
  snprintf(bob, sizeof bob, "%s", get(host, "bank", "bob"));
  if (code == MOONKEEP_OK || (code == MOONKEEP_UNKNOWN && ann[0] == '3')) {
    CHECK_STR(ann, "3");
    CHECK_STR(bob, "7");
  } else {
    CHECK(code == MOONKEEP_IO || code == MOONKEEP_FULL || code == MOONKEEP_UNKNOWN);
    CHECK_STR(ann, "5");
    CHECK_STR(bob, "5");
  }
  close_host(host);
  return struck;
}

TEST(a_disk_that_fails_at_its_commit) {
  fault_install();
  for (long nth = 1; strike(FAULT_WRITE, SQLITE_FULL, nth); nth++) {}
  for (long nth = 1; strike(FAULT_WRITE, SQLITE_IOERR_WRITE, nth); nth++) {}
  for (long nth = 1; strike(FAULT_SYNC, SQLITE_IOERR_FSYNC, nth); nth++) {}
}

/* Whichever allocation fails, it is answered, or refused when it is made, and the accounts agree. */
TEST(memory_that_runs_out_in_it) {
  const char *dir = temp_dir();
  bool failed = true;
  struct moonkeep_host *host = open_host(dir);
  moonkeep_set_wait(host, "bank", "ann", "5", 0, NULL);
  close_host(host);
  for (long nth = 1; failed; nth++) {
    host = open_host(dir);
    struct move the = {.host = host, .from = "ann", .to = "bob", .amount = 0};
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_transaction_wait(host, move, &the, NULL);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK(code == MOONKEEP_OK || code == MOONKEEP_MEMORY || failed);
    CHECK_STR(get(host, "bank", "ann"), "5");
    close_host(host);
  }
}

/* ---- calls that wait ---- */

static void wait_inside(void *ctx, const struct moonkeep_answer *answer) {
  struct move *the = ctx;
  (void)answer;
  the->nested = moonkeep_get_wait(the->host, NULL, "a", NULL);
  moonkeep_wait(the->host);
  the->runs++;
}

TEST(each_call_can_be_waited_for) {
  struct moonkeep_host *host = open_host(temp_dir());
  struct moonkeep_result result;
  CHECK_INT(moonkeep_set_wait(host, NULL, "a", "[1]", 0, &result), MOONKEEP_OK);
  CHECK_INT(moonkeep_set_wait(host, NULL, "a", "[1", 0, &result), MOONKEEP_INVALID_VALUE);
  CHECK(result.message[0] && !result.json);
  CHECK_INT(moonkeep_get_wait(host, "no name", "a", &result), MOONKEEP_INVALID_KEY);
  CHECK(result.message[0]);
  CHECK_INT(moonkeep_get_wait(host, NULL, "", NULL), MOONKEEP_INVALID_KEY);
  CHECK_INT(moonkeep_update_wait(host, NULL, "n", twice, NULL, &result), MOONKEEP_OK);
  CHECK_STR(result.json, "1");
  moonkeep_result_free(&result);
  CHECK_INT(moonkeep_delete_wait(host, NULL, "n", &result), MOONKEEP_OK);
  CHECK_INT(result.count, 1);
  CHECK_INT(moonkeep_delete_like_wait(host, NULL, "%", &result), MOONKEEP_OK);
  CHECK_INT(result.count, 1);
  struct move the = {.host = host};
  moonkeep_get(host, NULL, "a", wait_inside, &the);
  moonkeep_wait(host);
  CHECK_INT(the.runs, 1);
  CHECK_INT(the.nested, MOONKEEP_NESTED);
  close_host(host);
}
