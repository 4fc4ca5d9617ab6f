#include "store/start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/archiver.h"
#include "store/check.h"
#include "store/disk.h"
#include "store/rebuild.h"
#include "store/replace.h"
#include "store/replay.h"
#include "store/schema.h"
#include "store/start_log.h"

/* A store file up to this size is checked as a whole after a stop that was not clean: some 0.1 s. */
#ifndef START_CHECK_BYTES
#define START_CHECK_BYTES (32 << 20)
#endif

#define FILE_NAME "appdata.db"
#define LOG       FILE_NAME "-wal"

/* One start at work. */
struct opening {
  struct start *start;
  struct engine *engine;
  struct mark mark;
  uint64_t epoch; /* of the file, as it was opened */
  bool fresh;     /* there was no store file */
  bool restored;  /* a backup has taken its place: that happens once */
  bool doubtful;  /* something about the files was wrong */
  bool older;     /* it is a copy of an earlier time, which was put in its place; */
  bool alone;     /*   or one that was made without its log, while a host was at work */
  bool lost;      /* the log was: the file has said less than it should */
  bool copied;    /* the folder was, while a host was at work in it: */
  bool choosing;  /*   then it is asked whether a backup with the archive is better than the file */
};

static void say(const struct opening *opening, enum log_level level) {
  struct buf text = {0};
  receipt_put_text(&text, &opening->start->receipt);
  log_text(opening->start->log, level, "store", buf_text(&text));
  buf_deinit(&text);
}

/* ---- restoring ---- */

static enum moonkeep_code nothing_to_restore(const struct opening *opening, const char *why,
                                             const struct err *cause, struct err *err) {
  struct err because = *cause;
  return err_set(err, because.code == MOONKEEP_CORRUPT ? MOONKEEP_CORRUPT : because.code,
                 "%.250s, and %.300s; nothing was changed. Bring a backup into %s, or read what can be read "
                 "with `moonkeep salvage %s`",
                 why, because.message, opening->start->backups, opening->start->path);
}

/* Of a copy the archive is what can be trusted. Where that is damaged, and leads less far for it, the file is
 * the better one. */
static bool is_worse(const struct opening *opening, enum moonkeep_code code, bool damaged) {
  if (!opening->choosing) return false;
  return code == MOONKEEP_CORRUPT || (!code && damaged && opening->start->receipt.missing > 0);
}

/* Builds a new store file beside the old one and puts it in its place. */
static enum moonkeep_code restore(struct opening *opening, const char *why, struct err *err) {
  struct start *start = opening->start;
  char aside[REPLACE_NAME], *path = NULL;
  struct err cause;
  bool done, damaged = false;
  opening->restored = true;
  replace_aside(aside, "damaged", clock_wall_ms(start->clock));
  struct rebuild rebuild = {.folder = start->folder,
                            .backups = start->backups,
                            .until_ms = INT64_MAX,
                            .archive = true,
                            .unasked = true,
                            .epoch = opening->mark.epoch,
                            .why = why,
                            .aside = replace_has_old(start->folder) ? aside : "",
                            .promised = opening->mark.seq,
                            .promised_epoch = opening->mark.epoch,
                            .tail = opening->copied ? start->path : NULL,
                            .tail_id = opening->mark.id,
                            .damaged = &damaged,
                            .clock = start->clock,
                            .log = start->log};
  log_write(start->log, LOG_WARN, "store", "%s; restoring it from %s", why, start->backups);
  enum moonkeep_code code = deed_claim(start->deed, DEED_READ, &cause);
  if (!code) code = replace_path(start->folder, &path, &cause);
  if (!code) code = rebuild_make(&rebuild, path, &start->receipt, &cause);
  mem_free(path);
  if (code || is_worse(opening, code, damaged)) replace_discard(start->folder); /* it may be a large one */
  if (is_worse(opening, code, damaged)) {
    start->receipt = (struct receipt){0};
    opening->restored = false;
    return MOONKEEP_OK;
  }
  if (code) {
    start->receipt = (struct receipt){0};
    return nothing_to_restore(opening, why, &cause, err);
  }
  code = replace_commit(start->folder, aside, err);
  if (!code) code = replace_finish(start->folder, &done, err);
  if (!code) say(opening, LOG_WARN);
  if (code) replace_discard(start->folder);
  return code;
}

