/* One folder of backups is one store's: another one that is given it is refused before it has touched
 * anything; whoever has lost his data folder, or moved it, goes on with it. ROUNDS=3 tries more kills. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/heard.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/deed.h"
#include "store/deed_file.h"
#include "store/disk.h"
#include "store/inspect.h"
#include "store/recall.h"
#include "store/snapshot.h"
#include "store/store.h"

enum { EVERY_MS = 900 * 1000 };

/* Two data folders, and a folder of backups that is in neither. */
struct places {
  char top[400], a[420], b[420], c[420], backups[420];
};

static struct places make_places(void) {
  struct places at;
  snprintf(at.top, sizeof at.top, "%.390s", temp_dir());
  snprintf(at.a, sizeof at.a, "%s/a", at.top);
  snprintf(at.b, sizeof at.b, "%s/b", at.top);
  snprintf(at.c, sizeof at.c, "%s/c", at.top);
  snprintf(at.backups, sizeof at.backups, "%s/backups", at.top);
  return at;
}

/* every_ms 0: as a command does it. */
static enum moonkeep_code try_open(const char *data, const char *backups, int64_t every_ms,
                                   struct store **store, struct err *err) {
  struct store_options options = {.dir = data,
                                  .owner = "a test",
                                  .clock = &sync_clock,
                                  .log = &heard_log,
                                  .backups_dir = backups,
                                  .backup_every_ms = every_ms,
                                  .archive = STORE_ARCHIVE_SYNC};
  heard_clear();
  return store_open(store, &options, err);
}

static struct store *must_open(const char *data, const char *backups) {
  struct store *store;
  struct err err;
  if (try_open(data, backups, EVERY_MS, &store, &err)) FAIL("%s", err.message);
  return store;
}

/* A name is in the sentence, as the file system has it. */
static bool names(const char *message, const char *path) {
  char *real = realpath(path, NULL);
  bool has = strstr(message, real ? real : path) != NULL;
  free(real);
  return has;
}

static struct err must_refuse(const char *data, const char *backups, int64_t every_ms) {
  struct store *store;
  struct err err;
  if (!try_open(data, backups, every_ms, &store, &err)) {
    sync_close(store);
    FAIL("%s may use %s", data, backups);
  }
  if (err.code != MOONKEEP_BUSY) FAIL("%s", err.message);
  CHECK(names(err.message, data));
  CHECK(strstr(err.message, "--backups") != NULL);
  return err;
}

static void must_run(const char *format, const char *one, const char *other) {
  char command[1200];
  snprintf(command, sizeof command, format, one, other);
  if (system(command) != 0) FAIL("%s", command);
}

struct request {
  struct store_backup backup;
  bool done;
  char name[48];
  struct err err;
};

static void on_backup(struct store_backup *backup, const struct store_backup_state *made,
                      const struct err *err) {
  struct request *request = (struct request *)(void *)backup;
  request->done = true;
  request->err = err ? *err : (struct err){0};
  snprintf(request->name, sizeof request->name, "%s", made->name);
}

static struct request back_up(struct store *store) {
  struct request request = {.backup.done = on_backup};
  struct err err;
  if (store_backup(store, &request.backup, &err)) FAIL("%s", err.message);
  while (!request.done) store_wait(store, 1000);
  return request;
}

/* A store of this value, with a backup and something behind it in the archive. */
static void fill(const char *data, const char *backups, const char *json) {
  struct store *store = must_open(data, backups);
  sync_set(store, "appData", "first", json);
  struct request request = back_up(store);
  if (request.err.code) FAIL("%s", request.err.message);
  sync_advance(1000);
  sync_set(store, "appData", "k", json);
  sync_close(store);
}

static void must_hold(const char *data, const char *backups, const char *json) {
  struct store *store = must_open(data, backups);
  CHECK_STR(sync_get(store, "appData", "first"), json);
  CHECK_STR(sync_get(store, "appData", "k"), json);
  sync_close(store);
}

static bool there(const char *folder, const char *name) {
  return access(temp_path(folder, name), F_OK) == 0;
}

