/* The archive as the store fills it: what is acknowledged gets there, in order, whatever happens to the disk,
 * the process or the folder. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/archive.h"
#include "store/archive_thin.h"
#include "store/disk.h"
#include "store/journal.h"
#include "store/snapshot.h"
#include "store/store.h"

enum { EVERY_MS = 900 * 1000 };

static enum moonkeep_code try_open(const char *dir, enum store_archive mode, struct store **store,
                                   struct err *err) {
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &sync_clock, .backup_every_ms = EVERY_MS, .archive = mode};
  return store_open(store, &options, err);
}

static struct store *open_archived(const char *dir, enum store_archive mode) {
  struct store *store;
  struct err err;
  if (try_open(dir, mode, &store, &err)) FAIL("%s", err.message);
  return store;
}

/* Valid until it is asked for another folder. */
static const char *backups_of(const char *dir) {
  static char path[600];
  snprintf(path, sizeof path, "%s/backups", dir);
  return path;
}

static void pause_a_little(void) {
  nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
}

static struct store_archive_state state_of(struct store *store) {
  struct store_archive_state state;
  store_archive_state(store, &state);
  return state;
}

static void await_archived(struct store *store, uint64_t seq) {
  for (int tries = 12000; state_of(store).seq < seq; tries--) {
    if (tries == 0) FAIL("group %llu does not come into the archive", (unsigned long long)seq);
    pause_a_little();
  }
}

static void put_change(struct buf *out, const struct journal_change *change) {
  buf_printf(out, "%c %.*s %.*s", change->op, (int)change->bucket_len, change->bucket, (int)change->key_len,
             change->key);
  if (change->op == 'p') buf_printf(out, " %.*s", (int)change->json_len, change->json);
  buf_putc(out, '\n');
}

/* What the archive has behind this group, one change a line; to be freed by buf_deinit. */
static struct buf changes_of(const char *dir, uint64_t after, bool *gap) {
  struct archive_reader reader;
  struct archive_group group;
  struct buf out = {0};
  struct err err;
  bool end = false;
  if (archive_open(&reader, backups_of(dir), 1, after, &err)) FAIL("%s", err.message);
  for (;;) {
    if (archive_next(&reader, &group, &end, &err)) FAIL("%s", err.message);
    if (end) break;
    struct journal_reader journal;
    struct journal_change change;
    journal_read(&journal, group.changes, group.len);
    while (journal_next(&journal, &change)) put_change(&out, &change);
    CHECK(!journal.broken);
  }
  if (gap) *gap = reader.gap;
  archive_end(&reader);
  return out;
}

static void check_changes(const char *dir, const char *expected) {
  bool gap;
  struct buf changes = changes_of(dir, 0, &gap);
  CHECK_STR(buf_text(&changes), expected);
  CHECK(!gap);
  buf_deinit(&changes);
}

static size_t count_backups(const char *dir) {
  struct snapshot *all;
  struct err err;
  size_t count;
  if (snapshot_list(backups_of(dir), &all, &count, &err)) FAIL("%s", err.message);
  mem_free(all);
  return count;
}

static void await_backups(const char *dir, size_t count) {
  for (int tries = 12000; count_backups(dir) < count; tries--) {
    if (tries == 0) FAIL("there are %zu backups, not %zu", count_backups(dir), count);
    pause_a_little();
  }
}

static void change_things(struct store *store) {
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "b", "[2]");
  sync_delete(store, "appData", "a");
  CHECK_INT(sync_delete_like(store, "appData", "b%"), 1);
  sync_set(store, "economy", "gold", "7");
}

static const char things[] = "p appData a 1\np appData b [2]\ne appData a\nl appData b%\np economy gold 7\n";

TEST(every_change_comes_into_the_archive) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  change_things(store);
  await_archived(store, 5);
  check_changes(dir, things);
  sync_close(store);
}

TEST(what_waits_is_written_when_the_store_closes) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  change_things(store);
  sync_close(store);
  check_changes(dir, things);
  store = open_archived(dir, STORE_ARCHIVE_ON); /* nothing is asked for: all is there */
  sync_set(store, "appData", "c", "3");
  sync_close(store);
  bool gap;
  struct buf changes = changes_of(dir, 5, &gap);
  CHECK_STR(buf_text(&changes), "p appData c 3\n");
  CHECK(!gap);
  buf_deinit(&changes);
  CHECK_INT(count_backups(dir), 0);
}

