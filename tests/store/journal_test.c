/* The journal's format: what goes in comes out, and bytes that are not a group are noticed, never followed.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "store/journal.h"

static const int64_t times[] = {0, 1, -1, 63, 64, -64, -65, 1767225600000, INT64_MAX, INT64_MIN};

static struct buf example(void) {
  struct buf out = {0};
  journal_begin(&out, 300);
  journal_bucket(&out, "appData");
  journal_put(&out, "alice", 5, "{\"xp\":1}", 8, 1767225600000);
  journal_erase(&out, "bob", 3);
  journal_bucket(&out, "economy");
  journal_put(&out, "\xC3\xA4", 2, "\"\"", 2, 0);
  journal_erase_like(&out, "a\\_%", 4, -1);
  CHECK(!out.failed);
  return out;
}

static void check_change(struct journal_reader *reader, char op, const char *bucket, const char *key,
                         const char *json, int64_t time_ms) {
  struct journal_change change;
  CHECK(journal_next(reader, &change));
  CHECK_INT(change.op, op);
  CHECK_BYTES(change.bucket, change.bucket_len, bucket, strlen(bucket));
  CHECK_BYTES(change.key, change.key_len, key, strlen(key));
  CHECK_BYTES(change.json, change.json_len, json, strlen(json));
  CHECK_INT(change.time_ms, time_ms);
}

TEST(what_is_written_is_read_again) {
  struct buf out = example();
  struct journal_reader reader;
  struct journal_change change;
  journal_read(&reader, out.data, out.len);
  CHECK_INT(reader.epoch, 300);
  check_change(&reader, 'p', "appData", "alice", "{\"xp\":1}", 1767225600000);
  check_change(&reader, 'e', "appData", "bob", "", 0);
  check_change(&reader, 'p', "economy", "\xC3\xA4", "\"\"", 0);
  check_change(&reader, 'l', "economy", "a\\_%", "", -1);
  CHECK(!journal_next(&reader, &change));
  CHECK(!reader.broken);
  buf_deinit(&out);
}

TEST(numbers_and_times_of_every_size_survive) {
  for (int bit = 0; bit < 64; bit++) {
    struct buf out = {0};
    struct journal_reader reader;
    journal_begin(&out, UINT64_C(1) << bit);
    journal_read(&reader, out.data, out.len);
    CHECK(reader.epoch == UINT64_C(1) << bit);
    buf_deinit(&out);
  }
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    struct buf out = {0};
    struct journal_reader reader;
    journal_begin(&out, UINT64_MAX);
    journal_bucket(&out, "b");
    journal_put(&out, "k", 1, "1", 1, times[i]);
    journal_read(&reader, out.data, out.len);
    CHECK(reader.epoch == UINT64_MAX);
    check_change(&reader, 'p', "b", "k", "1", times[i]);
    buf_deinit(&out);
  }
}

/* Reads bytes from a block of exactly their size, so that a sanitizer sees what reads beyond it. True: they
 * are a group. All that is handed out lies within. */
static bool reads(const char *bytes, size_t len) {
  char *block = malloc(len ? len : 1);
  CHECK(block);
  memcpy(block, bytes, len);
  struct journal_reader reader;
  struct journal_change change;
  journal_read(&reader, block, len);
  while (journal_next(&reader, &change)) {
    CHECK(change.key >= block && change.key + change.key_len <= block + len);
    CHECK(change.bucket >= block && change.bucket + change.bucket_len <= block + len);
    if (change.json) CHECK(change.json >= block && change.json + change.json_len <= block + len);
  }
  free(block);
  return !reader.broken;
}

TEST(a_group_that_is_cut_short_is_read_to_a_whole_change_or_refused) {
  struct buf out = example();
  size_t whole = 0;
  for (size_t len = 0; len <= out.len; len++) whole += reads(out.data, len);
  CHECK_INT(whole, 1 + 2 + 4); /* after the header, after each bucket, after each change */
  buf_deinit(&out);
}

TEST(random_bytes_in_a_group_never_lead_outside_it) {
  struct buf out = example();
  for (long i = check_rounds(200000); i > 0; i--) {
    char bytes[256];
    memcpy(bytes, out.data, out.len);
    for (uint64_t n = 1 + check_below(4); n > 0; n--) bytes[check_below(out.len)] = (char)check_below(256);
    reads(bytes, 1 + check_below(out.len));
  }
  buf_deinit(&out);
}

TEST(a_number_without_end_or_beyond_64_bits_is_refused) {
  CHECK(!reads("\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12));
  CHECK(!reads("\x01\x01p\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01k", 13));
  CHECK(!reads("\x02\x01", 2)); /* another version */
  CHECK(!reads("\x01\x01x", 3));
  CHECK(!reads("\x01\x01"
               "e\x01k",
               5)); /* no bucket yet */
}