/* What is in the folder, with the bytes of all of it. */
static const char *listing(const char *folder) {
  static char text[2][8192];
  static int turn;
  char command[900];
  char *out = text[turn ^= 1];
  snprintf(command, sizeof command, "cd '%s' && find . -type f | sort | xargs -r sha256sum", folder);
  FILE *pipe = popen(command, "r");
  if (!pipe) return "";
  size_t n = fread(out, 1, sizeof text[0] - 1, pipe);
  out[n] = '\0';
  pclose(pipe);
  return out;
}

/* ---- kept apart ---- */

TEST(two_stores_with_one_folder_are_kept_apart) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  fill(at.b, NULL, "2");
  temp_write(temp_path(at.backups, SNAPSHOT_HALF_MADE "1"), "of a");
  const char *before = listing(at.backups);
  struct err err = must_refuse(at.b, at.backups, EVERY_MS);
  CHECK(names(err.message, at.a) && strstr(err.message, at.backups) != NULL);
  must_refuse(at.b, at.backups, 0);
  CHECK_STR(listing(at.backups), before);
  must_hold(at.b, NULL, "2");
  must_hold(at.a, at.backups, "1");
}

TEST(a_folder_that_another_host_is_at_work_in_is_refused) {
  struct places at = make_places();
  struct store *store = must_open(at.a, at.backups), *second = must_open(at.b, NULL);
  sync_set(store, "appData", "k", "1");
  sync_close(second);
  must_refuse(at.b, at.backups, EVERY_MS);
  struct err err = must_refuse(at.c, at.backups, EVERY_MS); /* a new one, which would begin with it */
  CHECK(names(err.message, at.a) && strstr(err.message, "in use") != NULL);
  CHECK(!there(at.c, "appdata.db"));
  sync_set(store, "appData", "k", "2");
  sync_close(store);
}

TEST(the_next_host_waits_until_the_lock_is_gone) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  int ready[2];
  char byte;
  CHECK(pipe(ready) == 0);
  pid_t pid = fork();
  if (pid == 0) { /* a host that has let go of the data folder and not yet of the other one */
    struct deed deed;
    struct err err;
    if (!deed_init(&deed, at.a, at.backups, NULL) || deed_claim(&deed, DEED_READ, &err)) _exit(1);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
    _exit(0);
  }
  CHECK(read(ready[0], &byte, 1) == 1);
  must_hold(at.a, at.backups, "1");
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  close(ready[0]);
  close(ready[1]);
}

static const char *aside_of(const struct places *at) {
  static char aside[440];
  snprintf(aside, sizeof aside, "%s.aside", at->backups);
  return aside;
}

/* The first one's backups are where they belong, and the second one's, made in the same place, are aside. */
static void make_two_that_share(const struct places *at) {
  fill(at->b, at->backups, "2");
  must_run("mv '%s' '%s'", at->backups, aside_of(at));
  fill(at->a, at->backups, "1");
}

/* Then the second one's are there. */
static void change_backups(const struct places *at) {
  must_run("rm -r '%s'%s", at->backups, "");
  CHECK(rename(aside_of(at), at->backups) == 0);
}

/* A disk with another store's backups comes in the place of the right one while the host runs. */
TEST(a_folder_that_was_put_in_the_place_of_ours_is_left_alone) {
  struct places at = make_places();
  make_two_that_share(&at);
  struct store *store = must_open(at.a, at.backups);
  change_backups(&at);
  const char *before = listing(at.backups);
  struct request request = back_up(store);
  CHECK_INT(request.err.code, MOONKEEP_BUSY);
  CHECK(names(request.err.message, at.b));
  CHECK_STR(listing(at.backups), before);
  sync_close(store);
  must_hold(at.b, at.backups, "2");
}

/* They reach as far as this store does, and hold something else. */
TEST(a_damaged_store_does_not_want_to_be_restored_from_anothers_backups) {
  struct places at = make_places();
  make_two_that_share(&at);
  sync_hide_rows(at.a);
  struct store *store = must_open(at.a, at.backups);
  change_backups(&at);
  CHECK_STR(sync_get(store, "appData", "first"), "error: corrupt");
  for (int i = 0; i < 400 && !store_wants_reopening(store); i++) store_wait(store, 10);
  CHECK(!store_wants_reopening(store));
  sync_close(store);
}

