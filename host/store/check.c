#include "store/check.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/journal.h"
#include "store/row.h"
#include "store/schema.h"
#include "store/sql.h"
#include "store/sum.h"

enum {
  BATCH_ROWS = 1000, /* of one read transaction, so that the log can be wrapped in between */
  STEPS = 20000,     /* of SQLite's machine, between two looks at go_on */
  MOST_FAULTS = 100,
};

struct checking {
  sqlite3 *db;
  const char *path;
  const struct check *check;
  struct check_found *found;
  struct err first; /* what was found first; code 0: nothing */
};

static bool goes_on(const struct checking *checking) {
  const struct check *check = checking->check;
  return !check->go_on || check->go_on(check->ctx);
}

static int on_steps(void *ctx) {
  return goes_on(ctx) ? 0 : 1;
}

/* The error of a step that gave no row; damage is noted, and the check goes on elsewhere. */
static enum moonkeep_code settle(struct checking *checking, int rc, struct err *err) {
  if (rc == SQLITE_INTERRUPT) return err_set(err, MOONKEEP_CLOSED, "the check was ended");
  enum moonkeep_code code = sql_fail(checking->db, rc, "check the file", err);
  if (code != MOONKEEP_CORRUPT) return code;
  checking->found->faults++;
  if (!checking->first.code) checking->first = *err;
  return MOONKEEP_OK;
}

/* ---- the structure ---- */

static void note_fault(struct checking *checking, const char *text) {
  checking->found->faults++;
  if (!checking->first.code)
    err_set(&checking->first, MOONKEEP_CORRUPT, "%s is damaged: %.300s", checking->path, text);
}

static enum moonkeep_code check_structure(struct checking *checking, struct err *err) {
  sqlite3_stmt *lines;
  const char *sql = checking->check->full ? "PRAGMA integrity_check(100)" : "PRAGMA quick_check(100)";
  enum moonkeep_code code = sql_prepare(checking->db, sql, &lines, err);
  if (code == MOONKEEP_CORRUPT) {
    note_fault(checking, err->message);
    return MOONKEEP_OK;
  }
  if (code) return code;
  int rc;
  while (!code && (rc = sqlite3_step(lines)) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(lines, 0);
    if (!text)
      code = err_memory(err);
    else if (sql_is_about_reading(text))
      code = err_set(err, MOONKEEP_IO, "cannot read %s: %.300s", checking->path, text);
    else if (strcmp(text, "ok") != 0)
      note_fault(checking, text);
  }
  if (!code && rc != SQLITE_DONE) code = settle(checking, rc, err);
  sqlite3_finalize(lines);
  return code;
}

/* ---- the rows ---- */

static void note_row(struct checking *checking, const char *bucket, const struct err *why) {
  checking->found->damaged++;
  if (!checking->first.code) checking->first = *why;
  if (checking->check->damaged) checking->check->damaged(checking->check->ctx, bucket, why);
}

static void note_unusable(struct checking *checking, const char *why) {
  struct check_found *found = checking->found;
  if (found->unusable++ == 0) snprintf(found->unusable_why, sizeof found->unusable_why, "%.299s", why);
}

/* Whether another program has written the row so that no store can use it. */
static enum moonkeep_code is_unusable(struct checking *checking, sqlite3_stmt *rows, const char *bucket,
                                      bool *is, struct err *err) {
  struct row row;
  struct buf scratch = {0};
  const char *nameless = row_nameless(rows);
  *is = true;
  if (nameless) {
    err_set(err, MOONKEEP_CORRUPT, "a row of %.63s was written by another program: %s", bucket, nameless);
    note_unusable(checking, err->message);
    return MOONKEEP_OK;
  }
  *is = false;
  if (row_read(rows, bucket, &row, err) != MOONKEEP_OK || !row.foreign) return MOONKEEP_OK;
  enum moonkeep_code code = row_adopt(bucket, &row, &scratch, err);
  buf_deinit(&scratch);
  if (code != MOONKEEP_CORRUPT) return code;
  *is = true;
  note_unusable(checking, err->message);
  return MOONKEEP_OK;
}

static enum moonkeep_code check_row(struct checking *checking, sqlite3_stmt *rows, const char *bucket,
                                    struct err *err) {
  struct row row;
  bool unusable;
  enum moonkeep_code code = is_unusable(checking, rows, bucket, &unusable, err);
  if (code || unusable) return code;
  code = row_read(rows, bucket, &row, err);
  if (code && code != MOONKEEP_CORRUPT) return code;
  if (code) {
    note_row(checking, bucket, err);
  } else {
    checking->found->keys++;
    checking->found->foreign += row.foreign;
  }
  return MOONKEEP_OK;
}

/* Takes one batch, a read transaction of its own; *more: there may be others. Damage to a page hides what
 * comes behind it; it has been told of as a fault. */
static enum moonkeep_code check_batch(struct checking *checking, sqlite3_stmt *rows, const char *bucket,
                                      int64_t *after, bool *more, struct err *err) {
  int rc, count = 0;
  enum moonkeep_code code = MOONKEEP_OK;
  sqlite3_bind_int64(rows, 1, *after);
  sqlite3_bind_int64(rows, 2, BATCH_ROWS);
  while (!code && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
    *after = sqlite3_column_int64(rows, 5);
    count++;
    code = check_row(checking, rows, bucket, err);
  }
  if (!code && rc != SQLITE_DONE) code = settle(checking, rc, err);
  *more = count == BATCH_ROWS && rc == SQLITE_DONE;
  sqlite3_reset(rows);
  if (!code && !goes_on(checking)) code = err_set(err, MOONKEEP_CLOSED, "the check was ended");
  return code;
}

