/* Killed at any moment: a child uses the store, is killed with SIGKILL, and the next one finds everything
 * that was acknowledged, nothing twice, and no list half.
 *
 * Parent and child share a ledger (memory that outlives the child): what the child has submitted, and what it
 * has been told is saved. Each cycle goes on from where the killed one stopped. CYCLES in the environment
 * says how many. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

enum { FEW = 4, MANY = 200, COUNTERS = FEW + MANY, PAIRS = 4, BUSY = 64, KILL_US = 60000 };

/* Written by the child, read by the parent when the child is dead. */
struct ledger {
  long submitted[COUNTERS], acknowledged[COUNTERS]; /* counters: how often one was added */
  long moved[PAIRS];                                /* moves between two keys that were acknowledged */
  long erased_to, erasing_to; /* numbers up to which the temporary keys were, or may be, deleted */
  long made_to, making_to;    /* and up to which they were, or may have been, made */
  long born_at;               /* what had been made before this child, and may have been lost */
  bool ready;
};

static struct ledger *ledger;

static struct ledger *new_ledger(void) {
  void *shared = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  return shared;
}

/* ---- the child ---- */

static struct store *store;
static struct bucket *bucket;
static int under_way;

static void must_go_well(struct store_call *call) {
  if (!call->err) return;
  fprintf(stderr, "the child's call failed: %s\n", call->err->message);
  _exit(1);
}

static void submit(struct store_call *call, void (*done)(struct store_call *), void *ctx) {
  under_way++;
  call->done = done;
  call->ctx = ctx;
  if (store_submit(store, call)) done(call);
}

static void ended(struct store_call *call) {
  must_go_well(call);
  under_way--;
  store_call_free(call);
}

static void counted(struct store_call *call) {
  (*(long *)call->ctx)++;
  ended(call);
}

static void add_one(void) {
  char key[16];
  int counter = (int)(check_below(2) ? check_below(FEW) : check_below(COUNTERS));
  snprintf(key, sizeof key, "c%d", counter);
  ledger->submitted[counter]++;
  submit(make_add(bucket, key, 1), counted, &ledger->acknowledged[counter]);
}

/* A list that takes the item from one key and gives it to the other. Which of the two has it alternates; the
 * child knows it from the file when it begins. */
static bool moving[PAIRS];
static int owner[PAIRS];
static const char *const pair_keys[PAIRS][2] = {
    {"p0:0", "p0:1"}, {"p1:0", "p1:1"}, {"p2:0", "p2:1"}, {"p3:0", "p3:1"}};

static void moved(struct store_call *call) {
  long *moves = call->ctx;
  long pair = moves - ledger->moved;
  owner[pair] = !owner[pair];
  moving[pair] = false;
  counted(call);
}

static void move_one(void) {
  int pair = (int)check_below(PAIRS);
  if (moving[pair]) return;
  moving[pair] = true;
  const char *from = pair_keys[pair][owner[pair]], *to = pair_keys[pair][!owner[pair]];
  struct store_call *call = store_call_new(STORE_SET, bucket, NULL, 0);
  call->rows = mem_alloc(2 * sizeof *call->rows);
  call->row_count = 2;
  call->rows[0] = (struct store_row){from, strlen(from), value_new("0", 1, 0), NULL};
  call->rows[1] = (struct store_row){to, strlen(to), value_new("1", 1, 0), NULL};
  submit(call, moved, &ledger->moved[pair]);
}

/* Temporary keys t1, t2, … are made in order and deleted all together: those in the file are the ones behind
 * the last deletion. */
static bool temporary_busy;

static void made(struct store_call *call) {
  ledger->made_to = ledger->making_to;
  temporary_busy = false;
  ended(call);
}

static void erased(struct store_call *call) {
  ledger->erased_to = ledger->erasing_to;
  temporary_busy = false;
  ended(call);
}

static void make_or_erase_temporary(void) {
  if (temporary_busy) return;
  temporary_busy = true;
  if (check_below(8) > 0 || ledger->making_to == ledger->born_at) {
    char key[32];
    snprintf(key, sizeof key, "t%ld", ++ledger->making_to);
    submit(make_set(bucket, key, "1", 0), made, NULL);
    return;
  }
  struct store_call *call = store_call_new(STORE_DELETE_LIKE, bucket, NULL, 0);
  store_call_pattern(call, "t%", 2);
  ledger->erasing_to = ledger->making_to;
  submit(call, erased, NULL);
}

static void come_and_go(void) {
  char key[16];
  snprintf(key, sizeof key, "x%d", (int)check_below(20));
  if (check_below(2))
    submit(make_set(bucket, key, "1", store_now_ms(store) + 1 + (int64_t)check_below(2000)), ended, NULL);
  else
    submit(store_call_new(STORE_DELETE, bucket, key, strlen(key)), ended, NULL);
}

