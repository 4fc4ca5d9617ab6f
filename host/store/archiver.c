#include "store/archiver.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "store/archive_resume.h"
#include "store/disk.h"
#include "store/sum.h"

enum {
  SYNC_MS = 500,  /* after a group was written, where nobody waits for it */
  RETRY_MS = 1000 /* after a failure */
};

#ifndef ARCHIVER_FILE_BYTES
#define ARCHIVER_FILE_BYTES (64 << 20) /* a larger file is followed by another one */
#endif

/* ---- the commit thread's side ---- */

static void set_error(struct archiver *archiver, const char *why) {
  snprintf(archiver->error, sizeof archiver->error, "%.250s", why);
}

static void break_locked(struct archiver *archiver, const char *why) {
  if (archiver->error[0] == '\0' || !archiver->broken)
    log_write(archiver->log, LOG_ERROR, "backup",
              "the archive is broken: %s. A backup will be taken, and the archive goes on from there", why);
  set_error(archiver, why);
  archiver->broken = true;
  archiver->breaks++;
  buf_clear(&archiver->waiting);
  pthread_cond_signal(&archiver->more);
  pthread_cond_broadcast(&archiver->done);
}

void archiver_break(struct archiver *archiver, const char *why) {
  if (archiver->mode == STORE_ARCHIVE_OFF) return;
  pthread_mutex_lock(&archiver->lock);
  break_locked(archiver, why);
  pthread_mutex_unlock(&archiver->lock);
}

static void put(struct archiver *archiver, struct engine *engine, uint64_t seq) {
  /* What was not even handed over is lacking, too. */
  if (archiver->gap_seq > 0 && engine->fresh_before > archiver->added_seq)
    archiver->gap_seq = engine->fresh_before;
  if (archiver->waiting.len == 0) archiver->before = engine->fresh_before;
  buf_add(&archiver->waiting, engine->fresh.data, engine->fresh.len);
  archiver->added_seq = seq;
  if (engine->fresh.failed || archiver->waiting.failed)
    break_locked(archiver, "there was no memory for a group");
  else if (archiver->waiting.len > ARCHIVER_LIMIT)
    break_locked(archiver, "it has fallen behind");
  else
    pthread_cond_signal(&archiver->more);
}

static enum moonkeep_code not_well(const struct archiver *archiver, struct err *err) {
  return err_set(err, MOONKEEP_IO, "the archive cannot be written: %s", archiver->error);
}

/* Whether the group is synced. What has failed is tried again, but for what was given up. */
static bool await_sync(struct archiver *archiver, uint64_t seq) {
  unsigned breaks = archiver->breaks;
  bool failed = false;
  struct timespec until = {0};
  while (archiver->synced_seq < seq && archiver->breaks == breaks) {
    if (archiver->error[0] && !failed) until = clock_in_ms(ARCHIVER_PATIENCE_MS);
    failed = archiver->error[0] != '\0';
    if (!failed)
      pthread_cond_wait(&archiver->done, &archiver->lock);
    else if (pthread_cond_timedwait(&archiver->done, &archiver->lock, &until) != 0)
      break;
  }
  return archiver->synced_seq >= seq;
}

enum moonkeep_code archiver_add_up_to(struct archiver *archiver, struct engine *engine, uint64_t seq,
                                      struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  if (archiver->mode == STORE_ARCHIVE_OFF || (engine->fresh.len == 0 && !engine->fresh.failed)) return code;
  pthread_mutex_lock(&archiver->lock);
  if (!archiver->broken)
    put(archiver, engine, seq);
  else
    archiver->added_seq = seq; /* it is given up with the others */
  bool wait = archiver->mode == STORE_ARCHIVE_SYNC && !archiver->broken;
  if (archiver->mode == STORE_ARCHIVE_SYNC && !(wait && await_sync(archiver, seq)))
    code = not_well(archiver, err);
  pthread_mutex_unlock(&archiver->lock);
  buf_clear(&engine->fresh);
  return code;
}

enum moonkeep_code archiver_add(struct archiver *archiver, struct engine *engine, struct err *err) {
  return archiver_add_up_to(archiver, engine, engine->last_seq, err);
}

