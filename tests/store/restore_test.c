/* What a start does about a store file that is missing, damaged, or says less than was acknowledged: it is
 * restored, with a receipt, and nothing is deleted; or the start is refused. Never less without a word. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "base/buf.h"
#include "base/mem.h"
#include "store/archive.h"
#include "store/disk.h"
#include "store/journal.h"
#include "store/mark.h"
#include "store/recall.h"
#include "store/snapshot.h"
#include "store/sql.h"

/* ---- a folder with a store and a backup of it ---- */

static const char *file_of(const char *dir) {
  return temp_path(dir, "appdata.db");
}

static void back_up(const char *dir) {
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
}

/* appData has a=1, b=2 in the backup; in the store file also c=3. */
static const char *make_folder(void) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "b", "2");
  sync_close(store);
  back_up(dir);
  store = sync_open(dir);
  sync_set(store, "appData", "c", "3");
  sync_close(store);
  return dir;
}

/* Opens the store and looks at all that it holds, and at its receipt. */
static void check_restored(const char *dir, const char *rows, const char *why, const char *missing) {
  bool now;
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), rows);
  const char *receipt = store_receipt(store, &now);
  store_receipt_told(store);
  if (!now || !strstr(receipt, why) || !strstr(receipt, missing)) FAIL("the receipt is %s", receipt);
  sync_set(store, "appData", "later", "4");
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "later"), "4");
  store_receipt(store, &now);
  CHECK(!now);
  sync_close(store);
}

static void check_refused(const char *dir, const char *word) {
  struct store *store;
  struct err err;
  CHECK(sync_try_open(dir, &store, &err) != MOONKEEP_OK);
  if (!strstr(err.message, word)) FAIL("it says: %s", err.message);
}

/* How many files of this name were set aside. */
static int set_aside(const char *dir, const char *name) {
  int found = 0;
  DIR *folder = opendir(dir);
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    char path[300];
    if (strncmp(entry->d_name, "damaged-", 8) != 0) continue;
    snprintf(path, sizeof path, "%.200s/%.60s", entry->d_name, name);
    found += access(temp_path(dir, path), F_OK) == 0;
  }
  closedir(folder);
  return found;
}

/* ---- the store file ---- */

TEST(missing_file_is_restored) {
  const char *dir = make_folder();
  unlink(file_of(dir));
  check_restored(dir, "a=1 b=2", "the store file is missing", "\"missing\":1");
  CHECK_INT(set_aside(dir, "appdata.db"), 0);
}

TEST(empty_file_is_restored) {
  const char *dir = make_folder();
  temp_write(file_of(dir), "");
  check_restored(dir, "a=1 b=2", "the store file is empty", "\"missing\":1");
}

TEST(file_that_is_no_database_is_restored_and_set_aside) {
  const char *dir = make_folder();
  temp_write(file_of(dir), "this is not a database, whatever it is called");
  check_restored(dir, "a=1 b=2", "not an SQLite database", "\"missing\":1");
  CHECK_INT(set_aside(dir, "appdata.db"), 1);
}

TEST(file_cut_short_is_restored) {
  const char *dir = make_folder();
  CHECK(truncate(file_of(dir), 5000) == 0);
  check_restored(dir, "a=1 b=2", "", "\"damaged\":\"damaged-");
  CHECK_INT(set_aside(dir, "appdata.db"), 1);
}

TEST(missing_file_without_a_backup_is_refused) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_close(store);
  unlink(file_of(dir));
  check_refused(dir, "there are no backups");
  CHECK(access(file_of(dir), F_OK) != 0);
  unlink(temp_path(dir, "appdata.mark")); /* as the sentence says */
  sync_close(sync_open(dir));
}

TEST(log_alone_is_not_an_empty_store) {
  const char *dir = temp_dir();
  temp_write(temp_path(dir, "appdata.db-wal"), "what was once a log");
  check_refused(dir, "nothing was changed");
}

TEST(bad_backups_are_passed_over) {
  const char *dir = make_folder();
  mkdir(temp_path(dir, "backups"), 0777);
  temp_write(temp_path(dir, "backups/appdata-20300101T000000.000Z.db"), "no backup");
  unlink(file_of(dir));
  check_restored(dir, "a=1 b=2", "the store file is missing", "\"missing\":1");
}

TEST(nothing_begins_empty_where_all_backups_are_bad) {
  const char *dir = temp_dir();
  mkdir(temp_path(dir, "backups"), 0777);
  temp_write(temp_path(dir, "backups/appdata-20300101T000000.000Z.db"), "no backup");
  check_refused(dir, "none of 1 backup");
  CHECK(access(file_of(dir), F_OK) != 0);
}

/* ---- the log ---- */

