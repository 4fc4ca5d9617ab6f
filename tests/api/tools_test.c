/* Backups from C, without a host: listed, checked, and an earlier state brought back. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

static struct moonkeep_host *open_at(const char *data) {
  struct moonkeep_host *host;
  struct moonkeep_error error;
  struct moonkeep_options options = {.size = sizeof options, .data = data};
  if (moonkeep_open(&host, &options, &error)) FAIL("%s", error.message);
  return host;
}

static void close_it(struct moonkeep_host *host) {
  struct moonkeep_error error;
  if (moonkeep_close(host, &error)) FAIL("%s", error.message);
}

static void set(struct moonkeep_host *host, const char *key, const char *json) {
  struct moonkeep_result result;
  if (moonkeep_set_wait(host, NULL, key, json, 0, &result)) FAIL("%s", result.message);
}

static void back_up(struct moonkeep_host *host) {
  struct moonkeep_result result;
  if (moonkeep_backup_wait(host, &result)) FAIL("%s", result.message);
  moonkeep_result_free(&result);
}

/* What the key holds, in a host of its own. */
static void has(const char *data, const char *key, const char *json) {
  struct moonkeep_host *host = open_at(data);
  struct moonkeep_result result;
  if (moonkeep_get_wait(host, NULL, key, &result)) FAIL("%s", result.message);
  CHECK_STR(result.json ? result.json : "absent", json);
  moonkeep_result_free(&result);
  close_it(host);
}

