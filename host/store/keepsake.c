#include "store/keepsake.h"

#include <unistd.h>

#include "base/buf.h"
#include "store/disk.h"
#include "store/sql.h"

static enum moonkeep_code copy_pages(sqlite3 *from, sqlite3 *to, struct err *err) {
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  if (!backup) return sql_fail(to, sqlite3_errcode(to), "make a backup", err);
  int rc = sqlite3_backup_step(backup, -1);
  int finished = sqlite3_backup_finish(backup);
  if (rc != SQLITE_DONE) return sql_fail(NULL, rc, "make a backup", err);
  return finished == SQLITE_OK ? MOONKEEP_OK : sql_fail(to, finished, "make a backup", err);
}

/* The copy needs no write-ahead log beside it. */
static enum moonkeep_code make_copy(sqlite3 *from, const char *path, struct err *err) {
  sqlite3 *to = NULL;
  enum moonkeep_code code = sql_open(&to, path, true, err);
  if (!code) code = copy_pages(from, to, err);
  if (!code) code = sql_run(to, "PRAGMA journal_mode=DELETE", "make a backup", err);
  sqlite3_close(to);
  return code ? code : disk_sync(path, err);
}

/* What the file says of itself, for those who only list it. */
static enum moonkeep_code write_notes(const char *path, const struct snapshot *read, struct err *err) {
  sqlite3 *db = NULL;
  char sql[160];
  sqlite3_snprintf(sizeof sql, sql,
                   "INSERT OR REPLACE INTO _meta VALUES('backup_keys', %llu), ('backup_sum', %lld)",
                   (unsigned long long)read->keys, (long long)read->sum);
  enum moonkeep_code code = sql_open(&db, path, true, err);
  if (!code) code = sql_run(db, sql, "make a backup", err);
  sqlite3_close(db);
  return code ? code : disk_sync(path, err);
}

static enum moonkeep_code check_copy(const char *path, struct snapshot *out, struct err *err) {
  struct snapshot first, second;
  enum moonkeep_code code = snapshot_verify(path, &first, err);
  if (!code) code = write_notes(path, &first, err);
  if (!code) code = snapshot_verify(path, &second, err);
  if (!code && (first.keys != second.keys || first.sum != second.sum))
    code = err_set(err, MOONKEEP_CORRUPT, "the backup does not read the same twice");
  if (code) return code;
  int64_t at_ms = out->at_ms;
  *out = second;
  out->at_ms = at_ms;
  return MOONKEEP_OK;
}

enum moonkeep_code keepsake_take(sqlite3 *db, struct deed *deed, const struct clock *clock,
                                 struct snapshot *out, struct err *err) {
  const char *dir = deed->dir;
  struct buf half = {0};
  *out = (struct snapshot){.at_ms = clock_wall_ms(clock)};
  buf_printf(&half, "%s/" SNAPSHOT_HALF_MADE "%ld-before", dir, (long)getpid());
  const char *path = buf_text(&half);
  enum moonkeep_code code = half.failed ? err_memory(err) : disk_make_folder(dir, err);
  if (!code) code = deed_claim(deed, DEED_WRITE, err);
  if (!code) code = make_copy(db, path, err);
  if (!code) code = check_copy(path, out, err);
  if (!code) code = snapshot_take_name(path, dir, out, err);
  if (code && !half.failed) unlink(path);
  buf_deinit(&half);
  return code;
}
