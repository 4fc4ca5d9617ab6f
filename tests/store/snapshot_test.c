/* Snapshots: what they hold, that they are verified before they have a name, and what is left where one
 * fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/disk.h"
#include "store/snapshot.h"

static struct snapshot_source source_of(const char *dir, bool settled) {
  return (struct snapshot_source){
      .data = dir, .dir = temp_path(dir, "backups"), .settled = settled, .clock = &sync_clock};
}

static struct snapshot take(const char *dir, bool settled) {
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = source_of(dir, settled);
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  return snapshot;
}

static const char *path_in(const char *dir, const struct snapshot *snapshot) {
  return temp_path(temp_path(dir, "backups"), snapshot->name);
}

/* A data folder whose store is the snapshot. */
static const char *folder_from(const char *dir, const struct snapshot *snapshot) {
  const char *copy = temp_dir();
  size_t len;
  char *bytes = temp_read(path_in(dir, snapshot), &len);
  CHECK(bytes != NULL);
  temp_write_bytes(temp_path(copy, "appdata.db"), bytes, len);
  free(bytes);
  return copy;
}

static size_t count_of(const char *dir) {
  struct snapshot *all;
  struct err err;
  size_t count;
  if (snapshot_list(temp_path(dir, "backups"), &all, &count, &err)) FAIL("%s", err.message);
  mem_free(all);
  return count;
}

TEST(a_name_is_a_moment_and_back) {
  char name[SNAPSHOT_NAME_BYTES];
  int64_t at_ms;
  snapshot_name(1795428900250, name);
  CHECK_STR(name, "appdata-20261123T101500.250Z.db");
  CHECK(snapshot_moment(name, &at_ms));
  CHECK_INT(at_ms, 1795428900250);
  static const char *const others[] = {"appdata.db",
                                       "appdata-20261123T101500.250Z.db-wal",
                                       "appdata-20261123T101500.25Z.db",
                                       "appdata-20261323T101500.250Z.db",
                                       "appdata-2026 123T101500.250Z.db",
                                       ".half-made-1-2",
                                       ""};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (snapshot_moment(others[i], &at_ms)) FAIL("\"%s\" is taken for a snapshot", others[i]);
}

TEST(a_snapshot_is_a_store_file_with_all_that_was_there) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "{\"xp\":50}");
  sync_set_until(store, "economy", "gold", "7", 1900000000000);
  struct snapshot snapshot = take(dir, true);
  CHECK_INT(snapshot.keys, 2);
  sync_set(store, "appData", "alice", "\"later\"");
  sync_close(store);
  const char *copy = folder_from(dir, &snapshot);
  CHECK_STR(sync_sql(copy, "SELECT key, value, expires_at FROM economy"), "gold|7|1900000000000");
  CHECK_STR(sync_sql(copy, "SELECT count(*) FROM _journal"), "0");
  CHECK_STR(sync_sql(copy, "PRAGMA integrity_check"), "ok");
  store = sync_open(copy);
  CHECK_STR(sync_get(store, "appData", "alice"), "{\"xp\":50}");
  sync_set(store, "appData", "bob", "1");
  sync_close(store);
}

TEST(an_empty_store_and_one_that_nobody_has_open_can_be_copied) {
  const char *dir = temp_dir();
  sync_close(sync_open(dir));
  struct snapshot snapshot = take(dir, false), read;
  struct err err;
  CHECK_INT(snapshot.keys, 0);
  CHECK_INT(snapshot_verify(path_in(dir, &snapshot), &read, &err), MOONKEEP_OK);
  CHECK(access(temp_path(dir, "appdata.db-wal"), F_OK) != 0);
}

/* Two at the same moment get different names, and the younger comes first. */
TEST(no_snapshot_takes_the_place_of_another) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct snapshot first = take(dir, true);
  sync_set(store, "appData", "k", "1");
  struct snapshot second = take(dir, true), *all;
  struct err err;
  size_t count;
  CHECK(strcmp(first.name, second.name) < 0);
  CHECK_INT(snapshot_list(temp_path(dir, "backups"), &all, &count, &err), MOONKEEP_OK);
  CHECK_INT(count, 2);
  CHECK_STR(all[0].name, second.name);
  CHECK_STR(all[1].name, first.name);
  mem_free(all);
  sync_close(store);
}

/* ---- under load ---- */

struct load {
  struct store *store;
  long long next;
};

/* Each list gives all keys the same number: a moment never shows two. */
static bool write_meanwhile(void *ctx, uint64_t rows) {
  (void)rows;
  struct load *load = ctx;
  char json[24];
  for (int i = 0; i < 5; i++) {
    snprintf(json, sizeof json, "%lld", ++load->next);
    sync_set(load->store, "appData", "counter", json);
  }
  sync_advance(2000);
  sync_flush(load->store);
  return true;
}

