/* The disk of backups and archive is full for a while, or their folder is gone for a while: what was there
 * stays, it is told, and afterwards everything is kept again without anybody's help. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/archive.h"
#include "store/disk.h"
#include "store/snapshot.h"
#include "store/store.h"

enum { EVERY_MS = 900 * 1000, RETRY_MS = 31 * 1000 };

static void pause_a_little(void) {
  nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
}

/* A data folder, and a disk beside it that has the backups. */
struct place {
  char data[512], disk[512], backups[512], away[512];
};

static struct place make_place(void) {
  struct place place;
  const char *dir = temp_dir();
  snprintf(place.data, sizeof place.data, "%.400s/data", dir);
  snprintf(place.disk, sizeof place.disk, "%.400s/disk", dir);
  snprintf(place.backups, sizeof place.backups, "%.400s/disk/backups", dir);
  snprintf(place.away, sizeof place.away, "%.400s/away", dir);
  CHECK(mkdir(place.disk, 0700) == 0);
  return place;
}

static struct store *open_as(const struct place *place, enum store_archive archive) {
  struct store *store;
  struct err err;
  struct store_options options = {.dir = place->data,
                                  .owner = "a test",
                                  .clock = &sync_clock,
                                  .backups_dir = place->backups,
                                  .backup_every_ms = EVERY_MS,
                                  .archive = archive};
  if (store_open(&store, &options, &err)) FAIL("%s", err.message);
  return store;
}

static struct store *open_there(const struct place *place) {
  return open_as(place, STORE_ARCHIVE_ON);
}

static size_t count_backups(const struct place *place) {
  struct snapshot *all;
  struct err err;
  size_t count;
  if (snapshot_list(place->backups, &all, &count, &err)) FAIL("%s", err.message);
  mem_free(all);
  return count;
}

static void await_backups(const struct place *place, size_t count) {
  for (int tries = 12000; count_backups(place) < count; tries--) {
    if (tries == 0) FAIL("there are %zu backups, not %zu", count_backups(place), count);
    pause_a_little();
  }
}

static struct store_backup_state state_of(struct store *store) {
  struct store_backup_state state;
  store_backup_state(store, &state);
  return state;
}

static struct store_archive_state archive_of(struct store *store) {
  struct store_archive_state state;
  store_archive_state(store, &state);
  return state;
}

static void await_failure(struct store *store) {
  for (int tries = 12000; state_of(store).failures == 0; tries--) {
    if (tries == 0) FAIL("no backup fails");
    pause_a_little();
  }
  CHECK(state_of(store).error[0] != '\0');
}

/* A backup that is under way when its folder is moved fails, and is made anew after a while. */
static void await_well(struct store *store) {
  for (int tries = 12000; state_of(store).error[0] || archive_of(store).error[0]; tries--) {
    if (tries == 0) FAIL("it says still: %s%s", state_of(store).error, archive_of(store).error);
    if (state_of(store).failures > 0) sync_advance(RETRY_MS);
    pause_a_little();
  }
  CHECK_INT(state_of(store).failures, 0);
}

static void await_archived(struct store *store, uint64_t seq) {
  for (int tries = 12000; archive_of(store).seq < seq; tries--) {
    if (tries == 0) FAIL("group %llu does not come into the archive", (unsigned long long)seq);
    pause_a_little();
  }
}

/* How far the newest backup and the archive behind it bring a store back, as whoever has nothing else reads
 * them. */
static uint64_t reach_of(const struct place *place) {
  struct snapshot *all, newest = {0};
  struct err err;
  size_t count;
  uint64_t seq = 0;
  int64_t at_ms;
  if (snapshot_list(place->backups, &all, &count, &err)) return 0;
  bool found = count > 0 && !snapshot_describe(temp_path(place->backups, all[0].name), &newest, &err);
  mem_free(all);
  if (!found || archive_reach(place->backups, newest.epoch, newest.seq, &seq, &at_ms, &err)) return 0;
  return seq;
}

static void await_reach(const struct place *place, struct store *store, uint64_t seq) {
  for (int tries = 12000; reach_of(place) < seq; tries--) {
    if (tries == 0)
      FAIL("what is there reaches up to %llu only: %s%s", (unsigned long long)reach_of(place),
           state_of(store).error, archive_of(store).error);
    if (state_of(store).failures > 0) sync_advance(RETRY_MS);
    pause_a_little();
  }
}

static void lose_file(const struct place *place) {
  CHECK(unlink(temp_path(place->data, "appdata.db")) == 0);
}

/* The store file is lost, and all of it comes back from what the folder has. */
static void check_whole(const struct place *place, const char *rows) {
  lose_file(place);
  struct store *store = open_there(place);
  CHECK_STR(sync_select(store, "appData", "%"), rows);
  sync_close(store);
}