static enum moonkeep_code check_bucket(void *ctx, const char *bucket, struct err *err) {
  struct checking *checking = ctx;
  sqlite3_stmt *rows = NULL;
  /* Whoever does not look at all rows looks at those that nothing vouches for. */
  char *sql = sqlite3_mprintf("SELECT t.key, t.key, t.value, t.expires_at, t.sum, t.rowid FROM \"%w\" AS t "
                              "NOT INDEXED WHERE t.rowid>=?1%s ORDER BY t.rowid LIMIT ?2",
                              bucket, checking->check->full ? "" : " AND t.sum IS NULL");
  enum moonkeep_code code = sql ? sql_prepare(checking->db, sql, &rows, err) : err_memory(err);
  sqlite3_free(sql);
  bool more = true;
  int64_t after = INT64_MIN;
  while (!code && more) {
    code = check_batch(checking, rows, bucket, &after, &more, err);
    if (more && after == INT64_MAX) break;
    after++;
  }
  sqlite3_finalize(rows);
  return code;
}

/* ---- the journal ---- */

static bool is_group(const void *bytes, size_t len) {
  struct journal_reader reader;
  struct journal_change change;
  journal_read(&reader, bytes, len);
  while (journal_next(&reader, &change)) {}
  return !reader.broken;
}

static void check_group(struct checking *checking, sqlite3_stmt *rows) {
  int64_t seq = sqlite3_column_int64(rows, 0), at_ms = sqlite3_column_int64(rows, 1);
  const void *bytes = sqlite3_column_blob(rows, 2);
  size_t len = (size_t)sqlite3_column_bytes(rows, 2);
  if (!bytes || sqlite3_column_int64(rows, 3) != sum_group(seq, at_ms, bytes, len) || !is_group(bytes, len)) {
    note_fault(checking, "a group of its journal does not match its checksum");
    return;
  }
  checking->found->groups++;
  checking->found->last_ms = at_ms;
  checking->found->last_seq = (uint64_t)seq;
}

static enum moonkeep_code check_journal(struct checking *checking, struct err *err) {
  sqlite3_stmt *rows;
  int64_t folded, epoch;
  enum moonkeep_code code = sql_number(checking->db, "SELECT value FROM _meta WHERE name='folded_seq'",
                                       "check the file", &folded, err);
  if (!code)
    code =
        sql_number(checking->db, "SELECT value FROM _meta WHERE name='epoch'", "check the file", &epoch, err);
  if (!code)
    code = sql_number(checking->db, "SELECT value FROM _meta WHERE name='id'", "check the file",
                      &checking->found->id, err);
  if (!code)
    code = sql_prepare(checking->db, "SELECT seq, at, changes, sum FROM _journal ORDER BY seq", &rows, err);
  if (code) return code;
  checking->found->epoch = (uint64_t)epoch;
  checking->found->last_seq = (uint64_t)folded;
  int rc;
  while ((rc = sqlite3_step(rows)) == SQLITE_ROW) check_group(checking, rows);
  if (rc != SQLITE_DONE) code = settle(checking, rc, err);
  sqlite3_finalize(rows);
  return code;
}

/* ---- all of it ---- */

static enum moonkeep_code name_strangers(struct checking *checking, struct err *err) {
  struct buf names = {0};
  enum moonkeep_code code = schema_name_strangers(checking->db, &names, err);
  snprintf(checking->found->left_out, sizeof checking->found->left_out, "%s", buf_text(&names));
  buf_deinit(&names);
  return code;
}

static enum moonkeep_code check_all(struct checking *checking, struct err *err) {
  int64_t version;
  enum moonkeep_code code = schema_recognise(checking->db, checking->path, &version, err);
  if (!code && version == 0)
    code = err_set(err, MOONKEEP_CORRUPT, "%s is empty, it is no store", checking->path);
  if (!code && version == SCHEMA_VERSION) code = schema_check_own_tables(checking->db, checking->path, err);
  if (!code) code = check_structure(checking, err);
  if (!code) code = name_strangers(checking, err);
  if (!code) code = check_journal(checking, err);
  if (!code) code = schema_buckets(checking->db, check_bucket, checking, err);
  return code;
}

enum moonkeep_code check_file(const char *path, const struct check *check, struct check_found *found,
                              struct err *err) {
  struct checking checking = {.path = path, .check = check, .found = found};
  *found = (struct check_found){0};
  /* Of a file that may be open in this process nothing is read but by SQLite. */
  enum moonkeep_code code = check->still ? schema_check_header(path, err) : MOONKEEP_OK;
  if (!code)
    code = check->still ? sql_open_still(&checking.db, path, err) : sql_open(&checking.db, path, false, err);
  if (!code && check->go_on) sqlite3_progress_handler(checking.db, STEPS, on_steps, &checking);
  if (!code) code = check_all(&checking, err);
  sqlite3_close(checking.db);
  if (code == MOONKEEP_OK && checking.first.code) {
    *err = checking.first;
    code = err->code;
  }
  return code;
}
