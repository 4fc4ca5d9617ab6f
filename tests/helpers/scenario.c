#include "helpers/scenario.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"

enum { WORD = 24, CHOICES = 64, ATTEMPTS = 16 };

const char *const scenario_keys[KEYS] = {"d0", "d1", "d2", "k0", "k1", "k2",
                                         "k3", "k4", "k5", "p0", "p1", "x0"};
struct store *scenario_store;
bool (*scenario_is_over)(void);

static bool is_over(void) {
  return scenario_is_over && scenario_is_over();
}

/* ---- what each key may hold ---- */

struct choice {
  unsigned turn; /* of the change that wrote it; one that changes several keys has one turn */
  int64_t expires_at_ms;
  char word[WORD];
};

struct choices { /* in the order in which the changes were submitted: the first one is there, or a later one
                  */
  struct choice items[CHOICES];
  int count;
};

static struct choices model[KEYS];
static unsigned turn;

static const char *shows(const struct choice *choice) {
  bool expired = choice->expires_at_ms && choice->expires_at_ms <= sync_clock.wall_ms(NULL);
  return expired ? "absent" : choice->word;
}

static bool may_hold(int key, const char *word) {
  for (int i = 0; i < model[key].count; i++)
    if (strcmp(shows(&model[key].items[i]), word) == 0) return true;
  return false;
}

static void check_value(int key, const char *word) {
  if (!may_hold(key, word))
    FAIL("%s holds %s, not %s%s", scenario_keys[key], word, shows(&model[key].items[0]),
         model[key].count > 1 ? " or …" : "");
}

static void submitted(int key, const struct choice *choice) {
  CHECK(model[key].count < CHOICES);
  model[key].items[model[key].count++] = *choice;
}

static void drop(struct choices *choices, int at, int count) {
  choices->count -= count;
  memmove(&choices->items[at], &choices->items[at + count],
          (size_t)(choices->count - at) * sizeof *choices->items);
}

static int find_turn(const struct choices *choices, unsigned of_turn) {
  for (int i = 0; i < choices->count; i++)
    if (choices->items[i].turn == of_turn) return i;
  return -1;
}

/* What came before an acknowledged change is gone for good. */
static void acknowledged(int key, unsigned of_turn) {
  int at = find_turn(&model[key], of_turn);
  if (at > 0) drop(&model[key], 0, at);
}

static void refused(int key, unsigned of_turn) {
  int at = find_turn(&model[key], of_turn);
  if (at >= 0) drop(&model[key], at, 1);
}

/* What a read has shown is there to stay as well. */
static void shown(int key, const char *word) {
  for (int i = 0; i < model[key].count; i++) {
    if (strcmp(shows(&model[key].items[i]), word) != 0) continue;
    drop(&model[key], 0, i);
    return;
  }
}

void scenario_holds(enum scenario_key key, const char *word) {
  struct choice choice = {.turn = ++turn};
  snprintf(choice.word, WORD, "%s", word);
  model[key].count = 0;
  submitted((int)key, &choice);
}

void scenario_hold_all(const char *const words[KEYS]) {
  for (int key = 0; key < KEYS; key++) scenario_holds((enum scenario_key)key, words[key]);
}

/* ---- what is found ---- */

static char wrong[200];

/* Whether the change is in the value that a key shows: 1 yes, 0 no, -1 either, as two changes show the same.
 */
static int has_change(int key, unsigned of_turn, const char *word) {
  int has = -2;
  for (int i = 0; i < model[key].count; i++) {
    const struct choice *choice = &model[key].items[i];
    int here = choice->turn >= of_turn;
    if (strcmp(shows(choice), word) == 0) has = has == -2 || has == here ? here : -1;
  }
  return has;
}

static bool is_half(unsigned of_turn, int key, const char *const words[KEYS]) {
  for (int other = key + 1; other < KEYS; other++) {
    if (find_turn(&model[other], of_turn) < 0) continue;
    int has = has_change(key, of_turn, words[key]), too = has_change(other, of_turn, words[other]);
    if (has + too != 1) continue;
    snprintf(wrong, sizeof wrong, "half of a change is there: %s holds %s, and %s holds %s",
             scenario_keys[key], words[key], scenario_keys[other], words[other]);
    return true;
  }
  return false;
}

const char *scenario_wrong(const char *const words[KEYS]) {
  for (int key = 0; key < KEYS; key++) {
    if (may_hold(key, words[key])) continue;
    snprintf(wrong, sizeof wrong, "%s holds %s, not %s%s", scenario_keys[key], words[key],
             shows(&model[key].items[0]), model[key].count > 1 ? " or what came after it" : "");
    return wrong;
  }
  for (int key = 0; key < KEYS; key++)
    for (int i = 0; i < model[key].count; i++)
      if (is_half(model[key].items[i].turn, key, words)) return wrong;
  return NULL;
}