/* ---- a full disk ---- */

static atomic_int refuse; /* the errno of each operation on the archive's files; 0: they are let through */
static atomic_int refuse_sync; /* of their syncs alone */
static atomic_bool hold, held; /* a sync of them waits as long as `hold`; whether one does */

static int gate(const char *doing, const char *path) {
  if (!strstr(path, ".archive")) return 0;
  if (strcmp(doing, "sync") != 0) return atomic_load(&refuse);
  for (; atomic_load(&hold); pause_a_little()) atomic_store(&held, true);
  int why = atomic_load(&refuse_sync);
  return why ? why : atomic_load(&refuse);
}

static void fill_disk(void) {
  atomic_store(&refuse, ENOSPC);
  fault_arm(
      &(struct fault){.op = FAULT_WRITE, .files = FAULT_DB, .nth = 1, .for_good = true, .rc = SQLITE_FULL});
}

static void empty_disk(void) {
  atomic_store(&refuse, 0);
  fault_disarm();
}

TEST(a_disk_that_was_full_for_a_while_has_everything_afterwards) {
  struct place place = make_place();
  fault_install();
  disk_set_gate(gate);
  struct store *store = open_there(&place);
  sync_set(store, "appData", "a", "1");
  sync_advance(EVERY_MS);
  await_backups(&place, 1);
  while (!state_of(store).name[0]) pause_a_little();
  struct store_backup_state first = state_of(store);
  fill_disk();
  sync_set(store, "appData", "b", "2");
  while (!archive_of(store).error[0]) pause_a_little();
  sync_advance(EVERY_MS);
  await_failure(store);
  sync_set(store, "appData", "c", "3"); /* the store goes on */
  CHECK(archive_of(store).error[0] != '\0');
  CHECK_INT(count_backups(&place), 1);
  CHECK_STR(state_of(store).name, first.name);
  struct snapshot read;
  struct err err;
  CHECK_INT(snapshot_verify(temp_path(place.backups, first.name), &read, &err), MOONKEEP_OK);
  empty_disk();
  sync_advance(RETRY_MS); /* the next one need not be due */
  await_backups(&place, 2);
  await_well(store);
  sync_set(store, "appData", "d", "4");
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3 d=4");
  disk_set_gate(NULL);
}

TEST(what_waited_for_a_full_disk_is_archived_without_a_backup) {
  struct place place = make_place();
  fault_install();
  disk_set_gate(gate);
  struct store *store = open_there(&place);
  sync_set(store, "appData", "a", "1");
  await_archived(store, 1);
  fill_disk();
  sync_set(store, "appData", "b", "2");
  while (!archive_of(store).error[0]) pause_a_little();
  empty_disk();
  await_archived(store, 2);
  await_well(store);
  sync_close(store);
  check_whole(&place, "a=1 b=2");
  disk_set_gate(NULL);
}

/* ---- a folder that vanishes ---- */

static void take_away(const char *from, const char *to) {
  if (rename(from, to) != 0) FAIL("cannot move %s: %s", from, strerror(errno));
}

/* A store with one backup, and a change behind it that the archive has. */
static struct store *open_with_backup(const struct place *place) {
  struct store *store = open_there(place);
  sync_set(store, "appData", "a", "1");
  sync_advance(EVERY_MS);
  await_backups(place, 1);
  sync_set(store, "appData", "b", "2");
  await_archived(store, 2);
  return store;
}

TEST(a_folder_that_was_gone_while_nothing_changed_is_whole) {
  struct place place = make_place();
  struct store *store = open_with_backup(&place);
  take_away(place.disk, place.away);
  take_away(place.away, place.disk);
  sync_set(store, "appData", "c", "3");
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3");
}

TEST(a_folder_that_is_gone_is_told_and_whole_when_it_is_back) {
  struct place place = make_place();
  struct store *store = open_with_backup(&place);
  take_away(place.disk, place.away);
  sync_set(store, "appData", "c", "3");
  sync_advance(EVERY_MS);
  await_failure(store);
  CHECK(strstr(state_of(store).error, place.backups));
  CHECK(access(place.backups, F_OK) != 0);
  take_away(place.away, place.disk);
  sync_advance(RETRY_MS);
  await_backups(&place, 2);
  await_well(store);
  sync_set(store, "appData", "d", "4");
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3 d=4");
}

TEST(a_folder_that_is_gone_between_two_hosts_is_whole_when_it_is_back) {
  struct place place = make_place();
  sync_close(open_with_backup(&place));
  take_away(place.disk, place.away);
  struct store *store = open_there(&place);
  sync_set(store, "appData", "c", "3");
  while (!archive_of(store).error[0]) pause_a_little();
  sync_advance(EVERY_MS);
  await_failure(store);
  take_away(place.away, place.disk);
  sync_advance(RETRY_MS);
  await_backups(&place, 2);
  await_well(store);
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3");
}

