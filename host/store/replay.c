#include "store/replay.h"

#include <string.h>

#include "base/mem.h"
#include "store/archive.h"
#include "store/journal.h"
#include "store/store.h"
#include "store/sum.h"

enum { BATCH_GROUPS = 1000, BATCH_BYTES = 4 << 20 };

/* What is gathered into one transaction. */
struct batch {
  struct engine *engine;
  size_t groups, bytes;
};

static enum moonkeep_code end_batch(struct batch *batch, struct err *err) {
  if (batch->groups == 0) return MOONKEEP_OK;
  batch->groups = batch->bytes = 0;
  enum moonkeep_code code = engine_end_many(batch->engine, true, err);
  return code ? code : engine_fold_all(batch->engine, err);
}

static enum moonkeep_code append(struct batch *batch, const struct archive_group *group, struct err *err) {
  enum moonkeep_code code = batch->groups == 0 ? engine_begin_many(batch->engine, err) : MOONKEEP_OK;
  if (code) return code;
  batch->groups++;
  batch->bytes += group->len;
  code = engine_append(batch->engine, group->seq, group->at_ms, group->changes, group->len, err);
  if (code) {
    struct err ignored;
    batch->groups = 0;
    engine_end_many(batch->engine, false, &ignored);
    return code;
  }
  return batch->groups >= BATCH_GROUPS || batch->bytes >= BATCH_BYTES ? end_batch(batch, err) : MOONKEEP_OK;
}

/* The record of an erased pattern is a group of its own. */
static bool is_erasure(const struct archive_group *group, struct journal_change *change) {
  struct journal_reader reader;
  journal_read(&reader, group->changes, group->len);
  return journal_next(&reader, change) && change->op == 'l';
}

static enum moonkeep_code erase(struct batch *batch, const struct archive_group *group,
                                const struct journal_change *change, struct err *err) {
  char bucket[STORE_NAME_BYTES + 1];
  uint64_t count;
  if (change->bucket_len > STORE_NAME_BYTES)
    return err_set(err, MOONKEEP_CORRUPT, "the archive names a store that cannot be");
  memcpy(bucket, change->bucket, change->bucket_len);
  bucket[change->bucket_len] = '\0';
  enum moonkeep_code code = end_batch(batch, err);
  if (!code) code = engine_fold_all(batch->engine, err);
  if (code) return code;
  return engine_erase_like(batch->engine, group->seq, change->time_ms, bucket, change->key, change->key_len,
                           &count, err);
}

static enum moonkeep_code apply(void *ctx, const struct archive_group *group, struct err *err) {
  struct journal_change change;
  return is_erasure(group, &change) ? erase(ctx, group, &change, err) : append(ctx, group, err);
}

/* ---- the way through the archive ---- */

/* The last group of the epoch that was written by the moment asked for. A clock that was ahead for a while
 * has left groups of later times before it: so it is not the one before the first that is later. */
static enum moonkeep_code find_last(const struct replay *replay, uint64_t *last, struct err *err) {
  struct archive_reader reader;
  struct archive_group group;
  bool end = false;
  *last = replay->until_ms == INT64_MAX ? UINT64_MAX : replay->seq;
  if (replay->until_ms == INT64_MAX) return MOONKEEP_OK;
  enum moonkeep_code code = archive_open(&reader, replay->dir, replay->epoch, replay->seq, err);
  while (!code && !end) {
    code = archive_next(&reader, &group, &end, err);
    if (!code && !end && group.at_ms <= replay->until_ms) *last = group.seq;
  }
  archive_end(&reader);
  return code;
}

/* The groups of one epoch, up to this one. *ended: there may be no more that come later. */
static enum moonkeep_code walk_epoch(struct replay *replay, uint64_t last, bool *ended, struct err *err) {
  struct archive_reader reader;
  struct archive_group group;
  uint64_t by_then;
  bool end = false;
  enum moonkeep_code code = find_last(replay, &by_then, err);
  if (code) return code;
  code = archive_open(&reader, replay->dir, replay->epoch, replay->seq, err);
  while (!code && !end) {
    code = archive_next(&reader, &group, &end, err);
    if (code || end || group.seq > last) break;
    if (group.seq > by_then) {
      *ended = true;
      break;
    }
    code = replay->group(replay->ctx, &group, err);
    if (code) break;
    replay->seq = group.seq;
    replay->groups++;
    replay->last_ms = group.at_ms;
  }
  replay->torn |= reader.torn;
  replay->gap |= reader.gap;
  replay->damaged |= reader.damaged;
  archive_end(&reader);
  return code;
}

