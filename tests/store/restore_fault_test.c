/* A disk that fails while a store is restored: the start ends in success or in a sentence, and the next one,
 * on a disk that works, has everything that backup and archive have. What is set aside is not lost.
 *
 * Each case runs once for each operation that fails: the first, the second, … until it gets through without
 * meeting the fault. Without FAULTS=all in the environment only ROUNDS of each kind are tried, taken at
 * random. What fails here is what SQLite asks for; renames and copies fail in restore_test. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>

#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/power_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/disk.h"
#include "store/recall.h"
#include "store/snapshot.h"

static const char all[] = "a=1 b=2 c=3 d=4 e=5", earlier[] = "a=1 b=2 c=3";
static const char rubbish[] = "this is no database, whatever it is called";

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

/* ---- a folder of a host that was killed ---- */

static const char *model; /* a, b and c stand in backup or archive and the file, d and e in archive and log */
static int64_t earlier_ms; /* when there was c and no d */

static void write_and_be_killed(const char *dir) {
  pid_t child = fork();
  if (child == 0) {
    struct store *store = open_archived(dir);
    sync_set(store, "appData", "d", "4");
    sync_set(store, "appData", "e", "5");
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  CHECK(disk_size(temp_path(dir, "appdata.db-wal")) > 0);
}

static void make_model(void) {
  const char *dir = model ? NULL : temp_dir();
  if (dir) power_on(dir, &(struct power){.cut = POWER_STAYS}); /* from here on nothing waits for the disk */
  power_end();
  fault_install();
  if (!dir) return;
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  struct store *store = open_archived(dir);
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "b", "2");
  sync_close(store);
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  store = open_archived(dir);
  sync_set(store, "appData", "c", "3");
  sync_close(store);
  earlier_ms = clock_wall_ms(&sync_clock) + 1000;
  sync_advance(2000);
  write_and_be_killed(dir);
  model = dir;
}

static void copy_files(const char *from, const char *to) {
  DIR *folder = opendir(from);
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    struct err err;
    struct stat st;
    char source[1024], target[1024];
    snprintf(source, sizeof source, "%.500s/%.200s", from, entry->d_name);
    snprintf(target, sizeof target, "%.500s/%.200s", to, entry->d_name);
    if (stat(source, &st) != 0 || !S_ISREG(st.st_mode) || strstr(entry->d_name, "-shm")) continue;
    if (disk_copy(source, target, &err)) FAIL("%s", err.message);
  }
  closedir(folder);
}

static const char *copy_model(void) {
  const char *dir = temp_dir();
  make_model();
  copy_files(model, dir);
  CHECK(mkdir(temp_path(dir, "backups"), 0777) == 0);
  copy_files(temp_path(model, "backups"), temp_path(dir, "backups"));
  return dir;
}

/* ---- what is lost ---- */

static void lose_file(const char *dir) {
  CHECK(unlink(temp_path(dir, "appdata.db")) == 0);
}

static void lose_log(const char *dir) {
  CHECK(unlink(temp_path(dir, "appdata.db-wal")) == 0);
}

static void spoil_file(const char *dir) {
  temp_write(temp_path(dir, "appdata.db"), rubbish);
}

/* The header is right, what comes behind it is not. */
static void spoil_schema(const char *dir) {
  size_t len;
  char *bytes = temp_read(temp_path(dir, "appdata.db"), &len);
  CHECK(len > 1000);
  memset(bytes + 100, 0x5a, 900);
  temp_write_bytes(temp_path(dir, "appdata.db"), bytes, len);
  free(bytes);
  lose_log(dir);
}

static void lose_nothing(const char *dir) {
  (void)dir;
}

/* How many folders of files set aside have rubbish for a store file. */
static int rubbish_aside(const char *dir) {
  int found = 0;
  DIR *folder = opendir(dir);
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    char path[300];
    size_t len;
    if (strncmp(entry->d_name, "damaged-", 8) != 0) continue;
    snprintf(path, sizeof path, "%.200s/appdata.db", entry->d_name);
    char *bytes = temp_read(temp_path(dir, path), &len);
    found += bytes && len == sizeof rubbish - 1 && memcmp(bytes, rubbish, len) == 0;
    free(bytes);
  }
  closedir(folder);
  return found;
}

/* ---- starts ---- */

static long starts, refused;

