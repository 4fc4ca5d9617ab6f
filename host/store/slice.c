#include "store/slice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

static enum moonkeep_code read_groups(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                                      struct err *err) {
  sqlite3_stmt *rows;
  enum moonkeep_code code =
      sql_prepare(db, "SELECT seq, at, changes, sum FROM _journal WHERE seq<=?1 ORDER BY seq", &rows, err);
  if (code) return code;
  sqlite3_bind_int64(rows, 1, limits->last_seq > INT64_MAX ? INT64_MAX : (int64_t)limits->last_seq);
  int rc = SQLITE_DONE;
  while (!code && slice->bytes.len < limits->bytes && slice->groups < limits->groups &&
         (rc = sqlite3_step(rows)) == SQLITE_ROW)
    code = take_group(slice, rows, err);
  if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE) code = sql_fail(db, rc, "read the journal", err);
  sqlite3_finalize(rows);
  return code;
}

static enum moonkeep_code read_changes(struct slice *slice, struct err *err) {
  size_t start = 0;
  for (size_t i = 0; i < slice->groups; start = slice->ends[i++]) {
    struct journal_reader reader;
    struct journal_change change;
    journal_read(&reader, slice->bytes.data + start, slice->ends[i] - start);
    while (journal_next(&reader, &change)) {
      if (change.op == 'l') continue; /* the tables show it already */
      if (!room((void **)&slice->steps, slice->count, &slice->cap, sizeof *slice->steps))
        return err_memory(err);
      slice->steps[slice->count] = (struct step){change, slice->count};
      slice->count++;
    }
    if (reader.broken) return err_set(err, MOONKEEP_CORRUPT, "the journal holds a group that cannot be read");
  }
  return MOONKEEP_OK;
}

int slice_compare(const char *a, size_t a_len, const char *b, size_t b_len) {
  int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int same_place(const struct step *a, const struct step *b) {
  int order = slice_compare(a->change.bucket, a->change.bucket_len, b->change.bucket, b->change.bucket_len);
  return order ? order : slice_compare(a->change.key, a->change.key_len, b->change.key, b->change.key_len);
}

static int in_order(const void *a, const void *b) {
  const struct step *x = a, *y = b;
  int order = same_place(x, y);
  return order ? order : (x->turn > y->turn) - (x->turn < y->turn);
}

/* The last change to a key is the one that counts. */
static void sort(struct slice *slice) {
  if (slice->count < 2) return;
  qsort(slice->steps, slice->count, sizeof *slice->steps, in_order);
  size_t kept = 0;
  for (size_t i = 0; i < slice->count; i++) {
    bool last = i + 1 == slice->count || same_place(&slice->steps[i], &slice->steps[i + 1]) != 0;
    if (last) slice->steps[kept++] = slice->steps[i];
  }
  slice->count = kept;
}

enum moonkeep_code slice_read(struct slice *slice, sqlite3 *db, const struct slice_limits *limits,
                              struct err *err) {
  *slice = (struct slice){0};
  enum moonkeep_code code = read_groups(slice, db, limits, err);
  if (!code) code = read_changes(slice, err);
  if (!code) sort(slice);
  return code;
}

void slice_free(struct slice *slice) {
  buf_deinit(&slice->bytes);
  mem_free(slice->ends);
  mem_free(slice->steps);
  *slice = (struct slice){0};
}
