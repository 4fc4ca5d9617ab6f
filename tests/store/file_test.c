/* The data folder and the store file: whose it is, what it looks like from outside, and what is refused. */
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/snapshot.h"

static const char *refusal(const char *dir, enum moonkeep_code code) {
  static struct err err;
  struct store *store;
  CHECK_INT(sync_try_open(dir, &store, &err), code);
  return err.message;
}

TEST(the_file_reads_as_the_contract_says) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "{\"xp\":50}");
  sync_set_until(store, "economy", "gold", "7", 1900000000000);
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT key, value ->> '$.xp', expires_at FROM appData"), "alice|50|");
  CHECK_STR(sync_sql(dir, "SELECT key, value, expires_at FROM economy"), "gold|7|1900000000000");
  CHECK_STR(sync_sql(dir, "SELECT typeof(value), typeof(sum) FROM appData"), "text|integer");
  CHECK_STR(sync_sql(dir, "SELECT group_concat(name) FROM pragma_table_info('appData')"),
            "key,value,expires_at,sum");
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM _journal"), "0");
  CHECK_STR(sync_sql(dir, "PRAGMA application_id"), "1836019566");
  CHECK_STR(sync_sql(dir, "PRAGMA user_version"), "2");
  CHECK_STR(sync_sql(dir, "PRAGMA journal_mode"), "wal");
  CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
}

TEST(edits_from_outside_are_accepted_while_no_host_runs) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "1");
  sync_set(store, "appData", "bob", "2");
  sync_close(store);
  sync_sql(dir, "UPDATE appData SET value='{ \"xp\" : 5 }' WHERE key='alice'");
  sync_sql(dir, "INSERT INTO appData(key, value) VALUES('carol', 3)");
  sync_sql(dir, "DELETE FROM appData WHERE key='bob'");
  CHECK_STR(sync_sql(dir, "SELECT group_concat(key || ':' || (sum IS NULL)) FROM appData"),
            "alice:1,carol:1");
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "{\"xp\":5}");
  CHECK_STR(sync_select(store, "appData", "%"), "alice={\"xp\":5} carol=3");
  CHECK_INT(sync_add(store, "appData", "carol", 1), 4);
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT sum IS NULL FROM appData WHERE key='carol'"), "0");
}

TEST(an_edit_from_outside_that_is_not_json_is_an_error_that_names_the_key) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "1");
  sync_close(store);
  sync_sql(dir, "UPDATE appData SET value='hello'");
  store = sync_open(dir);
  struct store_call *call = sync_call(store, STORE_GET, "appData", "alice");
  CHECK(call->err && call->err->code == MOONKEEP_CORRUPT);
  CHECK_STR(call->err->key, "alice");
  CHECK(strstr(call->err->message, "alice"));
  store_call_free(call);
  sync_set(store, "appData", "alice", "2");
  CHECK_STR(sync_get(store, "appData", "alice"), "2");
  sync_close(store);
}

/* With triggers off, as damage would: nothing clears the checksum. */
static void damage(const char *dir, const char *sql) {
  char text[512];
  snprintf(text, sizeof text, "DROP TRIGGER _appData_updated; %s", sql);
  sync_sql(dir, text);
}

TEST(a_row_that_does_not_match_its_checksum_is_never_handed_out) {
  static const char *const damages[] = {"UPDATE appData SET value='9'",
                                        "UPDATE appData SET expires_at=99999999999999",
                                        "UPDATE appData SET sum=sum+1"};
  for (int i = 0; i < 3; i++) {
    const char *dir = temp_dir();
    struct store *store = sync_open(dir);
    sync_set(store, "appData", "alice", "1");
    sync_close(store);
    damage(dir, damages[i]);
    store = sync_open(dir);
    CHECK_STR(sync_get(store, "appData", "alice"), "error: corrupt");
    CHECK_STR(sync_select(store, "appData", "%"), "error: corrupt");
    sync_close(store);
  }
}

