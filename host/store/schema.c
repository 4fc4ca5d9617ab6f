#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/sql.h"

static const char doing[] = "bring the store file up to date";

int schema_is_bucket_name(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  size_t len = strlen(name);
  return len >= 1 && len <= 63 && strchr(letters, name[0]) && strncasecmp(name, "sqlite_", 7) != 0 &&
         name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

/* Opens the file that has this end to its name; -1: there is none. */
static int open_beside(const char *path, const char *end) {
  struct buf name = {0};
  buf_printf(&name, "%s%s", path, end);
  int fd = name.failed ? -1 : open(buf_text(&name), O_RDONLY | O_CLOEXEC);
  buf_deinit(&name);
  return fd;
}

/* Power that goes while SQLite makes a file leaves anything in it, and beside it the journal that takes it
 * back. */
static bool journal_is_beside(const char *path) {
  int fd = open_beside(path, "-journal");
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static uint32_t number_at(const unsigned char *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Whether the log has a first page to give; SQLite sees to it that it is whole. */
static bool log_has_first_page(int fd) {
  enum { HEAD = 32, FRAME = 24, SALTS = 8 };
  unsigned char head[HEAD], frame[FRAME];
  if (pread(fd, head, HEAD, 0) != HEAD || (number_at(head) & ~1U) != 0x377f0682) return false;
  off_t step = FRAME + (off_t)number_at(head + 8);
  for (off_t at = HEAD; pread(fd, frame, FRAME, at) == FRAME; at += step) {
    if (memcmp(frame + 8, head + 16, SALTS) != 0) return false;
    if (number_at(frame) == 1) return true;
  }
  return false;
}

/* Power that goes during a checkpoint leaves anything in the pages that were being written, the first one
 * among them, and they are still in the log. */
static bool log_is_beside(const char *path) {
  int fd = open_beside(path, "-wal");
  bool is = fd >= 0 && log_has_first_page(fd);
  if (fd >= 0) close(fd);
  return is;
}

enum moonkeep_code schema_check_header(const char *path, struct err *err) {
  static const char magic[16] = "SQLite format 3";
  char header[16];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return MOONKEEP_OK;
    return err_set(err, errno == EACCES ? MOONKEEP_INVALID : MOONKEEP_IO, "cannot read the store file %s: %s",
                   path, strerror(errno));
  }
  ssize_t n = read(fd, header, sizeof header);
  int why = errno;
  close(fd);
  if (n < 0) return err_set(err, MOONKEEP_IO, "cannot read the store file %s: %s", path, strerror(why));
  if (n == 0 || (n == (ssize_t)sizeof header && memcmp(header, magic, sizeof magic) == 0)) return MOONKEEP_OK;
  if (journal_is_beside(path) || log_is_beside(path)) return MOONKEEP_OK;
  return err_set(
      err, MOONKEEP_INVALID,
      "the store file %s is not an SQLite database; nothing was changed. Move it away, or name another "
      "folder with --data",
      path);
}

void schema_take_back(const char *path) {
  sqlite3 *db;
  struct err ignored;
  int64_t tables;
  if (!journal_is_beside(path) || sql_open(&db, path, false, &ignored)) return;
  sql_number(db, "SELECT count(*) FROM sqlite_schema", "read the store file", &tables, &ignored);
  sqlite3_close(db);
}

/* ---- migrations: each takes the file from one version to the next ---- */

/* The host's own tables. */
#define META "CREATE TABLE _meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID"
#define JOURNAL                                                                                              \
  "CREATE TABLE _journal(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, changes BLOB NOT NULL,"               \
  " sum INTEGER NOT NULL)"
#define EDITED "CREATE TABLE _edited(store, key, PRIMARY KEY(store, key)) WITHOUT ROWID"

/* Version 1: the journal, the host's notes, and one table a bucket. */
static enum moonkeep_code to_version_1(sqlite3 *db, struct err *err) {
  return sql_run(db, META "; INSERT INTO _meta VALUES('epoch', 1), ('folded_seq', 0); " JOURNAL, doing, err);
}

/* What version 2 adds to a table: expired rows are found by an index, and triggers notice what other programs
 * do (our own connections have them switched off). A change clears the row's checksum; and where the journal
 * is not empty, which is so after a crash, it is noted that the row is newer than the journal. */
static const char guards[] =
    "CREATE INDEX \"_$_expires\" ON \"$\"(expires_at) WHERE expires_at IS NOT NULL;"
    "CREATE TRIGGER \"_$_inserted\" AFTER INSERT ON \"$\" BEGIN"
    " UPDATE \"$\" SET sum=NULL WHERE rowid=new.rowid;"
    " INSERT OR IGNORE INTO _edited SELECT '$', new.key WHERE EXISTS(SELECT 1 FROM _journal); END;"
    "CREATE TRIGGER \"_$_updated\" AFTER UPDATE OF key, value, expires_at ON \"$\" BEGIN"
    " UPDATE \"$\" SET sum=NULL WHERE rowid=new.rowid;"
    " INSERT OR IGNORE INTO _edited SELECT '$', new.key WHERE EXISTS(SELECT 1 FROM _journal);"
    " INSERT OR IGNORE INTO _edited SELECT '$', old.key WHERE EXISTS(SELECT 1 FROM _journal); END;"
    "CREATE TRIGGER \"_$_deleted\" AFTER DELETE ON \"$\" BEGIN"
    " INSERT OR IGNORE INTO _edited SELECT '$', old.key WHERE EXISTS(SELECT 1 FROM _journal); END;";

/* Runs statements in which each `$` stands for a bucket's name, which holds nothing that would have to be
 * escaped. */
static enum moonkeep_code run_for_bucket(sqlite3 *db, const char *sql, const char *name, const char *what,
                                         struct err *err) {
  struct buf text = {0};
  for (; *sql; sql++) {
    if (*sql == '$')
      buf_puts(&text, name);
    else
      buf_putc(&text, *sql);
  }
  const char *ready = buf_text(&text);
  enum moonkeep_code code = text.failed ? err_memory(err) : sql_run(db, ready, what, err);
  buf_deinit(&text);
  return code;
}

static enum moonkeep_code add_guards(sqlite3 *db, const char *name, struct err *err) {
  return run_for_bucket(db, guards, name, doing, err);
}

static enum moonkeep_code guard_bucket(void *ctx, const char *name, struct err *err) {
  return add_guards(ctx, name, err);
}

static enum moonkeep_code to_version_2(sqlite3 *db, struct err *err) {
  enum moonkeep_code code = sql_run(db, EDITED, doing, err);
  return code ? code : schema_buckets(db, guard_bucket, db, err);
}

static enum moonkeep_code (*const migrations[SCHEMA_VERSION])(sqlite3 *, struct err *) = {
    to_version_1,
    to_version_2,
};

/* ---- whose a table is ---- */

#define COLUMNS "key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER, sum INTEGER"

/* `temp.` because a store may have the name of SQLite's function, which its table would hide. Of a row `s` of
 * sqlite_schema: a table that can be written to and read as a bucket's, whoever has made it.
 */
#define LISTED " AS l WHERE l.schema='main' AND l.type='table' AND l.wr=0"
#define COLUMN "FROM temp.pragma_table_info(s.name) AS c WHERE"
#define FITS_AND(is_listed)                                                                                  \
  "s.type='table' AND s.tbl_name=s.name AND s.sql NOT LIKE 'CREATE VIRTUAL%' AND " is_listed                 \
  " AND (SELECT count(*) " COLUMN " upper(c.type)='TEXT' AND c.pk=(c.name='key') AND"                        \
  "      c.name IN ('key', 'value') OR"                                                                      \
  "      c.type LIKE '%INT%' AND c.pk=0 AND c.name IN ('expires_at', 'sum'))=4"                              \
  " AND NOT EXISTS(SELECT 1 " COLUMN " c.name NOT IN ('key', 'value', 'expires_at', 'sum') AND"              \
  "                (c.pk OR c.\"notnull\" AND c.dflt_value IS NULL))"
/* SQLite goes through all tables to list one: of many they are listed once. */
#define ONE_FITS FITS_AND("EXISTS(SELECT 1 FROM temp.pragma_table_list(s.name)" LISTED ")")
#define FITS     FITS_AND("s.name IN (SELECT l.name FROM temp.pragma_table_list" LISTED ")")
#define NAMES_OF(types)                                                                                      \
  "SELECT name, " FITS " FROM sqlite_schema AS s"                                                            \
  " WHERE lower(type) IN (" types ")"

/* The buckets that have a trigger or an index of ours: `_economy_inserted` is one of economy's. */
#define GUARDED(suffix, len)                                                                                 \
  "SELECT substr(name, 2, length(name)-" len ") AS store FROM sqlite_schema WHERE name GLOB '_*" suffix "'"
#define GUARDED_BUCKETS                                                                                      \
  GUARDED("_inserted", "10")                                                                                 \
  " UNION " GUARDED("_updated", "9") " UNION " GUARDED("_deleted", "9") " UNION " GUARDED("_expires", "9")
#define LOST_BUCKETS                                                                                         \
  "SELECT count(*) FROM (" GUARDED_BUCKETS                                                                   \
  ") WHERE store NOT IN (SELECT s.name FROM sqlite_schema AS s WHERE " FITS ")"

enum moonkeep_code schema_refuse_stranger(const char *name, struct err *err) {
  return err_key(
      err, MOONKEEP_INVALID_KEY, name, strlen(name),
      "the store file has a table (or a view or an index) \"%.63s\" that another program has made and "
      "that is no store; choose another name for the store, or rename that one, while no host "
      "runs: ALTER TABLE \"%.63s\" RENAME TO \"_%.63s\"",
      name, name, name);
}

/* What the file has under this name, in whatever case. */
static enum moonkeep_code look_for(sqlite3 *db, const char *name, bool *there, bool *is_bucket,
                                   struct err *err) {
  sqlite3_stmt *find;
  *there = *is_bucket = false;
  enum moonkeep_code code =
      sql_prepare(db,
                  "SELECT name, " ONE_FITS " FROM sqlite_schema AS s"
                  " WHERE name=?1 COLLATE NOCASE AND lower(type) IN ('table', 'view', 'index')",
                  &find, err);
  if (code) return code;
  sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
  int rc = sqlite3_step(find);
  *there = rc == SQLITE_ROW;
  if (*there) *is_bucket = sqlite3_column_int(find, 1) == 1;
  if (!*there && rc != SQLITE_DONE) code = sql_fail(db, rc, "look for the table of a store", err);
  sqlite3_finalize(find);
  return code;
}

enum moonkeep_code schema_make_bucket(sqlite3 *db, const char *name, struct err *err) {
  bool there, is_bucket;
  enum moonkeep_code code = look_for(db, name, &there, &is_bucket, err);
  if (!code && there && !is_bucket) {
    schema_refuse_stranger(name, err);
    return err->code = MOONKEEP_INVALID;
  }
  if (code || there) return code;
  code = run_for_bucket(db, "CREATE TABLE \"$\"(" COLUMNS ")", name, "make the table of a store", err);
  return code ? code : add_guards(db, name, err);
}

/* Calls visit with the names of those that are buckets, or are none. */
static enum moonkeep_code each_name(sqlite3 *db, const char *sql, bool buckets,
                                    enum moonkeep_code (*visit)(void *ctx, const char *name, struct err *),
                                    void *ctx, struct err *err) {
  sqlite3_stmt *statement;
  enum moonkeep_code code = sql_prepare(db, sql, &statement, err);
  if (code) return code;
  int rc;
  while (!code && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    if (!name) code = err_memory(err);
    if (name && schema_is_bucket_name(name) && (sqlite3_column_int(statement, 1) == 1) == buckets)
      code = visit(ctx, name, err);
  }
  if (!code && rc != SQLITE_DONE) code = sql_fail(db, rc, "list the stores", err);
  sqlite3_finalize(statement);
  return code;
}

/* One bit in the schema must not make a bucket look like a stranger's table, and so vanish. */
static enum moonkeep_code check_buckets(sqlite3 *db, struct err *err) {
  int64_t lost;
  enum moonkeep_code code = sql_number(db, LOST_BUCKETS, "list the stores", &lost, err);
  if (code || lost == 0) return code;
  return err_set(err, MOONKEEP_CORRUPT,
                 "the store file is damaged: the schema of one of its stores has changed");
}

enum moonkeep_code schema_buckets(sqlite3 *db,
                                  enum moonkeep_code (*visit)(void *ctx, const char *name, struct err *),
                                  void *ctx, struct err *err) {
  enum moonkeep_code code = check_buckets(db, err);
  return code ? code : each_name(db, NAMES_OF("'table'") " ORDER BY name", true, visit, ctx, err);
}

enum moonkeep_code schema_strangers(sqlite3 *db, bool all,
                                    enum moonkeep_code (*visit)(void *ctx, const char *name, struct err *),
                                    void *ctx, struct err *err) {
  const char *sql =
      all ? NAMES_OF("'table', 'view', 'index'") " ORDER BY name" : NAMES_OF("'table'") " ORDER BY name";
  return each_name(db, sql, false, visit, ctx, err);
}

static enum moonkeep_code add_name(void *ctx, const char *name, struct err *err) {
  struct buf *out = ctx;
  buf_printf(out, "%s%s", out->len > 0 ? ", " : "", name);
  return out->failed ? err_memory(err) : MOONKEEP_OK;
}

enum moonkeep_code schema_name_strangers(sqlite3 *db, struct buf *out, struct err *err) {
  return schema_strangers(db, false, add_name, out, err);
}

enum moonkeep_code schema_recognise(sqlite3 *db, const char *path, int64_t *version, struct err *err) {
  int64_t id, tables;
  enum moonkeep_code code = sql_number(db, "PRAGMA application_id", "read the store file", &id, err);
  if (!code) code = sql_number(db, "PRAGMA user_version", "read the store file", version, err);
  if (!code) code = sql_number(db, "SELECT count(*) FROM sqlite_schema", "read the store file", &tables, err);
  if (code) return code;
  if (id != SCHEMA_APPLICATION_ID && (id != 0 || *version != 0 || tables != 0))
    return err_set(
        err, MOONKEEP_INVALID,
        "the store file %s is another program's database; nothing was changed. Name another folder with "
        "--data",
        path);
  bool versionless = *version == 0 && tables != 0; /* both come with the first tables, or not at all */
  if (*version < 0 || versionless)
    return err_set(err, MOONKEEP_CORRUPT, "the store file %s is damaged: its version is %d", path,
                   (int)*version);
  if (*version > SCHEMA_VERSION)
    return err_set(
        err, MOONKEEP_INVALID,
        "the store file %s was written by a newer moonkeep (its version is %d, this program knows %d); "
        "nothing was changed. Use the newer program",
        path, (int)*version, SCHEMA_VERSION);
  return MOONKEEP_OK;
}

static enum moonkeep_code step(sqlite3 *db, int version, struct err *err) {
  char marks[128];
  sqlite3_snprintf(sizeof marks, marks, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   SCHEMA_APPLICATION_ID, version + 1);
  enum moonkeep_code code = migrations[version](db, err);
  return code ? code : sql_run(db, marks, doing, err);
}

enum moonkeep_code schema_migrate(sqlite3 *db, int64_t version, struct err *err) {
  if (version == SCHEMA_VERSION) return MOONKEEP_OK;
  enum moonkeep_code code = sql_run(db, "BEGIN IMMEDIATE", doing, err);
  for (int v = (int)version; !code && v < SCHEMA_VERSION; v++) code = step(db, v, err);
  if (!code) code = sql_run(db, "COMMIT", doing, err);
  if (code && !sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return code;
}

/* ---- the host's own tables ---- */

#define PAGES_OF(table, words)                                                                               \
  "SELECT count(*) FROM temp.pragma_quick_check('" table "') WHERE quick_check " words

/* Each gives a number, which is 0 when all is well. A check of pages tells in words what it could not read.
 */
static const struct own_check {
  const char *sql;
  enum moonkeep_code code;
  const char *fault;
} own_checks[] = {
    {"SELECT 3 - count(*) FROM sqlite_schema WHERE sql IN ('" META "', '" JOURNAL "', '" EDITED "')",
     MOONKEEP_CORRUPT, "its schema has changed"},
    {"SELECT count(*) FROM sqlite_schema WHERE rootpage>0 GROUP BY rootpage HAVING count(*)>1",
     MOONKEEP_CORRUPT, "two of its tables share a page"},
    {PAGES_OF("_journal", "LIKE '%to get%page%'"), MOONKEEP_IO, "its journal cannot be read"},
    {PAGES_OF("_journal", "<>'ok'"), MOONKEEP_CORRUPT, "its journal is not whole"},
    {"SELECT count(*) FROM _journal WHERE seq<1", MOONKEEP_CORRUPT, "its journal is not whole"},
    {PAGES_OF("_meta", "LIKE '%to get%page%'"), MOONKEEP_IO, "its table _meta cannot be read"},
    {PAGES_OF("_meta", "<>'ok'"), MOONKEEP_CORRUPT, "its table _meta is not whole"},
    {"SELECT 2 - count(*) FROM _meta WHERE typeof(value)='integer' AND"
     " (name='epoch' AND value>0 OR name='folded_seq' AND value>=0)",
     MOONKEEP_CORRUPT, "its table _meta is not whole"},
};

enum moonkeep_code schema_check_own_tables(sqlite3 *db, const char *path, struct err *err) {
  for (size_t i = 0; i < sizeof own_checks / sizeof *own_checks; i++) {
    int64_t faults;
    enum moonkeep_code code = sql_number(db, own_checks[i].sql, "read the store file", &faults, err);
    if (code) return code;
    if (faults != 0)
      return err_set(err, own_checks[i].code, "the store file %s is damaged: %s", path, own_checks[i].fault);
  }
  return check_buckets(db, err);
}