/* Any of its groups will do: the clock may have been ahead when the first ones were written. */
enum moonkeep_code replay_has_begun(const char *dir, uint64_t epoch, uint64_t after, int64_t until_ms,
                                    bool *has, struct err *err) {
  struct archive_reader reader;
  struct archive_group group;
  bool end = false;
  *has = until_ms == INT64_MAX;
  if (*has) return MOONKEEP_OK;
  enum moonkeep_code code = archive_open(&reader, dir, epoch, after, err);
  if (code) return code;
  while (!code && !end && !*has) {
    code = archive_next(&reader, &group, &end, err);
    *has = !code && !end && group.at_ms <= until_ms;
  }
  archive_end(&reader);
  return code;
}

/* Whether the epoch that begins with this file has a group of this number, or may have had it. */
static enum moonkeep_code is_in(const char *dir, const struct archive_file *file, uint64_t seq, bool *is,
                                struct err *err) {
  struct archive_reader reader;
  struct archive_group group;
  bool end = false;
  *is = false;
  if (file->after >= seq) return MOONKEEP_OK;
  enum moonkeep_code code = archive_open(&reader, dir, file->epoch, file->after, err);
  if (code) return code;
  while (!code && !end && reader.seq < seq) code = archive_next(&reader, &group, &end, err);
  *is = !code && (reader.seq >= seq || reader.gap || reader.damaged);
  archive_end(&reader);
  return code;
}

/* The way back from the newest epoch. */
struct way {
  const struct archive_file *file; /* the first of the oldest epoch on it so far; NULL: there is none yet */
  struct archive_origin origin;    /* of that epoch */
  uint64_t newest;
};

/* Whether the epoch of this file is the one before. One that has no file has no groups: then it began with
 * the same state as the one that is looked for. */
static enum moonkeep_code is_before(const struct replay *replay, const struct way *way,
                                    const struct archive_file *file, bool *is, struct err *err) {
  const struct archive_origin *origin = &way->origin;
  *is = way->file == NULL || origin->epoch == file->epoch;
  if (way->file && origin->known && origin->epoch <= file->epoch) return MOONKEEP_OK;
  enum moonkeep_code code = way->file ? is_in(replay->dir, file, way->file->after, is, err) : MOONKEEP_OK;
  if (code || !*is) return code;
  return replay_has_begun(replay->dir, file->epoch, file->after, replay->until_ms, is, err);
}

/* An epoch begins with the first of its files: behind the others' first groups the state is not the one that
 * they build on. */
static enum moonkeep_code find_way(const struct replay *replay, const struct archive_file *files,
                                   size_t count, struct way *way, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = count; !code && i-- > 0;) {
    bool is, first = i == 0 || files[i - 1].epoch != files[i].epoch;
    if (!first || files[i].epoch <= replay->epoch) continue;
    code = is_before(replay, way, &files[i], &is, err);
    if (code || !is) continue;
    if (!way->file) way->newest = files[i].epoch;
    way->file = &files[i];
    code = archive_read_origin(replay->dir, way->file, &way->origin, err);
    if (way->origin.known && !way->origin.first) break; /* its first groups are missing */
  }
  return code;
}

/* Whether the way goes through what comes behind this group. */
static bool comes_from(const struct way *way, const struct replay *replay) {
  if (!way->file || way->file->after < replay->seq) return false;
  return !way->origin.known || (way->origin.first && way->origin.epoch >= replay->epoch);
}

/* The next epoch on the way to the newest one; 0: there is none, or the way does not lead there (*newest). */
static enum moonkeep_code find_branch(const struct replay *replay, uint64_t *epoch, uint64_t *after,
                                      uint64_t *newest, struct err *err) {
  struct archive_file *files;
  size_t count;
  struct way way = {0};
  *epoch = *newest = 0;
  *after = UINT64_MAX;
  enum moonkeep_code code = archive_list(replay->dir, &files, &count, err);
  if (!code) code = find_way(replay, files, count, &way, err);
  if (!code && comes_from(&way, replay)) {
    *epoch = way.file->epoch;
    *after = way.file->after;
  }
  *newest = way.newest;
  mem_free(files);
  return code;
}

enum moonkeep_code replay_leads_on(const struct replay *replay, bool *leads, struct err *err) {
  uint64_t epoch, after, newest;
  enum moonkeep_code code = find_branch(replay, &epoch, &after, &newest, err);
  *leads = !code && (epoch > 0 || newest == 0);
  return code;
}

