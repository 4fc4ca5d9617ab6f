/* Power that goes at any moment: what was acknowledged is there afterwards, no change is half there, and the
 * file is whole.
 *
 * The store runs on a disk that forgets, reorders and tears what was not synced (helpers/power_vfs.h). The
 * power goes before and after every sync of the scenario that the fault test runs too, and after random
 * writes of random scenarios; POWER in the environment says how many of those. Each time several disks are
 * made that may be found afterwards, and on each of them the store is opened and read. So that everyone sees
 * that this test can fail, it does: on disks that ignore syncs, and with synchronous=NORMAL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sqlite3.h>

#include "check.h"
#include "helpers/power_vfs.h"
#include "helpers/scenario.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

enum { DISKS = 3 }; /* that are found after one cut */

static char wrong[1000];

/* ---- what is found ---- */

static bool is_whole(const char *dir) {
  sqlite3 *db = NULL;
  sqlite3_stmt *check = NULL;
  bool whole = sqlite3_open_v2(temp_path(dir, "appdata.db"), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
               sqlite3_prepare_v2(db,
                                  "SELECT integrity_check, (SELECT count(*) FROM _journal) FROM "
                                  "pragma_integrity_check",
                                  -1, &check, NULL) == SQLITE_OK &&
               sqlite3_step(check) == SQLITE_ROW;
  if (whole) {
    const char *says = (const char *)sqlite3_column_text(check, 0);
    whole = says && strcmp(says, "ok") == 0 && sqlite3_column_int(check, 1) == 0;
    snprintf(wrong, sizeof wrong, "integrity_check says %s, and %d groups are not folded", says,
             sqlite3_column_int(check, 1));
  } else {
    snprintf(wrong, sizeof wrong, "integrity_check cannot run: %s", sqlite3_errmsg(db));
  }
  sqlite3_finalize(check);
  sqlite3_close(db);
  return whole;
}

static const char *read_all(struct store *store, const char *words[KEYS]) {
  static char texts[KEYS][64];
  for (int key = 0; key < KEYS; key++) {
    snprintf(texts[key], sizeof texts[key], "%s", sync_get(store, "appData", scenario_keys[key]));
    words[key] = texts[key];
  }
  return scenario_wrong(words);
}

/* The store on a disk that was found serves: what is written is read, and closes cleanly. */
static bool serves(struct store *store) {
  struct store_call *call = sync_run(store, make_set(sync_bucket(store, "after"), "k", "\"power\"", 0));
  bool ok = !call->err && strcmp(sync_get(store, "after", "k"), "\"power\"") == 0;
  if (!ok)
    snprintf(wrong, sizeof wrong, "cannot write: %s", call->err ? call->err->message : "it is not there");
  store_call_free(call);
  return ok;
}

/* What is wrong with this disk; NULL: nothing. The values are then in words. */
static const char *wrong_with(const char *dir, const char *words[KEYS]) {
  struct err err;
  struct store *store;
  if (sync_try_open(dir, &store, &err)) {
    snprintf(wrong, sizeof wrong, "cannot open: %s", err.message);
    return wrong;
  }
  const char *why = read_all(store, words);
  if (!why && !serves(store)) why = wrong;
  if (store_close(store, &err) && !why) {
    snprintf(wrong, sizeof wrong, "cannot close: %s", err.message);
    why = wrong;
  }
  return why ? why : is_whole(dir) ? NULL : wrong;
}

/* ---- one cut ---- */

/* Looks at several disks that may be found. NULL: all are good. */
static const char *any_disk_wrong(void) {
  const char *words[KEYS], *why = NULL;
  for (int i = 0; !why && i < DISKS; i++) {
    const char *found = temp_dir();
    power_compose(found);
    why = wrong_with(found, words);
    temp_remove(found);
  }
  return why;
}

static void begin(const char *dir, const struct power *power) {
  power_on(dir, power);
  scenario_is_over = power_is_off;
}

static void end(void) {
  power_cut();
  if (scenario_store) scenario_close(false);
}

static void forget(const char *dir) {
  power_end(); /* before another folder may get its inode's number */
  temp_remove(dir);
}

/* ---- at every sync ---- */

/* False: the scenario was through before the power went. */
static bool cut_scenario(const struct power *power) {
  const char *dir = temp_dir();
  scenario_begin();
  begin(dir, power);
  scenario_run(dir, false);
  bool came_to_it = power_is_off();
  end();
  const char *why = any_disk_wrong();
  if (why) FAIL("power goes at sync %ld: %s", power->nth, why);
  forget(dir);
  return came_to_it;
}

static void cut_at_each_sync(enum power_cut when, bool fragile) {
  struct power power = {.cut = when, .nth = 1, .fragile = fragile};
  while (cut_scenario(&power)) power.nth++;
  if (power.nth < 20) FAIL("there were only %ld syncs", power.nth - 1);
}

TEST(power_goes_before_each_sync) {
  cut_at_each_sync(POWER_CUT_BEFORE_SYNC, false);
  cut_at_each_sync(POWER_CUT_BEFORE_SYNC, true);
}

TEST(power_goes_after_each_sync) {
  cut_at_each_sync(POWER_CUT_AFTER_SYNC, false);
  cut_at_each_sync(POWER_CUT_AFTER_SYNC, true);
}

/* ---- at random ---- */

/* Often soon, while the store is made or takes over what the last cut has left. */
static struct power any_cut(void) {
  static const long most[] = {30, 300, 1500};
  bool at_change = check_below(4) > 0;
  return (struct power){.cut = at_change ? POWER_CUT_AFTER_CHANGE : POWER_CUT_AFTER_SYNC,
                        .nth = 1 + (long)check_below((uint64_t)most[check_below(3)] / (at_change ? 1 : 10))};
}

static void run_until_cut(const char *dir, const struct power *power, int steps) {
  begin(dir, power);
  scenario_run_random(dir, steps, check_below(8) == 0);
  end();
}

/* Power goes again and again, and each time one of the disks that may be found is used on; now and then only
 * to be read. Not on a fragile disk: there SQLite, after a cut, writes on in the sector in which the log's
 * last commit ends. */
static long live(long cuts) {
  static const int steps[] = {0, 2, 30};
  const char *dir = temp_dir();
  scenario_begin();
  for (long i = 0; i < cuts; i++) {
    struct power power = any_cut();
    run_until_cut(dir, &power, steps[check_below(3)]);
    const char *why = any_disk_wrong();
    if (why) FAIL("cut %ld: %s", i, why);
    const char *found = temp_dir();
    power_compose(found);
    forget(dir);
    dir = found;
  }
  temp_remove(dir);
  return cuts;
}

TEST(power_goes_at_any_moment_again_and_again) {
  const char *given = getenv("POWER");
  long cuts = given ? atol(given) : 40;
  printf("%ld cuts; seed %llu\n", cuts, (unsigned long long)check_seed());
  while (cuts > 0) cuts -= live(cuts < 8 ? cuts : 1 + (long)check_below(8));
}

/* ---- what comes behind the end of the log ---- */

static size_t copy_file(const char *from, const char *to, const char *name, size_t spoil_at) {
  size_t len;
  char *bytes = temp_read(temp_path(from, name), &len);
  CHECK(bytes);
  if (spoil_at && spoil_at < len) bytes[spoil_at] ^= 1;
  temp_write_bytes(temp_path(to, name), bytes, len);
  free(bytes);
  return len;
}

/* The disk as it is, but for one byte of the log; *log_len is how long that is. */
static const char *disk_now(const char *dir, size_t spoil_at, size_t *log_len) {
  const char *disk = temp_dir();
  copy_file(dir, disk, "appdata.db", 0);
  *log_len = copy_file(dir, disk, "appdata.db-wal", spoil_at);
  return disk;
}

/* A fold that needs no sync has not arrived, the group behind it has. The fold is made again when the store
 * is opened, to the bit: yet what has been read then stays, when power goes once more. */
TEST(a_group_that_power_loss_took_away_does_not_come_back) {
  size_t before_fold, len;
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "k", "0");
  sync_flush(store); /* the table is there: no later fold changes the schema */
  sync_set(store, "appData", "k", "1");
  disk_now(dir, 0, &before_fold);
  sync_flush(store);
  sync_set(store, "appData", "k", "2");
  const char *first = disk_now(dir, before_fold + 100, &len);
  sync_close(store);
  if (len < before_fold + 100) return; /* with tiny limits the log has been wrapped meanwhile */
  store = sync_open(first);
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  const char *second = disk_now(first, 0, &len);
  sync_close(store);
  store = sync_open(second);
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  sync_close(store);
}

