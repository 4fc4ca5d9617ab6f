/* A wall clock that is set, by hours and by years, forward and back, while the store is open and between
 * closing and opening: what expires, when backups are made, which stay, and which moment comes back. Steady
 * time, which such a jump leaves alone, moves only where a test says so. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/recall.h"
#include "store/snapshot.h"
#include "store/store.h"

enum { EVERY_MS = 900 * 1000, HOUR_MS = 3600 * 1000 };
static const int64_t DAY_MS = INT64_C(24) * HOUR_MS;

static void pause_a_little(void) {
  nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
}

/* ---- the keeper's looks at the clock ---- */

static atomic_long looks;

static int64_t wall_ms(void *ctx) {
  (void)ctx;
  return clock_wall_ms(&sync_clock);
}

static int64_t steady_ms(void *ctx) {
  char name[16] = "";
  (void)ctx;
  int64_t now_ms = clock_steady_ms(&sync_clock);
  pthread_getname_np(pthread_self(), name, sizeof name);
  if (strcmp(name, "keeper") == 0) atomic_fetch_add(&looks, 1);
  return now_ms;
}

static const struct clock watched = {.wall_ms = wall_ms, .steady_ms = steady_ms};

/* Once it has looked twice, it has looked and gone through with it since this was called. */
static void await_look(void) {
  long seen = atomic_load(&looks);
  for (int tries = 12000; atomic_load(&looks) < seen + 2; tries--) {
    if (tries == 0) FAIL("the keeper does not look at the clock");
    pause_a_little();
  }
}

/* ---- a store with backups ---- */

static struct store *open_kept(const char *dir, enum store_archive archive) {
  struct store *store;
  struct err err;
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &watched, .backup_every_ms = EVERY_MS, .archive = archive};
  if (store_open(&store, &options, &err)) FAIL("%s", err.message);
  return store;
}

static size_t list(const char *dir, struct snapshot **all) {
  struct err err;
  size_t count;
  if (snapshot_list(temp_path(dir, "backups"), all, &count, &err)) FAIL("%s", err.message);
  return count;
}

static size_t count_in(const char *dir) {
  struct snapshot *all;
  size_t count = list(dir, &all);
  mem_free(all);
  return count;
}

static void await_count(const char *dir, size_t count) {
  for (int tries = 12000; count_in(dir) != count; tries--) {
    if (tries == 0) FAIL("there are %zu backups, not %zu", count_in(dir), count);
    pause_a_little();
  }
}

static bool is_there(const char *dir, const char *name) {
  return access(temp_path(temp_path(dir, "backups"), name), F_OK) == 0;
}

struct request {
  struct store_backup backup;
  bool done;
  struct store_backup_state made;
};

static void on_done(struct store_backup *backup, const struct store_backup_state *made,
                    const struct err *err) {
  struct request *request = (struct request *)backup;
  if (err) FAIL("no backup: %s", err->message);
  request->made = *made;
  request->done = true;
}

/* The value of k, and a backup that has it. */
static struct store_backup_state keep(struct store *store, int k) {
  struct request request = {.backup.done = on_done};
  struct err err;
  char json[16];
  snprintf(json, sizeof json, "%d", k);
  sync_set(store, "appData", "k", json);
  CHECK_INT(store_backup(store, &request.backup, &err), MOONKEEP_OK);
  while (!request.done) store_wait(store, -1);
  return request.made;
}

/* The store file is lost: what comes back is what was kept last, whatever the names say. */
static void check_comes_back(const char *dir, const char *k) {
  CHECK(unlink(temp_path(dir, "appdata.db")) == 0);
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  CHECK_STR(sync_get(store, "appData", "k"), k);
  sync_close(store);
}

/* ---- expiry ---- */

enum { KEYS = 12, JUMPS = 40 };

struct life {
  int64_t until_ms; /* 0: for ever */
  bool over;        /* the clock has been past it: it may have left the file */
  int value;
};

static void give(struct store *store, struct life *life, int i, int value) {
  static const int64_t spans_ms[] = {HOUR_MS, 26 * (int64_t)HOUR_MS, 400 * INT64_C(24) * HOUR_MS};
  char key[16], json[16];
  size_t span = check_below(4);
  *life = (struct life){.until_ms = span == 3 ? 0 : store_now_ms(store) + spans_ms[span], .value = value};
  snprintf(key, sizeof key, "k%d", i);
  snprintf(json, sizeof json, "%d", value);
  sync_set_until(store, "appData", key, json, life->until_ms);
}

