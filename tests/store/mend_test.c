/* A row that is damaged while the store is open is an error, and soon right again, where backup and archive
 * know all that it can have held; where they do not, it stays an error. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sqlite3.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/snapshot.h"
#include "store/store_parts.h"

static void back_up(const char *dir) {
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
}

/* Changes bytes of the store file, which nobody has open. A disk does so without a new time, a person with
 * one. */
static void damage_at(const char *dir, const char *text, const char *wrong, bool new_time) {
  size_t len;
  struct stat st;
  CHECK(stat(temp_path(dir, "appdata.db"), &st) == 0);
  char *bytes = temp_read(temp_path(dir, "appdata.db"), &len);
  char *at = memmem(bytes, len, text, strlen(text));
  CHECK(at && strlen(text) == strlen(wrong));
  while (at) {
    memcpy(at, wrong, strlen(wrong));
    at = memmem(bytes, len, text, strlen(text));
  }
  int fd = open(temp_path(dir, "appdata.db"), O_WRONLY);
  CHECK(fd >= 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len);
  if (new_time) st.st_mtim.tv_sec += 5;
  CHECK(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) == 0);
  close(fd);
  free(bytes);
}

static void damage(const char *dir, const char *text, const char *wrong) {
  damage_at(dir, text, wrong, false);
}

static const char *make_folder(void) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "\"the right value\"");
  sync_set(store, "appData", "bob", "\"another value\"");
  sync_close(store);
  return dir;
}

static bool is_mended(struct store *store) {
  bool now;
  store_receipt(store, &now);
  return now;
}

/* Answers come while others wait. */
static void await_mending(struct store *store) {
  for (int i = 0; i < 3000 && !is_mended(store); i++) store_wait(store, 10);
  CHECK(is_mended(store));
}

TEST(damaged_row_is_repaired_from_the_backup) {
  bool now;
  const char *dir = make_folder();
  back_up(dir);
  damage(dir, "the right value", "the wrong value");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  await_mending(store);
  CHECK_STR(sync_get(store, "appData", "alice"), "\"the right value\"");
  const char *receipt = store_receipt(store, &now);
  CHECK(strstr(receipt, "\"kind\":\"repaired\"") && strstr(receipt, "\"backup\":\"appdata-"));
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT value FROM appData WHERE key='alice'"), "\"the right value\"");
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
}

/* A new time looks like the work of another program, which may have changed anything but this row. */
TEST(damage_that_looks_like_an_edit_is_repaired) {
  const char *dir = make_folder();
  back_up(dir);
  damage_at(dir, "the right value", "the wrong value", true);
  struct store *store = sync_open(dir);
  await_mending(store);
  CHECK_STR(sync_get(store, "appData", "alice"), "\"the right value\"");
  sync_close(store);
}

TEST(edit_from_outside_is_not_taken_back) {
  const char *dir = make_folder();
  back_up(dir);
  sync_sql(dir, "UPDATE appData SET value='\"an edit\"', expires_at='soon' WHERE key='alice'");
  sync_sql(dir, "UPDATE appData SET value='\"an edit\"' WHERE key='bob'");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  for (int i = 0; i < 100; i++) store_wait(store, 10);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  CHECK_STR(sync_get(store, "appData", "bob"), "\"an edit\"");
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT value FROM appData WHERE key='alice'"), "\"an edit\"");
}

TEST(scan_that_meets_damage_has_it_repaired) {
  const char *dir = make_folder();
  back_up(dir);
  damage(dir, "another value", "another velue");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "error: corrupt");
  await_mending(store);
  CHECK_STR(sync_select(store, "appData", "%"), "alice=\"the right value\" bob=\"another value\"");
  sync_close(store);
}

/* The backup is older than the newest change, and nothing says that it was not to this key. */
TEST(older_value_never_takes_the_place_of_a_newer_one) {
  const char *dir = make_folder();
  back_up(dir);
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "\"the newer value\"");
  sync_close(store);
  damage(dir, "the newer value", "the never value");
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  for (int i = 0; i < 50; i++) store_wait(store, 10);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  sync_set(store, "appData", "alice", "\"set again\"");
  CHECK_STR(sync_get(store, "appData", "alice"), "\"set again\"");
  sync_close(store);
}

TEST(what_nobody_knows_stays_an_error) {
  const char *dir = make_folder();
  damage(dir, "the right value", "the wrong value");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  for (int i = 0; i < 50; i++) store_wait(store, 10);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  CHECK_STR(sync_get(store, "appData", "bob"), "\"another value\"");
  sync_close(store);
}

/* Whether it is said in so many looks, when the damage has been noted. */
static bool wants_reopening(struct store *store, int looks) {
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  for (int i = 0; i < 3000 && !atomic_load(&store->mender.faulty); i++) store_wait(store, 10);
  for (int i = 0; i < looks && !store_wants_reopening(store); i++) store_wait(store, 10);
  return store_wants_reopening(store);
}

TEST(a_restore_that_would_bring_back_everything_is_wanted_at_once) {
  const char *dir = make_folder();
  back_up(dir);
  sync_hide_rows(dir);
  struct store *store = sync_open(dir);
  CHECK(wants_reopening(store, 3000));
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "alice=\"the right value\" bob=\"another value\"");
  CHECK(!store_wants_reopening(store));
  sync_close(store);
}

TEST(a_restore_that_would_lack_something_waits_for_the_next_start) {
  const char *dir = make_folder();
  back_up(dir);
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "carol", "\"in no backup\"");
  sync_close(store);
  sync_hide_rows(dir);
  store = sync_open(dir);
  CHECK(!wants_reopening(store, 400));
  sync_close(store);
}

TEST(damage_that_hides_rows_is_restored_at_the_next_start) {
  bool now;
  const char *dir = make_folder();
  back_up(dir);
  sync_hide_rows(dir);
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
  for (int i = 0; i < 3000 && !atomic_load(&store->mender.faulty); i++) store_wait(store, 10);
  struct mark mark = {0}; /* it is noted at once: nobody knows how the host ends */
  for (int i = 0; i < 3000 && !mark.faulty; i++) {
    store_wait(store, 10);
    mark_read(&store->folder, &mark);
  }
  CHECK(mark.faulty && !mark.clean);
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "alice=\"the right value\" bob=\"another value\"");
  CHECK(strstr(store_receipt(store, &now), "\"kind\":\"restored\"") && now);
  sync_close(store);
}

/* A file that was stopped cleanly and looks untouched is not checked at the start; nobody reads the row. */
TEST(the_whole_file_is_checked_once_a_day) {
  const char *dir = make_folder();
  back_up(dir);
  damage(dir, "the right value", "the wrong value");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "bob"), "\"another value\"");
  CHECK(!is_mended(store));
  sync_advance(24 * 3600 * 1000);
  await_mending(store);
  CHECK_STR(sync_get(store, "appData", "alice"), "\"the right value\"");
  sync_close(store);
}