TEST(a_damaged_expired_row_is_not_swept_away) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "alice", "1");
  sync_set_until(store, "appData", "bob", "1", store_now_ms(store) + 10);
  sync_close(store);
  damage(dir, "UPDATE appData SET expires_at=1 WHERE key='alice'");
  sync_advance(100000);
  store = sync_open(dir);
  for (int i = 0; i < 2000 && strcmp(sync_sql(dir, "SELECT count(*) FROM appData"), "1") != 0; i++) {}
  CHECK_STR(sync_sql(dir, "SELECT key FROM appData"), "alice");
  sync_close(store);
}

TEST(a_second_process_is_told_who_has_the_folder) {
  const char *dir = temp_dir();
  int ready[2];
  CHECK(pipe(ready) == 0);
  pid_t child = fork();
  if (child == 0) {
    struct store *store = sync_open(dir);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    sync_close(store);
    _exit(0);
  }
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  char want[64];
  snprintf(want, sizeof want, "in use by process %d (a test)", (int)child);
  CHECK(strstr(refusal(dir, MOONKEEP_BUSY), want));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  sync_close(sync_open(dir));
  close(ready[0]);
  close(ready[1]);
}

TEST(a_data_folder_that_is_a_file_is_refused) {
  const char *path = temp_path(temp_dir(), "file");
  temp_write(path, "x");
  CHECK(strstr(refusal(path, MOONKEEP_INVALID), "is not a folder; name another with --data"));
  CHECK(strstr(refusal(temp_path(path, "below"), MOONKEEP_INVALID), "Not a directory"));
}

TEST(a_data_folder_is_made_with_those_above_it) {
  const char *dir = temp_path(temp_dir(), "a/b/c");
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "k", "1");
  sync_close(store);
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "k"), "1");
  sync_close(store);
}

TEST(a_store_file_that_is_not_sqlite_is_refused_and_left_alone) {
  const char *dir = temp_dir();
  const char *path = temp_path(dir, "appdata.db");
  temp_write(path, "this is not a database, but somebody's notes");
  CHECK(strstr(refusal(dir, MOONKEEP_INVALID), "is not an SQLite database; nothing was changed"));
  char *text = temp_read(path, NULL);
  CHECK_STR(text, "this is not a database, but somebody's notes");
  free(text);
}

/* What power loss leaves that comes while SQLite writes the first page: the file may hold anything, and the
 * rollback journal, synced before, says that it was empty. */
TEST(a_file_whose_making_was_cut_short_is_made_again) {
  static const unsigned char journal[512] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, /* magic */
                                             0,    0,    0,    0,    1,    2,    3,    4,    /* no pages */
                                             0,    0,    0,    0,    0,    0,    2,    0,    /* none before */
                                             0,    0,    16,   0};
  static const char zeros[4096];
  /* The first bytes have arrived, and of the next ones those that say how it is vacuumed are noise. */
  static char torn[4096] = "SQLite format 3\0\x10\0\2\2\0@  \0\0\0\1\0\0\0\1";
  torn[65] = 99;
  const char *const pages[] = {zeros, torn};
  for (size_t i = 0; i < 2; i++) {
    const char *dir = temp_dir();
    temp_write_bytes(temp_path(dir, "appdata.db"), pages[i], sizeof zeros);
    temp_write_bytes(temp_path(dir, "appdata.db-journal"), journal, sizeof journal);
    struct store *store = sync_open(dir);
    sync_set(store, "appData", "k", "1");
    CHECK_STR(sync_get(store, "appData", "k"), "1");
    sync_close(store);
    CHECK_STR(sync_sql(dir, "PRAGMA integrity_check"), "ok");
  }
}

