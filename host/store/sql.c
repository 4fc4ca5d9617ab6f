#include "store/sql.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* cache_spill is on, so that a transaction of any size takes no more memory than the cache; an error in a
 * statement that spills has already rolled the whole transaction back, so whoever writes gives up at the
 * first one. secure_delete would write zeros over every journal row that is folded. The text encoding and
 * trusted_schema keep a strange file from running anything of its own. */
static const char settings[] = "PRAGMA cache_spill=ON;"
                               "PRAGMA secure_delete=OFF;"
                               "PRAGMA trusted_schema=OFF;"
                               "PRAGMA wal_autocheckpoint=0;";

enum moonkeep_code sql_fail(sqlite3 *db, int rc, const char *doing, struct err *err) {
  enum moonkeep_code code = MOONKEEP_IO;
  switch (rc & 0xFF) {
  case SQLITE_FULL: code = MOONKEEP_FULL; break;
  case SQLITE_NOMEM: code = MOONKEEP_MEMORY; break;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: code = MOONKEEP_CORRUPT; break;
  case SQLITE_BUSY:
    return err_set(err, MOONKEEP_BUSY, "cannot %s: another program is writing to the store file", doing);
  case SQLITE_IOERR:
    if (rc == SQLITE_IOERR_NOMEM) code = MOONKEEP_MEMORY;
    break;
  }
  const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  bool disk = code == MOONKEEP_IO && ((rc & 0xFF) == SQLITE_IOERR || (rc & 0xFF) == SQLITE_CANTOPEN);
  int system = db && disk ? sqlite3_system_errno(db) : 0;
  err_set(err, code, "cannot %s: %s%s%s (SQLite error %d)", doing, why, system ? ": " : "",
          system ? strerror(system) : "", rc);
  if (err) err->disk = disk;
  return code;
}

bool sql_is_about_reading(const char *line) {
  const char *number = strstr(line, "unable to get the page. error code=");
  return number && (atoi(strchr(number, '=') + 1) & 0xFF) == SQLITE_IOERR; /* it may be an extended one */
}

/* Our own writes keep the checksums themselves; the triggers that clear them are for other programs. */
static enum moonkeep_code set_up(sqlite3 *db, bool writer, struct err *err) {
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, SQL_BUSY_MS);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  enum moonkeep_code code = sql_run(db, settings, "open the store file", err);
  if (!code && writer) code = sql_run(db, "PRAGMA synchronous=FULL", "open the store file", err);
  if (!code && !writer) code = sql_run(db, "PRAGMA query_only=ON", "open the store file", err);
  return code;
}

enum moonkeep_code sql_open(sqlite3 **out, const char *path, bool writer, struct err *err) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0);
  int rc = sqlite3_open_v2(path, out, flags, NULL);
  enum moonkeep_code code =
      rc == SQLITE_OK ? set_up(*out, writer, err) : sql_fail(*out, rc, "open the store file", err);
  if (!code) return code;
  sqlite3_close(*out);
  *out = NULL;
  return code;
}

void sql_wait_for_others(sqlite3 *db, bool wait) {
  sqlite3_busy_timeout(db, wait ? SQL_BUSY_MS : 0);
}

static void put_uri(struct buf *uri, const char *path) {
  buf_puts(uri, "file:");
  for (; *path; path++) {
    if (strchr("%?#", *path))
      buf_printf(uri, "%%%02X", (unsigned)(unsigned char)*path);
    else
      buf_putc(uri, *path);
  }
  buf_puts(uri, "?immutable=1");
}

enum moonkeep_code sql_open_still(sqlite3 **out, const char *path, struct err *err) {
  struct buf uri = {0};
  *out = NULL;
  put_uri(&uri, path);
  const char *name = buf_text(&uri);
  int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
  int rc = uri.failed ? SQLITE_NOMEM : sqlite3_open_v2(name, out, flags, NULL);
  enum moonkeep_code code =
      rc == SQLITE_OK ? set_up(*out, false, err) : sql_fail(*out, rc, "open the file", err);
  buf_deinit(&uri);
  if (!code) return code;
  sqlite3_close(*out);
  *out = NULL;
  return code;
}

enum moonkeep_code sql_run(sqlite3 *db, const char *sql, const char *doing, struct err *err) {
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? MOONKEEP_OK : sql_fail(db, rc, doing, err);
}

enum moonkeep_code sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err) {
  int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
  return rc == SQLITE_OK ? MOONKEEP_OK : sql_fail(db, rc, "prepare a statement", err);
}

