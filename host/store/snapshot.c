#include "store/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/disk.h"
#include "store/moment.h"
#include "store/row.h"
#include "store/schema.h"
#include "store/sql.h"
#include "store/sum.h"

enum {
  PACE_ROWS = 1000,
  BATCH_BYTES =
      4 << 20, /* written at a time, and twice as much is on its way to the disk: no burst at the end */
};
static const char PREFIX[] = "appdata-", HALF_MADE[] = SNAPSHOT_HALF_MADE;

/* ---- names ---- */

void snapshot_name(int64_t at_ms, char name[SNAPSHOT_NAME_BYTES]) {
  time_t seconds = (time_t)(at_ms / 1000);
  struct tm utc;
  gmtime_r(&seconds, &utc);
  char date[24];
  strftime(date, sizeof date, "%Y%m%dT%H%M%S", &utc);
  snprintf(name, SNAPSHOT_NAME_BYTES, "%s%s.%03uZ.db", PREFIX, date, (unsigned)(at_ms % 1000) % 1000u);
}

bool snapshot_moment(const char *name, int64_t *at_ms) {
  struct tm utc = {0};
  unsigned ms;
  char again[SNAPSHOT_NAME_BYTES];
  int fields = sscanf(name, "appdata-%4d%2d%2dT%2d%2d%2d.%3uZ.db", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
                      &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &ms);
  if (fields != 7) return false;
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  *at_ms = (int64_t)timegm(&utc) * 1000 + ms;
  if (*at_ms < 0) return false;
  snapshot_name(*at_ms, again);
  return strcmp(again, name) == 0;
}

/* ---- the folder ---- */

static enum moonkeep_code fail(struct err *err, const char *doing, const char *path) {
  int why = errno;
  return err_set(err, disk_code(why), "cannot %s %s: %s", doing, path, strerror(why));
}

static int newest_first(const void *a, const void *b) {
  const struct snapshot *x = a, *y = b;
  return (x->at_ms < y->at_ms) - (x->at_ms > y->at_ms);
}

struct listing {
  struct snapshot *all;
  size_t count, cap;
};

static bool add(struct listing *listing, const struct snapshot *snapshot) {
  if (listing->count == listing->cap) {
    size_t cap = listing->cap ? listing->cap * 2 : 64;
    struct snapshot *grown = mem_resize(listing->all, cap * sizeof *grown);
    if (!grown) return false;
    listing->all = grown;
    listing->cap = cap;
  }
  listing->all[listing->count++] = *snapshot;
  return true;
}

static bool take_entry(DIR *folder, const char *name, struct listing *listing) {
  struct snapshot snapshot = {0};
  struct stat st;
  if (!snapshot_moment(name, &snapshot.at_ms)) return true;
  if (fstatat(dirfd(folder), name, &st, 0) != 0 || !S_ISREG(st.st_mode)) return true;
  memcpy(snapshot.name, name, strlen(name) + 1);
  snapshot.bytes = (uint64_t)st.st_size;
  return add(listing, &snapshot);
}

enum moonkeep_code snapshot_list(const char *dir, struct snapshot **out, size_t *count, struct err *err) {
  struct listing listing = {0};
  *out = NULL;
  *count = 0;
  DIR *folder = opendir(dir);
  if (!folder && errno == ENOENT) return MOONKEEP_OK;
  if (!folder) return fail(err, "read the backups folder", dir);
  bool ok = true;
  errno = 0;
  for (struct dirent *entry; ok && (entry = readdir(folder));)
    ok = take_entry(folder, entry->d_name, &listing);
  closedir(folder);
  if (!ok) {
    mem_free(listing.all);
    return err_memory(err);
  }
  if (listing.count > 1) qsort(listing.all, listing.count, sizeof *listing.all, newest_first);
  *out = listing.all;
  *count = listing.count;
  return MOONKEEP_OK;
}

void snapshot_clean(const char *dir) {
  DIR *folder = opendir(dir);
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));)
    if (strncmp(entry->d_name, HALF_MADE, sizeof HALF_MADE - 1) == 0)
      unlinkat(dirfd(folder), entry->d_name, 0);
  closedir(folder);
}

/* ---- the copy ---- */

/* What is at work on one snapshot. */
struct copy {
  const struct snapshot_source *source;
  struct snapshot *info;
  struct buf half; /* the file's path before it has its name */
  sqlite3 *db;
  sqlite3_stmt *insert;
  char store[64];         /* that insert is for */
  size_t unwritten;       /* bytes of rows since the last commit */
  int fd;                 /* of the file, so that the disk begins with it; -1: it cannot */
  int64_t begun, written; /* up to where the disk has begun with it, and is done */
};

/* Without a journal: a copy that fails is thrown away. It is synced once, at its end. */
static enum moonkeep_code make_file(struct copy *copy, struct err *err) {
  enum moonkeep_code code = sql_open(&copy->db, buf_text(&copy->half), true, err);
  if (!code)
    code = sql_run(copy->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192",
                   "make a backup", err);
  if (!code) code = schema_migrate(copy->db, 0, err);
  if (!code) copy->fd = open(buf_text(&copy->half), O_RDONLY | O_CLOEXEC);
  return code ? code : sql_run(copy->db, "BEGIN IMMEDIATE", "make a backup", err);
}