/* A process that is killed leaves a log; d=4 stands in it alone. */
static void leave_a_log_with(const char *dir, const char *d, const char *e) {
  pid_t child = fork();
  if (child == 0) {
    struct store *store = sync_open(dir);
    sqlite3 *reader; /* keeps what comes out of the file */
    struct err err;
    if (sql_open(&reader, file_of(dir), false, &err) ||
        sql_run(reader, "BEGIN; SELECT count(*) FROM _meta", "read", &err))
      FAIL("%s", err.message);
    sync_set(store, "appData", "d", d);
    sync_set(store, "appData", "e", e);
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  CHECK(disk_size(temp_path(dir, "appdata.db-wal")) > 0);
}

static void leave_a_log(const char *dir) {
  leave_a_log_with(dir, "4", "5");
}

TEST(log_that_is_whole_is_taken_over) {
  const char *dir = make_folder();
  leave_a_log(dir);
  bool now;
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2 c=3 d=4 e=5");
  CHECK_STR(store_receipt(store, &now), "");
  CHECK(!now);
  sync_close(store);
}

/* What power loss leaves that comes while the log goes into the file: the sector that was being written holds
 * anything, and what is to be in it is still in the log. */
TEST(log_has_what_was_torn_in_the_file) {
  const char *dir = make_folder();
  size_t len;
  char large[20000]; /* the file grows, which its first page says */
  memset(large, '7', sizeof large - 1);
  large[sizeof large - 1] = '\0';
  leave_a_log_with(dir, "4", large);
  char *bytes = temp_read(file_of(dir), &len);
  for (int i = 0; i < 512; i++) bytes[i] = (char)(i % 7 ? check_random() : 0xA5);
  temp_write_bytes(file_of(dir), bytes, len);
  free(bytes);
  bool now;
  struct store *store = sync_open(dir);
  CHECK_STR(store_receipt(store, &now), "");
  CHECK(strncmp(sync_select(store, "appData", "%"), "a=1 b=2 c=3 d=4 e=777", 21) == 0);
  CHECK(strncmp(sync_get(store, "appData", "e"), large, 4000) == 0);
  sync_close(store);
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  CHECK_INT(set_aside(dir, "appdata.db"), 0);
}

TEST(log_that_is_lost_is_noticed) {
  const char *dir = make_folder();
  leave_a_log(dir);
  unlink(temp_path(dir, "appdata.db-wal"));
  unlink(temp_path(dir, "appdata.db-shm"));
  check_restored(dir, "a=1 b=2 c=3", "the last changes to the store file were lost", "\"missing\":2");
}

TEST(log_cut_anywhere_is_noticed) {
  const char *model = make_folder();
  leave_a_log(model);
  size_t len, db_len, mark_len;
  char *log = temp_read(temp_path(model, "appdata.db-wal"), &len);
  char *db = temp_read(file_of(model), &db_len),
       *mark = temp_read(temp_path(model, "appdata.mark"), &mark_len);
  for (size_t cut = 0; cut < len; cut += 512) {
    bool now;
    const char *dir = temp_dir();
    temp_write_bytes(temp_path(dir, "appdata.db"), db, db_len);
    temp_write_bytes(temp_path(dir, "appdata.mark"), mark, mark_len);
    temp_write_bytes(temp_path(dir, "appdata.db-wal"), log, cut);
    struct store *store = sync_open(dir);
    const char *rows = sync_select(store, "appData", "%");
    store_receipt(store, &now);
    bool whole = strcmp(rows, "a=1 b=2 c=3 d=4 e=5") == 0, prefix = strncmp(rows, "a=1 b=2 c=3", 11) == 0;
    if (!whole && !(now && prefix)) FAIL("cut at %zu: %s, and no word of it", cut, rows);
    sync_close(store);
    temp_remove(dir);
  }
  free(log), free(db), free(mark);
}

/* Nothing of it has come into the file yet. */
static const char *make_new_folder(void) {
  const char *dir = temp_dir();
  leave_a_log(dir);
  unlink(temp_path(dir, "appdata.db-wal"));
  unlink(temp_path(dir, "appdata.db-shm"));
  return dir;
}

TEST(log_of_a_new_store_that_is_lost_is_noticed) {
  const char *dir = make_new_folder();
  check_refused(dir, "has lost all that it held");
  check_refused(dir, "has lost all that it held");
  unlink(temp_path(dir, "appdata.mark")); /* as the sentence says */
  sync_close(sync_open(dir));
}

TEST(log_of_another_database_is_set_aside) {
  const char *dir = make_folder(), *other = make_folder();
  leave_a_log(dir);
  leave_a_log(other);
  size_t len;
  char *log = temp_read(temp_path(other, "appdata.db-wal"), &len);
  temp_write_bytes(temp_path(dir, "appdata.db-wal"), log, len);
  free(log);
  check_restored(dir, "a=1 b=2 c=3", "the last changes to the store file were lost", "\"missing\":2");
  CHECK_INT(set_aside(dir, "appdata.db-wal"), 1);
}

TEST(stopped_folder_can_be_copied) {
  const char *dir = make_folder(), *copy = temp_dir();
  static const char *const names[] = {"appdata.db", "appdata.mark"};
  struct err err;
  for (int i = 0; i < 2; i++)
    CHECK(disk_copy(temp_path(dir, names[i]), temp_path(copy, names[i]), &err) == MOONKEEP_OK);
  bool now;
  struct store *store = sync_open(copy);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2 c=3");
  store_receipt(store, &now);
  CHECK(!now);
  sync_close(store);
}

TEST(file_put_in_place_by_hand_counts) {
  const char *dir = make_folder();
  struct snapshot *list;
  size_t count;
  struct err err;
  CHECK(snapshot_list(temp_path(dir, "backups"), &list, &count, &err) == MOONKEEP_OK && count == 1);
  char from[96];
  snprintf(from, sizeof from, "backups/%s", list[0].name);
  free(list);
  CHECK(disk_copy(temp_path(dir, from), file_of(dir), &err) == MOONKEEP_OK);
  bool now;
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
  store_receipt(store, &now);
  CHECK(!now);
  sync_close(store);
}

/* ---- the archive ---- */

static void add_group(struct buf *out, uint64_t epoch, uint64_t seq, const struct buf *changes) {
  struct archive_group group = {.seq = seq,
                                .before = seq - 1,
                                .at_ms = clock_wall_ms(&sync_clock) + (int64_t)seq * 1000,
                                .changes = changes->data,
                                .len = changes->len};
  archive_put(out, epoch, &group);
}

static void add_put_in(struct buf *out, uint64_t epoch, uint64_t seq, const char *key, const char *json) {
  struct buf changes = {0};
  journal_begin(&changes, epoch);
  journal_bucket(&changes, "appData");
  journal_put(&changes, key, strlen(key), json, strlen(json), 0);
  add_group(out, epoch, seq, &changes);
  buf_deinit(&changes);
}

static void add_put(struct buf *out, uint64_t seq, const char *key, const char *json) {
  add_put_in(out, 1, seq, key, json);
}

static void add_erase_like(struct buf *out, uint64_t seq, const char *pattern) {
  struct buf changes = {0};
  journal_begin(&changes, 1);
  journal_bucket(&changes, "appData");
  journal_erase_like(&changes, pattern, strlen(pattern), clock_wall_ms(&sync_clock));
  add_group(out, 1, seq, &changes);
  buf_deinit(&changes);
}

static void write_archive_from(const char *dir, const struct archive_origin *origin, uint64_t epoch,
                               uint64_t after, struct buf *groups, uint64_t last) {
  struct archive archive;
  struct err err;
  if (archive_create(&archive, temp_path(dir, "backups"), epoch, after, origin, clock_wall_ms(&sync_clock),
                     &err) ||
      archive_write(&archive, groups, last, &err) || archive_sync(&archive, &err))
    FAIL("%s", err.message);
  archive_close(&archive);
  buf_deinit(groups);
}

/* As older versions have written it. */
static void write_archive_of(const char *dir, uint64_t epoch, uint64_t after, struct buf *groups,
                             uint64_t last) {
  write_archive_from(dir, NULL, epoch, after, groups, last);
}

static void write_archive(const char *dir, uint64_t after, struct buf *groups, uint64_t last) {
  write_archive_of(dir, 1, after, groups, last);
}

/* What came after the backup, in two files: c=3, d=4, e=5. */
static void archive_three(const char *dir) {
  struct buf groups = {0};
  add_put(&groups, 3, "c", "3");
  add_put(&groups, 4, "d", "4");
  write_archive(dir, 2, &groups, 4);
  add_put(&groups, 5, "e", "5");
  write_archive(dir, 4, &groups, 5);
}

TEST(restore_goes_on_with_the_archive) {
  const char *dir = make_folder();
  leave_a_log(dir);
  archive_three(dir);
  unlink(file_of(dir));
  check_restored(dir, "a=1 b=2 c=3 d=4 e=5", "\"archived\":3", "\"missing\":0");
}

TEST(lost_log_is_completed_from_the_archive) {
  const char *dir = make_folder();
  leave_a_log(dir);
  archive_three(dir);
  unlink(temp_path(dir, "appdata.db-wal"));
  check_restored(dir, "a=1 b=2 c=3 d=4 e=5", "\"kind\":\"completed\"", "\"missing\":0");
}

TEST(new_store_that_has_lost_its_log_is_restored_from_the_archive) {
  const char *dir = make_new_folder();
  struct buf groups = {0};
  add_put(&groups, 1, "d", "4");
  add_put(&groups, 2, "e", "5");
  write_archive(dir, 0, &groups, 2);
  check_restored(dir, "d=4 e=5", "has lost all that it held", "\"missing\":0");
}

TEST(archive_from_the_first_change_on_is_a_backup) {
  const char *dir = temp_dir();
  struct buf groups = {0};
  add_put(&groups, 1, "user:a", "1");
  add_put(&groups, 2, "user:b", "2");
  add_put(&groups, 3, "c", "3");
  add_erase_like(&groups, 4, "user:%");
  add_put(&groups, 5, "user:b", "7");
  write_archive(dir, 0, &groups, 5);
  check_restored(dir, "c=3 user:b=7", "the store file is missing", "\"archived\":5");
}

/* ---- a log that is not what it was, beside an archive that every change waits for ---- */

static struct store *open_archived(const char *dir) {
  struct store *store;
  struct err err;
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &sync_clock, .archive = STORE_ARCHIVE_SYNC};
  if (store_open(&store, &options, &err)) FAIL("%s", err.message);
  return store;
}

