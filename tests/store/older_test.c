/* After a kill somebody puts an older copy of the store file in its place and leaves the write-ahead log
 * beside it: that has the newest pages, the copy has the others as they once were, and SQLite takes the two
 * for one file. It has to be noticed, and completed from backup and archive; and a file that was not touched
 * must never be taken for an older one. All that holds without the mark too. ROUNDS= tries more moments. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/heard.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/engine.h"
#include "store/folder.h"
#include "store/inspect.h"
#include "store/mark.h"
#include "store/recall.h"
#include "store/sql.h"
#include "store/store.h"

enum { KEYS = 400, VALUE_BYTES = 3000, LIST = 50 };

static enum moonkeep_code try_open(const char *dir, enum store_archive archive, struct store **store,
                                   struct err *err) {
  heard_clear();
  return sync_try_open_archived(dir, archive, &heard_log, store, err);
}

static struct store *must_open(const char *dir, enum store_archive archive) {
  struct store *store;
  struct err err;
  if (try_open(dir, archive, &store, &err)) FAIL("%s", err.message);
  return store;
}

/* ---- the writer ---- */

static const char *value_of(int n) {
  return sync_long_value(n, VALUE_BYTES);
}

static const char *key_of(int i) {
  static char text[32];
  snprintf(text, sizeof text, "k%05d", i);
  return text;
}

/* Every step-th of these keys gets this number, so many in one call. */
static void write_keys(struct store *store, int from, int to, int step, int n) {
  const char *json = value_of(n);
  for (int i = from; i < to;) {
    struct store_call *call = store_call_new(STORE_SET, sync_bucket(store, "appData"), NULL, 0);
    char keys[LIST][32];
    call->rows = mem_alloc(LIST * sizeof *call->rows);
    for (; i < to && call->row_count < LIST; i += step) {
      size_t row = call->row_count++;
      strcpy(keys[row], key_of(i));
      call->rows[row] =
          (struct store_row){keys[row], strlen(keys[row]), value_new(json, strlen(json), 0), NULL};
    }
    sync_run(store, call);
    if (call->err) FAIL("%s", call->err->message);
    store_call_free(call);
  }
  sync_flush(store);
}

/* What the writer has said and the test has allowed; shared. */
static struct signs { atomic_int said, allowed; } * signs;

static void make_signs(void) {
  if (!signs) signs = mmap(NULL, sizeof *signs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(signs != MAP_FAILED);
  atomic_store(&signs->said, 0);
  atomic_store(&signs->allowed, 0);
}

static void await(atomic_int *sign, int n) {
  while (atomic_load(sign) < n) usleep(500);
}

static void come_to(int n) {
  atomic_store(&signs->said, n);
  await(&signs->allowed, n);
}

/* How far the file is behind: all of it is written some times over, then a few keys. */
static _Noreturn void write_and_wait(const char *dir, enum store_archive archive, int times, bool restart) {
  struct store *store = must_open(dir, archive);
  write_keys(store, 0, KEYS, 1, 1);
  if (restart) {
    sync_close(store);
    store = must_open(dir, archive);
  } else {
    write_keys(store, 0, KEYS, 1, 2);
    write_keys(store, 0, KEYS, 1, 3);
  }
  come_to(1);
  for (int i = 0; i < times; i++) write_keys(store, 0, KEYS, 1, 10 + i);
  write_keys(store, 0, KEYS, 37, 99);
  come_to(2);
  for (int i = 0; i < 6; i++) write_keys(store, 0, KEYS / 2, 1, 200);
  come_to(3);
  for (;;) pause();
}

static int number_at(struct store *store, int i) {
  const char *json = sync_get(store, "appData", key_of(i));
  return *json == '[' ? (int)strtol(json + 1, NULL, 10) : -1;
}

/* How many keys hold something else than what was acknowledged last, at that stop of the writer. */
static int count_wrong(struct store *store, int times, int stop) {
  int wrong = 0;
  for (int i = 0; i < KEYS; i++) {
    int wanted = stop == 3 && i < KEYS / 2 ? 200 : i % 37 == 0 ? 99 : 9 + times;
    wrong += number_at(store, i) != wanted;
  }
  return wrong;
}

static void copy_file(const char *from, const char *to) {
  char command[1200];
  snprintf(command, sizeof command, "cp '%.500s' '%.500s'", from, to);
  if (system(command) != 0) FAIL("%s", command);
}

static void ignore(void *ctx, const struct inspected *inspected) {
  (void)ctx, (void)inspected;
}

/* A writer that has come to its first stop. */
static pid_t start_writer(const char *dir, enum store_archive archive, int times, bool restart) {
  make_signs();
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    write_and_wait(dir, archive, times, restart);
  }
  await(&signs->said, 1);
  return pid;
}