/* ---- calls that wait together ---- */

struct attempt {
  struct store_call *call;
  int first, last; /* the keys that it changes; -1: none */
  unsigned turn;
  char word[WORD]; /* what they get */
  bool done;
  bool late;             /* answered when the scenario was over */
  char misled[2 * WORD]; /* what it was shown and should not have been */
};

static struct attempt attempts[ATTEMPTS];
static int attempt_count;

static void copy_word(char *word, const struct value *value) {
  snprintf(word, WORD, "%.*s", WORD - 1, value ? value->json : "absent");
}

static int key_of(const char *name, size_t len) {
  for (int key = 0; key < KEYS; key++)
    if (strlen(scenario_keys[key]) == len && memcmp(scenario_keys[key], name, len) == 0) return key;
  FAIL("a key %.*s that was never set", (int)len, name);
}

static void look_at(struct attempt *mine, int key, const struct value *value) {
  char word[WORD];
  copy_word(word, value);
  if (!may_hold(key, word)) snprintf(mine->misled, sizeof mine->misled, "%s=%s", scenario_keys[key], word);
}

/* A commit that has found something changed: nothing is written. */
static bool is_conflict(const struct store_call *call) {
  return call->op == STORE_COMMIT && !call->err && !call->found;
}

static void note_answer(struct attempt *mine) {
  struct store_call *call = mine->call;
  mine->done = true;
  mine->late = is_over();
  if (mine->late || call->err || is_conflict(call)) return;
  for (int key = mine->first; key >= 0 && key <= mine->last; key++) acknowledged(key, mine->turn);
  if (call->op != STORE_GET) return;
  char word[WORD];
  int key = key_of(call->key, call->key_len);
  copy_word(word, call->value);
  look_at(mine, key, call->value);
  shown(key, word);
}

static void note_done(struct store_call *call) {
  note_answer(call->ctx);
}

static struct bucket *bucket(void) {
  return sync_bucket(scenario_store, "appData");
}

static struct store_call *on_key(enum store_op op, int key) {
  return store_call_new(op, bucket(), scenario_keys[key], strlen(scenario_keys[key]));
}

/* The call is submitted; keys first to last get the word. */
static void submit_until(struct store_call *call, int first, int last, const char *word,
                         int64_t expires_at_ms) {
  CHECK(attempt_count < ATTEMPTS);
  struct attempt *mine = &attempts[attempt_count++];
  *mine = (struct attempt){.call = call, .first = first, .last = last, .turn = ++turn};
  snprintf(mine->word, WORD, "%s", word);
  call->ctx = mine;
  call->done = note_done;
  struct choice choice = {.turn = mine->turn, .expires_at_ms = expires_at_ms};
  snprintf(choice.word, WORD, "%s", word);
  if (!is_over())
    for (int key = first; key >= 0 && key <= last; key++) submitted(key, &choice);
  if (store_submit(scenario_store, call)) note_answer(mine);
}

static void submit(struct store_call *call, int first, int last, const char *word) {
  submit_until(call, first, last, word, 0);
}

static void submit_read(struct store_call *call) {
  submit(call, -1, -1, "");
}

static const char *new_word(void) {
  static char word[WORD];
  snprintf(word, sizeof word, "%u", turn + 1);
  return word;
}

static void set_until(int key, int64_t expires_at_ms) {
  const char *word = new_word();
  submit_until(make_set(bucket(), scenario_keys[key], word, expires_at_ms), key, key, word, expires_at_ms);
}

static void set(int key) {
  set_until(key, 0);
}

static void set_list(int first, int last) {
  const char *word = new_word();
  struct store_call *call = store_call_new(STORE_SET, bucket(), NULL, 0);
  call->row_count = (size_t)(last - first + 1);
  call->rows = mem_alloc(call->row_count * sizeof *call->rows);
  for (int key = first; key <= last; key++)
    call->rows[key - first] =
        (struct store_row){scenario_keys[key], 2, value_new(word, strlen(word), 0), NULL};
  submit(call, first, last, word);
}

static void set_pair(void) {
  set_list(P0, P1);
}