static void holds(const char *text, const char *part) {
  if (!strstr(text, part)) FAIL("\"%s\" is not in \"%s\"", part, text);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A moment behind which nothing has happened yet. */
static int64_t next_moment(void) {
  int64_t from = now_ms(), now;
  while ((now = now_ms()) < from + 2) {}
  return now - 1;
}

/* ---- backups ---- */

struct list {
  size_t count;
  struct moonkeep_backup_file files[8];
  char names[8][64], problem[768];
};

static void note_backup(void *ctx, const struct moonkeep_backup_file *backup) {
  struct list *list = ctx;
  CHECK(list->count < 8);
  list->files[list->count] = *backup;
  snprintf(list->names[list->count++], 64, "%s", backup->name);
  if (backup->problem) snprintf(list->problem, sizeof list->problem, "%s", backup->problem);
}

static struct list list_at(const char *data, const char *backups) {
  struct list list = {0};
  struct moonkeep_error error;
  if (moonkeep_backups(data, backups, note_backup, &list, &error)) FAIL("%s", error.message);
  return list;
}

TEST(backups_are_listed_the_newest_first_beside_a_host_and_without_one) {
  const char *data = temp_dir();
  CHECK_INT(list_at(data, NULL).count, 0);
  struct moonkeep_host *host = open_at(data);
  int64_t begin_ms = now_ms() - 1;
  set(host, "a", "1");
  back_up(host);
  set(host, "b", "2");
  back_up(host);
  int64_t last_ms = next_moment();
  set(host, "c", "3");
  struct list list = list_at(data, NULL);
  CHECK(list.count >= 2);
  CHECK_INT(list.files[0].keys, 2);
  CHECK_INT(list.files[1].keys, 1);
  for (int i = 0; i < 2; i++) {
    CHECK(!list.files[i].problem);
    CHECK(list.files[i].bytes > 0);
    CHECK_INT(moonkeep_moment(list.names[i]), list.files[i].at_ms);
    CHECK(list.files[i].at_ms >= begin_ms);
  }
  CHECK(list.files[0].at_ms > list.files[1].at_ms);
  close_it(host);
  list = list_at(data, temp_path(data, "backups"));
  CHECK(list.files[0].until_ms > last_ms);
  temp_write(temp_path(temp_path(data, "backups"), "appdata-20200101T000000.000Z.db"), "no database");
  list = list_at(data, NULL);
  holds(list.problem, "not a database");
}

/* ---- check ---- */

struct seen {
  unsigned kinds[4], problems;
  uint64_t keys;
  char problem[768];
};

static void note_checked(void *ctx, const struct moonkeep_checked *checked) {
  struct seen *seen = ctx;
  seen->kinds[checked->kind]++;
  if (checked->kind == MOONKEEP_CHECKED_STORE) seen->keys = checked->keys;
  if (checked->kind == MOONKEEP_CHECKED_ARCHIVE) CHECK(checked->until_ms > 0 && checked->groups > 0);
  if (!checked->problem) return;
  seen->problems++;
  snprintf(seen->problem, sizeof seen->problem, "%s: %s", checked->name, checked->problem);
}

static unsigned check_at(const char *data, struct seen *seen) {
  struct moonkeep_check options = {
      .size = sizeof options, .data = data, .full = 1, .visit = note_checked, .ctx = seen};
  struct moonkeep_error error;
  unsigned bad = 99;
  *seen = (struct seen){0};
  if (moonkeep_check(&options, &bad, &error)) FAIL("%s", error.message);
  return bad;
}

TEST(a_folder_is_checked_whole) {
  const char *data = temp_dir();
  struct seen seen;
  struct moonkeep_host *host = open_at(data);
  set(host, "a", "1");
  back_up(host);
  set(host, "b", "2");
  close_it(host);
  CHECK_INT(check_at(data, &seen), 0);
  CHECK_INT(seen.kinds[MOONKEEP_CHECKED_STORE], 1);
  CHECK(seen.kinds[MOONKEEP_CHECKED_BACKUP] >= 1);
  CHECK_INT(seen.kinds[MOONKEEP_CHECKED_ARCHIVE], 1);
  CHECK_INT(seen.keys, 2);
  const char *name = list_at(data, NULL).names[0];
  CHECK(truncate(temp_path(temp_path(data, "backups"), name), 5000) == 0);
  CHECK_INT(check_at(data, &seen), 1);
  CHECK_INT(seen.problems, 1);
  holds(seen.problem, "appdata-");
}

/* SQLite's locks go with the first file that is closed in a process, so its own host's store is left alone.
 */
TEST(a_folder_that_this_process_has_a_host_on_is_not_checked) {
  const char *data = temp_dir();
  struct moonkeep_check options = {.size = sizeof options, .data = data};
  struct moonkeep_error error;
  struct moonkeep_host *host = open_at(data);
  CHECK_INT(moonkeep_check(&options, NULL, &error), MOONKEEP_BUSY);
  holds(error.message, "this process has the store in");
  close_it(host);
  if (moonkeep_check(&options, NULL, &error)) FAIL("%s", error.message);
  options.data = temp_path(data, "none");
  CHECK_INT(moonkeep_check(&options, NULL, &error), MOONKEEP_INVALID);
  options.size = 0;
  CHECK_INT(moonkeep_check(&options, NULL, &error), MOONKEEP_INVALID);
  holds(error.message, "options.size");
}

/* ---- restore ---- */

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  (void)level, (void)source, (void)text;
  ++*(unsigned *)ctx;
}

static const char *restore(struct moonkeep_restore options) {
  static char json[1024];
  struct moonkeep_result result;
  unsigned lines = 0;
  options.size = sizeof options;
  options.log = on_log;
  options.ctx = &lines;
  if (moonkeep_restore(&options, &result)) FAIL("%s", result.message);
  CHECK_STR(result.message, "");
  snprintf(json, sizeof json, "%s", result.json);
  moonkeep_result_free(&result);
  return json;
}

