#include "store/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/archive_thin.h"
#include "store/archiver.h"
#include "store/commit.h"
#include "store/disk.h"
#include "store/retention.h"

enum {
  LOOK_MS = 500,           /* between looks whether one is due: the clock may be moved */
  RETRY_MS = 30 * 1000,    /* after a failure; twice as long after each further one */
  RETRY_MOST = 10,         /* doublings */
  LEAST_WAL_PAGES = 65536, /* 256 MiB: see wal_limit */
  POLL_MS = 5,             /* while the log goes into the file, piece by piece */
};

#ifndef KEEPER_MOST_POLLS
#define KEEPER_MOST_POLLS 200 /* for each of the pieces */
#endif

#ifndef KEEPER_PIN_PAGES
#define KEEPER_PIN_PAGES 8192 /* of the log between two pins: a checkpoint of some 0.1 s */
#endif

static int64_t steady_ms(const struct keeper *keeper) {
  return clock_steady_ms(keeper->clock);
}

/* ---- what is known ---- */

static void tell_last(struct keeper *keeper) {
  struct store_backup_state *state = &keeper->state;
  pthread_mutex_lock(&keeper->state_lock);
  memcpy(state->name, keeper->last.name, sizeof keeper->last.name);
  state->at_ms = keeper->last.at_ms;
  state->bytes = keeper->last.bytes;
  state->keys = keeper->last.keys;
  pthread_mutex_unlock(&keeper->state_lock);
}

static void tell_outcome(struct keeper *keeper, const struct err *failure) {
  struct store_backup_state *state = &keeper->state;
  pthread_mutex_lock(&keeper->state_lock);
  state->failures = keeper->failures;
  state->error[0] = '\0';
  if (failure) memcpy(state->error, failure->message, sizeof state->error);
  pthread_mutex_unlock(&keeper->state_lock);
}

/* The one that is newest says how long ago the last backup was; what it holds is not known without reading
 * it. */
static void look_for_last(struct keeper *keeper) {
  struct snapshot *all;
  size_t count;
  struct err err;
  if (snapshot_list(keeper->dir, &all, &count, &err) != MOONKEEP_OK) return;
  if (count > 0) keeper->last = all[0];
  mem_free(all);
}

/* In real time the clocks go side by side; the due moment is one of the steady clock's. */
static void set_due(struct keeper *keeper) {
  int64_t age_ms = clock_wall_ms(keeper->clock) - keeper->last.at_ms;
  if (!keeper->last.name[0] || age_ms < 0) age_ms = 0;
  if (age_ms > keeper->every_ms) age_ms = keeper->every_ms;
  keeper->due_ms = steady_ms(keeper) + keeper->every_ms - age_ms;
}

/* What was changed before the store was opened, by other programs too, shows in the file's time alone. */
static bool was_changed_before(const struct keeper *keeper) {
  struct stat st;
  return stat(keeper->path, &st) != 0 || keeper->last.name[0] == '\0' ||
         (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 >= keeper->last.at_ms;
}

static bool has_changed(const struct keeper *keeper) {
  uint64_t seq = atomic_load(&keeper->commit->last_seq);
  return keeper->last_is_known ? seq != keeper->last.seq : seq > 0 || was_changed_before(keeper);
}

/* ---- one backup ---- */

/* Leaves the processor and the disk to the others as long as it has had them, where they have work. */
static bool pace(void *ctx, uint64_t rows) {
  struct keeper *keeper = ctx;
  (void)rows;
  if (atomic_load(&keeper->hurry_up) || atomic_load(&keeper->stopping)) return false;
  uint64_t seq = atomic_load(&keeper->commit->last_seq);
  bool others_work = seq != keeper->seen_seq;
  keeper->seen_seq = seq;
  int wal_pages = atomic_load(&keeper->commit->wal_pages);
  pins_look(&keeper->pins, wal_pages);
  if (others_work && wal_pages < keeper->most_wal_pages)
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000000L}, NULL);
  return true;
}

