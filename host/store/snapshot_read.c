/* Snapshots are read back: all of one, or what it says of itself. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/disk.h"
#include "store/moment.h"
#include "store/row.h"
#include "store/schema.h"
#include "store/snapshot.h"
#include "store/sql.h"
#include "store/sum.h"

static enum moonkeep_code open_to_read(const char *path, sqlite3 **db, struct err *err) {
  int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
  return rc == SQLITE_OK ? MOONKEEP_OK : sql_fail(*db, rc, "open a backup", err);
}

static enum moonkeep_code begin_reading(const char *path, struct snapshot *out, struct err *err) {
  struct stat st;
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  *out = (struct snapshot){0};
  if (snapshot_moment(name, &out->at_ms)) memcpy(out->name, name, strlen(name) + 1);
  if (stat(path, &st) != 0)
    return err_set(err, disk_code(errno), "cannot read the backup %s: %s", path, strerror(errno));
  out->bytes = (uint64_t)st.st_size;
  return MOONKEEP_OK;
}

enum moonkeep_code snapshot_describe(const char *path, struct snapshot *out, struct err *err) {
  static const char *const notes[] = {"epoch", "folded_seq", "backup_keys", "backup_sum"};
  int64_t values[4] = {0};
  sqlite3 *db = NULL;
  enum moonkeep_code code = begin_reading(path, out, err);
  if (code) return code;
  code = open_to_read(path, &db, err);
  for (int i = 0; !code && i < 4; i++) {
    char sql[80];
    sqlite3_snprintf(sizeof sql, sql, "SELECT value FROM _meta WHERE name='%s'", notes[i]);
    code = sql_number(db, sql, "read a backup", &values[i], err);
  }
  sqlite3_close(db);
  out->epoch = (uint64_t)values[0];
  out->seq = (uint64_t)values[1];
  out->keys = (uint64_t)values[2];
  out->sum = values[3];
  return code;
}

/* What a start looks at, and would refuse. An older file gets them when it is migrated. */
static enum moonkeep_code check_own_tables(sqlite3 *db, const char *path, struct err *err) {
  int64_t version;
  enum moonkeep_code code = schema_recognise(db, path, &version, err);
  return code || version < SCHEMA_VERSION ? code : schema_check_own_tables(db, path, err);
}

static enum moonkeep_code check_pages(const char *path, struct err *err) {
  sqlite3 *db = NULL;
  sqlite3_stmt *check = NULL;
  int rc = SQLITE_ROW;
  enum moonkeep_code code = open_to_read(path, &db, err);
  if (!code) code = sql_prepare(db, "PRAGMA integrity_check(1)", &check, err);
  if (!code && (rc = sqlite3_step(check)) != SQLITE_ROW) code = sql_fail(db, rc, "check a backup", err);
  const char *says = code ? NULL : (const char *)sqlite3_column_text(check, 0);
  if (says && sql_is_about_reading(says)) {
    code = err_set(err, MOONKEEP_IO, "cannot read %s: %.300s", path, says);
    err->disk = true;
  } else if (!code && (!says || strcmp(says, "ok") != 0)) {
    code =
        err_set(err, MOONKEEP_CORRUPT, "%s is damaged: %.300s", path, says ? says : "it cannot be checked");
  }
  sqlite3_finalize(check);
  if (!code) code = check_own_tables(db, path, err);
  sqlite3_close(db);
  return code;
}

static enum moonkeep_code read_unusable(void *ctx, const struct unusable *row, struct err *err) {
  struct snapshot *out = ctx;
  (void)err;
  out->unusable++;
  out->unusable_sum = sum_chain(out->unusable_sum, row_raw_sum(row->row, row->store));
  return MOONKEEP_OK;
}

static enum moonkeep_code read_all(struct moment *moment, struct snapshot *out, struct err *err) {
  enum moonkeep_code code = moment_place(moment, &out->epoch, &out->seq, err);
  while (!code) {
    struct moment_row row;
    bool end;
    code = moment_next(moment, &row, &end, err);
    if (code || end) break;
    out->sum = sum_chain(out->sum, moment_sum(&row));
    out->keys++;
  }
  return code;
}

enum moonkeep_code snapshot_verify(const char *path, struct snapshot *out, struct err *err) {
  struct moment *moment;
  struct moment_options options = {
      .file = path, .whole = true, .alone = true, .unusable = read_unusable, .ctx = out};
  enum moonkeep_code code = begin_reading(path, out, err);
  if (!code) code = check_pages(path, err);
  if (!code) code = moment_open(&moment, &options, err);
  if (code) return code;
  code = read_all(moment, out, err);
  moment_close(moment);
  return code;
}