TEST(commands_on_another_stores_backups_are_refused) {
  struct places at = make_places();
  struct recalled recalled;
  struct err err;
  unsigned bad;
  fill(at.a, at.backups, "1");
  fill(at.b, NULL, "2");
  const char *before = listing(at.backups);
  for (int dry = 0; dry < 2; dry++) {
    struct recall recall = {.dir = at.b, .backups = at.backups, .until_ms = INT64_MAX, .clock = &sync_clock};
    recall.dry_run = dry;
    CHECK_INT(recall_run(&recall, &recalled, &err), MOONKEEP_BUSY);
    recalled_deinit(&recalled);
  }
  struct inspect inspect = {.dir = at.b, .backups = at.backups};
  CHECK_INT(inspect_run(&inspect, &bad, &err), MOONKEEP_BUSY);
  CHECK_STR(listing(at.backups), before);
  must_hold(at.b, NULL, "2");
}

/* ---- those who may ---- */

TEST(a_lost_disk_is_restored_into_a_new_folder_and_the_old_one_is_refused_when_it_comes_back) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  CHECK(rename(at.a, at.c) == 0);
  must_hold(at.b, at.backups, "1");
  CHECK(heard("they are those of the one in"));
  must_refuse(at.c, at.backups, EVERY_MS);
  CHECK(rename(at.c, at.a) == 0);
  struct err err = must_refuse(at.a, at.backups, 0);
  CHECK(names(err.message, at.b));
  fill(at.b, at.backups, "3");
  must_hold(at.b, at.backups, "3");
  CHECK(!heard("backup:"));
}

TEST(the_remedy_that_is_told_works) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  must_hold(at.b, at.backups, "1");
  must_refuse(at.a, at.backups, EVERY_MS);
  CHECK(unlink(temp_path(at.backups, DEED_OF_BACKUPS)) == 0);
  must_hold(at.a, at.backups, "1");
  must_refuse(at.b, at.backups, EVERY_MS);
}

TEST(a_data_folder_that_was_emptied_is_restored) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  must_run("rm -r '%s'%s", at.a, "");
  must_hold(at.a, at.backups, "1");
  must_hold(at.a, at.backups, "1");
}

TEST(a_data_folder_that_was_moved_keeps_its_backups) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  CHECK(rename(at.a, at.b) == 0);
  must_hold(at.b, at.backups, "1");
  struct deed_file file;
  struct err err;
  CHECK_INT(deed_file_read(&file, at.backups, DEED_OF_BACKUPS, &err), MOONKEEP_OK);
  CHECK(names(buf_text(&file.data), at.b));
  deed_file_deinit(&file);
  fill(at.a, NULL, "2"); /* a new one where the old one was */
  must_refuse(at.a, at.backups, EVERY_MS);
}

/* As `mv` does it from one disk to another. */
TEST(a_data_folder_that_was_moved_to_another_disk_keeps_its_backups) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  must_run("cp -r '%s' '%s'", at.a, at.b);
  must_run("rm -r '%s'%s", at.a, "");
  must_hold(at.b, at.backups, "1");
  must_run("cp -r '%s' '%s'", at.b, at.a); /* and back, under its first name */
  must_run("rm -r '%s'%s", at.b, "");
  must_hold(at.a, at.backups, "1");
  must_hold(at.a, at.backups, "1");
}

TEST(a_copy_of_a_data_folder_does_not_share_its_backups) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  must_run("cp -r '%s' '%s'", at.a, at.b);
  struct err err = must_refuse(at.b, at.backups, EVERY_MS);
  CHECK(names(err.message, at.a));
  must_hold(at.a, at.backups, "1");
  fill(at.b, NULL, "2"); /* with a folder of its own it goes on */
  must_refuse(at.b, at.backups, EVERY_MS);
  must_hold(at.a, at.backups, "1");
}

TEST(a_copy_with_its_backups_goes_on_by_itself) {
  struct places at = make_places();
  fill(at.a, NULL, "1");
  must_run("cp -r '%s' '%s'", at.a, at.b);
  must_hold(at.b, NULL, "1");
  fill(at.b, NULL, "2");
  must_hold(at.a, NULL, "1");
  must_refuse(at.b, temp_path(at.a, "backups"), EVERY_MS);
  CHECK(unlink(temp_path(at.a, "appdata.db")) == 0 && unlink(temp_path(at.b, "appdata.db")) == 0);
  must_hold(at.a, NULL, "1");
  must_hold(at.b, NULL, "2");
}