void archiver_drain(struct archiver *archiver) {
  if (archiver->mode == STORE_ARCHIVE_OFF) return;
  pthread_mutex_lock(&archiver->lock);
  while (archiver->running && archiver->written_seq < archiver->added_seq && archiver->error[0] == '\0')
    pthread_cond_wait(&archiver->done, &archiver->lock);
  pthread_mutex_unlock(&archiver->lock);
}

enum moonkeep_code archiver_is_well(struct archiver *archiver, struct err *err) {
  if (archiver->mode != STORE_ARCHIVE_SYNC) return MOONKEEP_OK;
  pthread_mutex_lock(&archiver->lock);
  enum moonkeep_code code = archiver->error[0] ? not_well(archiver, err) : MOONKEEP_OK;
  pthread_mutex_unlock(&archiver->lock);
  return code;
}

bool archiver_has(struct archiver *archiver, uint64_t seq) {
  if (archiver->mode == STORE_ARCHIVE_OFF) return true;
  pthread_mutex_lock(&archiver->lock);
  bool has = archiver->written_seq >= seq || archiver->added_seq < seq || archiver->error[0] != '\0';
  pthread_mutex_unlock(&archiver->lock);
  return has;
}

uint64_t archiver_reach(struct archiver *archiver) {
  if (archiver->mode == STORE_ARCHIVE_OFF) return UINT64_MAX;
  pthread_mutex_lock(&archiver->lock);
  bool all = archiver->written_seq >= archiver->added_seq || archiver->error[0] != '\0';
  uint64_t reach = all ? UINT64_MAX : archiver->written_seq;
  pthread_mutex_unlock(&archiver->lock);
  return reach;
}

static void keep(struct archiver *archiver, uint64_t seq, int64_t at_ms) {
  if (archiver->gap_seq > 0 || seq <= archiver->kept_seq) return;
  archiver->kept_seq = seq;
  archiver->kept_ms = at_ms;
}

/* What was given up is in it: it and what the archive has from there on are all again. */
static void close_gap(struct archiver *archiver, uint64_t seq, int64_t at_ms) {
  archiver->gap_seq = 0;
  keep(archiver, seq, at_ms);
  keep(archiver, archiver->synced_seq, archiver->synced_ms);
}

void archiver_rotate(struct archiver *archiver, uint64_t seq, int64_t at_ms) {
  if (archiver->mode == STORE_ARCHIVE_OFF) return;
  pthread_mutex_lock(&archiver->lock);
  archiver->rotate = true;
  if (archiver->gap_seq > 0 && seq >= archiver->gap_seq) close_gap(archiver, seq, at_ms);
  pthread_mutex_unlock(&archiver->lock);
}

void archiver_state(struct archiver *archiver, struct store_archive_state *state) {
  *state = (struct store_archive_state){.mode = archiver->mode};
  if (archiver->mode == STORE_ARCHIVE_OFF) return;
  pthread_mutex_lock(&archiver->lock);
  state->seq = archiver->kept_seq;
  state->at_ms = archiver->kept_ms;
  state->behind_bytes = archiver->waiting.len;
  memcpy(state->error, archiver->error, sizeof archiver->error);
  if (archiver->gap_seq > 0 && !archiver->error[0])
    snprintf(state->error, sizeof state->error,
             "it goes on behind a gap, and is of no use from there on until a backup has been made");
  pthread_mutex_unlock(&archiver->lock);
}

/* ---- the thread ---- */

/* The file is made with the first group that goes into it; where that is this process's first, the last one's
 * may do. Where the folder is gone, what was in it is too. */
static enum moonkeep_code begin_file(struct archiver *archiver, struct err *err) {
  bool gone = archiver->writing_before > 0 && access(archiver->dir, F_OK) != 0;
  enum moonkeep_code code = disk_make_folder(archiver->dir, err);
  if (!code) code = deed_claim(archiver->deed, DEED_WRITE, err);
  if (code) return code;
  struct archive_origin origin = {.known = archiver->parent != 0,
                                  .first = archiver->writing_before == archiver->branch,
                                  .epoch = archiver->parent > 0 ? (uint64_t)archiver->parent : 0};
  bool first = !archiver->has_begun;
  archiver->has_begun = true;
  if (first && archive_resume(&archiver->archive, archiver->dir, archiver->epoch, archiver->writing_before))
    return MOONKEEP_OK;
  code = archive_create(&archiver->archive, archiver->dir, archiver->epoch, archiver->writing_before, &origin,
                        clock_wall_ms(archiver->clock), err);
  if (!code && gone) atomic_store(&archiver->wants_backup, true);
  return code;
}

