/* Power that goes while the archive is written, a backup is made, a lost store file is restored, an earlier
 * state is brought back: with `--archive sync` no change that was acknowledged is lost, neither from the disk
 * that is found afterwards, nor when the store file is then thrown away.
 *
 * Each key holds a number that grows. The power goes with a sync taken at random, before or after it has had
 * its effect; POWER in the environment says how often, POWER=all: at each one. So that everyone sees that
 * this test can fail, it does, on disks that ignore some syncs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "helpers/power_tree.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/recall.h"

enum { KEYS = 4, ROUND = 3 };

static long long acknowledged[KEYS], submitted[KEYS];
static char wrong[1000];

static enum moonkeep_code try_open(const char *dir, struct store **store, struct err *err) {
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &sync_clock, .archive = STORE_ARCHIVE_SYNC};
  return store_open(store, &options, err);
}

static struct store *open_archived(const char *dir) {
  struct store *store;
  struct err err;
  if (try_open(dir, &store, &err)) FAIL("cannot open: %s", err.message);
  return store;
}

/* ---- the scenario ---- */

static const char *key_name(int key) {
  static char name[8];
  snprintf(name, sizeof name, "k%d", key);
  return name;
}

/* What is answered when the power has gone counts for nothing. */
static void write_keys(struct store *store) {
  for (int i = 0; i < ROUND && !power_tree_is_off(); i++) {
    char number[24];
    int key = (int)check_below(KEYS);
    long long next = submitted[key] + 1;
    snprintf(number, sizeof number, "%lld", next);
    submitted[key] = next;
    sync_set(store, "appData", key_name(key), number);
    if (!power_tree_is_off()) acknowledged[key] = next;
  }
}

static bool backed_up;

static void note_backup(struct store_backup *request, const struct store_backup_state *made,
                        const struct err *err) {
  (void)request, (void)made;
  if (err) FAIL("%s", err->message);
  backed_up = true;
}

static void back_up(struct store *store) {
  struct store_backup request = {note_backup};
  struct err err;
  backed_up = false;
  if (store_backup(store, &request, &err)) FAIL("%s", err.message);
  while (!backed_up) store_wait(store, -1);
}

static void live(const char *dir, bool with_backup) {
  if (power_tree_is_off()) return;
  struct store *store = open_archived(dir);
  write_keys(store);
  sync_flush(store);
  write_keys(store);
  if (with_backup) back_up(store);
  write_keys(store);
  sync_close(store);
  sync_advance(1000);
}

/* Throws the store file away, or spoils it. */
static void lose(const char *dir, bool spoil) {
  if (power_tree_is_off()) return;
  unlink(temp_path(dir, "appdata.db"));
  if (spoil) temp_write(temp_path(dir, "appdata.db"), "this is no database");
}

static void recall_newest(const char *dir) {
  struct recalled recalled;
  struct err err;
  struct recall recall = {.dir = dir, .until_ms = INT64_MAX, .clock = &sync_clock};
  if (power_tree_is_off()) return;
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  recalled_deinit(&recalled);
}

static void run_scenario(const char *dir) {
  memset(acknowledged, 0, sizeof acknowledged);
  memset(submitted, 0, sizeof submitted);
  live(dir, true);
  lose(dir, false);
  live(dir, false);
  lose(dir, true);
  live(dir, true);
  recall_newest(dir);
  live(dir, false);
}

/* ---- what is found ---- */

static const char *wrong_with(const char *dir, const char *what) {
  struct store *store;
  struct err err;
  bool ok = true;
  if (try_open(dir, &store, &err)) {
    snprintf(wrong, sizeof wrong, "%s: cannot open: %.800s", what, err.message);
    return wrong;
  }
  for (int key = 0; ok && key < KEYS; key++) {
    const char *is = sync_get(store, "appData", key_name(key));
    long long number = strcmp(is, "absent") == 0 ? 0 : strncmp(is, "error", 5) == 0 ? -1 : atoll(is);
    ok = number >= acknowledged[key] && number <= submitted[key];
    if (!ok)
      snprintf(wrong, sizeof wrong, "%s: %s is %.100s, acknowledged was %lld, submitted %lld", what,
               key_name(key), is, acknowledged[key], submitted[key]);
  }
  if (store_close(store, &err) && ok) {
    snprintf(wrong, sizeof wrong, "%s: cannot close: %.800s", what, err.message);
    ok = false;
  }
  return ok ? NULL : wrong;
}

