/* The keeper: when it takes backups, that it thins them out, and what it does where it cannot take one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/snapshot.h"
#include "store/store.h"

enum { EVERY_MS = 900 * 1000 };

static struct store *open_kept(const char *dir, const char *backups) {
  struct store *store;
  struct err err;
  struct store_options options = {.dir = dir,
                                  .owner = "a test",
                                  .clock = &sync_clock,
                                  .backups_dir = backups,
                                  .backup_every_ms = EVERY_MS};
  if (store_open(&store, &options, &err)) FAIL("%s", err.message);
  return store;
}

static size_t count_in(const char *backups) {
  struct snapshot *all;
  struct err err;
  size_t count;
  if (snapshot_list(backups, &all, &count, &err)) FAIL("%s", err.message);
  mem_free(all);
  return count;
}

static void pause_a_little(void) {
  nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
}

/* The keeper looks at the clock from time to time; a minute is more than enough. */
static void await_count(const char *backups, size_t count) {
  for (int tries = 12000; count_in(backups) != count; tries--) {
    if (tries == 0) FAIL("there are %zu backups, not %zu", count_in(backups), count);
    pause_a_little();
  }
}

static struct store_backup_state state_of(struct store *store) {
  struct store_backup_state state;
  store_backup_state(store, &state);
  return state;
}

struct request {
  struct store_backup backup;
  bool done;
  enum moonkeep_code code;
  struct store_backup_state made;
};

static void on_done(struct store_backup *backup, const struct store_backup_state *made,
                    const struct err *err) {
  struct request *request = (struct request *)backup;
  request->done = true;
  request->code = err ? err->code : MOONKEEP_OK;
  request->made = *made;
}

static struct request ask(struct store *store) {
  struct request request = {.backup.done = on_done};
  struct err err;
  CHECK_INT(store_backup(store, &request.backup, &err), MOONKEEP_OK);
  while (!request.done) store_wait(store, -1);
  return request;
}

TEST(a_backup_is_made_when_it_is_due_and_something_has_changed) {
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  struct store *store = open_kept(dir, NULL);
  CHECK_STR(store_backups_dir(store), backups);
  sync_set(store, "appData", "k", "1");
  CHECK_INT(count_in(backups), 0);
  sync_advance(EVERY_MS);
  await_count(backups, 1);
  sync_set(store, "appData", "k", "2");
  sync_advance(EVERY_MS);
  await_count(backups, 2);
  CHECK_INT(state_of(store).keys, 1);
  /* Nothing has changed: asking for one later is the third, not the fourth. */
  sync_advance(10 * EVERY_MS);
  pause_a_little();
  CHECK_INT(ask(store).code, MOONKEEP_OK);
  CHECK_INT(count_in(backups), 3);
  sync_close(store);
}

TEST(what_has_been_kept_before_the_start_is_not_kept_again_before_it_is_due) {
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  struct store *store = open_kept(dir, NULL);
  sync_set(store, "appData", "k", "1");
  sync_advance(EVERY_MS);
  await_count(backups, 1);
  sync_close(store);
  store = open_kept(dir, NULL);
  struct store_backup_state state = state_of(store);
  CHECK(state.at_ms > 0 && state.name[0] != '\0');
  CHECK_INT(count_in(backups), 1);
  sync_close(store);
}

TEST(a_backup_that_is_asked_for_is_made_at_once) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  for (int i = 0; i < 10; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    sync_set(store, "appData", key, "true");
  }
  struct request request = ask(store);
  CHECK_INT(request.code, MOONKEEP_OK);
  CHECK_INT(request.made.keys, 10);
  CHECK_STR(state_of(store).name, request.made.name);
  sync_close(store);
}

