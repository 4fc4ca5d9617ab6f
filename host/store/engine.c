#include "store/engine.h"

#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "store/archiver.h"
#include "store/journal.h"
#include "store/keepsake.h"
#include "store/row.h"
#include "store/schema.h"
#include "store/sum.h"
#include "store/engine_parts.h"

static const char *const statements[SHELF_KINDS] = {
    [ENGINE_PUT] =
        "INSERT INTO \"%w\"(key, value, expires_at, sum) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(key) DO "
        "UPDATE SET value=excluded.value, expires_at=excluded.expires_at, sum=excluded.sum",
    [ENGINE_ERASE] = "DELETE FROM \"%w\" WHERE key=?1",
    [ENGINE_RANGE] = "SELECT i.key, " ROW_COLUMNS ", i.rowid FROM " ROW_FROM
                     " WHERE i.key>=?1 AND i.key<?2 ORDER BY i.key",
    [ENGINE_EXPIRED] = "SELECT t.key, " ROW_COLUMNS ", i.rowid FROM " ROW_FROM " WHERE i.expires_at<=?1 "
                       "ORDER BY i.expires_at LIMIT ?2 OFFSET ?3",
};

/* Called by SQLite after each commit with the pages that the log then holds. */
static int count_pages(void *ctx, sqlite3 *db, const char *name, int pages) {
  (void)db;
  (void)name;
  ((struct engine *)ctx)->wal_pages = pages;
  return SQLITE_OK;
}

enum moonkeep_code engine_rollback(struct engine *engine, enum moonkeep_code code) {
  if (!sqlite3_get_autocommit(engine->db)) sqlite3_exec(engine->db, "ROLLBACK", NULL, NULL, NULL);
  return code;
}

enum moonkeep_code engine_relax(struct engine *engine, const char *doing, struct err *err) {
  engine->relaxed = true;
  return sql_run(engine->db, "PRAGMA synchronous=NORMAL; BEGIN IMMEDIATE", doing, err);
}

enum moonkeep_code engine_tighten(struct engine *engine, struct err *err) {
  if (!engine->relaxed) return MOONKEEP_OK;
  enum moonkeep_code code = sql_run(engine->db, "PRAGMA synchronous=FULL", "make changes durable", err);
  engine->relaxed = code != 0;
  return code;
}

static enum moonkeep_code read_counters(struct engine *engine, struct err *err) {
  int64_t epoch, folded, first, last, bytes, branch, at_work;
  sqlite3 *db = engine->db;
  static const char doing[] = "read the store file";
  enum moonkeep_code code = sql_number(db, "SELECT value FROM _meta WHERE name='epoch'", doing, &epoch, err);
  if (!code) code = sql_number(db, "SELECT value FROM _meta WHERE name='folded_seq'", doing, &folded, err);
  if (!code) code = sql_number(db, "SELECT value FROM _meta WHERE name='logs'", doing, &engine->logs, err);
  if (!code)
    code = sql_number(db, "SELECT value FROM _meta WHERE name='parent'", doing, &engine->parent, err);
  if (!code) code = sql_number(db, "SELECT value FROM _meta WHERE name='branch'", doing, &branch, err);
  if (!code) code = sql_number(db, "SELECT value FROM _meta WHERE name='base'", doing, &engine->base, err);
  if (!code)
    code = sql_number(db, "SELECT count(*) FROM _meta WHERE name='closed' AND value=0", doing, &at_work, err);
  if (!code) code = sql_number(db, "SELECT min(seq) FROM _journal", doing, &first, err);
  if (!code) code = sql_number(db, "SELECT max(seq) FROM _journal", doing, &last, err);
  if (!code) code = sql_number(db, "SELECT sum(length(changes)) FROM _journal", doing, &bytes, err);
  if (code) return code;
  /* A fold takes its rows away: what is there is not folded, whatever a damaged note says. */
  if (first > 0 && first <= folded) folded = first - 1;
  engine->epoch = (uint64_t)epoch;
  engine->branch = (uint64_t)branch;
  engine->at_work = at_work > 0;
  engine->folded_seq = (uint64_t)folded;
  engine->last_seq = (uint64_t)(last > folded ? last : folded);
  engine->journal_bytes = (size_t)bytes;
  return MOONKEEP_OK;
}