enum moonkeep_code sql_number(sqlite3 *db, const char *sql, const char *doing, int64_t *number,
                              struct err *err) {
  sqlite3_stmt *statement = NULL;
  *number = 0;
  enum moonkeep_code code = sql_prepare(db, sql, &statement, err);
  if (code) return code;
  int rc = sqlite3_step(statement);
  if (rc == SQLITE_ROW)
    *number = sqlite3_column_int64(statement, 0);
  else if (rc != SQLITE_DONE)
    code = sql_fail(db, rc, doing, err);
  sqlite3_finalize(statement);
  return code;
}

bool sql_ask(sqlite3 *db, const char *sql, int64_t *number) {
  struct err ignored;
  return sql_number(db, sql, "look at the store file", number, &ignored) == MOONKEEP_OK;
}

void shelves_init(struct shelves *shelves, sqlite3 *db, const char *const *sql) {
  *shelves = (struct shelves){.db = db, .sql = sql};
}

void shelves_deinit(struct shelves *shelves) {
  while (shelves->first) {
    struct shelf *shelf = shelves->first;
    shelves->first = shelf->next;
    for (int i = 0; i < SHELF_KINDS; i++) sqlite3_finalize(shelf->statements[i]);
    mem_free(shelf);
  }
}

struct shelf *shelf_of(struct shelves *shelves, const char *name, size_t name_len, struct err *err) {
  for (struct shelf *shelf = shelves->first; shelf; shelf = shelf->next)
    if (strlen(shelf->name) == name_len && memcmp(shelf->name, name, name_len) == 0) return shelf;
  struct shelf *shelf = name_len < sizeof shelf->name ? mem_zero(sizeof *shelf) : NULL;
  if (!shelf) {
    err_memory(err);
    return NULL;
  }
  memcpy(shelf->name, name, name_len);
  shelf->next = shelves->first;
  shelves->first = shelf;
  return shelf;
}

static bool table_exists(sqlite3 *db, const char *name) {
  return sqlite3_table_column_metadata(db, "main", name, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

static int prepare(struct shelves *shelves, struct shelf *shelf, int kind) {
  char *sql = sqlite3_mprintf(shelves->sql[kind], shelf->name, shelf->name);
  int rc = SQLITE_NOMEM;
  if (sql)
    rc = sqlite3_prepare_v3(shelves->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &shelf->statements[kind], NULL);
  sqlite3_free(sql);
  return rc;
}

/* Looks at the file. While that fails, SQLite says "no such table" of every table that it has not met yet;
 * and where tables come into being while it looks, that they have changed. In a transaction they stand still
 * from here on. */
static enum moonkeep_code read_schema(sqlite3 *db, struct err *err) {
  int64_t tables;
  return sql_number(db, "SELECT count(*) FROM sqlite_schema", "read the store", &tables, err);
}

/* SQLite does not tell "gold" from "Gold"; no store may be read as another one. */
static bool has_this_name(struct shelves *shelves, const struct shelf *shelf, struct err *err) {
  int64_t tables = 0;
  char *sql = sqlite3_mprintf("SELECT count(*) FROM sqlite_schema WHERE name=%Q", shelf->name);
  enum moonkeep_code code =
      sql ? sql_number(shelves->db, sql, "read the store", &tables, err) : err_memory(err);
  sqlite3_free(sql);
  if (!code && tables == 0) err_set(err, MOONKEEP_OK, "no such table");
  return !code && tables > 0;
}

static sqlite3_stmt *make(struct shelves *shelves, struct shelf *shelf, int kind, struct err *err) {
  int rc = prepare(shelves, shelf, kind);
  if (rc == SQLITE_ERROR || rc == SQLITE_SCHEMA) {
    if (read_schema(shelves->db, err)) return NULL;
    rc = prepare(shelves, shelf, kind);
  }
  if (rc == SQLITE_OK && shelves->exact && !has_this_name(shelves, shelf, err)) {
    sqlite3_finalize(shelf->statements[kind]);
    shelf->statements[kind] = NULL;
    return NULL;
  }
  if (rc == SQLITE_ERROR && !table_exists(shelves->db, shelf->name))
    err_set(err, MOONKEEP_OK, "no such table");
  else if (rc != SQLITE_OK)
    sql_fail(shelves->db, rc, "read the store", err);
  return shelf->statements[kind];
}

sqlite3_stmt *shelf_statement(struct shelves *shelves, struct shelf *shelf, int kind, struct err *err) {
  sqlite3_stmt *statement = shelf->statements[kind];
  return statement ? statement : make(shelves, shelf, kind, err);
}