/* Waits until the writer's checkpoints have come up to the oldest pin, but not for long: he may have nothing
 * to do, and where the log's index had no room for one more reader a pin stands further back than it says.
 * False: others wait for the file. */
static bool await_checkpoint(const struct keeper *keeper) {
  int pages = pins_first(&keeper->pins);
  for (int i = 0; i < KEEPER_MOST_POLLS && atomic_load(&keeper->commit->done_pages) < pages; i++) {
    if (atomic_load(&keeper->hurry_up) || atomic_load(&keeper->stopping)) return false;
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
  }
  return true;
}

/* The log that has gathered goes into the file in pieces, between which others' changes are written. */
static void let_log_go(void *ctx) {
  struct keeper *keeper = ctx;
  while (pins_first(&keeper->pins) > 0 && await_checkpoint(keeper)) pins_next(&keeper->pins);
  pins_free(&keeper->pins);
}

static bool remove_backup(const struct keeper *keeper, const char *name) {
  char *path = disk_join(keeper->dir, name);
  bool done = path && unlink(path) == 0;
  mem_free(path);
  return done;
}

static void thin_out(const struct keeper *keeper, const struct snapshot *all, size_t count) {
  int64_t *moments = mem_alloc(count * sizeof *moments);
  bool *keep = mem_alloc(count * sizeof *keep);
  for (size_t i = 0; moments && i < count; i++) moments[i] = all[i].at_ms;
  if (moments && keep) retention_choose(moments, count, clock_wall_ms(keeper->clock), keep);
  for (size_t i = 0; moments && keep && i < count; i++)
    if (!keep[i] && strcmp(all[i].name, keeper->last.name) != 0 && !remove_backup(keeper, all[i].name))
      log_write(keeper->log, LOG_WARN, "backup", "cannot take away the old backup %s/%s", keeper->dir,
                all[i].name);
  mem_free(moments);
  mem_free(keep);
}

/* Only after a good one. */
static void take_old_ones_away(const struct keeper *keeper) {
  struct snapshot *all;
  size_t count;
  struct err err;
  if (snapshot_list(keeper->dir, &all, &count, &err) != MOONKEEP_OK || count == 0) return;
  thin_out(keeper, all, count);
  mem_free(all);
}

/* With what another program has put into the file and no store can use. */
static void tell_made(const struct keeper *keeper, const struct snapshot *snapshot) {
  struct buf text = {0};
  buf_printf(&text, "%s: %llu keys, %llu KiB, verified", snapshot->name, (unsigned long long)snapshot->keys,
             (unsigned long long)(snapshot->bytes >> 10));
  if (snapshot->unusable > 0)
    buf_printf(&text,
               "; %llu rows of other programs that no store can use are in it as they are (`moonkeep check` "
               "names them)",
               (unsigned long long)snapshot->unusable);
  if (snapshot->left_out[0])
    buf_printf(&text, "; without the tables of other programs: %s", snapshot->left_out);
  bool strange = snapshot->unusable > 0 || snapshot->left_out[0];
  log_text(keeper->log, strange ? LOG_WARN : LOG_INFO, "backup", buf_text(&text));
  buf_deinit(&text);
}

static void succeeded(struct keeper *keeper, const struct snapshot *snapshot, int64_t began_ms) {
  struct err ignored;
  keeper->last = *snapshot;
  keeper->last_is_known = true;
  keeper->failures = 0;
  keeper->due_ms = began_ms + keeper->every_ms;
  tell_last(keeper);
  tell_outcome(keeper, NULL);
  tell_made(keeper, snapshot);
  archiver_rotate(keeper->archiver, snapshot->seq, snapshot->at_ms);
  if (deed_claim(keeper->deed, DEED_WRITE, &ignored)) return;
  take_old_ones_away(keeper);
  archive_thin(keeper->dir, ARCHIVE_KEEP_BYTES, keeper->log);
}