/* ---- before SQLite looks ---- */

/* What cannot be looked at is there. */
static bool is_there(const struct opening *opening, const char *name) {
  struct stat st;
  if (fstatat(opening->start->folder->fd, name, &st, 0) != 0) return errno != ENOENT;
  return st.st_size > 0;
}

/* Whether the store held anything when it was last open. */
static bool held_something(const struct opening *opening) {
  return (opening->mark.known && opening->mark.seq > 0) || is_there(opening, LOG);
}

static enum moonkeep_code look_for_file(struct opening *opening, struct err *err) {
  const struct start *start = opening->start;
  if (is_there(opening, FILE_NAME) || is_there(opening, FILE_NAME "-journal")) return MOONKEEP_OK;
  const char *why = access(start->path, F_OK) == 0 ? "the store file is empty" : "the store file is missing";
  opening->fresh = true;
  if (rebuild_is_possible(start->backups)) return restore(opening, why, err);
  if (!held_something(opening)) return MOONKEEP_OK;
  return err_set(
      err, MOONKEEP_CORRUPT,
      "%s, though there was one at %s, and there are no backups in %s; nothing was changed. Put the "
      "file back or bring a backup; to begin empty, remove %s/appdata.mark and what is left beside "
      "it of the store file",
      why, start->path, start->backups, start->folder->path);
}

static enum moonkeep_code look_at_log(struct opening *opening, struct err *err) {
  bool doubtful;
  start_do_without_mark(opening->start->folder, opening->start->path, &opening->mark, &opening->alone);
  enum moonkeep_code code =
      start_look_at_log(opening->start, &opening->mark, &doubtful, &opening->older, err);
  opening->older |= opening->alone;
  opening->doubtful |= doubtful || opening->alone;
  return code;
}

/* ---- once it is open ---- */

static enum moonkeep_code open_engine(struct opening *opening, struct err *err) {
  const struct start *start = opening->start;
  enum moonkeep_code code = engine_open_archived(opening->engine, start->folder, start->path,
                                                 start->cache_bytes, start->log, start->archiver, err);
  opening->epoch = opening->engine->epoch;
  /* The log is an earlier process's still, and goes on from the same file. */
  if (!code && opening->engine->settled == 0 && opening->mark.id == opening->engine->id && !opening->restored)
    opening->engine->settled = opening->mark.settled;
  return code;
}

static enum moonkeep_code restore_and_open(struct opening *opening, const char *why, struct err *err) {
  enum moonkeep_code code = restore(opening, why, err);
  return code ? code : open_engine(opening, err);
}

/* The file is whole and says less than was acknowledged: its log was lost, or cut. */
static bool says_less(const struct opening *opening) {
  const struct mark *mark = &opening->mark;
  const struct engine *engine = opening->engine;
  if (!mark->known || mark->id != engine->id) return false;
  return engine->epoch < mark->epoch || (engine->epoch == mark->epoch && engine->last_seq < mark->seq);
}

/* How far the archive reaches from this group on. */
static uint64_t reach(const struct opening *opening, uint64_t epoch, uint64_t seq) {
  uint64_t last = 0;
  int64_t at_ms;
  struct err ignored;
  if (archive_reach(opening->start->backups, epoch, seq, &last, &at_ms, &ignored)) return seq;
  return last > seq ? last : seq;
}

/* Whether a backup with its archive has more than the file with its. An older copy may have been made while a
 * host wrote to the file, and then be of several moments: there it is enough if they have as much. */
static bool reaches_further(const struct opening *opening) {
  const struct start *start = opening->start;
  const struct engine *engine = opening->engine;
  struct snapshot chosen;
  struct err ignored;
  struct rebuild rebuild = {.folder = start->folder,
                            .backups = start->backups,
                            .until_ms = INT64_MAX,
                            .archive = true,
                            .clock = start->clock,
                            .log = start->log};
  uint64_t of_file = reach(opening, engine->epoch, engine->last_seq);
  if (!opening->older && engine->epoch == opening->mark.epoch && of_file >= opening->mark.seq) return false;
  if (rebuild_choose(&rebuild, &chosen, &ignored)) return false;
  if (chosen.epoch != engine->epoch)
    return chosen.epoch > engine->epoch && chosen.epoch <= opening->mark.epoch;
  uint64_t of_backup = reach(opening, chosen.epoch, chosen.seq);
  return of_backup > of_file || (opening->older && of_backup == of_file);
}