/* ---- the folders above ---- */

TEST(a_folder_that_is_made_is_synced_into_the_one_above_it) {
  const char *top = temp_dir(), *one = temp_path(top, "one"), *two = temp_path(one, "two");
  CHECK(mkdir(one, 0777) == 0); /* by a start that was stopped before it could sync */
  power_on(top, &(struct power){.cut = POWER_STAYS});
  sync_close(sync_open(temp_path(two, "three")));
  CHECK(power_synced(top));
  CHECK(power_synced(one));
  CHECK(power_synced(two));
  CHECK(power_synced(temp_path(two, "three")));
  power_end();
}

/* ---- this test can fail ---- */

static int keep_relaxed(void *ctx, int action, const char *pragma, const char *value, const char *db,
                        const char *trigger) {
  (void)ctx, (void)value, (void)db, (void)trigger;
  bool ours = action == SQLITE_PRAGMA && strcmp(pragma, "synchronous") == 0;
  return ours ? SQLITE_IGNORE : SQLITE_OK;
}

/* A connection that is opened has synchronous=NORMAL and keeps it. */
static int relax(sqlite3 *db, char **error, const void *api) {
  (void)error, (void)api;
  sqlite3_exec(db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
  return sqlite3_set_authorizer(db, keep_relaxed, NULL);
}

/* Cuts the power of such a disk until something is wrong, which it has to be before long. */
static void must_go_wrong(const char *what, unsigned deaf, bool normal) {
  const char *why = NULL;
  for (int i = 0; !why && i < 200; i++) {
    const char *dir = temp_dir();
    struct power power = {.cut = POWER_CUT_AFTER_CHANGE, .nth = 100 + (long)check_below(500), .deaf = deaf};
    scenario_begin();
    if (normal) sqlite3_auto_extension((void (*)(void))relax);
    run_until_cut(dir, &power, 30);
    sqlite3_reset_auto_extension();
    why = any_disk_wrong();
    forget(dir);
    if (why) printf("as it should be, %s, after %d cuts: %s\n", what, i + 1, why);
  }
  if (!why) FAIL("nothing is lost with %s", what);
}

TEST(a_disk_that_ignores_every_sync_loses) {
  must_go_wrong("with every sync ignored", POWER_ALL, false);
}

TEST(a_disk_that_ignores_syncs_of_the_file_loses) {
  must_go_wrong("with the file's syncs ignored", POWER_DB, false);
}

TEST(a_disk_that_ignores_syncs_of_the_log_loses) {
  must_go_wrong("with the log's syncs ignored", POWER_WAL, false);
}

TEST(a_disk_that_ignores_syncs_of_the_folder_loses) {
  must_go_wrong("with the folder's syncs ignored", POWER_FOLDER, false);
}

TEST(synchronous_normal_loses) {
  must_go_wrong("with synchronous=NORMAL", 0, true);
}
