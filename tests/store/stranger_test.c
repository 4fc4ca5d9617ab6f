/* What other programs leave in the store file beside the stores: tables of their own. They are never written
 * to, hold nothing up, and damage to the schema of a store does not make it look like one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/moment.h"
#include "store/snapshot.h"

static const char *refusal_of(struct store *store, const char *name) {
  static struct err err;
  struct bucket *bucket;
  CHECK_INT(store_bucket(store, name, &bucket, &err), MOONKEEP_INVALID_KEY);
  return err.message;
}

static const char *folder_with(const char *sql) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_close(store);
  sync_sql(dir, sql);
  return dir;
}

TEST(a_store_cannot_be_named_like_what_another_program_has_made) {
  static const char *const makes[] = {
      "CREATE TABLE other(id INTEGER)",
      "CREATE TABLE other(key TEXT PRIMARY KEY, value TEXT)",
      "CREATE TABLE other(key TEXT, value TEXT, expires_at INTEGER, sum INTEGER)",
      "CREATE TABLE other(key TEXT PRIMARY KEY, value, expires_at, sum, owner TEXT NOT NULL)",
      "CREATE TABLE other(key TEXT PRIMARY KEY, value, expires_at, sum) WITHOUT ROWID",
      "CREATE VIEW other AS SELECT key FROM appData",
      "CREATE INDEX other ON appData(value)",
      "CREATE VIRTUAL TABLE other USING fts5(key, value, expires_at, sum)",
  };
  for (size_t i = 0; i < sizeof makes / sizeof *makes; i++) {
    const char *dir = folder_with(makes[i]);
    for (int again = 0; again < 2; again++) {
      struct store *store = sync_open(dir);
      const char *why = refusal_of(store, "other");
      if (!strstr(why, "\"other\"") || !strstr(why, "RENAME TO")) FAIL("%s: %s", makes[i], why);
      CHECK(strstr(refusal_of(store, "OTHER"), "only in case"));
      sync_set(store, "appData", "b", "2");
      sync_flush(store);
      CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
      sync_close(store);
    }
    CHECK_STR(sync_sql(dir, "SELECT count(*) FROM _journal"), "0");
  }
}

TEST(a_table_that_another_program_has_made_like_a_store_is_one) {
  const char *dir = folder_with(
      "CREATE TABLE economy(key text PRIMARY KEY, value TEXT, expires_at INT, sum INT, note TEXT DEFAULT "
      "'none');"
      "INSERT INTO economy(key, value) VALUES('gold', 7); ALTER TABLE appData ADD COLUMN note TEXT");
  struct store *store = sync_open(dir);
  sync_set(store, "economy", "silver", "9");
  sync_set(store, "appData", "b", "2");
  sync_flush(store);
  CHECK_STR(sync_select(store, "economy", "%"), "gold=7 silver=9");
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 b=2");
  sync_close(store);
}

TEST(backups_go_on_beside_tables_of_others_and_name_them) {
  const char *dir = folder_with("CREATE TABLE other(id INTEGER); CREATE TABLE players(name TEXT);"
                                "CREATE VIEW seen AS SELECT key FROM appData");
  struct snapshot snapshot, read;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  CHECK_INT(snapshot.keys, 1);
  CHECK_STR(snapshot.left_out, "other, players");
  if (snapshot_verify(temp_path(source.dir, snapshot.name), &read, &err)) FAIL("%s", err.message);
  struct moment *moment;
  struct moment_options options = {.dir = dir, .store = "other", .clock = &sync_clock};
  CHECK_INT(moment_open(&moment, &options, &err), MOONKEEP_INVALID_KEY);
  CHECK(strstr(err.message, "\"other\""));
}

/* A table that came while the host ran, whatever the contract says. */
TEST(what_cannot_be_folded_stays_in_the_journal_until_the_name_is_free) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_flush(store);
  sync_sql(dir, "CREATE TABLE other(id INTEGER)");
  sync_set(store, "other", "b", "2");
  CHECK_STR(sync_get(store, "other", "b"), "2");
  struct err err;
  CHECK_INT(store_close(store, &err), MOONKEEP_INVALID);
  CHECK(strstr(err.message, "\"other\""));
  CHECK_INT(sync_try_open(dir, &store, &err), MOONKEEP_INVALID);
  CHECK(strstr(err.message, "RENAME TO"));
  sync_sql(dir, "ALTER TABLE other RENAME TO _other");
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "other", "b"), "2");
  CHECK_STR(sync_get(store, "appData", "a"), "1");
  sync_close(store);
}