/* A transaction that has read one key (where its newest value is at hand) and writes others. */
static void commit(int first, int last, int read) {
  const char *word = new_word();
  const struct value *seen;
  struct store_call *call = store_call_new(STORE_COMMIT, bucket(), NULL, 0);
  bool known = store_newest(scenario_store, bucket(), scenario_keys[read], 2, &seen);
  size_t writes = (size_t)(last - first + 1);
  call->row_count = writes + known;
  call->rows = mem_alloc(call->row_count * sizeof *call->rows);
  call->claims = mem_zero(call->row_count * sizeof *call->claims);
  for (int key = first; key <= last; key++)
    call->rows[key - first] =
        (struct store_row){scenario_keys[key], 2, value_new(word, strlen(word), 0), NULL};
  if (known) {
    call->rows[writes] = (struct store_row){scenario_keys[read], 2, NULL, NULL};
    call->claims[writes] =
        (struct store_claim){.read = true, .kept = true, .seen = value_ref((struct value *)seen)};
  }
  submit(call, first, last, word);
}

static enum store_verdict change(struct store_call *call, const struct value *current) {
  struct attempt *mine = call->ctx;
  if (!is_over()) look_at(mine, mine->first, current);
  call->value = value_new(mine->word, strlen(mine->word), 0);
  return STORE_WRITE;
}

static void update(int key) {
  struct store_call *call = on_key(STORE_UPDATE, key);
  call->apply = change;
  submit(call, key, key, new_word());
}

static void delete (int key) {
  submit(on_key(STORE_DELETE, key), key, key, "absent");
}

static void delete_like_d(void) {
  struct store_call *call = store_call_new(STORE_DELETE_LIKE, bucket(), NULL, 0);
  store_call_pattern(call, "d%", 2);
  submit(call, D0, D2, "absent");
}

static void get(int key) {
  submit_read(on_key(STORE_GET, key));
}

static void scan(void) {
  submit_read(make_scan(bucket(), "__"));
}

static void flush(void) {
  submit_read(store_call_new(STORE_FLUSH, NULL, NULL, 0));
}

/* A write-ahead log that has grown so far is checkpointed. */
static void write_much(void) {
  struct store_call *call = store_call_new(STORE_SET, sync_bucket(scenario_store, "wide"), NULL, 0);
  struct value *value = value_new(NULL, 4 << 20, 0);
  memset(value->json, '1', 4 << 20);
  call->rows = mem_alloc(sizeof *call->rows);
  call->rows[0] = (struct store_row){"wide", 4, value, NULL};
  call->row_count = 1;
  submit_read(call);
}

/* ---- answers ---- */

static void judge_scan(const struct store_call *call) {
  bool found[KEYS] = {false};
  for (size_t i = 0; i < call->found_count; i++) {
    const struct store_found *row = &call->found_rows[i];
    char word[WORD];
    int key = key_of(call->text.data + row->key, row->key_len);
    snprintf(word, sizeof word, "%.*s", (int)row->json_len, call->text.data + row->json);
    check_value(key, word);
    found[key] = true;
  }
  for (int key = 0; key < KEYS; key++)
    if (!found[key]) check_value(key, "absent");
}

static void judge_in_time(struct attempt *mine) {
  const struct store_call *call = mine->call;
  enum moonkeep_code code = call->err ? call->err->code : MOONKEEP_OK;
  if (code && code != MOONKEEP_IO && code != MOONKEEP_FULL && code != MOONKEEP_UNKNOWN)
    FAIL("a call ends in %s: %s", moonkeep_code_name(code), call->err->message);
  if (*mine->misled) FAIL("a call is shown %s", mine->misled);
  if ((code && code != MOONKEEP_UNKNOWN) || is_conflict(call))
    for (int key = mine->first; key >= 0 && key <= mine->last; key++) refused(key, mine->turn);
  if (!code && call->op == STORE_SCAN) judge_scan(call);
}

/* Waits for all answers; false: the scenario is over. */
static bool finish(void) {
  for (int i = 0; i < attempt_count; i++)
    while (!attempts[i].done)
      if (!store_wait(scenario_store, 10000)) FAIL("a call is not answered");
  for (int i = 0; i < attempt_count; i++) {
    if (!attempts[i].late) judge_in_time(&attempts[i]);
    store_call_free(attempts[i].call);
  }
  attempt_count = 0;
  return !is_over();
}

/* ---- the scenario ---- */

void scenario_begin(void) {
  scenario_is_over = NULL;
  scenario_store = NULL;
  attempt_count = 0;
  for (int key = 0; key < KEYS; key++) scenario_holds((enum scenario_key)key, "absent");
}

static bool opened(const char *dir) {
  struct err err;
  enum moonkeep_code code = sync_try_open(dir, &scenario_store, &err);
  if (code && !is_over() && code != MOONKEEP_IO && code != MOONKEEP_FULL)
    FAIL("opening ends in %s: %s", moonkeep_code_name(code), err.message);
  return code == MOONKEEP_OK;
}

