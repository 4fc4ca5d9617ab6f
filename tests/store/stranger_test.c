/* What other programs leave in the store file beside the stores: tables of their own. They are never written
 * to, hold nothing up, and damage to the schema of a store does not make it look like one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/check.h"
#include "store/moment.h"
#include "store/snapshot.h"
#include "store/truth.h"

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

/* ---- rows ---- */

/* Rows that another program wrote and that no call can use: no JSON, no moment, and keys that are none. */
static const char *folder_with_unusable(void) {
  return folder_with(
      "INSERT INTO appData(key, value) VALUES('bad', 'hello'), ('', '1'), (NULL, '2'), (NULL, '3'),"
      " (CAST(x'ff6162' AS TEXT), '4'), (x'6162', '5'), ('a' || char(0) || 'b', '6'),"
      " (printf('%.*c', 1025, 'k'), '7'), ('z', '{ \"n\" : 8 }');"
      "INSERT INTO appData(key, value, expires_at) VALUES('when', '9', 'never')");
}

TEST(rows_that_no_call_can_use_hold_nothing_up) {
  const char *dir = folder_with_unusable();
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "a"), "1");
  CHECK_STR(sync_get(store, "appData", "z"), "{\"n\":8}");
  CHECK_STR(sync_get(store, "appData", "0"), "absent"); /* beside the empty key */
  CHECK_STR(sync_get(store, "appData", "zz"), "absent");
  CHECK_STR(sync_get(store, "appData", "bad"), "error: corrupt");
  struct store_call *call = sync_call(store, STORE_GET, "appData", "bad");
  CHECK(call->err && strcmp(call->err->key, "bad") == 0 && strstr(call->err->message, "not JSON"));
  store_call_free(call);
  CHECK_STR(sync_select(store, "appData", "%"), "error: corrupt");
  CHECK_STR(sync_select(store, "appData", "z%"), "z={\"n\":8}");
  sync_set(store, "appData", "bad", "2");
  sync_set(store, "appData", "when", "3");
  sync_flush(store);
  CHECK_STR(sync_select(store, "appData", "%"), "a=1 bad=2 when=3 z={\"n\":8}");
  CHECK_INT(sync_delete_like(store, "appData", "%"), 4);
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT group_concat(value) FROM appData"), "1,2,3,4,5,6,7");
}

TEST(keys_of_rows_that_are_not_json_are_keys) {
  const char *dir = folder_with_unusable();
  sync_sql(dir, "UPDATE appData SET expires_at=NULL WHERE key='when'");
  struct store *store = sync_open(dir);
  struct store_call *call = make_scan(sync_bucket(store, "appData"), "%");
  call->want = STORE_COUNT;
  sync_run(store, call);
  CHECK(!call->err);
  CHECK_INT(call->count, 4);
  store_call_free(call);
  call = make_scan(sync_bucket(store, "appData"), "%");
  call->want = STORE_KEYS;
  sync_run(store, call);
  CHECK(!call->err);
  CHECK_INT(call->found_count, 4);
  store_call_free(call);
  sync_close(store);
}

static const char dump[] =
    "SELECT group_concat(typeof(key) || substr(hex(key), 1, 9) || '=' || replace(value, ' ', '') ||"
    " coalesce(expires_at, '')) FROM (SELECT * FROM appData ORDER BY key, value)";

TEST(rows_that_no_call_can_use_are_in_backups_as_they_are) {
  const char *dir = folder_with_unusable(), *copy = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "0", "1"); /* in the journal, between them */
  sync_set(store, "appData", "y", "1");
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {
      .data = dir, .dir = temp_path(dir, "backups"), .settled = true, .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  sync_close(store);
  CHECK_INT(snapshot.keys, 4);
  CHECK_INT(snapshot.unusable, 9);
  size_t len;
  char *bytes = temp_read(temp_path(source.dir, snapshot.name), &len), before[2048];
  temp_write_bytes(temp_path(copy, "appdata.db"), bytes, len);
  free(bytes);
  snprintf(before, sizeof before, "%s", sync_sql(dir, dump));
  CHECK_STR(sync_sql(copy, dump), before);
  CHECK_STR(sync_sql(copy, "SELECT count(*) FROM appData WHERE sum IS NULL"), "9");
}

TEST(a_check_names_rows_that_no_call_can_use) {
  const char *dir = folder_with_unusable();
  for (int full = 0; full < 2; full++) {
    struct check check = {.full = full};
    struct check_found found;
    struct err err;
    enum moonkeep_code code = check_file(temp_path(dir, "appdata.db"), &check, &found, &err);
    CHECK_INT(code, MOONKEEP_CORRUPT); /* the expiry may be damage */
    CHECK_INT(found.damaged, 1);
    CHECK_INT(found.unusable, 8);
    CHECK(strstr(found.unusable_why, "\"bad\"") && strstr(found.unusable_why, "not JSON"));
  }
}

/* A backup has such a row as it is; a key that held it once must not get it back as a value. */
TEST(what_is_no_value_in_a_backup_repairs_nothing) {
  const char *dir = folder_with("INSERT INTO appData(key, value) VALUES('bad', 'hello')");
  struct snapshot snapshot;
  struct err err;
  struct truth truth;
  struct snapshot_source source = {.data = dir, .dir = temp_path(dir, "backups"), .clock = &sync_clock};
  if (snapshot_take(&source, &snapshot, &err)) FAIL("%s", err.message);
  CHECK_INT(snapshot.unusable, 1);
  CHECK(truth_find(&truth, source.dir, "appData", "bad", 3, &err) != MOONKEEP_OK);
  truth_deinit(&truth);
}