static void check_life(struct store *store, struct life *life, int i) {
  char key[16], json[16];
  snprintf(key, sizeof key, "k%d", i);
  snprintf(json, sizeof json, "%d", life->value);
  const char *got = sync_get(store, "appData", key);
  bool absent = strcmp(got, "absent") == 0;
  bool past = life->until_ms && store_now_ms(store) >= life->until_ms;
  life->over |= past;
  if (past ? !absent : strcmp(got, json) != 0 && !(absent && life->over))
    FAIL("%s, %s of %lld, is %s at %lld", key, json, (long long)life->until_ms, got,
         (long long)store_now_ms(store));
}

/* One that is not yet over at any moment that the clock has shown is there; one that is, is not. What expired
 * and was swept away does not return when the clock goes back; what was not may. */
TEST(a_key_is_there_until_its_moment_by_whatever_the_clock_says) {
  static const int64_t jumps_ms[] = {HOUR_MS / 2, 25 * (int64_t)HOUR_MS, 30 * INT64_C(24) * HOUR_MS};
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct life lives[KEYS];
  for (int i = 0; i < KEYS; i++) give(store, &lives[i], i, i);
  for (int n = 0; n < JUMPS; n++) {
    int64_t jump_ms = jumps_ms[check_below(3)];
    bool reopen = check_below(4) == 0;
    if (reopen) sync_close(store);
    sync_jump(check_below(2) ? jump_ms : -jump_ms);
    if (reopen) store = sync_open(dir);
    if (check_below(2)) sync_advance(5000); /* so that the sweep may come */
    for (int i = 0; i < KEYS; i++) check_life(store, &lives[i], i);
    int i = (int)check_below(KEYS);
    give(store, &lives[i], i, KEYS + n);
    check_life(store, &lives[i], i);
  }
  sync_close(store);
}

/* ---- backups on the timer ---- */

TEST(a_clock_that_is_set_makes_no_backup_and_stops_none) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  sync_set(store, "appData", "k", "1");
  sync_jump(3 * DAY_MS);
  await_look();
  CHECK_INT(count_in(dir), 0); /* a quarter of an hour has not gone by */
  sync_advance(EVERY_MS);
  await_count(dir, 1);
  sync_set(store, "appData", "k", "2");
  sync_jump(-6 * DAY_MS);
  sync_advance(EVERY_MS);
  await_count(dir, 2);
  sync_close(store);
  check_comes_back(dir, "2");
}

TEST(a_backup_from_the_future_does_not_put_off_the_next_one_for_ever) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  sync_jump(400 * DAY_MS);
  keep(store, 1);
  sync_close(store);
  sync_jump(-400 * DAY_MS);
  store = open_kept(dir, STORE_ARCHIVE_OFF);
  sync_set(store, "appData", "k", "2");
  sync_advance(EVERY_MS);
  await_count(dir, 2);
  sync_close(store);
  check_comes_back(dir, "2");
}

TEST(backups_of_one_moment_have_different_names) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  struct store_backup_state first = keep(store, 1);
  sync_jump(DAY_MS);
  keep(store, 2);
  sync_jump(-DAY_MS);
  struct store_backup_state third = keep(store, 3);
  CHECK(strcmp(first.name, third.name) != 0);
  CHECK_INT(count_in(dir), 3);
  sync_close(store);
  check_comes_back(dir, "3");
}

/* ---- which backups stay ---- */

TEST(a_jump_ahead_takes_none_of_the_newest_away) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  struct store_backup_state made[5];
  for (int i = 0; i < 5; i++) {
    sync_jump(DAY_MS);
    made[i] = keep(store, i);
  }
  sync_jump(400 * DAY_MS);
  made[0] = keep(store, 5);
  CHECK_INT(count_in(dir), 4);
  CHECK(is_there(dir, made[0].name));
  for (int i = 2; i < 5; i++) CHECK(is_there(dir, made[i].name));
  sync_close(store);
  check_comes_back(dir, "5");
}