static void check_whole(const char *dir, const char *rows) {
  struct store *store = open_archived(dir);
  CHECK_STR(sync_select(store, "appData", "%"), rows);
  sync_set(store, "appData", "later", "6");
  sync_delete(store, "appData", "later");
  sync_close(store);
  store = open_archived(dir);
  CHECK_STR(sync_select(store, "appData", "%"), rows);
  sync_close(store);
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
}

/* While the disk fails, reads may too, but do not show less. */
static void look(struct store *store) {
  const char *rows = sync_select(store, "appData", "%");
  if (strncmp(rows, "error: ", 7) != 0) CHECK_STR(rows, all);
  fault_disarm();
  struct err ignored;
  store_close(store, &ignored);
}

/* False: it did not come to the fault. */
static bool start_on(void (*lose)(const char *dir), const struct fault *fault) {
  const char *dir = copy_model();
  struct store *store;
  struct err err = {0};
  lose(dir);
  fault_arm(fault);
  starts++;
  if (try_open(dir, &store, &err) == MOONKEEP_OK) {
    look(store);
  } else {
    refused++;
    if (strlen(err.message) < 10) FAIL("it says: %s", err.message);
  }
  fault_disarm();
  check_whole(dir, all);
  if (lose == spoil_file) CHECK_INT(rubbish_aside(dir), 1);
  temp_remove(dir);
  return fault_struck();
}

/* The newest file is thrown away as well: the archive has it all, the faulty start has not spoilt it. */
static bool start_and_lose(void (*lose)(const char *dir), const struct fault *fault) {
  const char *dir = copy_model();
  struct store *store;
  struct err err = {0};
  lose(dir);
  fault_arm(fault);
  starts++;
  if (try_open(dir, &store, &err) == MOONKEEP_OK)
    look(store);
  else
    refused++;
  fault_disarm();
  unlink(temp_path(dir, "appdata.db"));
  unlink(temp_path(dir, "appdata.db-wal"));
  check_whole(dir, all);
  temp_remove(dir);
  return fault_struck();
}

/* A backup that is asked for brings back an earlier state, and that of before can be had again; or it fails
 * and nothing has changed. */
static void undo(const char *dir, struct recalled *recalled) {
  struct recalled undone;
  struct err err;
  const char *kept = buf_text(&recalled->kept);
  if (recalled->kept_as_backup) {
    struct recall recall = {.dir = dir, .name = kept, .until_ms = INT64_MAX, .clock = &sync_clock};
    if (recall_run(&recall, &undone, &err)) FAIL("%s", err.message);
    recalled_deinit(&undone);
    check_whole(dir, all);
  } else {
    const char *by_hand = temp_dir();
    copy_files(temp_path(dir, kept), by_hand);
    check_whole(by_hand, all);
    temp_remove(by_hand);
  }
}

static bool recall_on(void (*lose)(const char *dir), const struct fault *fault) {
  const char *dir = copy_model();
  struct recalled recalled;
  struct err err = {0};
  struct recall recall = {.dir = dir, .until_ms = earlier_ms, .clock = &sync_clock};
  lose(dir);
  fault_arm(fault);
  starts++;
  enum moonkeep_code code = recall_run(&recall, &recalled, &err);
  fault_disarm();
  if (code && strlen(err.message) < 10) FAIL("it says: %s", err.message);
  refused += code != MOONKEEP_OK;
  check_whole(dir, code ? all : earlier);
  if (!code) undo(dir, &recalled);
  recalled_deinit(&recalled);
  temp_remove(dir);
  return fault_struck();
}

/* ---- at each operation ---- */

typedef bool strike(void (*lose)(const char *dir), const struct fault *fault);

static void strike_each(strike *run, void (*lose)(const char *dir), struct fault fault) {
  const char *faults = getenv("FAULTS");
  long rounds = check_rounds(1);
  run(lose, &(struct fault){.op = fault.op});
  long most = fault_count(fault.op);
  for (fault.nth = 1; faults && fault.nth <= most && run(lose, &fault); fault.nth++) {}
  for (; !faults && most > 0 && rounds > 0; rounds--) {
    fault.nth = 1 + (long)check_below((uint64_t)most);
    run(lose, &fault);
  }
}