static void failed(struct keeper *keeper, const struct err *err) {
  int64_t wait_ms = (int64_t)RETRY_MS << (keeper->failures < RETRY_MOST ? keeper->failures : RETRY_MOST);
  if (keeper->every_ms > 0 && wait_ms > keeper->every_ms) wait_ms = keeper->every_ms;
  keeper->failures++;
  keeper->due_ms = steady_ms(keeper) + wait_ms;
  tell_outcome(keeper, err);
  if (err->code != MOONKEEP_CLOSED)
    log_write(keeper->log, LOG_ERROR, "backup", "no backup was made: %s%s", err->message,
              keeper->last.name[0] ? "; those there are stay" : "");
}

/* While a backup reads, the write-ahead log cannot be wrapped. It may grow as large as the store is; from
 * there on the backup makes haste. */
static int wal_limit(const struct keeper *keeper) {
  struct stat st;
  int64_t pages = stat(keeper->path, &st) == 0 ? st.st_size / 4096 : 0;
  if (pages < LEAST_WAL_PAGES) return LEAST_WAL_PAGES;
  return pages < INT_MAX ? (int)pages : INT_MAX;
}

static enum moonkeep_code back_up(struct keeper *keeper, struct snapshot *snapshot, struct err *err) {
  struct snapshot_source source = {.data = keeper->data,
                                   .dir = keeper->dir,
                                   .deed = keeper->deed,
                                   .settled = true,
                                   .clock = keeper->clock,
                                   .file_lock = &keeper->file_lock,
                                   .pace = pace,
                                   .copied = let_log_go,
                                   .ctx = keeper};
  int64_t began_ms = steady_ms(keeper);
  enum moonkeep_code code;
  bool wanted = atomic_exchange(&keeper->archiver->wants_backup, false);
  keeper->most_wal_pages = wal_limit(keeper);
  pins_init(&keeper->pins, keeper->path, KEEPER_PIN_PAGES);
  do /* one that was broken off so that somebody could have the file begins anew */
    code = snapshot_take(&source, snapshot, err);
  while (code == MOONKEEP_CLOSED && !atomic_load(&keeper->stopping));
  if (code && wanted) atomic_store(&keeper->archiver->wants_backup, true);
  if (code)
    failed(keeper, err);
  else
    succeeded(keeper, snapshot, began_ms);
  return code;
}

/* ---- the thread ---- */

static void run_job(struct keeper *keeper, struct job *job) {
  struct err err;
  struct backup_job *backup = list_of(job, struct backup_job, job);
  enum moonkeep_code code = atomic_load(&keeper->stopping)
                                ? err_set(&err, MOONKEEP_CLOSED, "no backup was made: the host is ending")
                                : back_up(keeper, &backup->snapshot, &err);
  if (code) job_fail(job, &err);
  outbox_put(keeper->outbox, job);
}

/* Whether the newest backup and what is archived from it on hold all that the store held when it was opened.
 * They do not after a restore, where the archive was off for a time, or where a crash took its last groups.
 */
static bool reaches(const struct keeper *keeper) {
  struct snapshot newest = {.epoch = keeper->epoch};
  char *path = NULL;
  struct err err;
  uint64_t seq = 0;
  int64_t at_ms;
  enum moonkeep_code code = MOONKEEP_OK;
  if (keeper->last.name[0]) {
    path = disk_join(keeper->dir, keeper->last.name);
    code = path ? snapshot_describe(path, &newest, &err) : err_memory(&err);
  }
  mem_free(path);
  if (code || newest.epoch != keeper->epoch) return false;
  if (newest.seq >= keeper->opened_seq) return true;
  code = archive_reach(keeper->dir, keeper->epoch, newest.seq, &seq, &at_ms, &err);
  return !code && seq >= keeper->opened_seq;
}

static void look_at_reach(struct keeper *keeper) {
  struct archiver *archiver = keeper->archiver;
  if (keeper->reach_known || archiver->mode == STORE_ARCHIVE_OFF) return;
  if (!archiver_has(archiver, keeper->opened_seq)) return;
  keeper->reach_known = true;
  if (!reaches(keeper)) atomic_store(&archiver->wants_backup, true);
}

/* Whoever has moved the folder away, put another in its place, or emptied it, has taken with it what
 * everything that was archived since builds on. Whether the disk can be read is the backup's to find out. */