/* Where the file system has no shared memory, SQLite stays without a write-ahead log and calls that no error.
 */
static enum moonkeep_code use_log(struct engine *engine, struct err *err) {
  sqlite3_stmt *mode;
  enum moonkeep_code code = sql_prepare(engine->db, "PRAGMA journal_mode=WAL", &mode, err);
  if (code) return code;
  int rc = sqlite3_step(mode);
  const char *is = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(mode, 0) : NULL;
  if (rc != SQLITE_ROW)
    code = sql_fail(engine->db, rc, "open the store file", err);
  else if (!is)
    code = err_memory(err);
  else if (strcmp(is, "wal") != 0)
    code = err_set(err, MOONKEEP_INVALID,
                   "the file system of %s cannot share memory between programs, which the store needs (a "
                   "network file system?); name another folder with --data",
                   engine->path);
  sqlite3_finalize(mode);
  return code;
}

static enum moonkeep_code open_file(struct engine *engine, struct err *err) {
  char sql[64];
  sqlite3_snprintf(sizeof sql, sql, "PRAGMA cache_size=-%d", (int)(engine->cache_bytes >> 10));
  schema_take_back(engine->path);
  enum moonkeep_code code = sql_open(&engine->db, engine->path, true, err);
  return code ? code : sql_run(engine->db, sql, "open the store file", err);
}

/* A number that no other database has, so that one that was put in this one's place is noticed. */
static enum moonkeep_code claim_id(struct engine *engine, struct err *err) {
  static const char ask[] = "SELECT value FROM _meta WHERE name='id'", doing[] = "open the store file";
  enum moonkeep_code code = sql_number(engine->db, ask, doing, &engine->id, err);
  if (code || engine->id != 0) return code;
  engine->id_is_new = true;
  code = sql_run(engine->db, "INSERT OR REPLACE INTO _meta VALUES('id', random()|1)", doing, err);
  return code ? code : sql_number(engine->db, ask, doing, &engine->id, err);
}

/* What has been brought up to date cannot be taken back. */
static enum moonkeep_code keep_as_it_is(const struct engine *engine, struct err *err) {
  struct snapshot made;
  struct err why;
  struct archiver *archiver = engine->archiver;
  enum moonkeep_code code = keepsake_take(engine->db, archiver->deed, archiver->clock, &made, &why);
  if (code)
    return err_set(
        err, code,
        "%s is of an older version, and is not brought up to date without a backup, which failed: %.300s. "
        "Make room, or name another folder with --backups",
        engine->path, why.message);
  log_write(engine->log, LOG_INFO, "backup", "%s: the store file as it was, verified", made.name);
  return MOONKEEP_OK;
}

static enum moonkeep_code connect(struct engine *engine, struct err *err) {
  enum moonkeep_code code = open_file(engine, err);
  int64_t version = 0;
  if (!code) code = schema_recognise(engine->db, engine->path, &version, err);
  if (!code) code = use_log(engine, err);
  if (!code && version > 0 && version < SCHEMA_VERSION)
    log_write(engine->log, LOG_INFO, "store", "bringing %s from version %d to %d", engine->path, (int)version,
              SCHEMA_VERSION);
  if (!code && engine->archiver && version > 0 && version < SCHEMA_VERSION) code = keep_as_it_is(engine, err);
  if (!code) code = schema_migrate(engine->db, version, err);
  if (!code) code = schema_check_own_tables(engine->db, engine->path, err);
  if (!code) code = read_counters(engine, err);
  if (!code) code = claim_id(engine, err);
  if (!code)
    code = sql_prepare(engine->db, "INSERT INTO _journal(seq, at, changes, sum) VALUES(?1, ?2, ?3, ?4)",
                       &engine->append, err);
  if (code) return code;
  shelves_init(&engine->shelves, engine->db, statements);
  sqlite3_wal_hook(engine->db, count_pages, engine);
  return MOONKEEP_OK;
}