TEST(another_programs_database_is_refused_and_left_alone) {
  const char *dir = temp_dir();
  sync_sql(dir, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
  CHECK(strstr(refusal(dir, MOONKEEP_INVALID), "is another program's database"));
  CHECK_STR(sync_sql(dir, "PRAGMA journal_mode"), "delete");
}

TEST(a_store_may_have_a_name_that_sqlite_knows) {
  static const char *const names[] = {"pragma_table_info",
                                      "pragma_table_list",
                                      "pragma_quick_check",
                                      "select",
                                      "json_each",
                                      "main",
                                      "temp",
                                      "rowid",
                                      "appData_inserted"};
  const char *dir = temp_dir();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct store *store = sync_open(dir);
    sync_set(store, names[i], "alice", "1");
    sync_set(store, "appData", "alice", "2");
    sync_close(store);
    store = sync_open(dir);
    CHECK_STR(sync_get(store, names[i], "alice"), "1");
    CHECK_STR(sync_select(store, names[i], "%"), "alice=1");
    sync_close(store);
  }
}

TEST(a_file_from_a_newer_moonkeep_is_refused_and_left_alone) {
  const char *dir = temp_dir();
  sync_close(sync_open(dir));
  sync_sql(dir, "PRAGMA user_version=99");
  CHECK(strstr(refusal(dir, MOONKEEP_INVALID),
               "written by a newer moonkeep (its version is 99, this program knows 2)"));
  CHECK_STR(sync_sql(dir, "PRAGMA user_version"), "99");
}

TEST(a_file_whose_version_cannot_be_is_refused) {
  const char *dir = temp_dir();
  sync_close(sync_open(dir));
  sync_sql(dir, "PRAGMA user_version=-2147483646"); /* 2 with one bit flipped */
  CHECK(strstr(refusal(dir, MOONKEEP_CORRUPT), "is damaged: its version is -2147483646"));
  sync_sql(dir, "PRAGMA user_version=0");
  CHECK(strstr(refusal(dir, MOONKEEP_CORRUPT), "is damaged: its version is 0"));
}

TEST(the_journal_is_taken_over_whatever_a_damaged_note_says_of_it) {
  const char *dir = temp_dir();
  pid_t child = fork();
  if (child == 0) {
    struct store *store = sync_open(dir);
    sync_set(store, "appData", "alice", "1");
    sync_flush(store);
    sync_set(store, "appData", "alice", "2");
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  CHECK_STR(sync_sql(dir, "SELECT value FROM appData"), "1");
  sync_sql(dir, "UPDATE _meta SET value=value+64 WHERE name='folded_seq'");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "2");
  sync_close(store);
}

TEST(a_file_whose_own_tables_are_damaged_is_refused) {
  static const char *const damages[] = {
      "UPDATE _meta SET name='folded_reqs' WHERE name='folded_seq'",
      "UPDATE _meta SET value=-value-1",
      "UPDATE _meta SET value='1' WHERE name='epoch'",
      "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql=replace(sql, 'seq INTEGER', 'seq INTEGAR')",
      "INSERT INTO _journal VALUES(-1, 0, x'00', 0)",
  };
  for (int i = 0; i < 5; i++) {
    const char *dir = temp_dir();
    sync_close(sync_open(dir));
    sync_sql(dir, damages[i]);
    CHECK(strstr(refusal(dir, MOONKEEP_CORRUPT), "appdata.db is damaged: its "));
  }
}

static void make_version_1(const char *dir) {
  sync_sql(dir,
           "PRAGMA journal_mode=WAL; PRAGMA application_id=1836019566; PRAGMA user_version=1;"
           "CREATE TABLE _meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
           "INSERT INTO _meta VALUES('epoch', 1), ('folded_seq', 41);"
           "CREATE TABLE _journal(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, changes BLOB NOT NULL,"
           " sum INTEGER NOT NULL);"
           "CREATE TABLE appData(key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER, sum INTEGER);"
           "CREATE TABLE economy(key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER, sum INTEGER);"
           "INSERT INTO appData(key, value) VALUES('alice', '{\"xp\":1}');");
}

