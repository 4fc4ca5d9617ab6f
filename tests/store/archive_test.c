/* The archive's files: what is written is read, in order, and what is torn, damaged or missing is noticed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/temp.h"
#include "store/archive.h"
#include "store/disk.h"

static struct archive begin(const char *dir, uint64_t epoch, uint64_t after) {
  struct archive archive;
  struct err err;
  if (archive_create(&archive, dir, epoch, after, NULL, 1000, &err)) FAIL("%s", err.message);
  return archive;
}

static const char *text_of(uint64_t seq) {
  static char text[32];
  snprintf(text, sizeof text, "changes %llu", (unsigned long long)seq);
  return text;
}

static enum moonkeep_code put(struct archive *archive, uint64_t seq, struct err *err) {
  struct buf bytes = {0};
  struct archive_group group = {.seq = seq, .before = archive->seq, .at_ms = (int64_t)seq * 10};
  group.changes = text_of(seq);
  group.len = strlen(group.changes);
  archive_put(&bytes, archive->epoch, &group);
  enum moonkeep_code code = archive_write(archive, &bytes, seq, err);
  buf_deinit(&bytes);
  return code;
}

static void write_groups(const char *dir, uint64_t epoch, uint64_t after, uint64_t last) {
  struct archive archive = begin(dir, epoch, after);
  struct err err;
  for (uint64_t seq = after + 1; seq <= last; seq++) CHECK_INT(put(&archive, seq, &err), MOONKEEP_OK);
  CHECK_INT(archive_sync(&archive, &err), MOONKEEP_OK);
  archive_close(&archive);
}

/* Reads on from there, checks what comes, and returns the last number. */
static uint64_t read_from(const char *dir, uint64_t epoch, uint64_t after, bool *torn, bool *gap) {
  struct archive_reader reader;
  struct archive_group group;
  struct err err;
  bool end = false;
  if (archive_open(&reader, dir, epoch, after, &err)) FAIL("%s", err.message);
  uint64_t last = after;
  for (;;) {
    if (archive_next(&reader, &group, &end, &err)) FAIL("%s", err.message);
    if (end) break;
    CHECK(group.seq > last);
    CHECK(group.before <= last);
    CHECK_INT(group.len, strlen(text_of(group.seq)));
    CHECK(memcmp(group.changes, text_of(group.seq), group.len) == 0);
    CHECK_INT(group.at_ms, group.seq * 10);
    last = group.seq;
  }
  if (torn) *torn = reader.torn;
  if (gap) *gap = reader.gap;
  archive_end(&reader);
  return last;
}

static const char *only_file(const char *dir, uint64_t *bytes) {
  struct archive_file *files;
  size_t count;
  struct err err;
  CHECK_INT(archive_list(dir, &files, &count, &err), MOONKEEP_OK);
  CHECK_INT(count, 1);
  const char *path = temp_path(dir, files[0].name);
  if (bytes) *bytes = files[0].bytes;
  mem_free(files);
  return path;
}

TEST(groups_are_read_as_they_were_written_over_several_files) {
  const char *dir = temp_dir();
  bool torn, gap;
  write_groups(dir, 1, 0, 5);
  write_groups(dir, 1, 5, 9);
  write_groups(dir, 2, 9, 12);
  temp_write(temp_path(dir, "appdata-1-2.archive"), "not one of ours");
  for (uint64_t after = 0; after <= 9; after++) CHECK_INT(read_from(dir, 1, after, &torn, &gap), 9);
  CHECK(!torn && !gap);
  CHECK_INT(read_from(dir, 2, 9, NULL, NULL), 12);
  CHECK_INT(read_from(dir, 3, 4, NULL, NULL), 4);
  CHECK_INT(read_from(temp_path(dir, "missing"), 1, 0, NULL, NULL), 0);
}