/* Numbers of changes that others have heard of are not given again in this epoch. from: the epoch of which
 * the state is; 0: it may be another store's, or of no moment, and the archive is not followed through it. */
static enum moonkeep_code raise_epoch(const struct opening *opening, uint64_t from, struct err *err) {
  uint64_t archived = replay_newest_epoch(opening->start->backups), known = opening->mark.epoch;
  return engine_raise_epoch(opening->engine, archived > known ? archived : known, from, err);
}

static const char *why_older(const struct opening *opening) {
  return opening->alone
             ? "the store file is a copy that was made without its write-ahead log, beside a host: "
               "the last changes may be missing, and what it holds may be of different moments"
             : "an older copy had been put in the place of the store file";
}

/* Brings the file forward with the archive. Where that has not all that was promised, the file counts, and
 * what is missing is said. */
static enum moonkeep_code complete_file(struct opening *opening, struct err *err) {
  const struct start *start = opening->start;
  struct engine *engine = opening->engine;
  struct receipt *receipt = &opening->start->receipt;
  struct replay replay = {.dir = start->backups, .until_ms = INT64_MAX, .epoch = engine->epoch};
  enum moonkeep_code code = replay_run(&replay, engine, err);
  buf_clear(&engine->fresh); /* the archive has them */
  if (code) return code;
  uint64_t missing = engine->last_seq < opening->mark.seq ? opening->mark.seq - engine->last_seq : 0;
  *receipt = (struct receipt){.kind = RECEIPT_COMPLETED,
                              .groups = replay.groups,
                              .up_to_ms = replay.last_ms,
                              .missing = missing,
                              .at_ms = clock_wall_ms(start->clock)};
  strcpy(receipt->why, opening->older
                           ? why_older(opening)
                           : "the last changes to the store file were lost with its write-ahead log");
  say(opening, missing > 0 ? LOG_ERROR : LOG_WARN);
  if (missing > 0 || opening->alone || replay.epoch != engine->epoch)
    code = raise_epoch(opening, replay.epoch, err);
  return code ? code : receipt_save(engine->db, receipt, err);
}

static enum moonkeep_code complete(struct opening *opening, struct err *err) {
  struct err ignored;
  enum moonkeep_code code = deed_claim(opening->start->deed, DEED_READ, err);
  if (code) return code;
  if (!reaches_further(opening)) return complete_file(opening, err);
  engine_close(opening->engine, false, &ignored);
  return restore_and_open(
      opening, opening->older ? why_older(opening) : "the store file has lost its last changes", err);
}

/* A new store has all that it holds in its log: a file that has lost that is an empty one. */
static bool holds_nothing(const struct opening *opening) {
  static const char ask[] =
      "SELECT count(*) FROM sqlite_schema WHERE type='table' AND substr(name, 1, 1)<>'_'"
      " AND name NOT LIKE 'sqlite%'";
  const struct mark *mark = &opening->mark;
  const struct engine *engine = opening->engine;
  struct err ignored;
  int64_t tables = 0;
  if (!mark->known || mark->clean || mark->seq == 0 || engine->last_seq > 0 || engine->epoch > mark->epoch)
    return false;
  return !sql_number(engine->db, ask, "open the store file", &tables, &ignored) && tables == 0;
}

static enum moonkeep_code begin_again(struct opening *opening, struct err *err) {
  struct err ignored;
  engine_close(opening->engine, false, &ignored);
  if (rebuild_is_possible(opening->start->backups))
    return restore_and_open(opening, "the store file has lost all that it held with its write-ahead log",
                            err);
  return err_set(err, MOONKEEP_CORRUPT,
                 "the store file %s has lost all that it held with its write-ahead log, and there are no "
                 "backups in %s. Put the log back or bring a backup; to begin empty, remove %s/appdata.mark",
                 opening->start->path, opening->start->backups, opening->start->folder->path);
}