static void do_something(void) {
  uint64_t what = check_below(100);
  if (what < 70)
    add_one();
  else if (what < 80)
    move_one();
  else if (what < 90)
    make_or_erase_temporary();
  else if (what < 96)
    come_and_go();
  else if (what < 98)
    submit(make_scan(bucket, "c%"), ended, NULL);
  else if (what < 99)
    submit(store_call_new(STORE_FLUSH, NULL, NULL, 0), ended, NULL);
  else
    sync_advance(1100); /* folds under load, and sweeps */
}

static void learn_owners(void) {
  for (int pair = 0; pair < PAIRS; pair++) {
    char key[16];
    snprintf(key, sizeof key, "p%d:1", pair);
    owner[pair] = strcmp(sync_get(store, "appData", key), "1") == 0;
    moving[pair] = false;
  }
}

static _Noreturn void live(const char *dir) {
  store = sync_open(dir);
  bucket = sync_bucket(store, "appData");
  learn_owners();
  ledger->born_at = ledger->making_to;
  ledger->erasing_to = ledger->erased_to;
  ledger->ready = true;
  for (;;) {
    while (under_way < BUSY) do_something();
    store_wait(store, 0);
    if (under_way >= BUSY) store_wait(store, -1);
  }
}

/* ---- the parent ---- */

static long number_of(const char *text) {
  return strcmp(text, "absent") == 0 ? 0 : strtol(text, NULL, 10);
}

static void check_counters(void) {
  for (int counter = 0; counter < COUNTERS; counter++) {
    char key[16];
    snprintf(key, sizeof key, "c%d", counter);
    long sum = number_of(sync_get(store, "appData", key));
    if (sum < ledger->acknowledged[counter] || sum > ledger->submitted[counter])
      FAIL("%s is %ld, of %ld acknowledged and %ld submitted", key, sum, ledger->acknowledged[counter],
           ledger->submitted[counter]);
    ledger->acknowledged[counter] = ledger->submitted[counter] = sum;
  }
}

static void check_pairs(void) {
  for (int pair = 0; pair < PAIRS; pair++) {
    char pattern[16];
    snprintf(pattern, sizeof pattern, "p%d:%%", pair);
    const char *rows = sync_select(store, "appData", pattern);
    char zero[64], one[64];
    snprintf(zero, sizeof zero, "p%d:0=1 p%d:1=0", pair, pair);
    snprintf(one, sizeof one, "p%d:0=0 p%d:1=1", pair, pair);
    bool none = !*rows && ledger->moved[pair] == 0;
    if (!none && strcmp(rows, zero) != 0 && strcmp(rows, one) != 0) FAIL("the item is in %s", rows);
  }
}

static bool is_temporary_there(long n) {
  char key[32];
  snprintf(key, sizeof key, "t%ld", n);
  return strcmp(sync_get(store, "appData", key), "absent") != 0;
}

/* Either the last deletion has happened or it has not; what was made before an acknowledged one is gone, and
 * what was acknowledged behind it is there. */
static void check_temporaries(void) {
  bool gone = ledger->erasing_to > ledger->erased_to && !is_temporary_there(ledger->erasing_to);
  long first = gone ? ledger->erasing_to : ledger->erased_to;
  for (long n = first > 20 ? first - 20 : 1; n <= ledger->making_to; n++) {
    bool there = is_temporary_there(n);
    if (there && n <= first) FAIL("t%ld is there after its deletion", n);
    if (!there && n > first && n > ledger->born_at && n <= ledger->made_to) FAIL("t%ld is not there", n);
  }
  ledger->erased_to = first;
}

static void wait_and_kill(pid_t child) {
  while (!*(volatile bool *)&ledger->ready && waitpid(child, NULL, WNOHANG) == 0) usleep(100);
  usleep((useconds_t)check_below(KILL_US));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void live_and_die(const char *dir) {
  ledger->ready = false;
  uint64_t skip = check_below(1000); /* the child goes another way each time */
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    while (skip-- > 0) check_random();
    live(dir);
  }
  wait_and_kill(child);
}

static void look(const char *dir) {
  store = sync_open(dir);
  check_counters();
  check_pairs();
  check_temporaries();
  sync_close(store);
}

static long cycles(void) {
  const char *given = getenv("CYCLES");
  return given ? atol(given) : 100;
}

TEST(what_was_acknowledged_survives_being_killed_at_any_moment) {
  const char *dir = temp_dir();
  long sum = 0;
  ledger = new_ledger();
  for (long cycle = cycles(); cycle > 0; cycle--) {
    live_and_die(dir);
    if (check_below(4) == 0) live_and_die(dir); /* now and then killed again before anybody has looked */
    look(dir);
    if (cycle % 10 == 1) CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  }
  for (int counter = 0; counter < COUNTERS; counter++) sum += ledger->acknowledged[counter];
  printf("%ld cycles, %ld additions acknowledged; seed %llu\n", cycles(), sum,
         (unsigned long long)check_seed());
  CHECK(sum > cycles()); /* something has happened */
  munmap(ledger, sizeof *ledger);
}