static void look_for_loss(struct keeper *keeper) {
  char *path = disk_join(keeper->dir, keeper->last.name);
  bool lost = path && access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
  mem_free(path);
  if (!lost) return;
  log_write(keeper->log, LOG_WARN, "backup", "the last backup %s is no longer in %s; a new one is made",
            keeper->last.name, keeper->dir);
  keeper->last = (struct snapshot){0};
  keeper->last_is_known = false;
  look_for_last(keeper);
  tell_last(keeper);
  atomic_store(&keeper->archiver->wants_backup, true);
}

/* A gap in the archive does not wait until the next one is due, but for as long as they fail. */
static bool is_due(const struct keeper *keeper) {
  bool wanted = atomic_load(&keeper->archiver->wants_backup);
  if (steady_ms(keeper) < keeper->due_ms) return wanted && keeper->failures == 0;
  return wanted || has_changed(keeper);
}

static void look_whether_due(struct keeper *keeper) {
  struct snapshot snapshot;
  struct err err;
  if (atomic_load(&keeper->stopping) || keeper->every_ms == 0) return;
  look_at_reach(keeper);
  if (keeper->last.name[0]) look_for_loss(keeper);
  if (is_due(keeper)) back_up(keeper, &snapshot, &err);
}

static void *keeper_main(void *arg) {
  struct keeper *keeper = arg;
  for (;;) {
    struct job *job = inbox_take(&keeper->inbox, keeper->every_ms > 0 ? LOOK_MS : -1);
    if (job && job->kind == JOB_STOP) return NULL;
    if (job)
      run_job(keeper, job);
    else
      look_whether_due(keeper);
  }
}

bool keeper_start(struct keeper *keeper) {
  return keeper->running = thread_start(&keeper->thread, "keeper", keeper_main, keeper);
}

void keeper_stop(struct keeper *keeper) {
  struct job stop = {.kind = JOB_STOP};
  if (!keeper->running) return;
  atomic_store(&keeper->stopping, true);
  inbox_put(&keeper->inbox, &stop);
  pthread_join(keeper->thread, NULL);
  keeper->running = false;
}

void keeper_hold(struct keeper *keeper) {
  atomic_store(&keeper->hurry_up, true);
  pthread_mutex_lock(&keeper->file_lock);
  atomic_store(&keeper->hurry_up, false);
}

void keeper_let_go(struct keeper *keeper) {
  pthread_mutex_unlock(&keeper->file_lock);
}

/* ---- the life of it ---- */

static bool make_locks(struct keeper *keeper) {
  if (!inbox_init(&keeper->inbox)) return false;
  if (pthread_mutex_init(&keeper->file_lock, NULL) == 0) {
    if (pthread_mutex_init(&keeper->state_lock, NULL) == 0) return true;
    pthread_mutex_destroy(&keeper->file_lock);
  }
  inbox_deinit(&keeper->inbox);
  return false;
}

bool keeper_open(struct keeper *keeper, const char *data, struct deed *deed, int64_t every_ms,
                 const struct clock *clock, const struct log *log) {
  *keeper = (struct keeper){
      .data = data, .deed = deed, .dir = deed->dir, .every_ms = every_ms, .clock = clock, .log = log};
  keeper->opened_ms = clock_wall_ms(clock);
  keeper->path = disk_join(data, "appdata.db");
  if (!keeper->path || !make_locks(keeper)) {
    mem_free(keeper->path);
    keeper->path = NULL;
    return false;
  }
  bool usable = deed_is_usable(deed);
  if (usable) look_for_last(keeper);
  set_due(keeper);
  tell_last(keeper);
  if (every_ms > 0 && usable) snapshot_clean(keeper->dir);
  return true;
}

void keeper_close(struct keeper *keeper) {
  if (!keeper->path) return;
  pthread_mutex_destroy(&keeper->state_lock);
  pthread_mutex_destroy(&keeper->file_lock);
  inbox_deinit(&keeper->inbox);
  mem_free(keeper->path);
  keeper->path = NULL;
}