TEST(with_sync_a_change_is_answered_when_the_archive_has_it) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
  change_things(store);
  CHECK_INT(state_of(store).seq, 5);
  check_changes(dir, things);
  sync_close(store);
}

TEST(nothing_is_archived_where_it_is_off) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_OFF);
  change_things(store);
  CHECK_INT(state_of(store).mode, STORE_ARCHIVE_OFF);
  sync_close(store);
  check_changes(dir, "");
}

/* ---- gaps ---- */

TEST(where_the_archive_was_off_a_backup_is_taken_at_once) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_OFF);
  sync_set(store, "appData", "a", "1");
  sync_close(store);
  store = open_archived(dir, STORE_ARCHIVE_ON);
  await_backups(dir, 1);
  sync_set(store, "appData", "b", "2");
  sync_close(store);
  bool gap;
  struct buf changes = changes_of(dir, 1, &gap);
  CHECK_STR(buf_text(&changes), "p appData b 2\n");
  buf_deinit(&changes);
}

TEST(a_backup_begins_another_file_and_old_ones_go) {
  const char *dir = temp_dir(), *backups = backups_of(dir);
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  struct archive_file *files;
  struct err err;
  size_t count;
  char key[16];
  for (size_t i = 1; i <= 12; i++) { /* of one hour: four or five of them stay */
    snprintf(key, sizeof key, "k%zu", i);
    sync_set(store, "appData", key, "true");
    await_archived(store, i);
    sync_advance(EVERY_MS / 100);
    struct store_backup_state before, after;
    store_backup_state(store, &before);
    sync_advance(EVERY_MS);
    do {
      pause_a_little();
      store_backup_state(store, &after);
    } while (strcmp(before.name, after.name) == 0);
  }
  sync_set(store, "appData", "last", "true");
  sync_close(store);
  CHECK_INT(archive_list(backups, &files, &count, &err), MOONKEEP_OK);
  CHECK(count >= 4 && count <= 13);
  CHECK_INT(files[count - 1].after, 12);
  mem_free(files);
  struct snapshot *all, oldest;
  CHECK_INT(snapshot_list(backups, &all, &count, &err), MOONKEEP_OK);
  CHECK_INT(snapshot_describe(temp_path(backups, all[count - 1].name), &oldest, &err), MOONKEEP_OK);
  bool gap;
  struct buf changes = changes_of(dir, oldest.seq, &gap);
  CHECK(!gap);
  CHECK(strstr(buf_text(&changes), "p appData last true\n") != NULL);
  buf_deinit(&changes);
  mem_free(all);
}

TEST(what_other_programs_have_changed_is_in_a_backup_at_once) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  sync_set(store, "appData", "a", "1");
  sync_close(store);
  sync_close(open_archived(dir, STORE_ARCHIVE_ON));
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM appData"), "1"); /* looking changes nothing */
  store = open_archived(dir, STORE_ARCHIVE_ON);
  sync_set(store, "appData", "b", "1");
  await_archived(store, 2);
  CHECK_INT(count_backups(dir), 0);
  sync_close(store);
  sync_sql(dir, "UPDATE appData SET value='7'");
  sync_close(open_archived(dir, STORE_ARCHIVE_OFF)); /* whoever opens it next does not hide it */
  store = open_archived(dir, STORE_ARCHIVE_ON);
  await_backups(dir, 1);
  CHECK_STR(sync_get(store, "appData", "a"), "7");
  sync_set(store, "appData", "c", "1");
  sync_close(store);
  struct snapshot *all, newest;
  struct err err;
  size_t count;
  bool gap;
  const char *backups = backups_of(dir);
  CHECK_INT(snapshot_list(backups, &all, &count, &err), MOONKEEP_OK);
  CHECK_INT(snapshot_describe(temp_path(backups, all[0].name), &newest, &err), MOONKEEP_OK);
  struct buf changes = changes_of(dir, newest.seq, &gap);
  CHECK(!gap);
  buf_deinit(&changes);
  changes = changes_of(dir, 0, &gap);
  CHECK(gap);
  buf_deinit(&changes);
  mem_free(all);
}

/* ---- a disk that fails ---- */