static void set_and_die(const char *dir, const char *keys) {
  pid_t child = fork();
  if (child == 0) {
    struct store *store = open_archived(dir);
    for (const char *at = keys; *at; at++) sync_set(store, "appData", (char[2]){*at}, "1");
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  CHECK(disk_size(temp_path(dir, "appdata.db-wal")) > 0);
}

/* What a kill has left: a and b are in the store file, c to f in the log and the archive alone. */
static const char *make_archived(bool with_backup) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir);
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "b", "1");
  sync_close(store);
  if (with_backup) back_up(dir);
  set_and_die(dir, "cdef");
  return dir;
}

static void copy_folder(const char *from, const char *to) {
  char command[600];
  snprintf(command, sizeof command, "cp -a '%.250s/.' '%.250s'", from, to);
  CHECK(system(command) == 0);
}

/* Whatever the log says, all is there; nothing of it is said to be missing; and the archive goes on with what
 * comes later, so that it is all there still when the store file is lost. */
static void check_all_there(const char *dir, const char *what) {
  static const char all[] = "a=1 b=1 c=1 d=1 e=1 f=1";
  bool now;
  struct store *store = open_archived(dir);
  const char *rows = sync_select(store, "appData", "%"), *receipt = store_receipt(store, &now);
  if (strcmp(rows, all) != 0) FAIL("%s: %s; the receipt is %s", what, rows, receipt);
  if (now && !strstr(receipt, "\"missing\":0")) FAIL("%s: the receipt is %s", what, receipt);
  sync_set(store, "appData", "later", "1");
  sync_close(store);
  unlink(file_of(dir));
  store = open_archived(dir);
  rows = sync_select(store, "appData", "%");
  if (strncmp(rows, all, sizeof all - 1) != 0 || !strstr(rows, " later=1"))
    FAIL("%s, and the file lost: %s", what, rows);
  sync_close(store);
}