static void end_writer(pid_t pid) {
  int status;
  kill(pid, SIGKILL);
  CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* A folder of which the store file is an older copy, and the log the newest. */
static const char *make_mix(enum store_archive archive, int times, bool restart) {
  const char *dir = temp_dir();
  char copy[520], file[520];
  snprintf(copy, sizeof copy, "%.500s.older", dir);
  snprintf(file, sizeof file, "%.500s/appdata.db", dir);
  pid_t pid = start_writer(dir, archive, times, restart);
  copy_file(file, copy);
  atomic_store(&signs->allowed, 1);
  await(&signs->said, 2);
  end_writer(pid);
  copy_file(copy, file);
  unlink(copy);
  return dir;
}

/* What the last receipt says. */
static const char *receipt_of(struct store *store) {
  bool now;
  return store_receipt(store, &now);
}

static void lose_mark(const char *dir) {
  CHECK(unlink(temp_path(dir, "appdata.mark")) == 0);
}

static void complete_mixes(int from, bool with_mark) {
  int noticed = 0;
  for (int times = from; times <= 3; times++) {
    for (int restart = 0; restart < 2; restart++) {
      const char *dir = make_mix(STORE_ARCHIVE_SYNC, times, restart);
      if (!with_mark) lose_mark(dir);
      struct store *store = must_open(dir, STORE_ARCHIVE_SYNC);
      int wrong = count_wrong(store, times, 2);
      if (wrong > 0)
        FAIL("%d of %d keys are old ones (%d, %d): %s", wrong, KEYS, times, restart, heard_text());
      bool told = heard("the file is an older copy");
      if (told) CHECK(strstr(receipt_of(store), "\"missing\":0") != NULL);
      noticed += told; /* where all that was changed since is in the log, the two are a whole */
      sync_close(store);
      temp_remove(dir);
    }
  }
  CHECK(noticed > 0);
}

TEST(an_older_file_beside_a_newer_log_is_completed_from_the_archive) {
  complete_mixes(1, true);
}

/* Then it is the log that says which file it goes with. */
TEST(so_it_is_when_the_mark_is_gone_as_well) {
  complete_mixes(3, false);
}

/* Then the older file is what there is, of one moment or, copied beside a host, of two; how much is missing
 * is told. */
TEST(without_an_archive_what_is_missing_is_told) {
  for (int round = 0; round < 4; round++) {
    const char *dir = make_mix(STORE_ARCHIVE_OFF, 3, round % 2);
    if (round >= 2) lose_mark(dir);
    struct store *store;
    struct err err;
    enum moonkeep_code code = try_open(dir, STORE_ARCHIVE_OFF, &store, &err);
    CHECK(heard("the file is an older copy"));
    if (code) { /* it was copied while it was written */
      CHECK_INT(code, MOONKEEP_CORRUPT);
    } else {
      CHECK(strstr(receipt_of(store), "an older copy") != NULL);
      CHECK(strstr(receipt_of(store), "\"missing\":0") == NULL);
      sync_close(store);
    }
    char command[700];
    snprintf(command, sizeof command, "test -s '%s'/damaged-*/appdata.db-wal", dir);
    CHECK(system(command) == 0);
    temp_remove(dir);
  }
}

/* A reader of another program keeps the log from going into the file as a whole, for a while. */
TEST(a_copy_from_the_middle_of_a_long_checkpoint_is_noticed) {
  const char *dir = temp_dir();
  char copy[520], file[520];
  sqlite3 *db;
  snprintf(copy, sizeof copy, "%.500s.older", dir);
  snprintf(file, sizeof file, "%.500s/appdata.db", dir);
  pid_t pid = start_writer(dir, STORE_ARCHIVE_SYNC, 3, false);
  CHECK(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  CHECK(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM appData", NULL, NULL, NULL) == SQLITE_OK);
  atomic_store(&signs->allowed, 1);
  await(&signs->said, 2);
  copy_file(file, copy);
  sqlite3_close(db);
  atomic_store(&signs->allowed, 2);
  await(&signs->said, 3);
  end_writer(pid);
  copy_file(copy, file);
  unlink(copy);
  struct store *store = must_open(dir, STORE_ARCHIVE_SYNC);
  CHECK(heard("the file is an older copy"));
  CHECK_INT(count_wrong(store, 3, 3), 0);
  sync_close(store);
}

/* As `cp` makes it beside a host: the front of it is of a later moment than the rest. */
TEST(a_copy_of_two_moments_is_not_what_is_gone_on_from) {
  const char *dir = temp_dir();
  char copy[520], later[520], file[520];
  size_t len, later_len;
  snprintf(copy, sizeof copy, "%.500s.older", dir);
  snprintf(later, sizeof later, "%.500s.later", dir);
  snprintf(file, sizeof file, "%.500s/appdata.db", dir);
  pid_t pid = start_writer(dir, STORE_ARCHIVE_SYNC, 3, false);
  copy_file(file, copy);
  atomic_store(&signs->allowed, 1);
  await(&signs->said, 2);
  copy_file(file, later);
  atomic_store(&signs->allowed, 2);
  await(&signs->said, 3);
  end_writer(pid);
  char *bytes = temp_read(copy, &len), *front = temp_read(later, &later_len);
  memcpy(bytes, front, (len < later_len ? len : later_len) / 8192 * 4096);
  temp_write_bytes(file, bytes, len);
  free(bytes);
  free(front);
  unlink(copy);
  unlink(later);
  struct store *store = must_open(dir, STORE_ARCHIVE_SYNC);
  CHECK(heard("the file is an older copy"));
  CHECK_INT(count_wrong(store, 3, 3), 0);
  sync_close(store);
}

/* What the file says, alone. */
static int64_t number_of(const char *path, const char *sql) {
  sqlite3 *db;
  struct err err;
  int64_t number = 0;
  if (sql_open_still(&db, path, &err)) FAIL("%s", err.message);
  sql_number(db, sql, "read", &number, &err);
  sqlite3_close(db);
  return number;
}

static int64_t logs_of(const char *path) {
  return number_of(path, "SELECT value FROM _meta WHERE name='logs'");
}

/* While a checkpoint is held up the file may have the log's number and not yet all of it. */
TEST(a_log_that_was_held_up_is_counted_once_more) {
  struct folder folder;
  struct engine engine;
  struct err err;
  sqlite3 *reader;
  const char *dir = temp_dir(), *path = temp_path(dir, "appdata.db");
  CHECK_INT(folder_open(&folder, dir, "a test", 0, &err), MOONKEEP_OK);
  CHECK_INT(engine_open(&engine, &folder, path, 1 << 20, NULL, &err), MOONKEEP_OK);
  CHECK_INT(engine_checkpoint(&engine, &err), MOONKEEP_OK);
  int64_t first = logs_of(path);
  CHECK(first > 0 && engine.settled == first);
  CHECK_INT(engine_append(&engine, 1, 1, "x", 1, &err), MOONKEEP_OK);
  CHECK(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
  sqlite3_db_config(reader, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  CHECK(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM _journal", NULL, NULL, NULL) == SQLITE_OK);
  CHECK_INT(engine_append(&engine, 2, 1, "y", 1, &err), MOONKEEP_OK);
  for (int i = 0; i < 3; i++) CHECK_INT(engine_checkpoint(&engine, &err), MOONKEEP_OK);
  CHECK_INT(engine.settled, first);
  CHECK_INT(engine.logs, first + 1); /* once, and not with each try */
  sqlite3_close(reader);
  CHECK_INT(engine_checkpoint(&engine, &err), MOONKEEP_OK);
  CHECK_INT(engine.settled, first + 2);
  CHECK_INT(logs_of(path), first + 2);
  CHECK_INT(engine_close(&engine, false, &err), MOONKEEP_OK);
  folder_close(&folder);
}

TEST(restore_and_check_do_not_mix_them_either) {
  const char *dir = make_mix(STORE_ARCHIVE_SYNC, 3, true);
  struct recalled recalled;
  struct err err;
  unsigned bad = 0;
  struct inspect inspect = {.dir = dir, .told = ignore};
  CHECK_INT(inspect_run(&inspect, &bad, &err), MOONKEEP_OK);
  CHECK_INT(bad, 1);
  struct recall recall = {.dir = dir, .until_ms = INT64_MAX, .clock = &sync_clock};
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  CHECK(!recalled.kept_as_backup && recalled.kept.len > 0);
  recalled_deinit(&recalled);
  struct store *store = must_open(dir, STORE_ARCHIVE_SYNC);
  CHECK_INT(count_wrong(store, 3, 2), 0);
  sync_close(store);
}

TEST(a_restore_does_not_mix_them_when_the_mark_is_gone) {
  const char *dir = make_mix(STORE_ARCHIVE_SYNC, 3, true);
  struct recalled recalled;
  struct err err;
  lose_mark(dir);
  struct recall recall = {.dir = dir, .until_ms = INT64_MAX, .clock = &sync_clock};
  if (recall_run(&recall, &recalled, &err)) FAIL("%s", err.message);
  recalled_deinit(&recalled);
  struct store *store = must_open(dir, STORE_ARCHIVE_SYNC);
  CHECK_INT(count_wrong(store, 3, 2), 0);
  sync_close(store);
}

/* Power that goes during a checkpoint may leave anything in the sectors that were being written. The log has
 * them all, and must not be taken for another file's because of what the file says of itself. */
TEST(a_torn_page_of_the_file_is_no_sign_of_an_older_one) {
  const char *model = temp_dir();
  pid_t pid = start_writer(model, STORE_ARCHIVE_OFF, 3, true);
  atomic_store(&signs->allowed, 1);
  await(&signs->said, 2);
  end_writer(pid);
  size_t page = (size_t)number_of(temp_path(model, "appdata.db"),
                                  "SELECT rootpage FROM sqlite_schema WHERE name='_meta'");
  size_t at = (page - 1) * 4096;
  for (long round = 0; round < check_rounds(16); round++) {
    const char *dir = temp_dir();
    char command[1200];
    size_t len;
    snprintf(command, sizeof command, "cp -a '%.500s/.' '%.500s'", model, dir);
    CHECK(system(command) == 0);
    char *bytes = temp_read(temp_path(dir, "appdata.db"), &len);
    size_t from = 4096 - 200 + check_below(200), to = from + 1 + check_below(60); /* where its rows are */
    for (size_t i = from; i < to && i < 4096; i++)
      bytes[at + i] = (char)(round % 4 / 2 ? 0 : check_below(256));
    temp_write_bytes(temp_path(dir, "appdata.db"), bytes, len);
    free(bytes);
    if (round % 2) lose_mark(dir);
    mark_trusts_copies = true;
    struct store *store = must_open(dir, STORE_ARCHIVE_OFF);
    mark_trusts_copies = false;
    CHECK_STR(heard_text(), "");
    CHECK_INT(count_wrong(store, 3, 2), 0);
    sync_close(store);
    temp_remove(dir);
  }
}

/* ---- the store file alone, copied beside a host ---- */

static const char alone[] = "made without its write-ahead log";

TEST(a_file_that_was_copied_without_its_log_is_told_to_be_one) {
  const char *dir = temp_dir(), *other = temp_dir();
  pid_t pid = start_writer(dir, STORE_ARCHIVE_OFF, 3, false);
  copy_file(temp_path(dir, "appdata.db"), temp_path(other, "appdata.db"));
  end_writer(pid);
  struct store *store = must_open(other, STORE_ARCHIVE_OFF);
  CHECK(heard(alone));
  CHECK(strstr(receipt_of(store), alone) != NULL);
  write_keys(store, 0, KEYS, 1, 5);
  sync_close(store);
  CHECK(unlink(temp_path(other, "appdata.mark")) == 0);
  store = must_open(other, STORE_ARCHIVE_OFF); /* said once: it was closed in order */
  CHECK_STR(heard_text(), "");
  sync_close(store);
}

TEST(where_an_archive_is_beside_it_nothing_is_missing) {
  const char *dir = temp_dir();
  pid_t pid = start_writer(dir, STORE_ARCHIVE_SYNC, 3, true);
  atomic_store(&signs->allowed, 1);
  await(&signs->said, 2);
  end_writer(pid);
  lose_mark(dir);
  CHECK(unlink(temp_path(dir, "appdata.db-wal")) == 0);
  struct store *store = must_open(dir, STORE_ARCHIVE_SYNC);
  CHECK(heard(alone));
  CHECK_INT(count_wrong(store, 3, 2), 0);
  sync_close(store);
}

/* ---- and files that nobody has touched ---- */

static _Noreturn void write_for_ever(const char *dir) {
  struct store *store = must_open(dir, STORE_ARCHIVE_OFF);
  for (int n = 1;; n++) {
    write_keys(store, 0, KEYS, 1 + (int)check_below(3), n);
    atomic_fetch_add(&signs->said, 1);
    if (check_below(4) > 0) continue;
    sync_close(store);
    store = must_open(dir, STORE_ARCHIVE_OFF);
  }
}

TEST(a_file_after_a_kill_is_not_taken_for_an_older_one) {
  const char *dir = temp_dir();
  long rounds = check_rounds(8);
  for (long i = 0; i < rounds; i++) {
    make_signs();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      write_for_ever(dir);
    }
    await(&signs->said, 1 + (int)check_below(3));
    usleep((unsigned)check_below(20000)); /* somewhere in the next one */
    end_writer(pid);
    if (i % 2) unlink(temp_path(dir, "appdata.mark"));
    struct store *store = must_open(dir, STORE_ARCHIVE_OFF);
    CHECK_STR(heard_text(), "");
    sync_close(store);
    if (i % 3) unlink(temp_path(dir, "appdata.mark"));
    store = must_open(dir, STORE_ARCHIVE_OFF); /* nor is one that was closed in order */
    CHECK_STR(heard_text(), "");
    sync_close(store);
  }
}
