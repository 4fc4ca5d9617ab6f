#include "store/truth.h"

#include <string.h>

#include "base/mem.h"
#include "store/disk.h"
#include "store/journal.h"
#include "store/like.h"
#include "store/replay.h"
#include "store/row.h"
#include "store/sql.h"

struct finding {
  struct truth *truth;
  const char *dir, *bucket, *key;
  size_t key_len;
};

void truth_deinit(struct truth *truth) {
  buf_deinit(&truth->json);
}

static enum moonkeep_code take(struct truth *truth, const char *json, size_t len, int64_t expires_at_ms,
                               struct err *err) {
  buf_clear(&truth->json);
  buf_add(&truth->json, json, len);
  truth->there = true;
  truth->expires_at_ms = expires_at_ms;
  return truth->json.failed ? err_memory(err) : MOONKEEP_OK;
}

/* ---- a backup ---- */

static enum moonkeep_code read_place(sqlite3 *db, struct truth *truth, struct err *err) {
  int64_t epoch, seq;
  static const char doing[] = "read a backup";
  enum moonkeep_code code = sql_number(db, "SELECT value FROM _meta WHERE name='epoch'", doing, &epoch, err);
  if (!code) code = sql_number(db, "SELECT value FROM _meta WHERE name='folded_seq'", doing, &seq, err);
  if (code) return code;
  truth->epoch = (uint64_t)epoch;
  truth->seq = (uint64_t)seq;
  return MOONKEEP_OK;
}

static enum moonkeep_code read_key(const struct finding *finding, sqlite3 *db, struct err *err) {
  sqlite3_stmt *rows = NULL;
  struct row row;
  struct buf scratch = {0};
  char *sql = sqlite3_mprintf("SELECT ?1, " ROW_COLUMNS " FROM " ROW_FROM " WHERE i.key=?1", finding->bucket,
                              finding->bucket);
  enum moonkeep_code code = sql ? sql_prepare(db, sql, &rows, err) : err_memory(err);
  sqlite3_free(sql);
  if (code) return code;
  sqlite3_bind_text64(rows, 1, finding->key, finding->key_len, SQLITE_STATIC, SQLITE_UTF8);
  int rc = sqlite3_step(rows);
  if (rc == SQLITE_ROW) {
    code = row_read(rows, finding->bucket, &row, err);
    if (!code && row.foreign) code = row_adopt(finding->bucket, &row, &scratch, err);
    if (!code) code = take(finding->truth, row.json, row.json_len, row.expires_at_ms, err);
  } else if (rc != SQLITE_DONE) {
    code = sql_fail(db, rc, "read a backup", err);
  }
  sqlite3_finalize(rows);
  buf_deinit(&scratch);
  return code;
}

static bool has_table(sqlite3 *db, const char *bucket) {
  return sqlite3_table_column_metadata(db, "main", bucket, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* That a key is not there is believed of a backup which verifies. */
static enum moonkeep_code look_into(const struct finding *finding, const char *path, struct err *err) {
  sqlite3 *db = NULL;
  struct snapshot ignored;
  struct truth *truth = finding->truth;
  truth->there = false;
  enum moonkeep_code code = sql_open_still(&db, path, err);
  if (!code) code = read_place(db, truth, err);
  if (!code && has_table(db, finding->bucket)) code = read_key(finding, db, err);
  sqlite3_close(db);
  return code || truth->there ? code : snapshot_verify(path, &ignored, err);
}

static enum moonkeep_code find_backup(const struct finding *finding, struct err *err) {
  struct snapshot *list;
  size_t count;
  bool found = false;
  struct truth *truth = finding->truth;
  enum moonkeep_code code = snapshot_list(finding->dir, &list, &count, err);
  for (size_t i = 0; !code && !found && i < count; i++) {
    char *path = disk_join(finding->dir, list[i].name);
    enum moonkeep_code looked = path ? look_into(finding, path, err) : err_memory(err);
    mem_free(path);
    found = looked == MOONKEEP_OK;
    if (looked == MOONKEEP_MEMORY) code = looked;
    if (found) memcpy(truth->backup, list[i].name, sizeof truth->backup);
  }
  mem_free(list);
  if (code || found) return code;
  truth->there = false;
  truth->seq = 0;
  truth->epoch = replay_first_epoch(finding->dir);
  return truth->epoch ? MOONKEEP_OK
                      : err_set(err, MOONKEEP_CORRUPT, "no backup in %s knows it", finding->dir);
}

/* ---- the archive ---- */

static bool is_it(const struct finding *finding, const struct journal_change *change) {
  if (change->bucket_len != strlen(finding->bucket) ||
      memcmp(change->bucket, finding->bucket, change->bucket_len) != 0)
    return false;
  if (change->op == 'l') return like_match(change->key, change->key_len, finding->key, finding->key_len);
  return change->key_len == finding->key_len && memcmp(change->key, finding->key, change->key_len) == 0;
}

static enum moonkeep_code on_group(void *ctx, const struct archive_group *group, struct err *err) {
  const struct finding *finding = ctx;
  struct journal_reader reader;
  struct journal_change change;
  enum moonkeep_code code = MOONKEEP_OK;
  journal_read(&reader, group->changes, group->len);
  while (!code && journal_next(&reader, &change)) {
    if (!is_it(finding, &change)) continue;
    finding->truth->there = false;
    if (change.op == 'p') code = take(finding->truth, change.json, change.json_len, change.time_ms, err);
  }
  return code;
}

enum moonkeep_code truth_find(struct truth *truth, const char *dir, const char *bucket, const char *key,
                              size_t key_len, struct err *err) {
  struct finding finding = {truth, dir, bucket, key, key_len};
  *truth = (struct truth){0};
  enum moonkeep_code code = find_backup(&finding, err);
  struct replay replay = {.dir = dir,
                          .until_ms = INT64_MAX,
                          .epoch = truth->epoch,
                          .seq = truth->seq,
                          .group = on_group,
                          .ctx = &finding};
  if (!code) code = replay_walk(&replay, err);
  truth->epoch = replay.epoch;
  truth->seq = replay.seq;
  return code;
}

/* What no store can be named is in no backup, which is therefore read as a whole. */
enum moonkeep_code truth_reach(const char *dir, uint64_t *epoch, uint64_t *seq, struct err *err) {
  struct truth truth = {0};
  enum moonkeep_code code = truth_find(&truth, dir, "", "", 0, err);
  *epoch = truth.epoch;
  *seq = truth.seq;
  truth_deinit(&truth);
  return code;
}