/* The files are copies, which a start knows and then trusts the archive more than the file; in every second
 * round it takes them for those that the host has written. */
static void check_with_log(const char *model, const void *log, size_t len, const char *what) {
  for (int trust = 0; trust < 2; trust++) {
    const char *dir = temp_dir();
    copy_folder(model, dir);
    unlink(temp_path(dir, "appdata.db-shm"));
    if (log)
      temp_write_bytes(temp_path(dir, "appdata.db-wal"), log, len);
    else
      unlink(temp_path(dir, "appdata.db-wal"));
    mark_trusts_copies = trust;
    check_all_there(dir, what);
    mark_trusts_copies = false;
    temp_remove(dir);
  }
}

/* Every 512 bytes with ROUNDS in the environment, a few of them without. */
TEST(log_cut_anywhere_loses_nothing_that_the_archive_has) {
  int cuts = 0;
  for (int with_backup = 0; with_backup < 2; with_backup++) {
    const char *model = make_archived(with_backup);
    char what[32];
    size_t len, step = getenv("ROUNDS") ? 512 : 512 * 11;
    char *log = temp_read(temp_path(model, "appdata.db-wal"), &len);
    for (size_t cut = 0; cut < len; cut += step, cuts += 2) {
      snprintf(what, sizeof what, "cut at %zu", cut);
      check_with_log(model, log, cut, what);
    }
    free(log);
  }
  printf("%d logs cut, beside an archive\n", cuts);
}

TEST(log_that_is_missing_stale_or_another_databases_loses_nothing_that_the_archive_has) {
  const char *model = temp_dir(), *other = make_archived(false);
  size_t stale_len, foreign_len;
  struct store *store = open_archived(model);
  sync_set(store, "appData", "a", "1");
  sync_close(store);
  set_and_die(model, "bcd");
  char *stale = temp_read(temp_path(model, "appdata.db-wal"), &stale_len);
  char *foreign = temp_read(temp_path(other, "appdata.db-wal"), &foreign_len);
  sync_close(open_archived(model)); /* takes the log in */
  set_and_die(model, "ef");
  check_with_log(model, NULL, 0, "missing");
  check_with_log(model, stale, stale_len, "stale");
  check_with_log(model, foreign, foreign_len, "of another database");
  free(stale), free(foreign);
}