static atomic_int refuse; /* the errno of every operation on the archive */

static int gate(const char *doing, const char *path) {
  (void)doing;
  return strstr(path, ".archive") ? atomic_load(&refuse) : 0;
}

static void let_archive_fail(int why) {
  atomic_store(&refuse, why);
  disk_set_gate(why ? gate : NULL);
}

TEST(a_full_disk_is_waited_for) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  disk_set_gate(gate);
  sync_set(store, "appData", "a", "1");
  await_archived(store, 1);
  atomic_store(&refuse, 28);
  sync_set(store, "appData", "b", "2");
  while (!state_of(store).error[0]) pause_a_little();
  sync_set(store, "appData", "c", "3");
  atomic_store(&refuse, 0);
  await_archived(store, 3);
  CHECK_STR(state_of(store).error, "");
  check_changes(dir, "p appData a 1\np appData b 2\np appData c 3\n");
  sync_close(store);
  let_archive_fail(0);
}

#ifndef ARCHIVER_FILE_BYTES /* set where files are so small that a group takes more than one write */
static atomic_int writes_allowed, writes_asked; /* into the archive: the others wait */

static int hold_writes(const char *doing, const char *path) {
  if (strcmp(doing, "write") != 0 || !strstr(path, ".archive")) return 0;
  int mine = atomic_fetch_add(&writes_asked, 1);
  while (atomic_load(&writes_allowed) <= mine) pause_a_little();
  return 0;
}

static void await_writes_asked(int count) {
  while (atomic_load(&writes_asked) < count) pause_a_little();
}

/* A busy store's archive is always a little behind: the tables do not wait until it is not. */
TEST(what_is_archived_is_folded_while_newer_changes_wait_for_the_archive) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  sync_set(store, "appData", "first", "0");
  await_archived(store, 1);
  atomic_store(&writes_asked, 0);
  atomic_store(&writes_allowed, 0);
  disk_set_gate(hold_writes);
  sync_set(store, "appData", "a", "1");
  await_writes_asked(1);
  sync_set(store, "appData", "b", "2");
  atomic_store(&writes_allowed, 1);
  await_writes_asked(2);
  for (int tries = 12000; strcmp(sync_sql(dir, "SELECT count(*) FROM appData WHERE key='a'"), "1") != 0;
       tries--) {
    if (tries == 0) FAIL("what is archived does not come into the table");
    sync_advance(1000);
    pause_a_little();
  }
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM appData WHERE key='b'"), "0");
  atomic_store(&writes_allowed, INT_MAX);
  sync_close(store);
  disk_set_gate(NULL);
  check_changes(dir, "p appData first 0\np appData a 1\np appData b 2\n");
}
#endif

TEST(with_sync_a_change_that_is_not_archived_is_not_called_saved) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
  disk_set_gate(gate);
  sync_set(store, "appData", "a", "1");
  atomic_store(&refuse, 28);
  struct store_call *call = make_set(sync_bucket(store, "appData"), "b", "2", 0);
  sync_run(store, call);
  CHECK(call->err && call->err->code == MOONKEEP_UNKNOWN);
  store_call_free(call);
  call = make_set(sync_bucket(store, "appData"), "c", "3", 0);
  sync_run(store, call);
  CHECK(call->err && call->err->code != MOONKEEP_UNKNOWN);
  store_call_free(call);
  atomic_store(&refuse, 0);
  for (bool done = false; !done; pause_a_little()) {
    sync_advance(1000);
    call = make_set(sync_bucket(store, "appData"), "d", "4", 0);
    sync_run(store, call);
    done = !call->err;
    store_call_free(call);
  }
  CHECK_STR(sync_get(store, "appData", "c"), "absent");
  CHECK_STR(sync_get(store, "appData", "d"), "4");
  sync_close(store);
  let_archive_fail(0);
}

static atomic_int refusals; /* of the next operations on the archive */

static int refuse_some(const char *doing, const char *path) {
  (void)doing;
  if (!strstr(path, ".archive") || atomic_load(&refusals) == 0) return 0;
  atomic_fetch_sub(&refusals, 1);
  return ENOSPC;
}