static enum moonkeep_code write_out(struct archiver *archiver, struct err *err) {
  struct archive *archive = &archiver->archive;
  enum moonkeep_code code = archive->fd < 0 ? begin_file(archiver, err) : MOONKEEP_OK;
  if (!code) code = archive_write(archive, &archiver->writing, archiver->writing_seq, err);
  if (code) return code;
  buf_clear(&archiver->writing);
  archiver->unsynced = true;
  return MOONKEEP_OK;
}

/* Takes what waits; false: nothing does. What could not be written the last time comes first. */
static bool take(struct archiver *archiver) {
  if (archiver->writing.len > 0) return true;
  if (archiver->waiting.len == 0) return false;
  struct buf empty = archiver->writing;
  archiver->writing = archiver->waiting;
  archiver->writing_seq = archiver->added_seq;
  archiver->writing_before = archiver->before;
  archiver->waiting = empty;
  buf_clear(&archiver->waiting);
  return true;
}

static void wrote(struct archiver *archiver) {
  archiver->written_seq = archiver->writing_seq;
  pthread_cond_broadcast(&archiver->done);
}

static void synced(struct archiver *archiver, int64_t now_ms) {
  archiver->unsynced = false;
  archiver->synced_seq = archiver->written_seq;
  archiver->synced_ms = now_ms;
  keep(archiver, archiver->synced_seq, now_ms);
  if (archiver->complained) log_write(archiver->log, LOG_WARN, "backup", "the archive is written again");
  archiver->complained = false;
  archiver->error[0] = '\0';
  pthread_cond_broadcast(&archiver->done);
}

static void failed(struct archiver *archiver, const struct err *err) {
  if (!archiver->complained)
    log_write(archiver->log, LOG_ERROR, "backup", "%s; the archive falls behind, it will be tried again",
              err->message);
  archiver->complained = true;
  set_error(archiver, err->message);
  pthread_cond_broadcast(&archiver->done);
}

/* Gives up what it has, and goes on behind the gap. */
static void begin_anew(struct archiver *archiver) {
  archive_close(&archiver->archive);
  buf_clear(&archiver->writing);
  archiver->unsynced = false;
  archiver->broken = false;
  archiver->complained = true;
  archiver->written_seq = archiver->added_seq; /* what was given up will never be there */
  archiver->gap_seq = archiver->added_seq;
  archiver->error[0] = '\0'; /* until the next failure: those who wait for it may try */
  atomic_store(&archiver->wants_backup, true);
}

static void wait_ms(struct archiver *archiver, int ms) {
  struct timespec until = clock_in_ms(ms);
  if (!archiver->stopping) pthread_cond_timedwait(&archiver->more, &archiver->lock, &until);
}

/* With the lock, which is let go while the disk works. False: it failed. */
static bool work(struct archiver *archiver, bool to_write, bool to_sync) {
  struct err err;
  bool doubtful = false;
  if (archiver->rotate && archiver->writing.len > 0 && !archiver->unsynced) archive_close(&archiver->archive);
  if (archiver->archive.bytes > ARCHIVER_FILE_BYTES && !archiver->unsynced) archive_close(&archiver->archive);
  archiver->rotate &= archiver->archive.fd >= 0;
  pthread_mutex_unlock(&archiver->lock);
  int64_t now_ms = clock_wall_ms(archiver->clock);
  enum moonkeep_code code = to_write ? write_out(archiver, &err) : MOONKEEP_OK;
  bool was_written = to_write && !code;
  if (!code && to_sync && archiver->unsynced) {
    code = archive_sync(&archiver->archive, &err);
    doubtful = code != 0;
  }
  doubtful |= code && archiver->unsynced && archiver->archive.fd < 0;
  pthread_mutex_lock(&archiver->lock);
  if (was_written) wrote(archiver);
  if (doubtful)
    break_locked(archiver, err.message);
  else if (code)
    failed(archiver, &err);
  else if (to_sync || !archiver->unsynced)
    synced(archiver, now_ms);
  return !code;
}