/* A restore brings what is in the log into the file before it begins; not what is of another database. */
TEST(log_of_another_database_is_left_alone_by_a_restore_that_is_only_tried) {
  const char *dir = make_archived(true), *other = make_archived(false);
  struct recalled recalled;
  struct err err;
  size_t len;
  char *log = temp_read(temp_path(other, "appdata.db-wal"), &len);
  temp_write_bytes(temp_path(dir, "appdata.db-wal"), log, len);
  unlink(temp_path(dir, "appdata.db-shm"));
  free(log);
  struct recall recall = {.dir = dir, .until_ms = INT64_MAX, .clock = &sync_clock, .dry_run = true};
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  recalled_deinit(&recalled);
  check_all_there(dir, "of another database");
}

static void check_recalled(const char *dir, int64_t until_ms, const char *rows) {
  struct recalled recalled;
  struct err err;
  struct recall recall = {.dir = dir, .until_ms = until_ms, .clock = &sync_clock};
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  recalled_deinit(&recalled);
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), rows);
  sync_close(store);
}

/* Makes the files with this in their names unreadable. */
static void spoil(const char *dir, const char *what) {
  DIR *folder = opendir(temp_path(dir, "backups"));
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    char path[300];
    snprintf(path, sizeof path, "backups/%.200s", entry->d_name);
    if (strstr(entry->d_name, what)) temp_write(temp_path(dir, path), "what once was whole, and is not now");
  }
  closedir(folder);
}

/* A store of two changes with a backup, and one more change, all of them archived. */
static const char *make_archived_folder(void) {
  const char *dir = make_folder();
  struct buf groups = {0};
  add_put(&groups, 1, "a", "1");
  add_put(&groups, 2, "b", "2");
  write_archive(dir, 0, &groups, 2);
  add_put(&groups, 3, "c", "3");
  write_archive(dir, 2, &groups, 3);
  unlink(file_of(dir));
  return dir;
}

TEST(nothing_begins_empty_where_backups_and_archive_are_bad) {
  const char *dir = make_archived_folder();
  spoil(dir, "appdata-");
  check_refused(dir, "nor is there a change in its archive that could; nothing was changed");
  CHECK(access(file_of(dir), F_OK) != 0);
}

TEST(nothing_begins_with_a_part_where_all_backups_are_bad) {
  const char *dir = make_archived_folder();
  spoil(dir, ".db");
  spoil(dir, "2.archive");
  check_refused(dir, "only a part of what was saved");
  check_recalled(dir, INT64_MAX, "a=1 b=2"); /* as the sentence says */
}

TEST(archive_that_is_whole_is_a_backup_where_all_others_are_bad) {
  const char *dir = make_archived_folder();
  spoil(dir, ".db");
  check_restored(dir, "a=1 b=2 c=3", "the store file is missing", "\"missing\":0");
}

TEST(archive_with_a_gap_is_used_up_to_it) {
  const char *dir = make_folder();
  struct buf groups = {0};
  leave_a_log(dir);
  add_put(&groups, 3, "c", "3");
  write_archive(dir, 2, &groups, 3);
  add_put(&groups, 5, "e", "5");
  write_archive(dir, 4, &groups, 5);
  unlink(file_of(dir));
  check_restored(dir, "a=1 b=2 c=3", "\"archived\":1", "\"missing\":2");
}

TEST(any_moment_comes_back_to_the_group) {
  const char *dir = make_folder();
  int64_t base = clock_wall_ms(&sync_clock);
  leave_a_log(dir);
  archive_three(dir);
  sync_advance(10000);
  check_recalled(dir, base + 4000, "a=1 b=2 c=3 d=4");
  check_recalled(dir, base + 3500, "a=1 b=2 c=3");
  check_recalled(dir, base + 2999, "a=1 b=2");
  check_recalled(dir, base + 5000, "a=1 b=2 c=3 d=4 e=5");
}

TEST(restored_store_is_what_counts_when_it_is_lost_again) {
  const char *dir = make_folder();
  archive_three(dir);
  sync_advance(10000);
  check_recalled(dir, clock_wall_ms(&sync_clock) - 7001, "a=1 b=2");
  sync_advance(10000);
  unlink(file_of(dir));
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
  sync_close(store);
}

/* What a kill has left is brought into the file before a restore. Where nothing comes of that the next start
 * finds what a clean stop leaves, and not a log that another program might have taken away. */
