#include "store/start_log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/check.h"
#include "store/disk.h"
#include "store/replace.h"
#include "store/seal.h"

#define FILE_NAME "appdata.db"
#define LOG       FILE_NAME "-wal"

/* The log's salts; false: there is none that SQLite would read. */
static bool read_salts(const struct folder *folder, const char *path, unsigned char salts[8]) {
  int fd = openat(folder->fd, LOG, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool is = disk_size(path) > 0 && pread(fd, salts, 8, 16) == 8;
  close(fd);
  return is;
}

/* What the file is, alone and without its log. */
enum file { THIS, OTHER, OLDER };

/* Another database's has another id. One that is new may have its own, and all else, in the log; a backup has
 * folded groups and no id. An older one lacks what has gone into this one from earlier logs. */
static enum file which_file(const char *path, const struct mark *mark) {
  static const char doing[] = "look at the store file";
  sqlite3 *db;
  struct seal seal;
  struct err ignored;
  int64_t folded = 0;
  bool sealed;
  if (sql_open_still(&db, path, &ignored)) return THIS;
  bool whole = seal_read(db, &seal, &sealed);
  if (sql_number(db, "SELECT value FROM _meta WHERE name='folded_seq'", doing, &folded, &ignored))
    whole = false;
  sqlite3_close(db);
  if (!whole) return THIS; /* a page that was torn during a checkpoint: the log has it */
  if (seal.id != mark->id && (seal.id != 0 || folded != 0)) return OTHER;
  return sealed && seal.id == mark->id && seal.logs < mark->settled ? OLDER : THIS;
}

/* ---- without the mark ---- */

static bool read_into(sqlite3 *db, struct mark *mark, bool *closed) {
  struct seal seal;
  int64_t epoch, seq;
  bool sealed;
  if (!seal_read(db, &seal, &sealed) || !sealed ||
      !sql_ask(db, "SELECT value FROM _meta WHERE name='epoch'", &epoch) ||
      !sql_ask(db,
               "SELECT max(coalesce((SELECT max(seq) FROM _journal), 0),"
               " (SELECT value FROM _meta WHERE name='folded_seq'))",
               &seq))
    return false;
  *closed = seal.closed;
  *mark = (struct mark){.known = true,
                        .id = seal.id,
                        .epoch = (uint64_t)epoch,
                        .seq = (uint64_t)seq,
                        .settled = seal.base > 0 && seal.base <= UINT32_MAX ? (uint32_t)seal.base : 0};
  return true;
}

/* The log's first group says which file it goes with; what SQLite makes of the two is in memory alone. */
static void ask_log(const char *path, struct mark *mark) {
  sqlite3 *db;
  struct err ignored;
  bool closed;
  if (sql_open(&db, path, false, &ignored)) return;
  read_into(db, mark, &closed);
  sqlite3_close(db);
}

static void ask_file(const char *path, struct mark *mark, bool *alone) {
  sqlite3 *db;
  struct err ignored;
  bool closed = true;
  if (sql_open_still(&db, path, &ignored)) return;
  *alone = read_into(db, mark, &closed) && !closed;
  sqlite3_close(db);
}

void start_do_without_mark(const struct folder *folder, const char *path, struct mark *mark, bool *alone) {
  unsigned char salts[8];
  struct mark found = {0};
  *alone = false;
  if (mark->known || disk_size(path) <= 0) return;
  if (!read_salts(folder, path, salts)) {
    ask_file(path, &found, alone);
    if (*alone) *mark = found;
    return;
  }
  ask_log(path, &found);
  memcpy(found.salts, salts, sizeof salts);
  if (found.known) *mark = found;
}

/* ---- the log ---- */

/* Whether the file and the log, taken together, are a store in which nothing has been committed since. On
 * copies: once SQLite has opened them they are one. */
static enum moonkeep_code try_together(const struct start *start, const struct mark *mark, const char *copy,
                                       const char *copied_log, bool *fits, struct err *err) {
  struct check check = {.full = true};
  struct check_found found;
  char *log = folder_file(start->folder, LOG);
  enum moonkeep_code code = log ? disk_copy(start->path, copy, err) : err_memory(err);
  if (!code) code = disk_copy(log, copied_log, err);
  if (!code) code = check_file(copy, &check, &found, err);
  *fits = !code && found.epoch == mark->epoch && found.last_seq == mark->seq;
  mem_free(log);
  return code == MOONKEEP_CORRUPT ? MOONKEEP_OK : code;
}

static enum moonkeep_code log_fits(const struct start *start, const struct mark *mark, bool *fits,
                                   struct err *err) {
  static const char *const names[] = {"trial.tmp", "trial.tmp-wal", "trial.tmp-shm"};
  char *paths[3] = {0};
  struct err ignored;
  enum moonkeep_code code = MOONKEEP_OK;
  for (int i = 0; !code && i < 3; i++) {
    paths[i] = folder_file(start->folder, names[i]);
    code = paths[i] ? disk_remove(paths[i], err) : err_memory(err);
  }
  if (!code) code = try_together(start, mark, paths[0], paths[1], fits, err);
  for (int i = 0; i < 3; i++) {
    if (paths[i]) disk_remove(paths[i], &ignored);
    mem_free(paths[i]);
  }
  return code;
}

bool start_is_older(const char *path, const struct mark *mark) {
  return mark->known && which_file(path, mark) == OLDER;
}

bool start_log_is_strange(const struct folder *folder, const char *path, const struct mark *mark) {
  unsigned char salts[8];
  if (!mark->known || !read_salts(folder, path, salts)) return false;
  return which_file(path, mark) != THIS || (!mark->clean && !mark_knows_log(mark, salts));
}

enum moonkeep_code start_look_at_log(const struct start *start, const struct mark *mark, bool *doubtful,
                                     bool *older, struct err *err) {
  static const char *const names[] = {LOG, FILE_NAME "-shm", NULL};
  unsigned char salts[8];
  *doubtful = *older = false;
  if (!mark->known || !read_salts(start->folder, start->path, salts)) return MOONKEEP_OK;
  enum file file = which_file(start->path, mark);
  bool fits = false;
  /* Of a folder that was copied each file is of another moment: start_engine sees to that. */
  if (file == OLDER && mark_is_copy(start->folder, mark)) file = THIS;
  if (mark_knows_log(mark, salts) && file == THIS) return MOONKEEP_OK;
  *doubtful = true;
  *older = file == OLDER;
  /* After a clean stop another program may have left one. */
  enum moonkeep_code code = mark->clean && file == THIS ? log_fits(start, mark, &fits, err) : MOONKEEP_OK;
  if (code || fits) return code;
  char aside[REPLACE_NAME];
  replace_aside(aside, "damaged", clock_wall_ms(start->clock));
  log_write(start->log, LOG_WARN, "store",
            "the write-ahead log beside the store file does not belong to it%s; it is now in %s/%s",
            file == OLDER ? ", for the file is an older copy" : "", start->folder->path, aside);
  return replace_set_aside(start->folder, aside, names, err);
}