/* What `moonkeep restore` has made, as long as nothing was written to it: its epoch is one of its own
 * already, and the backup of it that was taken then says so. */
static bool was_made_here(const struct opening *opening, uint64_t archived) {
  const struct engine *engine = opening->engine;
  bool later = engine->epoch > archived && engine->epoch > opening->mark.epoch;
  return later && engine->parent != 0 && engine->branch == engine->last_seq;
}

/* A file that was put in this one's place, most likely a backup, goes on in an epoch of its own. */
static enum moonkeep_code adopt(const struct opening *opening, struct err *err) {
  const struct engine *engine = opening->engine;
  bool other = opening->mark.known && opening->mark.id != engine->id;
  if (engine->last_seq == 0 || !(engine->id_is_new || other)) return MOONKEEP_OK;
  uint64_t archived = replay_newest_epoch(opening->start->backups);
  if (was_made_here(opening, archived)) return MOONKEEP_OK;
  return archived >= engine->epoch || other ? raise_epoch(opening, 0, err) : MOONKEEP_OK;
}

/* ---- a copy ---- */

static const char copy[] = "the data folder is a copy that was made while a host was at work in it";

/* The parts of a folder that is copied while a host writes are of different moments, and the file that is
 * made of them can be whole and of no moment at all. Backups and archive vouch for themselves. */
static enum moonkeep_code look_for_copy(struct opening *opening, struct err *err) {
  const struct start *start = opening->start;
  uint64_t last;
  int64_t at_ms;
  struct err ignored;
  if (!mark_is_copy(start->folder, &opening->mark)) return MOONKEEP_OK;
  opening->copied = opening->doubtful = true;
  if (start->archiver) start->archiver->id = 0; /* its journal may have holes: the archive would hide them */
  if (!start->archiver || start->archiver->mode == STORE_ARCHIVE_OFF) return MOONKEEP_OK;
  bool archived = !archive_last(start->backups, opening->mark.epoch, &last, &at_ms, &ignored) && last > 0;
  if (!archived || !rebuild_is_possible(start->backups)) return MOONKEEP_OK;
  opening->choosing = true;
  enum moonkeep_code code = restore(opening, copy, err);
  opening->choosing = false;
  return code;
}

/* There is nothing that says more than the file: it counts, and what it may be is told. */
static enum moonkeep_code take_copy(struct opening *opening, struct err *err) {
  struct start *start = opening->start;
  struct engine *engine = opening->engine;
  struct receipt *receipt = &start->receipt;
  uint64_t promised = opening->mark.seq;
  if (engine->last_seq == 0 && promised > 0)
    return err_set(err, MOONKEEP_CORRUPT,
                   "%s, and its store file %s holds nothing of what was saved; nothing was changed. Copy it "
                   "again when the host has ended, or take a backup of it (`moonkeep backup`)",
                   copy, start->path);
  log_write(start->log, LOG_WARN, "store",
            "%s: what it holds may be of different moments. `moonkeep backup` "
            "makes a copy that is whole",
            copy);
  if (receipt->kind == RECEIPT_NONE)
    *receipt = (struct receipt){.kind = RECEIPT_COMPLETED,
                                .missing = promised > engine->last_seq ? promised - engine->last_seq : 0,
                                .at_ms = clock_wall_ms(start->clock)};
  snprintf(receipt->why, sizeof receipt->why, "%s: what it holds may be of different moments", copy);
  /* What its journal has is not taken into the archive: it goes on in an epoch of its own. */
  enum moonkeep_code code = raise_epoch(opening, 0, err);
  return code ? code : receipt_save(engine->db, receipt, err);
}

/* ---- the whole file ---- */

/* Rows that do not match their checksums are repaired one by one, and cost nobody else anything. */
static enum moonkeep_code check_whole(struct opening *opening, struct err *err) {
  struct start *start = opening->start;
  struct check check = {.full = true};
  struct check_found found;
  struct err why, ignored;
  start->unchecked = true;
  if (disk_size(start->path) > START_CHECK_BYTES && !opening->doubtful) return MOONKEEP_OK;
  enum moonkeep_code code = check_file(start->path, &check, &found, &why);
  start->unchecked = code != MOONKEEP_OK;
  if (code != MOONKEEP_CORRUPT || found.faults == 0) return MOONKEEP_OK;
  if (!rebuild_is_possible(start->backups)) {
    log_write(start->log, LOG_ERROR, "store", "%s; there is no backup to restore it from", why.message);
    return MOONKEEP_OK;
  }
  engine_close(opening->engine, false, &ignored);
  return restore_and_open(opening, why.message, err);
}