static void disconnect(struct engine *engine) {
  engine_end_fold(engine);
  sqlite3_finalize(engine->append);
  shelves_deinit(&engine->shelves);
  sqlite3_close(engine->db);
  engine->append = NULL;
  engine->db = NULL;
  engine->relaxed = engine->counted = engine->partly = false;
}

enum moonkeep_code engine_comfort(const struct engine *engine, enum moonkeep_code code, struct err *err) {
  if (code != MOONKEEP_FULL || !err) return code;
  struct err why = *err;
  return err_set(err, code,
                 "%.300s. Nothing that was saved is lost: make room on the disk of %s, and start again",
                 why.message, engine->path);
}

/* Folds what a crash has left, but for the keys that other programs have changed since: theirs is the newer
 * value. */
static enum moonkeep_code take_over(struct engine *engine, struct err *err) {
  int64_t edits;
  enum moonkeep_code code =
      sql_number(engine->db, "SELECT count(*) FROM _edited", "read the store file", &edits, err);
  if (!code && edits > 0)
    code = sql_prepare(engine->db, "SELECT 1 FROM _edited WHERE store=?1 AND key=?2", &engine->edited, err);
  if (!code) code = engine_fold_all(engine, err);
  sqlite3_finalize(engine->edited);
  engine->edited = NULL;
  if (!code && edits > 0) code = sql_run(engine->db, "DELETE FROM _edited", "read the store file", err);
  return code;
}

/* Whether the last stop was not a clean one: then the log is still there. */
static bool log_is_left(const char *path) {
  struct buf log = {0};
  struct stat st;
  buf_printf(&log, "%s-wal", path);
  bool left = log.failed || (stat(buf_text(&log), &st) == 0 && st.st_size > 0);
  buf_deinit(&log);
  return left;
}

/* Behind the end of a log that power loss has cut short there may be frames of groups that nobody was told
 * of. They would count again as soon as what is missing before them is written once more, to the bit, which
 * is what a fold or a sweep does that starts over. What is written here has never been written before, so it
 * cuts them off, before anybody reads. */
static enum moonkeep_code cut_off(struct engine *engine, struct err *err) {
  return sql_run(engine->db,
                 "INSERT INTO _meta(name, value) VALUES('takeovers', 1)"
                 " ON CONFLICT(name) DO UPDATE SET value=value+1",
                 "take over the store file", err);
}

enum moonkeep_code engine_open(struct engine *engine, const struct folder *folder, const char *path,
                               size_t cache_bytes, const struct log *log, struct err *err) {
  return engine_open_archived(engine, folder, path, cache_bytes, log, NULL, err);
}

enum moonkeep_code engine_open_archived(struct engine *engine, const struct folder *folder, const char *path,
                                        size_t cache_bytes, const struct log *log, struct archiver *archiver,
                                        struct err *err) {
  *engine = (struct engine){.path = path,
                            .log = log,
                            .archiver = archiver,
                            .cache_bytes = cache_bytes}; /* next_expiry_ms 0: the first sweep finds it out */
  bool left = log_is_left(path);
  enum moonkeep_code code = schema_check_header(path, err);
  if (!code) code = connect(engine, err);
  if (!code && !left) engine->settled = engine->logs;
  if (!code && left) code = engine_comfort(engine, cut_off(engine, err), err);
  if (!code && engine->journal_bytes > 0)
    log_write(log, LOG_INFO, "store",
              "taking over %zu bytes of changes that were saved but not yet in the tables",
              engine->journal_bytes);
  if (!code && archiver) archiver_look(archiver, engine);
  engine->keeps_fresh = archiver && archiver->mode != STORE_ARCHIVE_OFF;
  if (!code) code = engine_comfort(engine, take_over(engine, err), err);
  if (!code) code = folder_sync(folder, err);
  if (code) disconnect(engine);
  return code;
}

