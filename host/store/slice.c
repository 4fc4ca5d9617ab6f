#include "store/slice.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/sql.h"
#include "store/sum.h"

/* Makes room for one more element of an owned array. */
static bool room(void **array, size_t count, size_t *cap, size_t size) {
  if (count < *cap) return true;
  size_t more = *cap ? *cap * 2 : 64;
  void *grown = mem_resize(*array, more * size);
  if (!grown) return false;
  *array = grown;
  *cap = more;
  return true;
}

static enum moonkeep_code take_group(struct slice *slice, sqlite3_stmt *row, struct err *err) {
  int64_t seq = sqlite3_column_int64(row, 0), at = sqlite3_column_int64(row, 1);
  const void *changes = sqlite3_column_blob(row, 2);
  size_t len = (size_t)sqlite3_column_bytes(row, 2);
  if (sqlite3_column_int64(row, 3) != sum_group(seq, at, changes, len))
    return err_set(err, MOONKEEP_CORRUPT, "the journal's row %lld does not match its checksum",
                   (long long)seq);
  if (!room((void **)&slice->ends, slice->groups, &slice->groups_cap, sizeof *slice->ends))
    return err_memory(err);
  buf_add(&slice->bytes, changes, len);
  if (slice->bytes.failed) return err_memory(err);
  slice->ends[slice->groups++] = slice->bytes.len;
  slice->last_seq = (uint64_t)seq;
  return MOONKEEP_OK;
}

static bool is_full(const struct slice *slice, const struct slice_limits *limits) {
  return slice->bytes.len >= limits->bytes || slice->groups >= limits->groups;
}

static enum moonkeep_code read_groups(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                                      int64_t until_us, struct err *err) {
  static const char sql[] =
      "SELECT seq, at, changes, sum FROM _journal WHERE seq>?1 AND seq<=?2 ORDER BY seq";
  sqlite3_stmt *rows;
  enum moonkeep_code code = sql_prepare(db, sql, &rows, err);
  if (code) return code;
  sqlite3_bind_int64(rows, 1, slice->groups > 0 ? (int64_t)slice->last_seq : INT64_MIN);
  sqlite3_bind_int64(rows, 2, limits->last_seq > INT64_MAX ? INT64_MAX : (int64_t)limits->last_seq);
  int rc = SQLITE_ROW;
  do {
    slice->read = is_full(slice, limits) || (rc = sqlite3_step(rows)) != SQLITE_ROW;
    if (!slice->read) code = take_group(slice, rows, err);
  } while (!code && !slice->read && clock_ticks_us() < until_us);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) code = sql_fail(db, rc, "read the journal", err);
  sqlite3_finalize(rows);
  return code;
}

/* Of the next group. */
static enum moonkeep_code read_changes(struct slice *slice, struct err *err) {
  size_t start = slice->parsed > 0 ? slice->ends[slice->parsed - 1] : 0;
  struct journal_reader reader;
  struct journal_change change;
  journal_read(&reader, slice->bytes.data + start, slice->ends[slice->parsed] - start);
  while (journal_next(&reader, &change)) {
    if (change.op == 'l') continue;
    if (!room((void **)&slice->changes, slice->changes_count, &slice->changes_cap, sizeof *slice->changes))
      return err_memory(err);
    slice->changes[slice->changes_count++] = change;
  }
  if (reader.broken) return err_set(err, MOONKEEP_CORRUPT, "the journal holds a group that cannot be read");
  slice->parsed++;
  return MOONKEEP_OK;
}

static enum moonkeep_code read_all_changes(struct slice *slice, int64_t until_us, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && slice->parsed < slice->groups) {
    code = read_changes(slice, err);
    if (clock_ticks_us() >= until_us) break;
  }
  return code;
}

enum moonkeep_code slice_read_on(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                                 int64_t until_us, struct err *err) {
  enum moonkeep_code code =
      slice->read ? read_all_changes(slice, until_us, err) : read_groups(slice, db, limits, until_us, err);
  if (!code && slice->read && slice->parsed < slice->groups && clock_ticks_us() < until_us)
    code = read_all_changes(slice, until_us, err);
  if (code || !slice->read || slice->parsed < slice->groups) return code;
  if (!slice_sort(slice)) return err_memory(err);
  slice->whole = true;
  return MOONKEEP_OK;
}

enum moonkeep_code slice_read(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                              struct err *err) {
  *slice = (struct slice){0};
  return slice_read_on(slice, db, limits, INT64_MAX, err);
}

void slice_free(struct slice *slice) {
  buf_deinit(&slice->bytes);
  mem_free(slice->ends);
  mem_free(slice->changes);
  mem_free(slice->order);
  *slice = (struct slice){0};
}