TEST(a_restore_that_is_refused_after_a_kill_leaves_all_as_it_was) {
  const char *dir = make_folder();
  struct recalled recalled;
  struct err err;
  leave_a_log(dir);
  struct recall recall = {.dir = dir, .until_ms = 1000, .clock = &sync_clock};
  CHECK(recall_run(&recall, &recalled, &err) != MOONKEEP_OK);
  recalled_deinit(&recalled);
  recall = (struct recall){.dir = dir, .until_ms = INT64_MAX, .clock = &sync_clock, .dry_run = true};
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  recalled_deinit(&recalled);
  bool now;
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2 c=3 d=4 e=5");
  CHECK_STR(store_receipt(store, &now), "");
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT value FROM _meta WHERE name='folded_seq'"),
            "5"); /* no number for an edit */
}

/* The backup has b=2, and epoch 2 began behind a=1. One of its later files begins behind a number that epoch
 * 1 has too: but not with the same state. */
TEST(an_epoch_is_joined_where_it_began_only) {
  const char *dir = make_folder();
  struct buf groups = {0};
  add_put(&groups, 3, "c", "3");
  add_put(&groups, 4, "d", "4");
  write_archive(dir, 2, &groups, 4);
  add_put_in(&groups, 2, 2, "x", "2");
  add_put_in(&groups, 2, 3, "y", "3");
  write_archive_of(dir, 2, 1, &groups, 3);
  add_put_in(&groups, 2, 4, "z", "4");
  write_archive_of(dir, 2, 3, &groups, 4);
  unlink(file_of(dir));
  check_restored(dir, "a=1 b=2 c=3 d=4", "\"archived\":2", "\"missing\":0");
}

/* ---- a store that was restored several times ---- */

/* Behind the backup, a=1 b=2: c to e are epoch 1's. */
static const char *make_first_epoch(void) {
  const char *dir = make_folder();
  struct buf groups = {0};
  add_put(&groups, 3, "c", "3");
  add_put(&groups, 4, "d", "4");
  add_put(&groups, 5, "e", "5");
  write_archive(dir, 2, &groups, 5);
  unlink(file_of(dir));
  return dir;
}

static void archive_one(const char *dir, uint64_t epoch, uint64_t seq, const char *key) {
  struct buf groups = {0};
  add_put_in(&groups, epoch, seq, key, "0");
  write_archive_of(dir, epoch, seq - 1, &groups, seq);
}

TEST(a_restore_further_back_than_the_one_before_counts) {
  const char *dir = make_first_epoch();
  archive_one(dir, 2, 5, "x");
  archive_one(dir, 3, 4, "y");
  check_restored(dir, "a=1 b=2 c=3 y=0", "\"archived\":2", "\"missing\":0");
}

TEST(a_restore_that_was_undone_does_not_count) {
  const char *dir = make_first_epoch();
  archive_one(dir, 2, 4, "x");
  archive_one(dir, 3, 6, "y");
  check_restored(dir, "a=1 b=2 c=3 d=4 e=5 y=0", "\"archived\":4", "\"missing\":0");
}

TEST(a_restore_of_what_came_after_a_restore_builds_on_it) {
  const char *dir = make_first_epoch();
  archive_one(dir, 2, 4, "x");
  archive_one(dir, 3, 5, "y");
  check_restored(dir, "a=1 b=2 c=3 x=0 y=0", "\"archived\":3", "\"missing\":0");
}

/* The archive says which epoch each came from: here 3 came from 1, though 2 has such a group too. */
static void archive_one_from(const char *dir, uint64_t parent, bool first, uint64_t epoch, uint64_t seq,
                             const char *key) {
  struct buf groups = {0};
  struct archive_origin origin = {.known = true, .first = first, .epoch = parent};
  add_put_in(&groups, epoch, seq, key, "0");
  write_archive_from(dir, &origin, epoch, seq - 1, &groups, seq);
}

TEST(a_restore_is_followed_from_where_it_came) {
  const char *dir = make_first_epoch();
  struct archive_origin origin = {.known = true, .first = true, .epoch = 1};
  struct buf groups = {0};
  add_put_in(&groups, 2, 4, "v", "0");
  add_put_in(&groups, 2, 5, "w", "0");
  write_archive_from(dir, &origin, 2, 3, &groups, 5);
  archive_one_from(dir, 1, true, 3, 6, "y");
  check_restored(dir, "a=1 b=2 c=3 d=4 e=5 y=0", "\"archived\":4", "\"missing\":0");
}

/* Nothing was written in epoch 2, which therefore has no file. */
TEST(a_restore_of_what_was_just_restored_is_followed) {
  const char *dir = make_first_epoch();
  archive_one_from(dir, 2, true, 3, 4, "y");
  check_restored(dir, "a=1 b=2 c=3 y=0", "\"archived\":2", "\"missing\":0");
}