static enum moonkeep_code begin_store(struct copy *copy, const char *store, struct err *err) {
  sqlite3_finalize(copy->insert);
  copy->insert = NULL;
  snprintf(copy->store, sizeof copy->store, "%s", store);
  enum moonkeep_code code = schema_make_bucket(copy->db, store, err);
  if (code) return code;
  char *sql =
      sqlite3_mprintf("INSERT INTO \"%w\"(key, value, expires_at, sum) VALUES(?1, ?2, ?3, ?4)", store);
  code = sql ? sql_prepare(copy->db, sql, &copy->insert, err) : err_memory(err);
  sqlite3_free(sql);
  return code;
}

static enum moonkeep_code be_at(struct copy *copy, const char *store, struct err *err) {
  return strcmp(copy->store, store) == 0 ? MOONKEEP_OK : begin_store(copy, store, err);
}

/* A sync would wait for more than this file, and the moment would be held all the while. */
static enum moonkeep_code write_out(struct copy *copy, struct err *err) {
  struct stat st;
  copy->unwritten = 0;
  enum moonkeep_code code = sql_run(copy->db, "COMMIT; BEGIN IMMEDIATE", "write a backup", err);
  if (code || copy->fd < 0 || fstat(copy->fd, &st) != 0) return code;
  disk_write_out(copy->fd, copy->begun, st.st_size, false);
  disk_write_out(copy->fd, copy->written, copy->begun, true);
  copy->written = copy->begun;
  copy->begun = st.st_size;
  return code;
}

/* Writes the row that was bound. */
static enum moonkeep_code insert_row(struct copy *copy, size_t bytes, struct err *err) {
  sqlite3_stmt *insert = copy->insert;
  int rc = sqlite3_step(insert);
  sqlite3_reset(insert);
  sqlite3_clear_bindings(insert);
  if (rc != SQLITE_DONE) return sql_fail(copy->db, rc, "write a backup", err);
  copy->unwritten += bytes;
  return copy->unwritten < BATCH_BYTES ? MOONKEEP_OK : write_out(copy, err);
}

static enum moonkeep_code put(struct copy *copy, const struct moment_row *row, int64_t sum, struct err *err) {
  enum moonkeep_code code = be_at(copy, row->store, err);
  if (code) return code;
  sqlite3_stmt *insert = copy->insert;
  sqlite3_bind_text64(insert, 1, row->key, row->key_len, SQLITE_STATIC, SQLITE_UTF8);
  sqlite3_bind_text64(insert, 2, row->json, row->json_len, SQLITE_STATIC, SQLITE_UTF8);
  if (row->expires_at_ms) sqlite3_bind_int64(insert, 3, row->expires_at_ms);
  sqlite3_bind_int64(insert, 4, sum);
  return insert_row(copy, row->key_len + row->json_len, err);
}

/* What no store can use is kept as it is, and without a checksum it stays what it is. */
static enum moonkeep_code put_unusable(void *ctx, const struct unusable *row, struct err *err) {
  struct copy *copy = ctx;
  enum moonkeep_code code = be_at(copy, row->store, err);
  if (code) return code;
  for (int column = 1; column <= 3; column++) {
    int rc = sqlite3_bind_value(copy->insert, column, sqlite3_column_value(row->row, column));
    if (rc != SQLITE_OK) return sql_fail(copy->db, rc, "write a backup", err);
  }
  size_t bytes = (size_t)sqlite3_column_bytes(row->row, 1) + (size_t)sqlite3_column_bytes(row->row, 2);
  copy->info->unusable++;
  copy->info->unusable_sum = sum_chain(copy->info->unusable_sum, row_raw_sum(row->row, row->store));
  return insert_row(copy, bytes, err);
}

static bool may_go_on(const struct snapshot_source *source, uint64_t rows) {
  return !source->pace || rows % PACE_ROWS != 0 || source->pace(source->ctx, rows);
}

static enum moonkeep_code copy_rows(struct copy *copy, struct moment *moment, struct err *err) {
  struct snapshot *info = copy->info;
  for (;;) {
    struct moment_row row;
    bool end;
    if (!may_go_on(copy->source, info->keys))
      return err_set(err, MOONKEEP_CLOSED, "the backup was broken off: the host is ending");
    enum moonkeep_code code = moment_next(moment, &row, &end, err);
    if (code || end) return code;
    int64_t sum = moment_sum(&row);
    code = put(copy, &row, sum, err);
    if (code) return code;
    info->sum = sum_chain(info->sum, sum);
    info->keys++;
  }
}