enum moonkeep_code engine_close(struct engine *engine, bool clean, struct err *err) {
  enum moonkeep_code code = clean ? engine_finish(engine, err) : MOONKEEP_OK;
  disconnect(engine);
  buf_deinit(&engine->fresh);
  return code;
}

static const char saving[] = "save changes";

/* Also one that fails: whether it is in the file may only come out later. */
static void keep_fresh(struct engine *engine, uint64_t seq, int64_t at_ms, const void *changes, size_t len) {
  struct archive_group group = {
      .seq = seq, .before = engine->last_seq, .at_ms = at_ms, .changes = changes, .len = len};
  if (!engine->keeps_fresh || engine->in_many) return;
  if (engine->fresh.len == 0) engine->fresh_before = engine->last_seq;
  archive_put(&engine->fresh, engine->epoch, &group);
}

static enum moonkeep_code insert_group(struct engine *engine, uint64_t seq, int64_t at_ms,
                                       const void *changes, size_t len, struct err *err) {
  sqlite3_stmt *append = engine->append;
  enum moonkeep_code code = MOONKEEP_OK;
  sqlite3_bind_int64(append, 1, (int64_t)seq);
  sqlite3_bind_int64(append, 2, at_ms);
  sqlite3_bind_blob64(append, 3, changes, len, SQLITE_STATIC);
  sqlite3_bind_int64(append, 4, sum_group((int64_t)seq, at_ms, changes, len));
  int rc = sqlite3_step(append);
  if (rc != SQLITE_DONE) code = sql_fail(engine->db, rc, saving, err);
  sqlite3_reset(append);
  sqlite3_clear_bindings(append);
  return code;
}

/* The first group of a log says which log that is; where it is none, the checkpoint does (count_log). */
static enum moonkeep_code insert_first(struct engine *engine, uint64_t seq, int64_t at_ms,
                                       const void *changes, size_t len, struct err *err) {
  enum moonkeep_code code =
      engine->in_many ? MOONKEEP_OK : sql_run(engine->db, "BEGIN IMMEDIATE", saving, err);
  if (!code) code = insert_group(engine, seq, at_ms, changes, len, err);
  if (!code) code = engine_number_log(engine, false, saving, err);
  if (!code && !engine->in_many) code = sql_run(engine->db, "COMMIT", saving, err);
  if (!code) engine_log_is_numbered(engine, false);
  return code;
}

enum moonkeep_code engine_append(struct engine *engine, uint64_t seq, int64_t at_ms, const void *changes,
                                 size_t len, struct err *err) {
  enum moonkeep_code code = engine_tighten(engine, err);
  if (code) return code;
  bool within = !engine->in_many && !sqlite3_get_autocommit(engine->db); /* the record of an erasure */
  code = engine->counted || within ? insert_group(engine, seq, at_ms, changes, len, err)
                                   : insert_first(engine, seq, at_ms, changes, len, err);
  keep_fresh(engine, seq, at_ms, changes, len);
  if (code) return engine_rollback(engine, code);
  engine->last_seq = seq;
  engine->journal_bytes += len;
  return MOONKEEP_OK;
}

enum moonkeep_code engine_begin_many(struct engine *engine, struct err *err) {
  enum moonkeep_code code = engine_tighten(engine, err);
  if (!code) code = sql_run(engine->db, "BEGIN IMMEDIATE", "save changes", err);
  engine->before_many.last_seq = engine->last_seq;
  engine->before_many.journal_bytes = engine->journal_bytes;
  engine->before_many.logs = engine->logs;
  engine->before_many.counted = engine->counted;
  engine->in_many = !code;
  return code;
}

enum moonkeep_code engine_end_many(struct engine *engine, bool keep, struct err *err) {
  enum moonkeep_code code = keep ? sql_run(engine->db, "COMMIT", "save changes", err) : MOONKEEP_OK;
  engine->in_many = false;
  if (keep && !code) return code;
  engine_rollback(engine, code);
  engine->last_seq = engine->before_many.last_seq;
  engine->journal_bytes = engine->before_many.journal_bytes;
  engine->logs = engine->before_many.logs;
  engine->counted = engine->before_many.counted;
  return code;
}