TEST(with_sync_a_change_outlasts_an_archive_that_fails_for_a_moment) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
  sync_set(store, "appData", "a", "1");
  atomic_store(&refusals, 1);
  disk_set_gate(refuse_some);
  sync_set(store, "appData", "b", "2");
  disk_set_gate(NULL);
  CHECK_INT(atomic_load(&refusals), 0);
  check_changes(dir, "p appData a 1\np appData b 2\n"); /* it is there when the call is answered */
  CHECK_STR(sync_get(store, "appData", "b"), "2");
  sync_close(store);
}

TEST(a_folder_that_vanishes_breaks_the_archive_and_a_backup_mends_it) {
  const char *dir = temp_dir(), *backups = backups_of(dir);
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  sync_set(store, "appData", "a", "1");
  await_archived(store, 1);
  temp_remove(backups);
  sync_set(store, "appData", "b", "2");
  await_backups(dir, 1);
  sync_set(store, "appData", "c", "3");
  sync_close(store);
  struct snapshot *all, newest;
  struct err err;
  size_t count;
  CHECK_INT(snapshot_list(backups, &all, &count, &err), MOONKEEP_OK);
  CHECK_INT(snapshot_describe(temp_path(backups, all[0].name), &newest, &err), MOONKEEP_OK);
  bool gap;
  struct buf changes = changes_of(dir, newest.seq, &gap);
  CHECK(!gap);
  CHECK(newest.seq == 3 || strstr(buf_text(&changes), "p appData c 3\n"));
  buf_deinit(&changes);
  mem_free(all);
}

/* ---- what a crash leaves ---- */

/* Makes a change and dies; the archive has it, the journal too. */
static void change_and_die(const char *dir, const char *key) {
  pid_t pid = fork();
  if (pid == 0) {
    struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
    sync_set(store, "appData", key, "1");
    kill(getpid(), SIGKILL);
  }
  waitpid(pid, NULL, 0);
}

/* Valid until the eighth path after. */
static const char *last_file(const char *dir) {
  struct archive_file *files;
  struct err err;
  size_t count;
  CHECK_INT(archive_list(backups_of(dir), &files, &count, &err), MOONKEEP_OK);
  CHECK(count > 0);
  const char *path = temp_path(backups_of(dir), files[count - 1].name);
  mem_free(files);
  return path;
}

TEST(a_file_whose_first_group_is_torn_is_begun_anew) {
  const char *dir = temp_dir();
  sync_close(open_archived(dir, STORE_ARCHIVE_SYNC));
  change_and_die(dir, "a");
  const char *path = last_file(dir);
  CHECK(truncate(path, disk_size(path) - 3) == 0);
  struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
  sync_set(store, "appData", "b", "2");
  sync_close(store);
  check_changes(dir, "p appData a 1\np appData b 2\n");
}

TEST(what_came_from_the_archive_does_not_go_into_it_again) {
  const char *dir = temp_dir();
  struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
  sync_set(store, "appData", "z", "0");
  sync_close(store);
  change_and_die(dir, "a");
  unlink(temp_path(dir, "appdata.db-wal"));
  unlink(temp_path(dir, "appdata.db-shm"));
  store = open_archived(dir, STORE_ARCHIVE_SYNC);
  CHECK_STR(sync_get(store, "appData", "a"), "1");
  sync_set(store, "appData", "b", "2");
  sync_close(store);
  check_changes(dir, "p appData z 0\np appData a 1\np appData b 2\n");
}

/* Dies when a file of the archive is made, and what is in the journal must be there still; or when the
 * archive has it, and what is folded then must not be missing. */
static int die_at, operations;

static int die_there(const char *doing, const char *path) {
  (void)doing;
  if (strstr(path, "backups") && ++operations == die_at) kill(getpid(), SIGKILL);
  return 0;
}

TEST(a_start_that_is_killed_leaves_no_gap) {
  bool ended = false;
  for (die_at = 1; !ended; die_at++) {
    const char *dir = temp_dir();
    sync_close(open_archived(dir, STORE_ARCHIVE_SYNC));
    change_and_die(dir, "a");
    unlink(last_file(dir)); /* as if it had died before it had written it */
    pid_t pid = fork();
    if (pid == 0) {
      operations = 0;
      disk_set_gate(die_there);
      struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
      kill(getpid(), operations < die_at ? SIGTERM : SIGKILL);
      sync_close(store);
    }
    int status;
    waitpid(pid, &status, 0);
    ended = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
    sync_set(store, "appData", "b", "2");
    sync_close(store);
    check_changes(dir, "p appData a 1\np appData b 2\n");
    temp_remove(dir);
  }
  CHECK(die_at > 4);
}