enum moonkeep_code replay_walk(struct replay *replay, struct err *err) {
  for (;;) {
    uint64_t epoch, after;
    bool ended = false;
    enum moonkeep_code code = find_branch(replay, &epoch, &after, &replay->astray, err);
    if (!code) code = walk_epoch(replay, after, &ended, err);
    if (code || ended || !epoch || replay->seq != after) return code;
    replay->epoch = epoch;
  }
}

enum moonkeep_code replay_run(struct replay *replay, struct engine *engine, struct err *err) {
  struct batch batch = {.engine = engine};
  replay->seq = engine->last_seq;
  replay->group = apply;
  replay->ctx = &batch; /* cppcheck-suppress autoVariables ; taken back below */
  enum moonkeep_code code = replay_walk(replay, err);
  replay->ctx = NULL;
  if (!code) return end_batch(&batch, err);
  struct err ignored;
  if (batch.groups > 0) engine_end_many(engine, false, &ignored);
  return code;
}

/* ---- the journal of a file that is not trusted ---- */

static bool read_row(sqlite3_stmt *rows, struct archive_group *group) {
  *group = (struct archive_group){.seq = (uint64_t)sqlite3_column_int64(rows, 0),
                                  .at_ms = sqlite3_column_int64(rows, 1),
                                  .changes = sqlite3_column_blob(rows, 2),
                                  .len = (size_t)sqlite3_column_bytes(rows, 2)};
  return sqlite3_column_int64(rows, 3) ==
         sum_group((int64_t)group->seq, group->at_ms, group->changes, group->len);
}

static bool is_next(const struct replay *replay, const struct archive_group *group) {
  struct journal_reader reader;
  journal_read(&reader, group->changes, group->len);
  return group->seq == replay->seq + 1 && !reader.broken && reader.epoch == replay->epoch;
}

static enum moonkeep_code walk_journal(struct replay *replay, sqlite3 *db, struct err *err) {
  struct archive_group group;
  sqlite3_stmt *rows;
  struct err ignored;
  enum moonkeep_code code = MOONKEEP_OK;
  if (sql_prepare(db, "SELECT seq, at, changes, sum FROM _journal WHERE seq>?1 ORDER BY seq", &rows,
                  &ignored))
    return MOONKEEP_OK;
  sqlite3_bind_int64(rows, 1, (int64_t)replay->seq);
  while (!code && sqlite3_step(rows) == SQLITE_ROW && read_row(rows, &group) && is_next(replay, &group)) {
    code = replay->group(replay->ctx, &group, err);
    replay->seq = group.seq;
    replay->groups++;
    replay->last_ms = group.at_ms;
  }
  sqlite3_finalize(rows);
  return code;
}

static int64_t ask(sqlite3 *db, const char *sql) {
  int64_t number = 0;
  struct err ignored;
  return sql_number(db, sql, "look at the store file", &number, &ignored) ? 0 : number;
}

enum moonkeep_code replay_tail(struct replay *replay, struct engine *engine, const char *path, int64_t id,
                               uint64_t *last, struct err *err) {
  struct batch batch = {.engine = engine};
  struct err ignored;
  sqlite3 *db;
  enum moonkeep_code code = MOONKEEP_OK;
  *last = 0;
  if (sql_open(&db, path, false, &ignored)) return code;
  if (ask(db, "SELECT value FROM _meta WHERE name='id'") == id) {
    *last = (uint64_t)ask(db, "SELECT max(coalesce((SELECT max(seq) FROM _journal), 0),"
                              " (SELECT value FROM _meta WHERE name='folded_seq'))");
    replay->ctx = &batch; /* cppcheck-suppress autoVariables ; taken back below */
    code = walk_journal(replay, db, err);
    replay->ctx = NULL;
  }
  sqlite3_close(db);
  if (!code) return end_batch(&batch, err);
  if (batch.groups > 0) engine_end_many(engine, false, &ignored);
  return code;
}

uint64_t replay_newest_epoch(const char *dir) {
  struct archive_file *files;
  struct err ignored;
  size_t count;
  uint64_t newest = 0;
  if (archive_list(dir, &files, &count, &ignored) == MOONKEEP_OK && count > 0)
    newest = files[count - 1].epoch;
  mem_free(files);
  return newest;
}

uint64_t replay_first_epoch(const char *dir) {
  struct archive_file *files;
  struct err ignored;
  size_t count;
  uint64_t first = 0;
  if (archive_list(dir, &files, &count, &ignored) != MOONKEEP_OK) return 0;
  for (size_t i = 0; !first && i < count; i++)
    if (files[i].after == 0) first = files[i].epoch;
  mem_free(files);
  return first;
}