/* Told first what would be, then done, and undone. */
TEST(an_earlier_state_comes_back_by_its_name_or_its_moment) {
  const char *data = temp_dir();
  struct moonkeep_host *host = open_at(data);
  set(host, "a", "1");
  back_up(host);
  char first[64];
  snprintf(first, sizeof first, "%s", list_at(data, NULL).names[0]);
  set(host, "a", "2");
  int64_t moment_ms = next_moment();
  set(host, "a", "3");
  close_it(host);

  const char *json = restore((struct moonkeep_restore){.data = data, .backup = first, .dry_run = 1});
  holds(json, first);
  holds(json, "\"kind\":\"restored\"");
  holds(json, "\"dry_run\":true}");
  has(data, "a", "3");
  holds(restore((struct moonkeep_restore){.data = data, .backup = first}), "\"dry_run\":false}");
  has(data, "a", "1");
  json = strdup(restore((struct moonkeep_restore){.data = data, .until_ms = moment_ms}));
  has(data, "a", "2");
  char kept[64] = "";
  CHECK(sscanf(strstr(json, "\"kept\":\""), "\"kept\":\"%63[^\"]", kept) == 1);
  free((char *)(uintptr_t)json);
  restore((struct moonkeep_restore){.data = data, .backups = temp_path(data, "backups"), .backup = kept});
  has(data, "a", "1");
}

static void is_refused(struct moonkeep_restore options, enum moonkeep_code code, const char *why) {
  struct moonkeep_result result;
  CHECK_INT(moonkeep_restore(&options, &result), code);
  CHECK_INT(result.code, code);
  CHECK(!result.json);
  holds(result.message, why);
  CHECK_INT(moonkeep_restore(&options, NULL), code);
}

TEST(a_restore_that_cannot_be_is_refused) {
  const char *data = temp_dir();
  const size_t size = sizeof(struct moonkeep_restore);
  is_refused((struct moonkeep_restore){.data = data}, MOONKEEP_INVALID, "options.size");
  is_refused((struct moonkeep_restore){.size = size, .data = data}, MOONKEEP_INVALID,
             "there are no backups in");
  struct moonkeep_host *host = open_at(data);
  set(host, "a", "1");
  back_up(host);
  is_refused((struct moonkeep_restore){.size = size, .data = data}, MOONKEEP_BUSY, "is in use by process");
  close_it(host);
  is_refused(
      (struct moonkeep_restore){.size = size, .data = data, .backup = "appdata-20200101T000000.000Z.db"},
      MOONKEEP_INVALID, "appdata-20200101T000000.000Z.db");
  is_refused((struct moonkeep_restore){.size = size, .data = data, .backup = "x", .until_ms = 1},
             MOONKEEP_INVALID, "not both");
  is_refused((struct moonkeep_restore){.size = size, .data = data, .until_ms = -1}, MOONKEEP_INVALID,
             "before 1970");
  is_refused((struct moonkeep_restore){.size = size, .data = data, .until_ms = 1}, MOONKEEP_CORRUPT, "");
  has(data, "a", "1");
}

TEST(moments_are_read_as_people_write_them) {
  CHECK_INT(moonkeep_moment("2026-11-23T10:15:00.250Z"), 1795428900250);
  CHECK_INT(moonkeep_moment("1795428900.25"), 1795428900250);
  CHECK_INT(moonkeep_moment("appdata-20261123T101500.250Z.db"), 1795428900250);
  CHECK_INT(moonkeep_moment("yesterday"), -1);
}

/* ---- memory ---- */

TEST(a_lack_of_memory_is_said_and_changes_nothing) {
  const char *data = temp_dir();
  struct moonkeep_error error;
  struct moonkeep_host *host = open_at(data);
  set(host, "a", "1");
  back_up(host);
  close_it(host);
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    struct list list = {0};
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_backups(data, NULL, note_backup, &list, &error);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK_INT(code, failed && !list.count ? MOONKEEP_MEMORY : MOONKEEP_OK);
  }
  failed = true;
  for (long nth = 1; failed; nth++) {
    struct moonkeep_restore options = {.size = sizeof options, .data = data, .dry_run = 1};
    struct moonkeep_result result;
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_restore(&options, &result);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK_INT(result.code, code);
    if (!failed) CHECK_INT(code, MOONKEEP_OK);
    moonkeep_result_free(&result);
  }
  has(data, "a", "1");
}