/* The file that has the epoch's first groups is gone, or never was: behind them is another state. */
TEST(an_epoch_whose_beginning_is_missing_is_not_followed) {
  const char *dir = make_first_epoch();
  archive_one_from(dir, 1, false, 2, 5, "y");
  check_restored(dir, "a=1 b=2 c=3 d=4 e=5", "\"archived\":3", "\"missing\":0");
}

/* What another store's file, put in this one's place, has been brought to is no state of this one's. */
TEST(an_epoch_from_elsewhere_is_not_followed) {
  const char *dir = make_first_epoch();
  archive_one_from(dir, 0, true, 2, 5, "y");
  check_restored(dir, "a=1 b=2 c=3 d=4 e=5", "\"archived\":3", "\"missing\":0");
}

/* Both backups are of before the restore, the newer one of what it has given up. */
TEST(a_backup_of_what_was_given_up_is_not_taken_where_an_older_one_leads_on) {
  const char *dir = make_folder();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "d", "4");
  sync_set(store, "appData", "e", "5");
  sync_close(store);
  sync_advance(1000);
  back_up(dir);
  struct buf groups = {0};
  add_put(&groups, 3, "c", "3");
  add_put(&groups, 4, "d", "4");
  add_put(&groups, 5, "e", "5");
  write_archive(dir, 2, &groups, 5);
  archive_one_from(dir, 1, true, 2, 4, "y");
  unlink(file_of(dir));
  sync_advance(20000);
  check_restored(dir, "a=1 b=2 c=3 y=0", "\"archived\":2", "\"missing\":0");
}

/* a is there at the first moment, b and c at the second; of c the store file knows in its log alone. */
static const char *make_moments(int64_t *first_ms, int64_t *second_ms) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir);
  sync_set(store, "appData", "a", "1");
  *first_ms = clock_wall_ms(&sync_clock);
  sync_advance(1000);
  sync_set(store, "appData", "b", "1");
  sync_close(store);
  set_and_die(dir, "c");
  *second_ms = clock_wall_ms(&sync_clock);
  sync_advance(1000);
  return dir;
}

/* What the first file of the newest epoch says. */
static void read_last_origin(const char *dir, struct archive_file *last, struct archive_origin *origin) {
  struct archive_file *files;
  struct err err;
  size_t count;
  if (archive_list(temp_path(dir, "backups"), &files, &count, &err)) FAIL("%s", err.message);
  CHECK(count > 0);
  size_t i = count - 1;
  while (i > 0 && files[i - 1].epoch == files[i].epoch) i--;
  *last = files[i];
  if (archive_read_origin(temp_path(dir, "backups"), last, origin, &err)) FAIL("%s", err.message);
  mem_free(files);
}