TEST(numbers_may_be_left_out_but_no_group) {
  const char *dir = temp_dir();
  struct archive archive = begin(dir, 1, 0);
  struct err err;
  bool gap;
  put(&archive, 1, &err);
  put(&archive, 7, &err); /* what came between has failed */
  archive_close(&archive);
  CHECK_INT(read_from(dir, 1, 0, NULL, &gap), 7);
  CHECK(!gap);
  write_groups(dir, 1, 9, 12); /* groups 8 and 9 are missing */
  CHECK_INT(read_from(dir, 1, 0, NULL, &gap), 7);
  CHECK(gap);
  CHECK_INT(read_from(dir, 1, 9, NULL, &gap), 12);
  CHECK(!gap);
}

TEST(a_file_that_ends_anywhere_gives_the_whole_groups_before) {
  const char *dir = temp_dir();
  uint64_t bytes, before = 0;
  size_t len;
  write_groups(dir, 1, 0, 4);
  const char *path = only_file(dir, &bytes);
  char *whole = temp_read(path, &len);
  for (size_t cut = 0; cut <= len; cut++) {
    bool torn;
    temp_write_bytes(path, whole, cut);
    uint64_t last = read_from(dir, 1, 0, &torn, NULL);
    CHECK(last == before || last == before + 1);
    before = last;
  }
  CHECK_INT(before, 4);
  free(whole);
}

TEST(a_flipped_bit_is_never_handed_out) {
  const char *dir = temp_dir();
  size_t len;
  write_groups(dir, 1, 0, 3);
  const char *path = only_file(dir, NULL);
  char *whole = temp_read(path, &len);
  for (size_t bit = 0; bit < len * 8; bit++) {
    bool torn;
    whole[bit / 8] ^= (char)(1 << bit % 8);
    temp_write_bytes(path, whole, len);
    uint64_t last = read_from(dir, 1, 0, &torn, NULL);
    CHECK(last < 3 && torn);
    whole[bit / 8] ^= (char)(1 << bit % 8);
  }
  free(whole);
}

TEST(how_far_it_reaches) {
  const char *dir = temp_dir();
  struct err err;
  uint64_t seq;
  int64_t at_ms;
  write_groups(dir, 1, 0, 3);
  write_groups(dir, 1, 7, 9);
  write_groups(dir, 1, 9, 9); /* just begun */
  CHECK_INT(archive_last(dir, 1, &seq, &at_ms, &err), MOONKEEP_OK);
  CHECK_INT(seq, 9);
  CHECK_INT(at_ms, 90);
  CHECK_INT(archive_reach(dir, 1, 0, &seq, &at_ms, &err), MOONKEEP_OK);
  CHECK_INT(seq, 3);
  CHECK_INT(at_ms, 30);
  CHECK_INT(archive_last(dir, 2, &seq, &at_ms, &err), MOONKEEP_OK);
  CHECK_INT(seq, 0);
}

/* ---- a disk that fails ---- */

static int failing, counted;

static int gate(const char *doing, const char *path) {
  (void)doing;
  (void)path;
  return ++counted == failing ? 28 : 0; /* ENOSPC */
}

/* Whatever fails, what was told to be written is read, and the rest either goes on or begins another file. */
TEST(each_operation_that_fails_leaves_what_was_written) {
  bool more = true;
  for (failing = 1; more; failing++) {
    const char *dir = temp_dir();
    struct archive archive = {.fd = -1};
    struct err err;
    uint64_t written = 0;
    counted = 0;
    disk_set_gate(gate);
    for (uint64_t seq = 1; seq <= 4; seq++) {
      if (archive.fd < 0 && archive_create(&archive, dir, 1, written, NULL, 1, &err)) continue;
      if (put(&archive, seq, &err)) continue;
      written = seq;
      archive_sync(&archive, &err);
    }
    disk_set_gate(NULL);
    archive_close(&archive);
    CHECK_INT(read_from(dir, 1, 0, NULL, NULL), written);
    CHECK(written >= 3);
    more = counted >= failing;
    temp_remove(dir);
  }
}