static void run(struct archiver *archiver) {
  bool at_once = archiver->mode == STORE_ARCHIVE_SYNC;
  int64_t sync_at = 0;
  for (;;) {
    bool to_write = take(archiver);
    int64_t now = clock_ticks_us() / 1000;
    bool to_sync =
        at_once || archiver->stopping || (archiver->unsynced && now >= sync_at) || archiver->rotate;
    if (archiver->broken) {
      wait_ms(archiver, RETRY_MS);
      begin_anew(archiver);
      if (archiver->stopping) return;
    } else if (to_write || (archiver->unsynced && to_sync)) {
      if (to_write && !archiver->unsynced) sync_at = now + SYNC_MS;
      bool ok = work(archiver, to_write, to_sync);
      if (!ok && archiver->stopping) return;
      if (!ok) wait_ms(archiver, RETRY_MS);
    } else if (archiver->stopping) {
      return;
    } else if (archiver->unsynced) {
      wait_ms(archiver, (int)(sync_at > now ? sync_at - now : 1));
    } else {
      pthread_cond_wait(&archiver->more, &archiver->lock);
    }
  }
}

static void *archiver_main(void *arg) {
  struct archiver *archiver = arg;
  pthread_mutex_lock(&archiver->lock);
  run(archiver);
  if (archiver->writing.len > 0 || archiver->waiting.len > 0)
    log_write(archiver->log, LOG_ERROR, "backup", "the archive lacks the last changes: %s", archiver->error);
  pthread_mutex_unlock(&archiver->lock);
  return NULL;
}

/* ---- the life of it ---- */

static bool make_waits(struct archiver *archiver) {
  pthread_condattr_t steady;
  if (pthread_condattr_init(&steady) != 0) return false;
  pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
  bool more = pthread_cond_init(&archiver->more, &steady) == 0;
  bool done = more && pthread_cond_init(&archiver->done, &steady) == 0;
  pthread_condattr_destroy(&steady);
  if (done && pthread_mutex_init(&archiver->lock, NULL) == 0) return true;
  if (done) pthread_cond_destroy(&archiver->done);
  if (more) pthread_cond_destroy(&archiver->more);
  return false;
}

bool archiver_open(struct archiver *archiver, enum store_archive mode, struct deed *deed,
                   const struct clock *clock, const struct log *log) {
  *archiver = (struct archiver){.mode = mode, .dir = deed->dir, .deed = deed, .clock = clock, .log = log};
  archiver->archive.fd = -1;
  return archiver->open = make_waits(archiver);
}

/* Reads what the journal has behind the archive's last group. */
static enum moonkeep_code read_journal(struct archiver *archiver, const struct engine *engine, uint64_t last,
                                       struct err *err) {
  sqlite3_stmt *rows;
  uint64_t before = engine->folded_seq;
  enum moonkeep_code code =
      sql_prepare(engine->db, "SELECT seq, at, changes, sum FROM _journal ORDER BY seq", &rows, err);
  if (code) return code;
  int rc;
  while (!code && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
    struct archive_group group = {.seq = (uint64_t)sqlite3_column_int64(rows, 0),
                                  .before = before,
                                  .at_ms = sqlite3_column_int64(rows, 1),
                                  .changes = sqlite3_column_blob(rows, 2),
                                  .len = (size_t)sqlite3_column_bytes(rows, 2)};
    before = group.seq;
    if (group.seq <= last) continue;
    if (sqlite3_column_int64(rows, 3) != sum_group((int64_t)group.seq, group.at_ms, group.changes, group.len))
      code = err_set(err, MOONKEEP_CORRUPT, "the journal's row %llu does not match its checksum",
                     (unsigned long long)group.seq);
    if (!code && archiver->waiting.len == 0) archiver->before = group.before;
    if (!code) archive_put(&archiver->waiting, engine->epoch, &group);
    archiver->added_seq = group.seq;
  }
  if (!code && rc != SQLITE_DONE) code = sql_fail(engine->db, rc, "read the journal", err);
  sqlite3_finalize(rows);
  return !code && archiver->waiting.failed ? err_memory(err) : code;
}