/* ---- no memory ---- */

static atomic_long allocations_left; /* until the one that fails */
static atomic_bool allocation_failed;

static bool memory_gate(void) {
  if (atomic_fetch_sub(&allocations_left, 1) != 1) return true;
  atomic_store(&allocation_failed, true);
  return false;
}

/* The changes, of which any may fail for want of memory. */
static void try_things(struct store *store) {
  static const char *const keys[] = {"a", "b", "c"};
  for (int i = 0; i < 3; i++) {
    struct bucket *bucket;
    struct err err;
    if (store_bucket(store, "appData", &bucket, &err)) continue;
    struct store_call *call = store_call_new(STORE_DELETE, bucket, keys[i], 1);
    struct value *value = value_new("1", 1, 0);
    struct store_row *row = mem_zero(sizeof *row);
    if (call && value && row) {
      *row = (struct store_row){.key = keys[i], .key_len = 1, .value = value};
      call->op = STORE_SET;
      call->rows = row;
      call->row_count = 1;
      sync_run(store, call);
    } else {
      mem_free(row);
      value_free(value);
    }
    store_call_free(call);
  }
}

/* False also where a backup has just taken the place of what is to be read. */
static bool archive_has_last(const char *dir) {
  struct archive_reader reader;
  struct archive_group group;
  struct err err;
  bool end = false, has = false;
  if (archive_open(&reader, backups_of(dir), 1, 0, &err)) return false;
  while (!end && archive_next(&reader, &group, &end, &err) == MOONKEEP_OK)
    has |= !end && memmem(group.changes, group.len, "last", 4);
  has = has && end && !reader.gap;
  archive_end(&reader);
  return has;
}

/* The archive and the backups together hold what the store does, or a backup is on its way. */
static void await_whole(const char *dir) {
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  sync_set(store, "appData", "last", "1");
  for (int tries = 12000;; tries--) {
    if (count_backups(dir) > 0 || archive_has_last(dir)) break;
    if (tries == 0) FAIL("neither the archive nor a backup has all");
    pause_a_little();
  }
  sync_close(store);
}

TEST(any_allocation_may_fail) {
  for (long nth = 1;; nth++) {
    const char *dir = temp_dir();
    struct store *store;
    struct err err;
    atomic_store(&allocation_failed, false);
    atomic_store(&allocations_left, nth);
    mem_set_gate(memory_gate);
    if (try_open(dir, STORE_ARCHIVE_ON, &store, &err) == MOONKEEP_OK) {
      try_things(store);
      store_close(store, &err);
    }
    mem_set_gate(NULL);
    if (!atomic_load(&allocation_failed)) break;
    await_whole(dir);
    temp_remove(dir);
  }
}

/* ---- a process that is killed ---- */

/* The child sets numbers and says which were acknowledged, until it is killed. */
static void be_child(const char *dir, int out, enum store_archive mode) {
  struct store *store = open_archived(dir, mode);
  for (long long n = sync_add(store, "appData", "n", 0);; n++) {
    n = sync_add(store, "appData", "n", 1);
    if (write(out, &n, sizeof n) != (ssize_t)sizeof n) _exit(1);
    n--;
  }
}

typedef void child(const char *dir, int out, enum store_archive mode);

static long long run_and_kill(const char *dir, child *live, enum store_archive mode, int acks) {
  int pipes[2];
  long long last = 0, n;
  CHECK(pipe(pipes) == 0);
  pid_t pid = fork();
  if (pid == 0) live(dir, pipes[1], mode);
  close(pipes[1]);
  for (int i = 0; i < acks && read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n; i++) last = n;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  while (read(pipes[0], &n, sizeof n) == (ssize_t)sizeof n) last = n;
  close(pipes[0]);
  return last;
}

/* The number that the archive ends with. */
static long long last_archived(const char *dir, bool *gap) {
  struct buf changes = changes_of(dir, 0, gap);
  const char *text = buf_text(&changes), *last = text;
  for (const char *at = text; (at = strstr(at, "p appData n ")); at++) last = at;
  long long n = *last ? strtoll(last + 12, NULL, 10) : 0;
  buf_deinit(&changes);
  return n;
}

