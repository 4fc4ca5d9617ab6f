/* What a fold takes from the journal: whole groups, in order, each key once with its last change, whether it
 * is read at once or in pieces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "store/slice.h"
#include "store/sum.h"

enum { GROUPS = 40, CHANGES = 50 };

static const struct slice_limits no_limits = {SIZE_MAX, SIZE_MAX, UINT64_MAX};

static sqlite3 *open_journal(void) {
  sqlite3 *db;
  CHECK_INT(sqlite3_open(":memory:", &db), SQLITE_OK);
  CHECK_INT(
      sqlite3_exec(db, "CREATE TABLE _journal(seq INTEGER PRIMARY KEY, at, changes, sum)", NULL, NULL, NULL),
      SQLITE_OK);
  return db;
}

static void append(sqlite3 *db, int64_t seq, const struct buf *changes) {
  sqlite3_stmt *row;
  CHECK(!changes->failed);
  CHECK_INT(sqlite3_prepare_v2(db, "INSERT INTO _journal VALUES(?1,0,?2,?3)", -1, &row, NULL), SQLITE_OK);
  sqlite3_bind_int64(row, 1, seq);
  sqlite3_bind_blob64(row, 2, changes->data, changes->len, SQLITE_STATIC);
  sqlite3_bind_int64(row, 3, sum_group(seq, 0, changes->data, changes->len));
  CHECK_INT(sqlite3_step(row), SQLITE_DONE);
  sqlite3_finalize(row);
}

/* Groups of random keys that have much in common; each value is the number of its change. */
static void append_random(sqlite3 *db, unsigned buckets, const char *begin) {
  static const char letters[] = {'\0', 'a', 'b', '\xFF'};
  int number = 0;
  for (int64_t seq = 1; seq <= GROUPS; seq++) {
    struct buf changes = {0};
    journal_begin(&changes, 1);
    for (int i = 0; i < CHANGES; i++) {
      char bucket[16], key[64], json[16];
      size_t len = (size_t)snprintf(key, sizeof key, "%s", begin);
      snprintf(bucket, sizeof bucket, "b%u", (unsigned)check_below(buckets));
      for (uint64_t n = check_below(12); n > 0; n--) key[len++] = letters[check_below(4)];
      journal_bucket(&changes, bucket);
      journal_put(&changes, key, len, json, (size_t)snprintf(json, sizeof json, "%d", number++), 0);
    }
    append(db, seq, &changes);
    buf_deinit(&changes);
  }
}

static int place(const struct journal_change *a, const struct journal_change *b) {
  int order = slice_compare(a->bucket, a->bucket_len, b->bucket, b->bucket_len);
  return order ? order : slice_compare(a->key, a->key_len, b->key, b->key_len);
}

/* Each key that came stands in the order once, and the change is its last. */
static void check_order(const struct slice *slice) {
  CHECK(slice->whole);
  for (size_t i = 1; i < slice->count; i++)
    CHECK(place(slice->order[i - 1].change, slice->order[i].change) < 0);
  for (size_t i = 0; i < slice->changes_count; i++) {
    size_t low = 0, high = slice->count;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (place(slice->order[middle].change, &slice->changes[i]) < 0)
        low = middle + 1;
      else
        high = middle;
    }
    CHECK(low < slice->count && place(slice->order[low].change, &slice->changes[i]) == 0);
    CHECK(slice->order[low].change >= &slice->changes[i]);
  }
}

TEST(each_key_stands_in_its_place_once_with_its_last_change) {
  static const unsigned buckets[] = {1, 3, 64, 65, 300};
  static const char *const begins[] = {"", "u", "user:000000"};
  for (size_t b = 0; b < sizeof buckets / sizeof *buckets; b++)
    for (size_t k = 0; k < sizeof begins / sizeof *begins; k++) {
      struct slice slice;
      struct err err;
      sqlite3 *db = open_journal();
      append_random(db, buckets[b], begins[k]);
      CHECK_INT(slice_read(&slice, db, &no_limits, &err), MOONKEEP_OK);
      CHECK_INT(slice.groups, GROUPS);
      CHECK_INT(slice.changes_count, GROUPS * CHANGES);
      check_order(&slice);
      slice_free(&slice);
      sqlite3_close(db);
    }
}

TEST(what_is_read_in_pieces_is_what_is_read_at_once) {
  struct slice slice = {0};
  struct err err;
  sqlite3 *db = open_journal();
  int pieces = 0;
  append_random(db, 3, "user:");
  for (; !slice.whole; pieces++) CHECK_INT(slice_read_on(&slice, db, &no_limits, 0, &err), MOONKEEP_OK);
  CHECK(pieces > GROUPS); /* the time is always over: a group each */
  CHECK_INT(slice.groups, GROUPS);
  CHECK_INT(slice.changes_count, GROUPS * CHANGES);
  check_order(&slice);
  slice_free(&slice);
  sqlite3_close(db);
}

TEST(a_slice_ends_at_its_limits_with_a_whole_group) {
  static const struct slice_limits limits[] = {
      {7, SIZE_MAX, UINT64_MAX}, {SIZE_MAX, SIZE_MAX, 7}, {1, 1, UINT64_MAX}, {SIZE_MAX, SIZE_MAX, 0}};
  static const size_t groups[] = {7, 7, 1, 0};
  sqlite3 *db = open_journal();
  append_random(db, 3, "user:");
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    struct slice slice;
    struct err err;
    CHECK_INT(slice_read(&slice, db, &limits[i], &err), MOONKEEP_OK);
    CHECK_INT(slice.groups, groups[i]);
    CHECK_INT(slice.last_seq, groups[i]);
    CHECK_INT(slice.changes_count, groups[i] * CHANGES);
    check_order(&slice);
    slice_free(&slice);
  }
  sqlite3_close(db);
}