TEST(a_copy_of_the_backups_may_be_taken_by_a_new_store) {
  struct places at = make_places();
  char copy[440];
  snprintf(copy, sizeof copy, "%s.copy", at.backups);
  fill(at.a, at.backups, "1");
  must_run("cp -r '%s' '%s'", at.backups, copy);
  struct store *store = must_open(at.a, at.backups);
  must_hold(at.b, copy, "1");
  sync_close(store);
  must_hold(at.a, at.backups, "1");
  must_refuse(at.a, copy, EVERY_MS);
  fill(at.c, NULL, "2");
  must_refuse(at.c, copy, EVERY_MS);
}

TEST(folders_of_older_versions_are_taken_as_they_are) {
  struct places at = make_places();
  fill(at.a, at.backups, "1");
  CHECK(unlink(temp_path(at.a, DEED_OF_DATA)) == 0);
  CHECK(unlink(temp_path(at.backups, DEED_OF_BACKUPS)) == 0);
  must_hold(at.a, at.backups, "1");
  CHECK_STR(heard_text(), "");
  CHECK(there(at.a, DEED_OF_DATA) && there(at.backups, DEED_OF_BACKUPS));
  CHECK(unlink(temp_path(at.a, DEED_OF_DATA)) == 0); /* the file of one of them alone */
  must_hold(at.a, at.backups, "1");
  must_hold(at.a, at.backups, "1");
  CHECK(rename(at.a, at.b) == 0 && unlink(temp_path(at.b, DEED_OF_DATA)) == 0);
  must_refuse(at.b, at.backups, EVERY_MS); /* nothing says that this is the one */
}

/* A slip of the pen in --data must not cost the store its backups. */
TEST(who_only_reads_a_new_folder_takes_the_backups_from_nobody) {
  struct places at = make_places();
  struct store *store;
  struct err err;
  fill(at.a, at.backups, "1");
  if (try_open(at.b, at.backups, 0, &store, &err)) FAIL("%s", err.message);
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  sync_close(store);
  fill(at.a, at.backups, "2");
  if (try_open(at.b, at.backups, 0, &store, &err)) FAIL("%s", err.message);
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  sync_set(store, "appData", "k", "3"); /* now it is in the archive */
  sync_close(store);
  must_refuse(at.a, at.backups, EVERY_MS);
}

TEST(the_data_folder_itself_may_have_the_backups) {
  struct places at = make_places();
  fill(at.a, at.a, "1");
  CHECK(there(at.a, DEED_OF_DATA) && there(at.a, DEED_OF_BACKUPS));
  CHECK(unlink(temp_path(at.a, "appdata.db")) == 0);
  must_hold(at.a, at.a, "1");
}

/* ---- what is not as it should be ---- */

TEST(damaged_files_are_mended_where_it_is_clear_whose_the_backups_are) {
  struct places at = make_places();
  fill(at.a, NULL, "1");
  const char *files[] = {DEED_OF_DATA, "backups/" DEED_OF_BACKUPS};
  const char *texts[] = {"", "moonkeep 1", "moonkeep 1 store 1 from 0 place 0 sum 0\n/a\n", "x\n\n"};
  for (int i = 0; i < 8; i++) {
    temp_write(temp_path(at.a, files[i & 1]), texts[i >> 1]);
    must_hold(at.a, NULL, "1");
    CHECK_STR(heard_text(), "");
  }
  CHECK(unlink(temp_path(at.a, "appdata.db")) == 0);
  must_hold(at.a, NULL, "1");
}