static bool anything_acknowledged(void) {
  for (int key = 0; key < KEYS; key++)
    if (acknowledged[key] > 0) return true;
  return false;
}

/* The disk as it is found; then without the store file. */
static const char *wrong_on(const char *found) {
  static const char *const names[] = {"appdata.db", "appdata.db-wal", "appdata.db-shm"};
  const char *copy = temp_dir();
  char command[1200];
  snprintf(command, sizeof command, "cp -R '%s'/. '%s'", found, copy);
  CHECK(system(command) == 0);
  const char *why = wrong_with(found, "the disk that is found");
  for (int i = 0; i < 3; i++) unlink(temp_path(copy, names[i]));
  if (!why && anything_acknowledged()) why = wrong_with(copy, "without its store file");
  temp_remove(copy);
  return why;
}

/* ---- cuts ---- */

/* NULL: nothing is wrong. *syncs: how many there were before the power went. */
static const char *cut(const struct power_tree *plan, long *syncs) {
  const char *dir = temp_dir(), *found = temp_dir();
  power_tree_watch(dir, found, plan);
  run_scenario(dir);
  power_tree_cut();
  *syncs = power_tree_syncs();
  const char *why = wrong_on(found);
  power_tree_end();
  temp_remove(dir);
  temp_remove(found);
  return why;
}

static void must_hold(const struct power_tree *plan) {
  long syncs;
  const char *why = cut(plan, &syncs);
  if (why) FAIL("power goes %s sync %ld: %s", plan->before ? "before" : "after", plan->nth, why);
}

static long count_syncs(void) {
  long syncs;
  const char *why = cut(&(struct power_tree){0}, &syncs);
  if (why) FAIL("with power all the time: %s", why);
  return syncs;
}

TEST(power_loss_takes_nothing_from_archive_backup_and_restore) {
  const char *given = getenv("POWER");
  long most = count_syncs(), cuts = given ? atol(given) : 12, done = 0;
  CHECK(most > 40);
  if (given && strcmp(given, "all") == 0)
    for (long nth = 1; nth <= most; nth++, done += 2)
      for (int before = 0; before < 2; before++)
        must_hold(&(struct power_tree){.nth = nth, .before = before});
  for (; done < cuts; done++)
    must_hold(
        &(struct power_tree){.nth = 1 + (long)check_below((uint64_t)most), .before = check_below(2) == 0});
  printf("%ld cuts in %ld syncs\n", done, most);
}

/* ---- this test can fail ---- */

static void must_go_wrong(const char *what, unsigned deaf, const char *deaf_in) {
  const char *why = NULL;
  int cuts = 0;
  while (!why && cuts++ < 100) {
    long syncs;
    struct power_tree plan = {.nth = 10 + (long)check_below(60), .deaf = deaf, .deaf_in = deaf_in};
    why = cut(&plan, &syncs);
  }
  if (why)
    printf("as it should be, with %s, after %d cuts: %s\n", what, cuts, why);
  else
    FAIL("nothing is lost with %s", what);
}

TEST(a_disk_that_ignores_syncs_of_the_archive_loses) {
  must_go_wrong("the archive's syncs ignored", TREE_DEAF_FILES, ".archive");
}

TEST(a_disk_that_ignores_syncs_of_the_backups_folder_loses) {
  must_go_wrong("the backups folder's syncs ignored", TREE_DEAF_FOLDERS, "/backups");
}

TEST(a_disk_that_ignores_syncs_of_the_log_loses) {
  must_go_wrong("the syncs of the store file and its log ignored", TREE_DEAF_FILES, "appdata.db");
}