/* Where pins are few pages apart, as in a build with tiny constants, it waits for a checkpoint in vain. */
TEST(a_reader_of_another_program_holds_no_backup_up) {
  const char *dir = temp_dir();
  struct store *store = open_kept(dir, NULL);
  sqlite3 *reader;
  CHECK(sqlite3_open_v2(temp_path(dir, "appdata.db"), &reader, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
  sqlite3_db_config(reader, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  sync_set(store, "appData", "a", "1");
  CHECK(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM _journal", NULL, NULL, NULL) == SQLITE_OK);
  for (int i = 0; i < 20; i++) sync_set(store, "appData", "b", "2");
  struct request request = ask(store);
  CHECK_INT(request.code, MOONKEEP_OK);
  CHECK_INT(request.made.keys, 2);
  sqlite3_close(reader);
  CHECK_INT(ask(store).code, MOONKEEP_OK);
  sync_close(store);
}

TEST(one_that_is_asked_for_as_the_store_closes_is_answered) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct request request = {.backup.done = on_done};
  struct err err;
  sync_set(store, "appData", "k", "1");
  CHECK_INT(store_backup(store, &request.backup, &err), MOONKEEP_OK);
  sync_close(store);
  CHECK(request.done);
  CHECK(request.code == MOONKEEP_OK || request.code == MOONKEEP_CLOSED);
}

TEST(old_backups_are_thinned_out_and_strange_files_left_alone) {
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  struct store *store = sync_open(dir);
  mkdir(backups, 0700);
  temp_write(temp_path(backups, "mine.db"), "x");
  for (int i = 0; i < 12; i++) { /* all of one hour: the newest four stay */
    sync_advance(1000);
    CHECK_INT(ask(store).code, MOONKEEP_OK);
  }
  CHECK(count_in(backups) == 4 || count_in(backups) == 5); /* 5: the hour has ended meanwhile */
  CHECK(access(temp_path(backups, "mine.db"), F_OK) == 0);
  sync_close(store);
}

TEST(a_folder_that_cannot_be_written_is_told_and_tried_again) {
  const char *dir = temp_dir(), *blocked = temp_path(dir, "elsewhere");
  temp_write(blocked, "a file where the folder should be");
  struct store *store = open_kept(dir, blocked);
  sync_set(store, "appData", "k", "1");
  CHECK(ask(store).code != MOONKEEP_OK);
  CHECK_INT(state_of(store).failures, 1);
  CHECK(state_of(store).error[0] != '\0');
  CHECK(unlink(blocked) == 0);
  sync_advance(31 * 1000); /* no need to wait until the next one is due */
  await_count(blocked, 1);
  while (state_of(store).failures) pause_a_little();
  CHECK_STR(state_of(store).error, "");
  sync_close(store);
}

TEST(a_full_disk_takes_no_backup_away) {
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  fault_install();
  struct store *store = sync_open(dir);
  for (int i = 0; i < 4; i++) {
    sync_advance(1000);
    CHECK_INT(ask(store).code, MOONKEEP_OK);
  }
  fault_arm(&(struct fault){.op = FAULT_WRITE, .files = FAULT_DB, .nth = 1, .for_good = true, .rc = 13});
  CHECK_INT(ask(store).code, MOONKEEP_FULL);
  fault_disarm();
  CHECK_INT(count_in(backups), 4);
  CHECK_INT(ask(store).code, MOONKEEP_OK);
  sync_close(store);
}

/* ---- a clock that jumps ---- */

TEST(a_clock_that_jumps_stops_no_backup_and_takes_none_away) {
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  static const int64_t jumps_ms[] = {INT64_C(400) * 86400 * 1000, -INT64_C(800) * 86400 * 1000, 3600 * 1000};
  struct store *store = sync_open(dir);
  for (size_t i = 0; i < sizeof jumps_ms / sizeof *jumps_ms; i++) {
    char json[16];
    snprintf(json, sizeof json, "%zu", i);
    sync_set(store, "appData", "k", json);
    sync_advance(jumps_ms[i]);
    struct request request = ask(store);
    CHECK_INT(request.code, MOONKEEP_OK);
    CHECK_INT(request.made.keys, 1);
    CHECK_INT(count_in(backups), i + 1);
  }
  sync_close(store);
  /* The newest is the one that holds the last change, not the one whose name says so. */
  CHECK(unlink(temp_path(dir, "appdata.db")) == 0);
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "k"), "2");
  sync_close(store);
}

/* ---- a process that is killed while it makes backups ---- */

static void on_made(struct store_backup *backup, const struct store_backup_state *made,
                    const struct err *err) {
  (void)made;
  if (err) _exit(1);
  *(bool *)(backup + 1) = true;
}

/* Sets one key after the other, with a backup always under way, and says so when one has been made. */
static void be_child(const char *dir, int out) {
  struct {
    struct store_backup backup;
    bool made;
  } request = {.backup.done = on_made, .made = true};
  struct store *store = sync_open(dir);
  struct err err;
  long long n = sync_add(store, "appData", "n", 0);
  for (int backups = 0;; n++) {
    char key[24];
    snprintf(key, sizeof key, "k%08lld", n);
    sync_set(store, "list", key, "true");
    sync_add(store, "appData", "n", 1);
    if (!request.made) continue;
    if (backups++ > 0 && write(out, "b", 1) != 1) _exit(1);
    request.made = false;
    if (store_backup(store, &request.backup, &err)) _exit(1);
  }
}

/* The keys of the list are set one after the other: so all of them up to the last are there. */
static void check_prefix(const char *path) {
  const char *copy = temp_dir();
  size_t len;
  char *bytes = temp_read(path, &len);
  CHECK(bytes != NULL);
  temp_write_bytes(temp_path(copy, "appdata.db"), bytes, len);
  free(bytes);
  CHECK_STR(sync_sql(copy, "SELECT count(*) - 1 - CAST(substr(max(key), 2) AS INTEGER) FROM list"), "0");
  CHECK_STR(sync_sql(copy, "SELECT (SELECT count(*) FROM list) - (SELECT value FROM appData) IN (0, 1)"),
            "1");
  temp_remove(copy);
}

static size_t count_half_made(const char *backups) {
  char command[600];
  snprintf(command, sizeof command, "ls -A '%s' | grep -c half-made", backups);
  FILE *pipe = popen(command, "r");
  int count = -1;
  CHECK(pipe && fscanf(pipe, "%d", &count) == 1);
  pclose(pipe);
  return (size_t)count;
}

TEST(a_kill_leaves_no_backup_that_is_not_whole) {
  enum { ROUNDS_A_FOLDER = 8 }; /* so that the store stays small: each round reads all of its backups */
  long rounds = check_rounds(4), checked = 0;
  const char *dir = NULL;
  char backups[512];
  for (long i = 0; i < rounds; i++) {
    int pipes[2];
    char made;
    if (i % ROUNDS_A_FOLDER == 0) {
      if (dir) temp_remove(dir);
      dir = temp_dir();
      snprintf(backups, sizeof backups, "%s/backups", dir);
    }
    CHECK(pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) be_child(dir, pipes[1]);
    close(pipes[1]);
    for (long j = 0; j <= i % 3; j++) CHECK(read(pipes[0], &made, 1) == 1);
    nanosleep(&(struct timespec){.tv_nsec = (i * 7 % 20) * 1000000L}, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(pipes[0]);
    struct snapshot *all, read_back;
    struct err err;
    size_t count;
    CHECK_INT(snapshot_list(backups, &all, &count, &err), MOONKEEP_OK);
    CHECK(count > 0);
    for (size_t j = 0; j < count; j++) {
      char path[600];
      snprintf(path, sizeof path, "%s/%s", backups, all[j].name);
      if (snapshot_verify(path, &read_back, &err)) FAIL("%s: %s", all[j].name, err.message);
      check_prefix(path);
      checked++;
    }
    mem_free(all);
    sync_close(open_kept(dir, NULL));
    CHECK_INT(count_half_made(backups), 0);
  }
  printf("%ld kills, %ld backups looked at\n", rounds, checked);
}