void scenario_close(bool must_go_well) {
  struct err err;
  enum moonkeep_code code = store_close(scenario_store, &err);
  scenario_store = NULL;
  if (code && must_go_well) FAIL("cannot close: %s", err.message);
}

static bool first_half(bool wide) {
  set(K0), set(K1), set(K2), set_pair(), set(D0), set(D1), set(D2);
  if (!finish()) return false;
  sync_advance(1100);
  update(K0), update(K3), delete (K1), get(K2);
  if (!finish()) return false;
  flush(), scan();
  if (!finish()) return false;
  update(K0);
  if (!finish()) return false;
  delete_like_d(), update(K4), set_until(X0, store_now_ms(scenario_store) + 500);
  if (wide) write_much();
  if (!finish()) return false;
  get(K0), get(D0), get(X0);
  if (!finish()) return false;
  sync_advance(2000);
  return true;
}

static bool second_half(bool wide) {
  set(K5), flush(), get(X0);
  if (!finish()) return false;
  set_pair(), update(K0), commit(P0, P1, K0), delete (K2), set(D1), get(K3);
  if (wide) write_much();
  if (!finish()) return false;
  scan();
  if (!finish()) return false;
  sync_advance(1100);
  delete_like_d(), update(K3);
  return finish();
}

static bool opened_again(const char *dir) {
  scenario_close(false);
  return !is_over() && opened(dir);
}

void scenario_run(const char *dir, bool wide) {
  if (!opened(dir) || !first_half(wide) || !second_half(wide) || !opened_again(dir)) return;
  for (int key = 0; key < KEYS; key++) get(key);
  if (!finish()) return;
  update(K0), flush(), set(D2);
  finish();
}

/* ---- at random ---- */

static int any_key(void) {
  int key = (int)check_below(KEYS - 2);
  return key < P0 ? key : X0; /* p0 and p1 are only ever changed together */
}

static void change_something(bool wide) {
  int first = K0 + (int)check_below(6);
  switch (check_below(wide ? 13 : 12)) {
  case 0:
  case 1:
  case 2: set(any_key()); break;
  case 3:
  case 4:
  case 5: update(any_key()); break;
  case 6: set_pair(); break;
  case 7: commit(P0, P1, K0 + (int)check_below(6)); break;
  case 8: set_list(first, first + (int)check_below((uint64_t)(P0 - first))); break;
  case 9: delete (any_key()); break;
  case 10: delete_like_d(); break;
  case 11: set_until(any_key(), store_now_ms(scenario_store) + 1 + (int64_t)check_below(3000)); break;
  case 12: write_much(); break;
  }
  if (check_below(4) == 0) get(any_key());
  if (check_below(4) == 0) store_kick(scenario_store, false); /* what comes next is another group's */
}

static void look_around(void) {
  if (check_below(2)) flush();
  if (check_below(2)) scan();
  get(any_key());
}

/* What an earlier run has left open is settled by what the file says now. */
static bool settled(void) {
  const char *words[KEYS];
  char texts[KEYS][WORD];
  for (int key = 0; key < KEYS; key++) {
    snprintf(texts[key], WORD, "%s", sync_get(scenario_store, "appData", scenario_keys[key]));
    words[key] = texts[key];
  }
  if (is_over()) return false;
  const char *why = scenario_wrong(words);
  if (why) FAIL("%s", why);
  for (int key = 0; key < KEYS; key++) shown(key, words[key]);
  for (int key = 0; key < KEYS; key++) model[key].count = 1;
  return true;
}

void scenario_run_random(const char *dir, int steps, bool wide) {
  bool goes_on = opened(dir) && settled();
  for (int step = 0; goes_on && step < steps; step++) {
    int changes = (int)check_below(8);
    if (changes == 0) look_around();
    for (int i = 0; i < changes; i++) change_something(wide);
    goes_on = finish();
    if (goes_on && check_below(3) == 0) sync_advance((int64_t)check_below(1500));
    if (goes_on && check_below(8) == 0) goes_on = opened_again(dir);
  }
}

/* ---- afterwards ---- */

void scenario_check_reads(void) {
  for (int key = 0; key < KEYS; key++)
    check_value(key, sync_get(scenario_store, "appData", scenario_keys[key]));
  CHECK_STR(sync_get(scenario_store, "appData", "p0"), sync_get(scenario_store, "appData", "p1"));
  struct store_call *call = sync_run(scenario_store, make_scan(bucket(), "__"));
  CHECK(!call->err);
  judge_scan(call);
  store_call_free(call);
}
