#include "store/foreign.h"

#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "store/schema.h"
#include "store/sql.h"

/* The columns are store, key, value, expiry. */
static const struct kind {
  const char *table, *column; /* what it is known by */
  const char *sql;
  bool is_json;
} kinds[] = {
    /* SQLite takes the other columns from the row that has the greatest rowid. A moment that was given as
     * text stays one there. */
    {"__rootapp_kv", "expires_at",
     "SELECT NULL, key, value, CASE typeof(expires_at) WHEN 'text' THEN"
     " CAST(round((julianday(expires_at)-2440587.5)*86400000) AS INTEGER) ELSE expires_at END, max(rowid)"
     " FROM __rootapp_kv GROUP BY key ORDER BY key",
     true},
    /* The names of some mods, 3d_armor for one, are none that a store can have. */
    {"entries", "modname",
     "SELECT CASE WHEN modname GLOB '[a-zA-Z]*' THEN modname ELSE 'mod_'||modname END, key, value, NULL"
     " FROM entries ORDER BY 1, key",
     false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct foreign {
  sqlite3 *db;
  sqlite3_stmt *rows;
  const struct kind *kind;
  char number[NUMBER_TEXT]; /* a value that is a number in the table */
};

bool foreign_is_database(const char *bytes, size_t len) {
  static const char magic[16] = "SQLite format 3";
  return len >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static bool has_column(sqlite3 *db, const struct kind *kind) {
  return sqlite3_table_column_metadata(db, "main", kind->table, kind->column, NULL, NULL, NULL, NULL, NULL) ==
         SQLITE_OK;
}

static enum moonkeep_code no_kind(sqlite3 *db, const char *path, struct err *err) {
  int64_t id, tables;
  enum moonkeep_code code = sql_number(db, "SELECT count(*) FROM sqlite_schema", "read it", &tables, err);
  if (!code) code = sql_number(db, "PRAGMA application_id", "read it", &id, err);
  if (code) {
    struct err why = *err;
    return err_set(err, code, "%s: %s", path, why.message);
  }
  if (id == SCHEMA_APPLICATION_ID)
    return err_set(err, MOONKEEP_INVALID,
                   "%s is a store of moonkeep's own: put it into a folder as appdata.db and take the rows "
                   "from there, moonkeep export --data FOLDER | moonkeep import",
                   path);
  return err_set(err, MOONKEEP_INVALID,
                 "%s is a database, but neither the Root SDK's (__rootapp_kv) nor a mod_storage.sqlite of "
                 "Luanti (entries)",
                 path);
}

static enum moonkeep_code begin(struct foreign *foreign, const char *path, struct err *err) {
  int rc = sqlite3_open_v2(path, &foreign->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc != SQLITE_OK) return sql_fail(foreign->db, rc, "open the database", err);
  sqlite3_extended_result_codes(foreign->db, 1);
  sqlite3_busy_timeout(foreign->db, SQL_BUSY_MS);
  enum moonkeep_code code = sql_run(foreign->db, "PRAGMA trusted_schema=OFF", "open the database", err);
  if (code) return code;
  for (size_t i = 0; i < KINDS && !foreign->kind; i++)
    if (has_column(foreign->db, &kinds[i])) foreign->kind = &kinds[i];
  if (!foreign->kind) return no_kind(foreign->db, path, err);
  return sql_prepare(foreign->db, foreign->kind->sql, &foreign->rows, err);
}

enum moonkeep_code foreign_open(struct foreign **out, const char *path, struct err *err) {
  struct foreign *foreign = *out = mem_zero(sizeof *foreign);
  if (!foreign) return err_memory(err);
  enum moonkeep_code code = begin(foreign, path, err);
  if (!code) return code;
  foreign_close(foreign);
  *out = NULL;
  return code;
}

void foreign_close(struct foreign *foreign) {
  if (!foreign) return;
  sqlite3_finalize(foreign->rows);
  sqlite3_close(foreign->db);
  mem_free(foreign);
}

static const char *text_of(sqlite3_stmt *rows, int column, size_t *len) {
  const char *text = sqlite3_column_blob(rows, column); /* a text's bytes, whatever they are */
  *len = (size_t)sqlite3_column_bytes(rows, column);
  return text ? text : "";
}

/* A number keeps all its digits; nothing is null. */
static void read_value(struct foreign *foreign, struct foreign_row *row) {
  row->is_json = true;
  row->value = foreign->number;
  switch (sqlite3_column_type(foreign->rows, 2)) {
  case SQLITE_INTEGER:
    row->value_len = number_print_integer(foreign->number, sqlite3_column_int64(foreign->rows, 2));
    break;
  case SQLITE_FLOAT:
    row->value_len = number_print_float(foreign->number, sqlite3_column_double(foreign->rows, 2));
    break;
  case SQLITE_NULL:
    row->value = "null";
    row->value_len = 4;
    break;
  default: row->value = text_of(foreign->rows, 2, &row->value_len); row->is_json = foreign->kind->is_json;
  }
}

enum moonkeep_code foreign_next(struct foreign *foreign, struct foreign_row *row, bool *end,
                                struct err *err) {
  int rc = sqlite3_step(foreign->rows);
  *end = rc == SQLITE_DONE;
  if (*end) return MOONKEEP_OK;
  if (rc != SQLITE_ROW) return sql_fail(foreign->db, rc, "read the database", err);
  *row = (struct foreign_row){.expires_at_ms = sqlite3_column_int64(foreign->rows, 3)};
  if (sqlite3_column_type(foreign->rows, 0) != SQLITE_NULL)
    row->store = (const char *)sqlite3_column_text(foreign->rows, 0);
  row->key = text_of(foreign->rows, 1, &row->key_len);
  read_value(foreign, row);
  return MOONKEEP_OK;
}