TEST(a_kill_leaves_all_that_was_acknowledged_in_archive_and_journal) {
  long rounds = getenv("ROUNDS") ? atol(getenv("ROUNDS")) : 4;
  const char *dir = temp_dir();
  long long acknowledged = 0;
  for (long i = 0; i < rounds; i++) {
    bool sync = i % 2 == 0, gap;
    acknowledged = run_and_kill(dir, be_child, sync ? STORE_ARCHIVE_SYNC : STORE_ARCHIVE_ON, 20 + (int)i);
    if (sync) CHECK(last_archived(dir, &gap) >= acknowledged);
    struct store *store = open_archived(dir, STORE_ARCHIVE_ON); /* what the journal has goes into it */
    CHECK(sync_add(store, "appData", "n", 0) >= acknowledged);
    sync_close(store);
    CHECK(last_archived(dir, &gap) >= acknowledged);
    CHECK(!gap);
  }
  printf("%ld kills, %lld changes acknowledged\n", rounds, acknowledged);
}

/* ---- a disk that is lost, but for the backups ---- */

enum { TOGETHER = 8 }; /* calls that wait at the same time */

static void one_done(struct store_call *call) {
  if (call->err) _exit(1);
  --*(int *)call->ctx;
  store_call_free(call);
}

/* Sets k00000001, k00000002, … and says up to which they were acknowledged, until it is killed. */
static void be_counter(const char *dir, int out, enum store_archive mode) {
  struct store *store = open_archived(dir, mode);
  struct bucket *bucket = sync_bucket(store, "list");
  for (long long n = 0;;) {
    int under_way = 0;
    for (int i = 0; i < TOGETHER; i++) {
      char key[24];
      snprintf(key, sizeof key, "k%08lld", ++n);
      struct store_call *call = make_set(bucket, key, "true", 0);
      call->done = one_done;
      call->ctx = &under_way;
      under_way++;
      if (store_submit(store, call)) one_done(call);
    }
    while (under_way > 0) store_wait(store, -1);
    if (write(out, &n, sizeof n) != (ssize_t)sizeof n) _exit(1);
  }
}

/* How many keys the archive has, none left out before the last one. */
static long long count_archived(const char *dir) {
  bool gap;
  struct buf changes = changes_of(dir, 0, &gap);
  long long n = 0;
  for (const char *at = buf_text(&changes); (at = strstr(at, "p list k")); at++)
    CHECK_INT(strtoll(at + 8, NULL, 10), ++n);
  CHECK(!gap);
  buf_deinit(&changes);
  return n;
}

/* The store that comes of the backups folder alone has the first so many keys. */
static long long count_brought_back(const char *dir) {
  char count[64], last[64];
  const char *rescued = temp_dir();
  if (rename(temp_path(dir, "backups"), temp_path(rescued, "backups"))) FAIL("%s", strerror(errno));
  sync_close(open_archived(rescued, STORE_ARCHIVE_SYNC));
  bool none = strcmp(sync_sql(rescued, "SELECT count(*) FROM sqlite_schema WHERE name='list'"), "0") == 0;
  if (none) return 0; /* the archive had not begun */
  snprintf(count, sizeof count, "%s", sync_sql(rescued, "SELECT count(*) FROM list"));
  snprintf(last, sizeof last, "%s",
           sync_sql(rescued, "SELECT CAST(substr(max(key), 2) AS INTEGER) FROM list"));
  CHECK_STR(count, last);
  temp_remove(rescued);
  return strtoll(count, NULL, 10);
}

/* With `sync` nothing that was acknowledged is missing; else it may be what came last, that was on its way
 * into the archive. What is in the archive comes back, all of it. */
TEST(the_backups_folder_alone_brings_back_what_was_acknowledged) {
  long rounds = check_rounds(6);
  long long lost = 0, acknowledged = 0;
  for (long i = 0; i < rounds; i++) {
    bool sync = i % 2 == 0;
    const char *dir = temp_dir();
    long long told =
        run_and_kill(dir, be_counter, sync ? STORE_ARCHIVE_SYNC : STORE_ARCHIVE_ON, 5 + (int)(i % 40));
    long long archived = count_archived(dir), back = count_brought_back(dir);
    CHECK_INT(back, archived);
    if (sync && back < told) FAIL("%lld of %lld that were acknowledged came back", back, told);
    acknowledged += told;
    if (back < told) lost += told - back;
    temp_remove(dir);
  }
  printf("%ld kills, %lld changes acknowledged, %lld of them lost with an archive that nobody waits for\n",
         rounds, acknowledged, lost);
}