/* No bit of it may be another one. */
TEST(a_flipped_bit_is_noticed) {
  struct places at = make_places();
  fill(at.a, NULL, "1");
  size_t len;
  char *bytes = temp_read(temp_path(at.a, DEED_OF_DATA), &len);
  for (size_t bit = 0; bit < len * 8; bit++) {
    struct deed_file file;
    struct err err;
    bytes[bit / 8] ^= (char)(1 << bit % 8);
    temp_write_bytes(temp_path(at.a, "copy"), bytes, len);
    bytes[bit / 8] ^= (char)(1 << bit % 8);
    CHECK_INT(deed_file_read(&file, at.a, "copy", &err), MOONKEEP_OK);
    /* Blanks and the case of a digit say nothing. */
    struct deed_file real;
    CHECK_INT(deed_file_read(&real, at.a, DEED_OF_DATA, &err), MOONKEEP_OK);
    if (file.state != DEED_DAMAGED)
      CHECK(file.id == real.id && file.from == real.from &&
            strcmp(buf_text(&file.data), buf_text(&real.data)) == 0);
    deed_file_deinit(&file);
    deed_file_deinit(&real);
  }
  mem_free(bytes);
}

TEST(backups_that_cannot_be_told_whose_they_are_are_neither_read_nor_written) {
  struct places at = make_places();
  struct err err;
  struct store *store;
  fill(at.a, at.backups, "1");
  temp_write(temp_path(at.backups, DEED_OF_BACKUPS), "torn");
  temp_write(temp_path(at.backups, SNAPSHOT_HALF_MADE "1"), "half");
  const char *before = listing(at.backups);
  store = must_open(at.a, at.backups);
  CHECK(heard("cannot be told") && heard("remove it if they are"));
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  CHECK_INT(back_up(store).err.code, MOONKEEP_CORRUPT);
  sync_close(store);
  CHECK(unlink(temp_path(at.a, "appdata.db")) == 0);
  CHECK_INT(try_open(at.a, at.backups, EVERY_MS, &store, &err), MOONKEEP_CORRUPT);
  CHECK(strstr(err.message, "cannot be told") != NULL);
  CHECK_STR(listing(at.backups), before);
  CHECK(unlink(temp_path(at.backups, DEED_OF_BACKUPS)) == 0);
  must_hold(at.a, at.backups, "1");
}

static const char *failing, *failing_in; /* what fails: "read", of files with this in their path */
static atomic_int failures;

static int fail_some(const char *doing, const char *path) {
  if (strcmp(doing, failing) != 0 || !strstr(path, failing_in)) return 0;
  failures++;
  return EIO;
}

static int fail_nowhere(const char *doing, const char *path) {
  (void)doing, (void)path;
  return 0;
}

/* The disk gives one file away no more. */
TEST(a_file_that_cannot_be_read_stops_the_backups_and_not_the_store) {
  struct places at = make_places();
  static const char *const doings[] = {"open", "read"};
  fill(at.a, at.backups, "1");
  for (int i = 0; i < 2; i++) {
    failing = doings[i];
    failing_in = DEED_OF_BACKUPS;
    failures = 0;
    disk_set_gate(fail_some);
    struct store *store = must_open(at.a, at.backups);
    CHECK(failures > 0 && heard("there are no backups"));
    CHECK_STR(sync_get(store, "appData", "k"), "1");
    CHECK_INT(back_up(store).err.code, MOONKEEP_IO);
    disk_set_gate(NULL); /* it does again */
    CHECK_INT(back_up(store).err.code, MOONKEEP_OK);
    sync_set(store, "appData", "k", "1");
    sync_close(store);
    must_hold(at.a, at.backups, "1");
  }
}

/* Every operation on the two files fails once, and for good. */
TEST(files_that_cannot_be_written_cost_no_change) {
  static const char *const doings[] = {"make", "write", "sync", "move"};
  for (int i = 0; i < 8; i++) {
    struct places at = make_places();
    struct store *store;
    fill(at.a, at.backups, "1");
    CHECK(unlink(temp_path(at.a, DEED_OF_DATA)) == 0);
    CHECK(unlink(temp_path(at.backups, DEED_OF_BACKUPS)) == 0);
    failing = doings[i / 2];
    failing_in = i & 1 ? DEED_OF_BACKUPS : DEED_OF_DATA;
    failures = 0;
    disk_set_gate(fail_some);
    store = must_open(at.a, at.backups);
    CHECK(failures > 0 && heard("there are no backups"));
    CHECK_STR(sync_get(store, "appData", "k"), "1");
    CHECK_INT(back_up(store).err.code, MOONKEEP_IO);
    disk_set_gate(fail_nowhere);
    CHECK_INT(back_up(store).err.code, MOONKEEP_OK);
    sync_close(store);
    disk_set_gate(NULL);
    must_hold(at.a, at.backups, "1");
    CHECK(!there(at.a, SNAPSHOT_HALF_MADE DEED_OF_DATA));
    CHECK(!there(at.backups, SNAPSHOT_HALF_MADE DEED_OF_BACKUPS));
    temp_remove(at.top);
  }
}