static void strike_all(const char *what, strike *run, void (*lose)(const char *dir)) {
  static const struct fault faults[] = {
      {.op = FAULT_WRITE, .rc = SQLITE_FULL},        {.op = FAULT_WRITE, .rc = SQLITE_FULL, .cut = true},
      {.op = FAULT_WRITE, .rc = SQLITE_IOERR_WRITE}, {.op = FAULT_SYNC, .rc = SQLITE_IOERR_FSYNC},
      {.op = FAULT_READ, .rc = SQLITE_IOERR_READ},   {.op = FAULT_TRUNCATE, .rc = SQLITE_IOERR_TRUNCATE},
  };
  make_model();
  starts = refused = 0;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    struct fault fault = faults[i];
    strike_each(run, lose, fault);
    fault.for_good = true;
    strike_each(run, lose, fault);
  }
  printf("%s: %ld times, %ld refused\n", what, starts, refused);
}

TEST(any_disk_error_while_a_missing_file_is_restored) {
  strike_all("missing file", start_on, lose_file);
}

TEST(any_disk_error_while_a_file_that_is_no_database_is_restored) {
  strike_all("no database", start_on, spoil_file);
}

TEST(any_disk_error_while_a_damaged_file_is_restored) {
  strike_all("damaged file", start_on, spoil_schema);
}

TEST(any_disk_error_while_a_lost_log_is_completed) {
  strike_all("lost log", start_on, lose_log);
}

TEST(any_disk_error_at_a_start_leaves_the_archive_whole) {
  strike_all("archive after a kill", start_and_lose, lose_nothing);
  strike_all("archive after a restore", start_and_lose, lose_file);
}

TEST(any_disk_error_while_an_earlier_state_is_brought_back) {
  strike_all("moonkeep restore", recall_on, lose_nothing);
}

/* ---- a backup that cannot be read is not one that is damaged ---- */

/* Two backups, of which only the newer has b, no archive, and no store file. */
static const char *folder_of_two_backups(void) {
  static const char *made;
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  if (!made) {
    struct snapshot snapshot;
    struct err err;
    struct snapshot_source source = {.data = dir, .dir = backups, .clock = &sync_clock};
    for (int i = 0; i < 2; i++) {
      struct store *store = sync_open(dir);
      sync_set(store, "appData", i ? "b" : "a", i ? "2" : "1");
      sync_close(store);
      if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
      sync_advance(1000);
    }
    made = dir;
    return folder_of_two_backups();
  }
  CHECK(mkdir(backups, 0777) == 0);
  copy_files(temp_path(made, "backups"), backups);
  return dir;
}

static void start_and_look(const char *dir) {
  struct store *store;
  struct err err;
  if (sync_try_open(dir, &store, &err)) {
    CHECK_INT(err.code, MOONKEEP_IO);
    return;
  }
  const char *rows = sync_select(store, "appData", "%");
  if (strncmp(rows, "error: ", 7) != 0) CHECK_STR(rows, "a=1 b=2");
  fault_disarm();
  store_close(store, &err);
}

TEST(a_disk_that_does_not_read_the_newest_backup_brings_no_older_one) {
  fault_install();
  bool more = true;
  for (long nth = 1; more; nth += 1 + nth / 4) {
    for (int for_good = 0; for_good < 2; for_good++) {
      const char *dir = folder_of_two_backups();
      struct fault fault = {
          .op = FAULT_READ, .files = FAULT_DB, .nth = nth, .for_good = for_good, .rc = SQLITE_IOERR_READ};
      fault_arm(&fault);
      start_and_look(dir);
      more = fault_struck();
      fault_disarm();
      struct store *store = sync_open(dir);
      CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
      sync_close(store);
      temp_remove(dir);
    }
  }
}

/* With the other backup named, whoever has decided so goes on. */
TEST(an_older_backup_is_taken_by_its_name) {
  fault_install();
  const char *dir = folder_of_two_backups();
  struct fault fault = {
      .op = FAULT_READ, .files = FAULT_DB, .nth = 1, .for_good = true, .rc = SQLITE_IOERR_READ};
  struct store *store;
  struct err err;
  fault_arm(&fault);
  CHECK_INT(sync_try_open(dir, &store, &err), MOONKEEP_IO);
  fault_disarm();
  if (!strstr(err.message, "may be whole")) FAIL("%s", err.message);
  if (!strstr(err.message, "moonkeep restore NAME")) FAIL("%s", err.message);
}