TEST(a_file_of_version_1_is_brought_up_to_date) {
  const char *dir = temp_dir();
  make_version_1(dir);
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "alice"), "{\"xp\":1}");
  sync_set(store, "economy", "gold", "1");
  sync_close(store);
  CHECK_STR(sync_sql(dir, "PRAGMA user_version"), "2");
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM sqlite_schema WHERE type='trigger'"), "6");
  CHECK_STR(sync_sql(dir, "SELECT value FROM _meta WHERE name='folded_seq'"), "42");
}

TEST(an_older_file_is_kept_as_a_backup_before_it_is_brought_up_to_date) {
  const char *dir = temp_dir(), *backups = temp_path(dir, "backups");
  make_version_1(dir);
  sync_close(sync_open(dir));
  struct snapshot *all, read;
  struct err err;
  size_t count;
  CHECK_INT(snapshot_list(backups, &all, &count, &err), MOONKEEP_OK);
  CHECK_INT(count, 1);
  const char *path = temp_path(backups, all[0].name);
  CHECK_INT(snapshot_verify(path, &read, &err), MOONKEEP_OK);
  CHECK_INT(read.keys, 1);
  CHECK_INT(read.seq, 41);
  const char *copy = temp_dir(); /* the older program's: of its version still */
  size_t len;
  char *bytes = temp_read(path, &len);
  temp_write_bytes(temp_path(copy, "appdata.db"), bytes, len);
  free(bytes);
  CHECK_STR(sync_sql(copy, "PRAGMA user_version"), "1");
  mem_free(all);
  struct store *store = sync_open(copy);
  CHECK_STR(sync_get(store, "appData", "alice"), "{\"xp\":1}");
  sync_close(store);
}

TEST(an_older_file_stays_as_it_is_where_no_backup_can_be_made) {
  const char *dir = temp_dir();
  struct store *store;
  struct err err;
  make_version_1(dir);
  temp_write(temp_path(dir, "backups"), "a file in the folder's place");
  CHECK(sync_try_open(dir, &store, &err) != MOONKEEP_OK);
  CHECK(strstr(err.message, "--backups") != NULL);
  CHECK_STR(sync_sql(dir, "PRAGMA user_version"), "1");
}

TEST(changes_left_in_the_journal_by_a_crash_are_taken_over) {
  const char *dir = temp_dir();
  pid_t child = fork();
  if (child == 0) {
    struct store *store = sync_open(dir);
    for (int i = 0; i < 20; i++) sync_add(store, "appData", "sum", i);
    sync_set(store, "newborn", "k", "1");
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  struct store *store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "sum"), "190");
  CHECK_STR(sync_select(store, "newborn", "%"), "k=1");
  sync_close(store);
}

TEST(edits_from_outside_after_a_crash_are_newer_than_the_journal) {
  const char *dir = temp_dir();
  pid_t child = fork();
  if (child == 0) {
    struct store *store = sync_open(dir);
    for (const char *key = "abcd"; *key; key++) sync_set(store, "appData", (char[]){*key, 0}, "1");
    sync_flush(store);
    for (const char *key = "abcd"; *key; key++) sync_set(store, "appData", (char[]){*key, 0}, "2");
    kill(getpid(), SIGKILL);
  }
  waitpid(child, NULL, 0);
  CHECK(strcmp(sync_sql(dir, "SELECT count(*) FROM _journal"), "0") != 0);
  sync_sql(dir, "UPDATE appData SET value='9' WHERE key='a'; DELETE FROM appData WHERE key='b';"
                "UPDATE appData SET key='e' WHERE key='c'; INSERT INTO appData(key, value) VALUES('f', 7);");
  struct store *store = sync_open(dir);
  CHECK_STR(sync_select(store, "appData", "%"), "a=9 d=2 e=1 f=7");
  sync_set(store, "appData", "a", "10");
  sync_close(store);
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM _edited"), "0");
  sync_sql(dir, "UPDATE appData SET value='11' WHERE key='a'");
  CHECK_STR(sync_sql(dir, "SELECT count(*) FROM _edited"), "0"); /* nothing to compare with */
  store = sync_open(dir);
  CHECK_STR(sync_get(store, "appData", "a"), "11");
  sync_close(store);
}