static void forget_left(struct archiver *archiver) {
  archive_close(&archiver->archive);
  buf_clear(&archiver->waiting);
  buf_clear(&archiver->writing);
  archiver->unsynced = false;
}

/* Nobody is in a hurry to fold: what leaves the journal before the archive has it would be missing for ever,
 * were this process killed in between. What cannot be written is tried again by the thread. */
static void write_left(struct archiver *archiver) {
  struct err err;
  take(archiver);
  enum moonkeep_code code = write_out(archiver, &err);
  if (!code) code = archive_sync(&archiver->archive, &err);
  if (!code) {
    wrote(archiver);
    synced(archiver, clock_wall_ms(archiver->clock));
    return;
  }
  log_write(archiver->log, LOG_ERROR, "backup", "the archive does not have yet what a crash has left: %s",
            err.message);
  if (archiver->writing.len > 0) return;
  archiver->unsynced = false; /* it may be there or not: only a backup is sure */
  atomic_store(&archiver->wants_backup, true);
}

static void be_of_epoch(struct archiver *archiver, const struct engine *engine) {
  archiver->epoch = engine->epoch;
  archiver->parent = engine->parent;
  archiver->branch = engine->branch;
}

void archiver_look(struct archiver *archiver, const struct engine *engine) {
  struct err err;
  uint64_t last;
  int64_t at_ms;
  if (archiver->mode == STORE_ARCHIVE_OFF) return;
  forget_left(archiver);
  be_of_epoch(archiver, engine);
  enum moonkeep_code code = archive_last(archiver->dir, engine->epoch, &last, &at_ms, &err);
  if (!code) {
    archiver->added_seq = archiver->written_seq = archiver->synced_seq = archiver->kept_seq = last;
    archiver->synced_ms = archiver->kept_ms = at_ms;
    code = read_journal(archiver, engine, last, &err);
  }
  if (!code && archiver->waiting.len > 0 && engine->id == archiver->id) write_left(archiver);
  if (!code) return;
  log_write(archiver->log, LOG_ERROR, "backup",
            "the archive may lack what a crash has left: %s; a backup will be taken", err.message);
  atomic_store(&archiver->wants_backup, true);
  buf_clear(&archiver->waiting);
}

bool archiver_start(struct archiver *archiver, const struct engine *engine) {
  if (archiver->mode == STORE_ARCHIVE_OFF) return true;
  /* What was looked at may since have been restored, or given another epoch. */
  if (archiver->epoch != engine->epoch || archiver->added_seq > engine->last_seq) {
    forget_left(archiver);
    be_of_epoch(archiver, engine);
    if (archiver->synced_seq > engine->last_seq) archiver->synced_seq = engine->last_seq;
    if (archiver->kept_seq > engine->last_seq) archiver->kept_seq = engine->last_seq;
  }
  archiver->added_seq = engine->last_seq;
  if (archiver->waiting.len == 0 && archiver->writing.len == 0) archiver->written_seq = engine->last_seq;
  return archiver->running = thread_start(&archiver->thread, "archiver", archiver_main, archiver);
}

void archiver_stop(struct archiver *archiver) {
  if (!archiver->running) return;
  pthread_mutex_lock(&archiver->lock);
  archiver->stopping = true;
  pthread_cond_signal(&archiver->more);
  pthread_mutex_unlock(&archiver->lock);
  pthread_join(archiver->thread, NULL);
  archiver->running = false;
}

void archiver_close(struct archiver *archiver) {
  if (!archiver->open) return;
  archive_close(&archiver->archive);
  buf_deinit(&archiver->waiting);
  buf_deinit(&archiver->writing);
  pthread_mutex_destroy(&archiver->lock);
  pthread_cond_destroy(&archiver->done);
  pthread_cond_destroy(&archiver->more);
  archiver->open = false;
}