static enum moonkeep_code read_group(struct engine *engine, sqlite3_stmt *row, uint64_t *last,
                                     struct err *err) {
  struct archive_group group = {.seq = (uint64_t)sqlite3_column_int64(row, 0), .before = *last};
  group.at_ms = sqlite3_column_int64(row, 1);
  group.changes = sqlite3_column_blob(row, 2);
  group.len = (size_t)sqlite3_column_bytes(row, 2);
  archive_put(&engine->fresh, engine->epoch, &group);
  *last = group.seq;
  return engine->fresh.failed ? err_memory(err) : MOONKEEP_OK;
}

enum moonkeep_code engine_read_fresh(struct engine *engine, uint64_t after, size_t bytes, uint64_t *last,
                                     struct err *err) {
  sqlite3_stmt *rows;
  *last = engine->fresh_before = after;
  enum moonkeep_code code =
      sql_prepare(engine->db, "SELECT seq, at, changes FROM _journal WHERE seq>?1 ORDER BY seq", &rows, err);
  if (code) return code;
  sqlite3_bind_int64(rows, 1, (int64_t)after);
  int rc = SQLITE_ROW;
  while (!code && engine->fresh.len < bytes && (rc = sqlite3_step(rows)) == SQLITE_ROW)
    code = read_group(engine, rows, last, err);
  if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
    code = sql_fail(engine->db, rc, "read the journal", err);
  sqlite3_finalize(rows);
  return code;
}

enum moonkeep_code engine_raise_epoch(struct engine *engine, uint64_t newest, uint64_t epoch,
                                      struct err *err) {
  char sql[160];
  int64_t parent = epoch > 0 ? (int64_t)epoch : -1;
  uint64_t next = (newest > engine->epoch ? newest : engine->epoch) + 1;
  sqlite3_snprintf(sizeof sql, sql,
                   "INSERT OR REPLACE INTO _meta VALUES('epoch', %llu), ('parent', %lld), ('branch', %llu)",
                   (unsigned long long)next, (long long)parent, (unsigned long long)engine->last_seq);
  enum moonkeep_code code = sql_run(engine->db, sql, "begin an epoch", err);
  if (code) return code;
  engine->epoch = next;
  engine->parent = parent;
  engine->branch = engine->last_seq;
  return MOONKEEP_OK;
}

enum moonkeep_code engine_count_edit(struct engine *engine, struct err *err) {
  char sql[96];
  sqlite3_snprintf(sizeof sql, sql, "UPDATE _meta SET value=%llu WHERE name='folded_seq'",
                   (unsigned long long)engine->last_seq + 1);
  enum moonkeep_code code = engine_tighten(engine, err);
  if (!code) code = sql_run(engine->db, sql, "open the store file", err);
  if (code) return engine_rollback(engine, code);
  engine->folded_seq = ++engine->last_seq;
  return MOONKEEP_OK;
}

static enum moonkeep_code group_is_there(struct engine *engine, uint64_t seq, bool *there, struct err *err) {
  char sql[80];
  int64_t found = 0;
  sqlite3_snprintf(sizeof sql, sql, "SELECT count(*) FROM _journal WHERE seq=%llu", (unsigned long long)seq);
  enum moonkeep_code code = sql_number(engine->db, sql, "look for a group", &found, err);
  *there = found == 1;
  return code;
}

enum moonkeep_code engine_reopen(struct engine *engine, const struct folder *folder, uint64_t seq,
                                 bool *there, struct err *err) {
  if (engine->db) disconnect(engine);
  enum moonkeep_code code = folder_renew(folder, "appdata.db-wal", err);
  if (!code) code = connect(engine, err);
  if (!code) code = group_is_there(engine, seq, there, err);
  /* The cache must not say less than the file: what is in the journal goes into the tables before anybody
   * reads. */
  if (!code) code = engine_fold_all(engine, err);
  if (code) disconnect(engine);
  return code;
}