TEST(an_empty_folder_in_its_place_is_noticed_and_gets_a_backup_by_itself) {
  struct place place = make_place();
  struct store *store = open_with_backup(&place);
  take_away(place.disk, place.away);
  CHECK(mkdir(place.disk, 0700) == 0 && mkdir(place.backups, 0700) == 0);
  sync_set(store, "appData", "c", "3");
  await_reach(&place, store, 3);
  await_well(store);
  sync_set(store, "appData", "d", "4");
  await_reach(&place, store, 4);
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3 d=4");
}

TEST(a_folder_that_returns_in_the_place_of_a_newer_one_is_noticed_too) {
  struct place place = make_place();
  char newer[600];
  snprintf(newer, sizeof newer, "%s-newer", place.away);
  struct store *store = open_with_backup(&place);
  take_away(place.disk, place.away);
  CHECK(mkdir(place.disk, 0700) == 0);
  sync_advance(1000); /* no two backups of one moment: they would be of one name */
  sync_set(store, "appData", "c", "3");
  await_reach(&place, store, 3);
  await_well(store);
  sync_set(store, "appData", "d", "4");
  await_archived(store, 4);
  take_away(place.disk, newer);
  take_away(place.away, place.disk);
  sync_set(store, "appData", "e", "5");
  await_reach(&place, store, 5);
  await_well(store);
  sync_set(store, "appData", "f", "6");
  await_reach(&place, store, 6);
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3 d=4 e=5 f=6");
}

/* The archiver notices late that its folder is gone, and gives up with what it had there what has come since:
 * the backup in the new folder is from before that. */
TEST(what_is_given_up_with_a_folder_behind_its_new_backup_is_in_the_next_one) {
  struct place place = make_place();
  disk_set_gate(gate);
  struct store *store = open_with_backup(&place);
  atomic_store(&hold, true);
  take_away(place.disk, place.away);
  CHECK(mkdir(place.disk, 0700) == 0);
  sync_advance(1000);
  sync_set(store, "appData", "c", "3");
  while (!atomic_load(&held)) pause_a_little();
  await_reach(&place, store, 3);
  sync_set(store, "appData", "d", "4");
  while (archive_of(store).behind_bytes == 0) pause_a_little();
  atomic_store(&hold, false);
  await_archived(store, 4);
  await_well(store);
  CHECK_INT(reach_of(&place), 4);
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3 d=4");
  disk_set_gate(NULL);
}

/* A change, and whether it went well. */
static bool try_set(struct store *store, const char *key, const char *json) {
  struct store_call *call = sync_run(store, make_set(sync_bucket(store, "appData"), key, json, 0));
  bool ok = call->err == NULL;
  store_call_free(call);
  return ok;
}

TEST(an_archive_behind_a_gap_says_so_until_there_is_a_backup) {
  struct place place = make_place();
  fault_install();
  disk_set_gate(gate);
  struct store *store = open_as(&place, STORE_ARCHIVE_SYNC);
  sync_set(store, "appData", "a", "1");
  sync_advance(EVERY_MS);
  await_backups(&place, 1);
  while (!state_of(store).name[0]) pause_a_little();
  fill_disk();
  atomic_store(&refuse, 0); /* for backups alone */
  int64_t kept_ms = archive_of(store).at_ms;
  sync_advance(1000);
  atomic_store(&refuse_sync, EIO);
  CHECK(!try_set(store, "b", "2"));
  atomic_store(&refuse_sync, 0);
  while (!try_set(store, "c", "3")) pause_a_little();
  CHECK_INT(archive_of(store).seq, 1);
  CHECK_INT(archive_of(store).at_ms, kept_ms);
  CHECK(strstr(archive_of(store).error, "behind a gap"));
  await_failure(store);
  CHECK_INT(reach_of(&place), 1);
  empty_disk();
  await_well(store);
  CHECK(archive_of(store).seq >= 3 && reach_of(&place) >= 3);
  sync_close(store);
  check_whole(&place, "a=1 b=2 c=3");
  disk_set_gate(NULL);
}

TEST(a_last_backup_that_was_taken_away_is_made_anew_though_nothing_has_changed) {
  struct place place = make_place();
  struct store *store = open_with_backup(&place);
  while (!state_of(store).name[0]) pause_a_little();
  sync_advance(1000);
  CHECK(unlink(temp_path(place.backups, state_of(store).name)) == 0);
  await_backups(&place, 1);
  await_well(store);
  sync_close(store);
  check_whole(&place, "a=1 b=2");
}