/* The file says itself up to where it reaches. Here it becomes durable. */
static enum moonkeep_code write_place(struct copy *copy, struct err *err) {
  char sql[400];
  sqlite3_snprintf(sizeof sql, sql,
                   "COMMIT; PRAGMA synchronous=FULL; BEGIN IMMEDIATE;"
                   "UPDATE _meta SET value=%llu WHERE name='epoch';"
                   "UPDATE _meta SET value=%llu WHERE name='folded_seq';"
                   "INSERT INTO _meta VALUES('backup_keys', %llu), ('backup_sum', %lld); COMMIT",
                   (unsigned long long)copy->info->epoch, (unsigned long long)copy->info->seq,
                   (unsigned long long)copy->info->keys, (long long)copy->info->sum);
  return sql_run(copy->db, sql, "write a backup", err);
}

static enum moonkeep_code close_file(struct copy *copy, enum moonkeep_code code, struct err *err) {
  sqlite3_finalize(copy->insert);
  int rc = sqlite3_close(copy->db);
  if (copy->fd >= 0) close(copy->fd);
  copy->fd = -1;
  copy->insert = NULL;
  copy->db = NULL;
  return code || rc == SQLITE_OK ? code : sql_fail(NULL, rc, "write a backup", err);
}

static void let_go(const struct copy *copy, struct moment **moment) {
  if (!*moment) return;
  moment_close(*moment);
  *moment = NULL;
  if (copy->source->copied) copy->source->copied(copy->source->ctx);
}

/* The moment is let go as soon as all is read: the write-ahead log grows while it is held. */
static enum moonkeep_code write_file(struct copy *copy, struct moment **moment, struct err *err) {
  enum moonkeep_code code = moment_place(*moment, &copy->info->epoch, &copy->info->seq, err);
  snprintf(copy->info->left_out, sizeof copy->info->left_out, "%s", moment_left_out(*moment));
  if (!code) code = make_file(copy, err);
  if (!code) code = copy_rows(copy, *moment, err);
  let_go(copy, moment);
  if (!code) code = write_place(copy, err);
  return close_file(copy, code, err);
}

static enum moonkeep_code check_copy(struct copy *copy, struct err *err) {
  struct snapshot read, *info = copy->info;
  enum moonkeep_code code = snapshot_verify(buf_text(&copy->half), &read, err);
  if (code) return code;
  info->bytes = read.bytes;
  bool same = read.keys == info->keys && read.unusable == info->unusable &&
              read.unusable_sum == info->unusable_sum && read.sum == info->sum && read.seq == info->seq &&
              read.epoch == info->epoch;
  return same ? MOONKEEP_OK
              : err_set(
                    err, MOONKEEP_CORRUPT,
                    "the backup does not read back as it was written: %llu keys were written and %llu read",
                    (unsigned long long)info->keys, (unsigned long long)read.keys);
}

/* The name, which no file has: link does not replace one. Where the file system has no links, rename. */
enum moonkeep_code snapshot_take_name(const char *half, const char *dir, struct snapshot *info,
                                      struct err *err) {
  struct buf path = {0};
  enum moonkeep_code code = MOONKEEP_OK;
  for (bool done = false; !code && !done; info->at_ms += !done) {
    snapshot_name(info->at_ms, info->name);
    buf_clear(&path);
    buf_printf(&path, "%s/%s", dir, info->name);
    if (path.failed) code = err_memory(err);
    if (code || access(buf_text(&path), F_OK) == 0) continue;
    done = link(half, buf_text(&path)) == 0;
    if (!done && errno != EEXIST) {
      done = rename(half, buf_text(&path)) == 0;
      if (!done) code = fail(err, "name the backup", buf_text(&path));
    }
  }
  buf_deinit(&path);
  if (code) return code;
  unlink(half);
  return disk_sync(dir, err);
}

static enum moonkeep_code take(struct copy *copy, struct err *err) {
  const struct snapshot_source *source = copy->source;
  struct moment *moment = NULL;
  struct moment_options options = {.dir = source->data,
                                   .whole = true,
                                   .alone = !source->settled,
                                   .settled = source->settled,
                                   .clock = source->clock,
                                   .unusable = put_unusable,
                                   .ctx = copy};
  buf_printf(&copy->half, "%s/%s%ld-%lld", source->dir, HALF_MADE, (long)getpid(),
             (long long)copy->info->at_ms);
  enum moonkeep_code code = copy->half.failed ? err_memory(err) : disk_make_folder(source->dir, err);
  if (!code) code = deed_claim(source->deed, DEED_WRITE, err);
  if (source->file_lock) pthread_mutex_lock(source->file_lock);
  if (!code) code = moment_open(&moment, &options, err);
  if (!code) code = write_file(copy, &moment, err);
  let_go(copy, &moment);
  if (source->file_lock) pthread_mutex_unlock(source->file_lock);
  if (!code) code = check_copy(copy, err);
  if (!code) code = snapshot_take_name(buf_text(&copy->half), source->dir, copy->info, err);
  if (code && copy->half.data) unlink(copy->half.data);
  return code;
}

enum moonkeep_code snapshot_take(const struct snapshot_source *source, struct snapshot *out,
                                 struct err *err) {
  *out = (struct snapshot){.at_ms = clock_wall_ms(source->clock)};
  struct copy copy = {.source = source, .info = out, .fd = -1};
  enum moonkeep_code code = take(&copy, err);
  buf_deinit(&copy.half);
  return code;
}