/* The backup that a restore takes of its outcome is what the changes after it are brought back from. */
TEST(what_was_changed_after_a_restore_outlasts_the_file) {
  int64_t first_ms, second_ms;
  const char *dir = make_moments(&first_ms, &second_ms);
  check_recalled(dir, first_ms, "a=1");
  set_and_die(dir, "x");
  unlink(file_of(dir));
  unlink(temp_path(dir, "appdata.db-wal"));
  unlink(temp_path(dir, "appdata.db-shm"));
  struct store *store = open_archived(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 x=1");
  sync_close(store);
}

/* Two restores, of which the second takes the first one back, and changes in between. */
TEST(the_archive_says_where_a_restore_came_from) {
  struct archive_file file;
  struct archive_origin origin;
  int64_t first_ms, second_ms;
  const char *dir = make_moments(&first_ms, &second_ms);
  check_recalled(dir, first_ms, "a=1");
  set_and_die(dir, "xyz");
  read_last_origin(dir, &file, &origin);
  CHECK(file.after == 1 && origin.known && origin.first && origin.epoch == 1);
  uint64_t given_up = file.epoch;
  set_and_die(dir, "w");
  sync_advance(1000);
  check_recalled(dir, second_ms, "a=1 b=1 c=1");
  set_and_die(dir, "v");
  read_last_origin(dir, &file, &origin);
  CHECK(file.epoch > given_up && file.after == 3 && origin.known && origin.first && origin.epoch == 1);
  spoil(dir, ".db"); /* the archive alone, from the first change on */
  unlink(file_of(dir));
  unlink(temp_path(dir, "appdata.db-wal"));
  struct store *store = open_archived(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=1 c=1 v=1");
  sync_close(store);
}

TEST(moments_are_read_as_people_write_them) {
  static const struct {
    const char *text;
    int64_t ms;
  } moments[] = {{"2026-11-23T10:15:00.250Z", 1795428900250},
                 {"2026-11-23T11:15:00.250+01:00", 1795428900250},
                 {"20261123T101500.250Z", 1795428900250},
                 {"appdata-20261123T101500.250Z.db", 1795428900250},
                 {"2026-11-23 10:15Z", 1795428900000},
                 {"2026-11-23T10:15:00-0030", 1795430700000},
                 {"2028-02-29T00:00Z", 1835395200000},
                 {"1795428900.25", 1795428900250},
                 {"1795428900", 1795428900000}};
  static const char *const wrong[] = {"",
                                      "yesterday",
                                      "2026-13-01",
                                      "2026-02-29 10:15",
                                      "2026-11-31",
                                      "2026-11-23T25:00",
                                      "10:15",
                                      "2026-11-23T",
                                      "1e5",
                                      "-5",
                                      "2026-11-23T10:15:00+99:00"};
  int64_t ms;
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
    CHECK_STR(recall_moment(moments[i].text, &ms) ? "read" : "refused", "read");
    CHECK_INT(ms, moments[i].ms);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (recall_moment(wrong[i], &ms)) FAIL("%s is taken for a moment", wrong[i]);
}

/* ---- restores that are cut short ---- */

static int moves, kill_at, fail_at, fail_with;

static int kill_there(const char *doing, const char *path) {
  (void)doing, (void)path;
  if (++moves == kill_at) kill(getpid(), SIGKILL);
  return 0;
}

TEST(killed_restore_is_done_or_not) {
  bool ended = false;
  for (kill_at = 1; !ended; kill_at++) {
    const char *dir = make_folder();
    temp_write(file_of(dir), "damaged");
    pid_t child = fork();
    if (child == 0) {
      struct store *store;
      struct err err;
      moves = 0;
      disk_set_gate(kill_there);
      _exit(sync_try_open(dir, &store, &err) == MOONKEEP_OK ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ended = WIFEXITED(status);
    if (ended) CHECK_INT(WEXITSTATUS(status), 0);
    struct store *store = sync_open(dir);
    CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
    CHECK_INT(set_aside(dir, "appdata.db"), 1);
    sync_close(store);
    temp_remove(dir);
  }
  CHECK(kill_at > 8);
}

/* Whether it came to its end. */
static bool recall_and_die(const char *dir, int64_t until_ms) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    struct recall recall = {.dir = dir, .until_ms = until_ms, .clock = &sync_clock};
    struct recalled recalled;
    struct err err;
    moves = 0;
    disk_set_gate(kill_there);
    _exit(recall_run(&recall, &recalled, &err) == MOONKEEP_OK ? 0 : 1);
  }
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) CHECK_INT(WEXITSTATUS(status), 0);
  return WIFEXITED(status);
}

/* And whichever it is, the state before can be brought back. At every operation with ROUNDS in the
 * environment, at every fifth without. */
TEST(killed_restore_of_a_moment_is_done_or_not) {
  bool ended = false;
  int kills = 0, done = 0;
  for (kill_at = 1; !ended; kill_at += getenv("ROUNDS") ? 1 : 5, kills++) {
    int64_t first_ms, second_ms;
    const char *dir = make_moments(&first_ms, &second_ms);
    ended = recall_and_die(dir, first_ms);
    struct store *store = open_archived(dir);
    const char *rows = sync_select(store, "appData", "%");
    sync_close(store);
    bool old = strcmp(rows, "a=1 b=1 c=1") == 0;
    if (ended ? old : !old && strcmp(rows, "a=1") != 0) FAIL("killed at %d: %s", kill_at, rows);
    done += !old;
    sync_advance(1000);
    check_recalled(dir, second_ms, "a=1 b=1 c=1");
    temp_remove(dir);
  }
  printf("%d kills, %d of them with the restore done\n", kills - 1, done - 1);
  CHECK(done > 1 && kill_at > 8);
}

static int fail_there(const char *doing, const char *path) {
  (void)doing, (void)path;
  return ++moves == fail_at ? fail_with : 0;
}

static void fail_everywhere(int why) {
  bool struck = true;
  fail_with = why;
  for (fail_at = 1; struck; fail_at++) {
    const char *dir = make_folder();
    struct store *store;
    struct err err;
    temp_write(file_of(dir), "damaged");
    moves = 0;
    disk_set_gate(fail_there);
    enum moonkeep_code code = sync_try_open(dir, &store, &err);
    disk_set_gate(NULL);
    struck = moves >= fail_at;
    if (code) CHECK(access(temp_path(dir, "restoring.tmp"), F_OK) != 0); /* the half-made file is gone */
    if (code) store = sync_open(dir);                                    /* the disk has room again */
    CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
    CHECK_INT(set_aside(dir, "appdata.db"), 1);
    sync_close(store);
    temp_remove(dir);
  }
  CHECK(fail_at > 8);
}

TEST(full_disk_during_a_restore_loses_nothing) {
  fail_everywhere(ENOSPC);
}

TEST(disk_error_during_a_restore_loses_nothing) {
  fail_everywhere(EIO);
}
