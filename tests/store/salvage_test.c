/* Salvage reads what is whole in a file of any bytes: never a wrong value, never a crash, and as much as
 * there is. ROUNDS files are damaged at random. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/salvage.h"

enum { ROWS = 200, BIG = 6000, PAGE = 4096 };

static struct image {
  char *db, *log;
  size_t db_len, log_len;
} whole;

static void put_value(char json[BIG + 16], int i) {
  int len = snprintf(json, 16, "\"%d:", i);
  int room = i % 20 == 0 ? BIG : i % 40;
  memset(json + len, 'a' + i % 26, (size_t)room);
  strcpy(json + len + room, "\"");
}

static void set_rows(struct store *store, int from, int to) {
  char key[16], json[BIG + 16];
  for (int i = from; i < to; i++) {
    snprintf(key, sizeof key, "k%d", i);
    put_value(json, i);
    sync_set_until(store, i % 3 ? "appData" : "economy", key, json, i % 5 ? 0 : 2000000000000);
  }
}

/* Half of the rows are in the tables, a quarter in the tables but in the log, the rest in the journal. */
static void make_image(void) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  set_rows(store, 0, ROWS / 2);
  sync_close(store);
  if (fork() == 0) {
    store = sync_open(dir);
    set_rows(store, ROWS / 2, ROWS * 3 / 4);
    sync_flush(store);
    set_rows(store, ROWS * 3 / 4, ROWS);
    kill(getpid(), SIGKILL);
  }
  wait(NULL);
  whole.db = temp_read(temp_path(dir, "appdata.db"), &whole.db_len);
  whole.log = temp_read(temp_path(dir, "appdata.db-wal"), &whole.log_len);
  CHECK(whole.db && whole.log && whole.log_len > PAGE);
}

static void free_image(void) {
  free(whole.db);
  free(whole.log);
}

struct seen {
  int times[ROWS];
  int others;
};

static enum moonkeep_code look(void *ctx, const struct salvage_row *row, struct err *err) {
  struct seen *seen = ctx;
  char key[16] = "", json[BIG + 16];
  (void)err;
  int i = row->key_len > 1 && row->key_len < 8 ? atoi(memcpy(key, row->key + 1, row->key_len - 1)) : -1;
  if (!row->checked) {
    seen->others++;
    return MOONKEEP_OK;
  }
  if (i < 0 || i >= ROWS) FAIL("there was no key %.*s", (int)row->key_len, row->key);
  put_value(json, i);
  CHECK_STR(row->store, i % 3 ? "appData" : "economy");
  if (strlen(json) != row->json_len || memcmp(json, row->json, row->json_len) != 0)
    FAIL("the value of %s is %.*s", key, (int)row->json_len, row->json);
  CHECK_INT(row->expires_at_ms, i % 5 ? 0 : 2000000000000);
  seen->times[i]++;
  return MOONKEEP_OK;
}

static int count_seen(const struct seen *seen) {
  int count = 0;
  for (int i = 0; i < ROWS; i++) {
    if (seen->times[i] > 1) FAIL("k%d was handed out twice", i);
    count += seen->times[i];
  }
  return count;
}

/* How many of the rows can be read in these bytes. */
static int salvage_image(const struct image *image, bool log) {
  const char *dir = temp_dir();
  char path[300];
  struct seen seen = {0};
  struct err err;
  snprintf(path, sizeof path, "%s", temp_path(dir, "any.db"));
  temp_write_bytes(path, image->db, image->db_len);
  if (log) temp_write_bytes(temp_path(dir, "any.db-wal"), image->log, image->log_len);
  struct salvage salvage = {.path = path, .row = look, .ctx = &seen};
  if (salvage_run(&salvage, &err)) FAIL("%s", err.message);
  temp_remove(dir);
  return count_seen(&seen);
}

static struct image copy_image(void) {
  struct image copy = whole;
  copy.db = malloc(whole.db_len);
  copy.log = malloc(whole.log_len);
  memcpy(copy.db, whole.db, whole.db_len);
  memcpy(copy.log, whole.log, whole.log_len);
  return copy;
}

TEST(whole_file_gives_everything) {
  make_image();
  CHECK_INT(salvage_image(&whole, true), ROWS);
  free_image();
}

TEST(file_without_its_log_gives_what_is_in_it) {
  make_image();
  int found = salvage_image(&whole, false);
  if (found < ROWS / 2 || found > ROWS) FAIL("%d rows", found); /* more where checkpoints come sooner */
  free_image();
}

/* Page 1 is the way to everything. */
TEST(rows_are_found_without_the_schema) {
  make_image();
  struct image image = copy_image();
  memset(image.db, 0, PAGE);
  int found = salvage_image(&image, false);
  if (found < ROWS / 4) FAIL("only %d rows", found); /* those of appData, whose name is known */
  free(image.db), free(image.log);
  free_image();
}

TEST(what_is_no_database_gives_nothing) {
  char text[] = "this is a text, and no store file";
  struct image image = {.db = text, .db_len = sizeof text};
  CHECK_INT(salvage_image(&image, false), 0);
  image.db_len = 0;
  CHECK_INT(salvage_image(&image, false), 0);
}

static void damage(char *bytes, size_t len) {
  size_t pages = len / PAGE;
  size_t page = check_below(pages), other = check_below(pages);
  switch (check_below(4)) {
  case 0: bytes[check_below(len)] ^= (char)(1 << check_below(8)); break;
  case 1: memset(bytes + page * PAGE, 0, PAGE); break;
  case 2: memmove(bytes + page * PAGE, bytes + other * PAGE, PAGE); break;
  default:
    for (int i = 0; i < 64; i++) bytes[page * PAGE + check_below(PAGE)] = (char)check_random();
  }
}

TEST(damaged_files_give_right_values_or_none) {
  long found = 0, rounds = check_rounds(150);
  make_image();
  for (long round = 0; round < rounds; round++) {
    struct image image = copy_image();
    for (uint64_t n = 1 + check_below(4); n > 0; n--) {
      if (check_below(3))
        damage(image.db, image.db_len);
      else
        damage(image.log, image.log_len);
    }
    if (check_below(10) == 0) image.db_len = check_below(image.db_len);
    if (check_below(10) == 0) image.log_len = check_below(image.log_len);
    found += salvage_image(&image, true);
    free(image.db), free(image.log);
  }
  printf("%ld damaged files, %ld of %ld rows found\n", rounds, found, rounds * ROWS);
  free_image();
}

TEST(any_allocation_may_fail) {
  make_image();
  const char *dir = temp_dir();
  char path[300];
  bool failed = true;
  snprintf(path, sizeof path, "%s", temp_path(dir, "any.db"));
  temp_write_bytes(path, whole.db, whole.db_len);
  for (long nth = 1; failed; nth += 1 + nth / 20) {
    struct seen seen = {0};
    struct err err;
    struct salvage salvage = {.path = path, .row = look, .ctx = &seen};
    check_fail_alloc(nth);
    enum moonkeep_code code = salvage_run(&salvage, &err);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK(code == MOONKEEP_OK || code == MOONKEEP_MEMORY);
  }
  free_image();
}
