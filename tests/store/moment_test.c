/* One moment of a data folder: everything that was acknowledged before it, and nothing that came later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "store/moment.h"

static struct moment_options options_of(const char *dir) {
  return (struct moment_options){.dir = dir, .settled = true, .clock = &sync_clock};
}

static struct moment *open_moment(const char *dir) {
  struct moment_options options = options_of(dir);
  struct moment *moment;
  struct err err;
  if (moment_open(&moment, &options, &err)) FAIL("%s", err.message);
  return moment;
}

/* Appends "store.key=value " for each row, to the end. */
static enum moonkeep_code read_rows(struct moment *moment, struct buf *out, struct err *err) {
  struct moment_row row;
  bool end = false;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !end) {
    code = moment_next(moment, &row, &end, err);
    if (code || end) break;
    buf_printf(out, "%s.%.*s=%.*s ", row.store, (int)row.key_len, row.key, (int)row.json_len, row.json);
  }
  return code;
}

static const char *rest_of(struct moment *moment) {
  static struct buf out;
  struct err err;
  buf_clear(&out);
  if (read_rows(moment, &out, &err)) FAIL("%s", err.message);
  return buf_text(&out);
}

static const char *all_of(const char *dir) {
  struct moment *moment = open_moment(dir);
  const char *text = rest_of(moment);
  moment_close(moment);
  return text;
}

TEST(it_has_the_tables_and_the_journal) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  CHECK_STR(all_of(dir), "");
  sync_set(store, "shop", "sword", "1");
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "c", "1");
  sync_set(store, "appData", "gone", "1");
  sync_flush(store);
  sync_set(store, "appData", "b", "2");
  sync_set(store, "appData", "c", "2");
  sync_set(store, "appData", "z", "2");
  sync_delete(store, "appData", "gone");
  sync_set(store, "new", "n", "[]");
  CHECK_STR(all_of(dir), "appData.a=1 appData.b=2 appData.c=2 appData.z=2 new.n=[] shop.sword=1 ");
  struct moment_options options = options_of(dir);
  options.store = "new";
  struct moment *moment;
  struct err err;
  CHECK(!moment_open(&moment, &options, &err));
  CHECK_STR(rest_of(moment), "new.n=[] ");
  moment_close(moment);
  moment_close(NULL);
  sync_close(store);
  CHECK_STR(all_of(dir), "appData.a=1 appData.b=2 appData.c=2 appData.z=2 new.n=[] shop.sword=1 ");
}

TEST(what_comes_later_is_not_in_it) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "b", "1");
  struct moment *moment = open_moment(dir);
  struct moment_row row;
  struct err err;
  bool end;
  CHECK(!moment_next(moment, &row, &end, &err) && !end);
  sync_set(store, "appData", "b", "2");
  sync_set(store, "appData", "c", "2");
  sync_set(store, "later", "a", "2");
  sync_flush(store);
  sync_delete_like(store, "appData", "a%");
  CHECK_STR(rest_of(moment), "appData.b=1 ");
  moment_close(moment);
  CHECK_STR(all_of(dir), "appData.b=2 appData.c=2 later.a=2 ");
  sync_close(store);
}

TEST(what_has_expired_is_not_in_it) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set_until(store, "appData", "a", "1", clock_wall_ms(&sync_clock) + 1000);
  sync_set(store, "appData", "b", "1");
  struct moment *moment = open_moment(dir);
  sync_advance(1000);
  CHECK_STR(rest_of(moment), "appData.a=1 appData.b=1 "); /* it had not, then */
  moment_close(moment);
  CHECK_STR(all_of(dir), "appData.b=1 ");
  sync_close(store);
}

TEST(a_folder_that_is_being_opened_is_busy) {
  const char *dir = temp_dir();
  struct moment_options options = options_of(dir);
  struct moment *moment;
  struct err err;
  CHECK_INT(moment_open(&moment, &options, &err), MOONKEEP_BUSY);
  temp_write(temp_path(dir, "appdata.db"), "");
  CHECK_INT(moment_open(&moment, &options, &err), MOONKEEP_BUSY);
  temp_write(temp_path(dir, "appdata.db"), "some notes, and no database at all");
  CHECK_INT(moment_open(&moment, &options, &err), MOONKEEP_INVALID);
  CHECK(moment == NULL);
}

TEST(a_damaged_row_ends_it) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_set(store, "appData", "b", "1");
  sync_close(store);
  sync_sql(dir, "UPDATE appData SET sum=5 WHERE key='b'");
  struct moment *moment = open_moment(dir);
  struct buf out = {0};
  struct err err;
  CHECK_INT(read_rows(moment, &out, &err), MOONKEEP_CORRUPT);
  CHECK_STR(err.key, "b");
  CHECK_STR(buf_text(&out), "appData.a=1 ");
  buf_deinit(&out);
  moment_close(moment);
}

/* ---- faults ---- */

static enum moonkeep_code open_and_read(const char *dir, struct buf *out, struct err *err) {
  struct moment_options options = options_of(dir);
  struct moment *moment;
  enum moonkeep_code code = moment_open(&moment, &options, err);
  if (code) return code;
  code = read_rows(moment, out, err);
  moment_close(moment);
  return code;
}

static struct store *fill(const char *dir) {
  struct store *store = sync_open(dir);
  sync_set(store, "appData", "a", "1");
  sync_flush(store);
  sync_set(store, "appData", "b", "2");
  return store;
}

TEST(no_memory_at_any_allocation) {
  const char *dir = temp_dir();
  struct store *store = fill(dir);
  for (long nth = 1;; nth++) {
    struct buf out = {0};
    struct err err;
    check_fail_alloc(nth);
    enum moonkeep_code code = open_and_read(dir, &out, &err);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK(code == MOONKEEP_OK || code == MOONKEEP_MEMORY);
    if (!code && !out.failed) CHECK_STR(buf_text(&out), "appData.a=1 appData.b=2 ");
    buf_deinit(&out);
    if (!failed) break;
  }
  sync_close(store);
}

TEST(a_disk_that_cannot_be_read) {
  fault_install();
  const char *dir = temp_dir();
  struct store *store = fill(dir);
  for (long nth = 1;; nth++) {
    struct fault fault = {.op = FAULT_READ, .rc = SQLITE_IOERR_READ, .nth = nth};
    struct buf out = {0};
    struct err err;
    fault_arm(&fault);
    enum moonkeep_code code = open_and_read(dir, &out, &err);
    bool struck = fault_struck();
    fault_disarm();
    if (!code) CHECK_STR(buf_text(&out), "appData.a=1 appData.b=2 ");
    buf_deinit(&out);
    if (!struck) break;
    CHECK(code != MOONKEEP_OK);
  }
  sync_close(store);
}