TEST(a_snapshot_is_one_moment_whatever_is_written_meanwhile) {
  const char *dir = temp_dir();
  struct load load = {.store = sync_open(dir)};
  char key[24];
  for (int i = 0; i < 3000; i++) {
    snprintf(key, sizeof key, "k%05d", i);
    sync_set(load.store, "appData", key, "1");
    if (i == 1500) sync_set(load.store, "appData", "counter", "0");
  }
  struct snapshot_source source = source_of(dir, true);
  source.pace = write_meanwhile;
  source.ctx = &load;
  struct snapshot snapshot;
  struct err err;
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  CHECK(load.next > 5);
  sync_close(load.store);
  const char *copy = folder_from(dir, &snapshot);
  CHECK_STR(sync_sql(copy, "SELECT count(*) FROM appData"), "3001");
  CHECK_STR(sync_sql(copy, "SELECT value FROM appData WHERE key='counter'"), "0");
}

static bool stop(void *ctx, uint64_t rows) {
  (void)ctx, (void)rows;
  return false;
}

TEST(a_snapshot_that_is_broken_off_leaves_nothing) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  struct snapshot_source source = source_of(dir, true);
  struct snapshot snapshot;
  struct err err;
  source.pace = stop;
  CHECK_INT(snapshot_take(&source, &snapshot, &err), MOONKEEP_CLOSED);
  CHECK_INT(count_of(dir), 0);
  CHECK(rmdir(temp_path(dir, "backups")) == 0);
  sync_close(store);
}

/* ---- what goes wrong ---- */

TEST(any_disk_error_leaves_no_snapshot_and_the_store_as_it_was) {
  long failed = 0;
  for (int op = FAULT_READ; op <= FAULT_SYNC; op++)
    for (long n = 1;; n++) {
      const char *dir = temp_dir();
      struct snapshot snapshot, read;
      struct err err;
      fault_install();
      struct store *store = sync_open(dir);
      sync_set(store, "appData", "k", "1");
      struct snapshot_source source = source_of(dir, true);
      fault_arm(&(struct fault){.op = (enum fault_op)op, .nth = n, .rc = 10 /* SQLITE_IOERR */});
      enum moonkeep_code code = snapshot_take(&source, &snapshot, &err);
      bool struck = fault_struck();
      fault_disarm();
      if (code)
        CHECK_INT(count_of(dir), 0);
      else
        CHECK_INT(snapshot_verify(path_in(dir, &snapshot), &read, &err), MOONKEEP_OK);
      CHECK_STR(sync_get(store, "appData", "k"), "1");
      CHECK_INT(take(dir, true).keys, 1);
      sync_close(store);
      temp_remove(dir);
      if (!struck) break;
      failed++;
    }
  printf("%ld operations failed\n", failed);
}

TEST(a_flipped_bit_does_not_verify) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  char key[24];
  for (int i = 0; i < 50; i++) {
    snprintf(key, sizeof key, "k%05d", i);
    sync_set_until(store, "appData", key, "{\"name\":\"a value\"}", 1900000000000 + i);
  }
  sync_close(store);
  struct snapshot snapshot = take(dir, false), read;
  struct err err;
  const char *path = path_in(dir, &snapshot), *flipped = temp_path(dir, "flipped.db");
  size_t len;
  char *bytes = temp_read(path, &len);
  int64_t sum = snapshot.sum;
  for (long round = check_rounds(300); round > 0; round--) {
    size_t at = check_below((uint32_t)len);
    bytes[at] ^= (char)(1 << check_below(8));
    temp_write_bytes(flipped, bytes, len);
    enum moonkeep_code code = snapshot_verify(flipped, &read, &err);
    /* A bit that says nothing, in free space or a counter: then all that is read has to be right. */
    if (!code && (read.keys != 50 || read.sum != sum)) FAIL("byte %zu was not noticed", at);
    free(bytes);
    bytes = temp_read(path, &len);
  }
  free(bytes);
}

TEST(what_was_left_half_made_is_taken_away_and_nothing_else) {
  const char *dir = temp_dir();
  temp_write(temp_path(dir, ".half-made-1-2"), "x");
  temp_write(temp_path(dir, "mine.db"), "x");
  snapshot_clean(dir);
  CHECK(access(temp_path(dir, ".half-made-1-2"), F_OK) != 0);
  CHECK(access(temp_path(dir, "mine.db"), F_OK) == 0);
}

/* ---- what is durable ---- */

static char synced[1024]; /* paths, one a line */

static int note_syncs(const char *doing, const char *path) {
  size_t len = strlen(synced);
  if (strcmp(doing, "sync") == 0) snprintf(synced + len, sizeof synced - len, "%s\n", path);
  return 0;
}

TEST(a_folder_that_is_made_for_backups_is_durable_in_the_one_above) {
  const char *dir = temp_dir();
  sync_close(sync_open(dir));
  synced[0] = '\0';
  disk_set_gate(note_syncs);
  take(dir, false);
  disk_set_gate(NULL);
  CHECK(strstr(synced, "/backups/..\n")); /* its own entry, */
  CHECK(strstr(synced, "/backups\n"));    /* and the one of the backup in it */
}

TEST(a_file_that_cannot_be_synced_is_not_durable) {
  struct err err;
  CHECK_INT(disk_sync("/dev/null", &err), MOONKEEP_IO);
  CHECK_INT(disk_sync(temp_dir(), &err), MOONKEEP_OK);
}