/* ---- kills and memory ---- */

static int die_at, operations;

/* At one of those on the two files and their folders. */
static int die_there(const char *doing, const char *path) {
  const char *name = strrchr(path, '/');
  bool ours = strstr(path, DEED_OF_DATA) || strstr(path, DEED_OF_BACKUPS) || strcmp(name, "/b") == 0 ||
              strcmp(name, "/backups") == 0;
  (void)doing;
  if (ours && ++operations == die_at) kill(getpid(), SIGKILL);
  return 0;
}

/* False: it has come through. */
static bool dies(const char *data, const char *backups) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    struct store *store;
    struct err err;
    operations = 0;
    disk_set_gate(die_there);
    if (try_open(data, backups, EVERY_MS, &store, &err)) _exit(1);
    sync_close(store);
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status)) CHECK_INT(WEXITSTATUS(status), 0);
  return WIFSIGNALED(status);
}

/* Each operation is tried with ROUNDS=3, some of them otherwise. */
static int stride(void) {
  return check_rounds(1) < 3 ? 3 : 1;
}

/* A new folder takes the backups over, a copy does, an older version's; each operation may be the last. */
TEST(a_kill_at_any_operation_leaves_the_backups_with_one_of_them) {
  for (int kind = 0; kind < 3; kind++) {
    bool died = true;
    for (die_at = 1 + (stride() > 1 ? (int)check_below(3) : 0); died; die_at += stride()) {
      struct places at = make_places();
      fill(at.a, at.backups, "1");
      if (kind == 1) must_run("cp -r '%s' '%s'", at.a, at.b);
      if (kind > 0) CHECK(rename(at.a, at.c) == 0);
      if (kind == 2) {
        CHECK(rename(at.c, at.b) == 0);
        CHECK(unlink(temp_path(at.b, DEED_OF_DATA)) == 0);
        CHECK(unlink(temp_path(at.backups, DEED_OF_BACKUPS)) == 0);
      }
      died = dies(at.b, at.backups);
      must_hold(at.b, at.backups, "1");
      must_hold(at.b, at.backups, "1");
      if (kind < 2) must_refuse(kind == 0 ? at.a : at.c, at.backups, EVERY_MS);
      temp_remove(at.top);
    }
  }
}

/* The first one may also go on as long as the other has not taken them. */
TEST(a_takeover_that_is_killed_may_be_left_at_that) {
  bool died = true;
  int went_on = 0;
  for (die_at = 1 + (stride() > 1 ? (int)check_below(3) : 0); died; die_at += stride()) {
    struct places at = make_places();
    struct store *store;
    struct err err;
    fill(at.a, at.backups, "1");
    died = dies(at.b, at.backups);
    enum moonkeep_code code = try_open(at.a, at.backups, EVERY_MS, &store, &err);
    if (code) {
      CHECK_INT(code, MOONKEEP_BUSY);
      must_hold(at.b, at.backups, "1");
    } else {
      went_on++;
      CHECK_STR(sync_get(store, "appData", "k"), "1");
      if (went_on == 1) must_refuse(at.b, at.backups, EVERY_MS); /* which waits for the lock */
      sync_close(store);
    }
    temp_remove(at.top);
  }
  CHECK(went_on > 0);
}

TEST(no_allocation_that_fails_takes_the_backups_from_anybody) {
  struct places at = make_places();
  struct store *store;
  struct err err;
  fill(at.a, at.backups, "1");
  fill(at.b, NULL, "2");
  for (long nth = 1;; nth++) {
    check_fail_alloc(nth);
    enum moonkeep_code code = try_open(at.b, at.backups, EVERY_MS, &store, &err);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK(code == MOONKEEP_MEMORY || code == MOONKEEP_BUSY);
    if (!failed) break;
  }
  must_hold(at.a, at.backups, "1");
}