TEST(a_jump_back_takes_neither_the_newest_away_nor_those_from_the_future) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  struct store_backup_state ahead[4], made;
  for (int i = 0; i < 4; i++) {
    ahead[i] = keep(store, i);
    sync_jump(DAY_MS);
  }
  sync_jump(-100 * DAY_MS);
  for (int i = 4; i < 10; i++) { /* of one hour: all of them older than four others by their names */
    made = keep(store, i);
    CHECK(is_there(dir, made.name));
    for (int j = 0; j < 4; j++) CHECK(is_there(dir, ahead[j].name));
    sync_advance(1000);
  }
  sync_close(store);
  check_comes_back(dir, "9");
}

/* ---- moments of the archive ---- */

static void await_archived(struct store *store, uint64_t seq) {
  struct store_archive_state state = {0};
  for (int tries = 12000; state.seq < seq; tries--) {
    if (tries == 0) FAIL("group %llu does not come into the archive", (unsigned long long)seq);
    store_archive_state(store, &state);
    pause_a_little();
  }
}

static void check_recalled(const char *dir, int64_t until_ms, const char *k) {
  struct recalled recalled;
  struct err err;
  struct recall recall = {.dir = dir, .until_ms = until_ms, .clock = &sync_clock};
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  recalled_deinit(&recalled);
  struct store *store = open_kept(dir, STORE_ARCHIVE_OFF);
  CHECK_STR(sync_get(store, "appData", "k"), k);
  sync_close(store);
}

/* A folder where the clock was 400 days ahead for the second of three changes, each a second behind the one
 * before. */
static const char *make_jumps(int64_t *first_ms) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, STORE_ARCHIVE_SYNC);
  *first_ms = store_now_ms(store);
  sync_set(store, "appData", "k", "1");
  sync_advance(1000);
  sync_jump(400 * DAY_MS);
  sync_set(store, "appData", "k", "2");
  sync_jump(-400 * DAY_MS);
  sync_advance(1000);
  sync_set(store, "appData", "k", "3");
  await_archived(store, 3);
  sync_close(store);
  sync_advance(1000);
  return dir;
}

TEST(what_was_archived_comes_back_whole_whatever_its_moments_were) {
  int64_t first_ms;
  const char *dir = make_jumps(&first_ms);
  check_comes_back(dir, "3");
}

TEST(a_moment_before_a_jump_comes_back) {
  int64_t first_ms;
  const char *dir = make_jumps(&first_ms);
  check_recalled(dir, first_ms + 500, "1");
}

TEST(a_moment_that_the_clock_showed_while_it_was_ahead_comes_back) {
  int64_t first_ms;
  const char *dir = make_jumps(&first_ms);
  check_recalled(dir, first_ms + 1999 + 400 * DAY_MS, "3"); /* what came later had an earlier time */
}

TEST(a_moment_after_the_clock_was_put_right_comes_back) {
  int64_t first_ms;
  const char *dir = make_jumps(&first_ms);
  check_recalled(dir, first_ms + 2500, "3");
}

/* The clock is ahead while a restore is made and one more change; then it is put right. */
TEST(a_restore_made_while_the_clock_was_ahead_is_followed) {
  int64_t first_ms;
  const char *dir = make_jumps(&first_ms);
  sync_jump(400 * DAY_MS);
  check_recalled(dir, first_ms + 500, "1");
  struct store *store = open_kept(dir, STORE_ARCHIVE_SYNC);
  sync_set(store, "appData", "ahead", "1");
  sync_jump(-400 * DAY_MS);
  sync_advance(1000);
  sync_set(store, "appData", "k", "4");
  sync_close(store);
  sync_advance(1000);
  check_recalled(dir, clock_wall_ms(&sync_clock), "4");
}

/* So is the first of all changes, of which there is no backup yet. */
TEST(an_archive_begun_while_the_clock_was_ahead_is_one_from_before) {
  const char *dir = temp_dir();
  sync_jump(400 * DAY_MS);
  struct store *store = open_kept(dir, STORE_ARCHIVE_SYNC);
  sync_set(store, "appData", "k", "1");
  sync_jump(-400 * DAY_MS);
  sync_set(store, "appData", "k", "2");
  sync_close(store);
  sync_advance(1000);
  check_recalled(dir, clock_wall_ms(&sync_clock), "2");
}