/* ---- the limit ---- */

static size_t count_files(const char *dir, uint64_t *bytes) {
  struct archive_file *files;
  struct err err;
  size_t count;
  if (archive_list(backups_of(dir), &files, &count, &err)) FAIL("%s", err.message);
  *bytes = 0;
  for (size_t i = 0; i < count; i++) *bytes += files[i].bytes;
  mem_free(files);
  return count;
}

/* Four starts make four files, and behind each of the first three is a backup. */
TEST(over_its_limit_the_archive_keeps_what_the_newest_backup_needs) {
  const char *dir = temp_dir();
  struct snapshot snapshot;
  struct err err;
  uint64_t bytes, less;
  for (int i = 0; i < 4; i++) {
    char json[2] = {(char)('0' + i), '\0'};
    struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
    sync_set(store, "appData", "a", json);
    sync_close(store);
    struct snapshot_source source = {.data = dir, .dir = backups_of(dir), .clock = &sync_clock};
    if (i < 3 && snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
    sync_advance(1000);
  }
  CHECK_INT(count_files(dir, &bytes), 4);
  archive_thin(backups_of(dir), (int64_t)bytes, NULL); /* all that some backup needs */
  CHECK_INT(count_files(dir, &bytes), 3);
  archive_thin(backups_of(dir), (int64_t)bytes - 1, NULL); /* the oldest goes */
  CHECK_INT(count_files(dir, &less), 2);
  CHECK(less < bytes);
  archive_thin(backups_of(dir), 0, NULL); /* but none from behind the newest backup */
  CHECK_INT(count_files(dir, &less), 1);
  CHECK(unlink(temp_path(dir, "appdata.db")) == 0);
  struct store *store = open_archived(dir, STORE_ARCHIVE_SYNC);
  CHECK_STR(sync_get(store, "appData", "a"), "3");
  sync_close(store);
}

/* ---- one file for many commands ---- */

/* As a command without a host does. */
static void set_once(const char *dir, const char *key) {
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  sync_set(store, "appData", key, "1");
  sync_close(store);
}

static size_t files_in(const char *dir) {
  uint64_t bytes;
  return count_files(dir, &bytes);
}

TEST(commands_that_each_make_a_change_share_a_file) {
  const char *dir = temp_dir();
  struct snapshot snapshot;
  struct err err;
  for (char key[] = "a"; key[0] <= 'e'; key[0]++) set_once(dir, key);
  CHECK_INT(files_in(dir), 1);
  check_changes(dir, "p appData a 1\np appData b 1\np appData c 1\np appData d 1\np appData e 1\n");
  struct snapshot_source source = {.data = dir, .dir = backups_of(dir), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  set_once(dir, "f");
  set_once(dir, "g");
  CHECK_INT(files_in(dir), 2); /* none reaches across a backup */
  CHECK(unlink(temp_path(dir, "appdata.db")) == 0);
  struct store *store = open_archived(dir, STORE_ARCHIVE_ON);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=1 c=1 d=1 e=1 f=1 g=1");
  sync_close(store);
}

/* What comes behind a torn end would be lost with it. */
TEST(a_file_that_is_not_whole_is_not_added_to) {
  struct archive_file *files;
  size_t count;
  struct err err;
  for (int torn = 0; torn < 2; torn++) {
    const char *dir = temp_dir();
    set_once(dir, "a");
    set_once(dir, "b");
    CHECK_INT(archive_list(backups_of(dir), &files, &count, &err), MOONKEEP_OK);
    CHECK_INT(count, 1);
    const char *path = temp_path(backups_of(dir), files[0].name);
    size_t len;
    char *bytes = temp_read(path, &len);
    if (torn)
      len -= 3;
    else
      bytes[len - 3] ^= 1;
    temp_write_bytes(path, bytes, len);
    free(bytes);
    mem_free(files);
    set_once(dir, "c");
    CHECK_INT(files_in(dir), 2);
  }
}