static bool is_damage(enum moonkeep_code code, const struct opening *opening) {
  return code == MOONKEEP_CORRUPT && !opening->restored && rebuild_is_possible(opening->start->backups);
}

static enum moonkeep_code open_checked(struct opening *opening, struct err *err) {
  struct err ignored;
  bool clean = opening->fresh || (opening->mark.known && opening->mark.clean && !is_there(opening, LOG));
  enum moonkeep_code code = schema_check_header(opening->start->path, err);
  if (code == MOONKEEP_INVALID && rebuild_is_possible(opening->start->backups))
    return restore_and_open(opening, "the store file is not an SQLite database", err);
  if (!code) code = look_at_log(opening, err);
  if (!code) code = look_for_copy(opening, err);
  if (!code) code = open_engine(opening, err);
  struct err why = *err;
  if (is_damage(code, opening)) return restore_and_open(opening, why.message, err);
  if (code || opening->restored) return code;
  if (holds_nothing(opening)) return begin_again(opening, err);
  code = adopt(opening, err);
  opening->lost = !code && (opening->older || says_less(opening));
  if (opening->lost) code = complete(opening, err);
  if (!code && opening->copied && !opening->restored) code = take_copy(opening, err);
  /* Left open it would hold the log, which the next try, in this process, may have to set aside. */
  if (code && !opening->restored) engine_close(opening->engine, false, &ignored);
  why = *err;
  if (is_damage(code, opening)) return restore_and_open(opening, why.message, err);
  if (code || opening->restored) return code;
  return clean && !opening->doubtful ? MOONKEEP_OK : check_whole(opening, err);
}

/* Whether another program has written to the file since the last stop. Of a stop that was not clean it is
 * known only where that program took the log away, and then all that was in it is in the file. */
static bool was_edited(const struct opening *opening, uint32_t stamp, bool log_was_there) {
  const struct mark *mark = &opening->mark;
  if (!mark->known || opening->fresh || opening->restored || opening->lost || mark->id != opening->engine->id)
    return false;
  return mark->clean ? mark->stamp != 0 && mark->stamp != stamp : !log_was_there;
}

static enum moonkeep_code settle_identity(struct engine *engine, struct err *err) {
  enum moonkeep_code code = engine_checkpoint(engine, err);
  if (code) engine_close(engine, false, NULL);
  return code;
}

enum moonkeep_code start_engine(struct start *start, struct engine *engine, struct err *err) {
  struct opening opening = {.start = start, .engine = engine};
  bool finished = false;
  start->receipt = (struct receipt){0};
  start->unchecked = false;
  start->edit_seq = 0;
  enum moonkeep_code code = replace_finish(start->folder, &finished, err);
  if (finished && !code)
    log_write(start->log, LOG_WARN, "store", "finished a restore that had been cut short");
  mark_read(start->folder, &opening.mark);
  if (start->archiver) start->archiver->id = opening.mark.id;
  opening.doubtful = opening.mark.faulty;
  uint32_t stamp = mark_stamp(start->folder);
  bool log_was_there = faccessat(start->folder->fd, LOG, F_OK, 0) == 0;
  if (!code) code = look_for_file(&opening, err);
  if (!code) code = opening.restored ? open_engine(&opening, err) : open_checked(&opening, err);
  if (!code && was_edited(&opening, stamp, log_was_there)) {
    code = engine_count_edit(engine, err);
    if (code) engine_close(engine, false, NULL);
    start->edit_seq = engine->last_seq;
  }
  /* Which file this is must not be lost with its log. */
  if (!code && (engine->id_is_new || engine->epoch != opening.epoch)) code = settle_identity(engine, err);
  start->restored = finished || start->receipt.kind != RECEIPT_NONE;
  return code;
}