/* ---- damage ---- */

struct schema_text {
  char *bytes;
  size_t len, at, text_len; /* the bytes of a row of sqlite_schema */
};

static struct schema_text find_schema(const char *path, const char *sql) {
  struct schema_text found = {.text_len = strlen(sql)};
  found.bytes = temp_read(path, &found.len);
  CHECK(found.bytes != NULL);
  char *at = memmem(found.bytes, found.len, sql, found.text_len);
  CHECK(at != NULL);
  found.at = (size_t)(at - found.bytes);
  return found;
}

/* Whatever the store and a backup of it say: the row, or an error; never that there is none. */
static bool look_at_damaged(const char *dir, const char *what) {
  struct err err;
  struct store *store;
  struct snapshot snapshot;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (!snapshot_take(&source, &snapshot, &err) && (snapshot.keys != 1 || snapshot.left_out[0]))
    FAIL("%s: a backup has %d keys", what, (int)snapshot.keys);
  if (sync_try_open(dir, &store, &err)) return false;
  const char *value = sync_get(store, "economy", "gold"), *all = sync_select(store, "economy", "%");
  if (strcmp(value, "7") != 0 && strncmp(value, "error", 5) != 0) FAIL("%s: get says %s", what, value);
  if (strcmp(all, "gold=7") != 0 && strncmp(all, "error", 5) != 0) FAIL("%s: select says %s", what, all);
  store_close(store, &err);
  return true;
}

/* Bits of "tableeconomyeconomy…CREATE TABLE "economy"(…)" flip, one of each byte (ROUNDS=8: more). */
TEST(damage_to_the_schema_of_a_store_does_not_make_it_vanish) {
  const char *dir = temp_dir(), *rounds = getenv("ROUNDS");
  struct store *store = sync_open(dir);
  sync_set(store, "economy", "gold", "7");
  sync_close(store);
  struct schema_text text = find_schema(
      temp_path(dir, "appdata.db"),
      "CREATE TABLE \"economy\"(key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER, sum INTEGER)");
  size_t begin = text.at - strlen("tableeconomyeconomy") - 1; /* and the root page */
  size_t refused = 0, tried = 0;
  for (int round = 0; round < (rounds ? atoi(rounds) : 1); round++)
    for (size_t i = begin; i < text.at + text.text_len; i++, tried++) {
      char what[64], bit = (char)(1 << check_random() % 8);
      const char *copy = temp_dir();
      text.bytes[i] ^= bit;
      temp_write_bytes(temp_path(copy, "appdata.db"), text.bytes, text.len);
      text.bytes[i] ^= bit;
      snprintf(what, sizeof what, "byte %zu, bit %d", i - begin, bit & 0xFF);
      refused += !look_at_damaged(copy, what);
    }
  CHECK(refused > tried / 4);
  free(text.bytes);
}

TEST(a_store_whose_schema_is_damaged_is_restored) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "economy", "gold", "7");
  sync_close(store);
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  const char *path = temp_path(dir, "appdata.db");
  struct schema_text text = find_schema(path, "CREATE TABLE \"economy\"(key");
  text.bytes[text.at + text.text_len - 1] ^= 1; /* "kex" */
  temp_write_bytes(path, text.bytes, text.len);
  free(text.bytes);
  bool now;
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "economy", "gold"), "7");
  CHECK(strstr(store_receipt(store, &now), "schema"));
  sync_close(store);
}
