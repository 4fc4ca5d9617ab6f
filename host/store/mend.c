#include "store/mend.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/thread.h"
#include "store/check.h"
#include "store/engine_parts.h"
#include "store/row.h"
#include "store/sum.h"

#ifndef MEND_CHECK_MS
#define MEND_CHECK_MS (24 * 3600 * 1000) /* between checks of the whole file */
#endif
enum { LOOK_MS = 1000, TRIES = 20, PAUSE_MS = 250, REACH_PAUSES = 5, MOST_ROWS = 1000, AGAIN_MS = 60000 };

/* ---- the commit thread's part ---- */

static enum moonkeep_code find_damaged(struct engine *engine, const struct mend_job *mend, int64_t *rowid,
                                       bool *damaged, struct err *err) {
  struct row row;
  sqlite3_stmt *rows = NULL;
  *damaged = false;
  char *sql = sqlite3_mprintf("SELECT ?1, " ROW_COLUMNS ", t.rowid FROM " ROW_FROM " WHERE i.key=?1",
                              mend->bucket, mend->bucket);
  enum moonkeep_code code = sql ? sql_prepare(engine->db, sql, &rows, err) : err_memory(err);
  sqlite3_free(sql);
  if (code) return code;
  sqlite3_bind_text64(rows, 1, mend->key, mend->key_len, SQLITE_STATIC, SQLITE_UTF8);
  int rc = sqlite3_step(rows);
  if (rc == SQLITE_ROW) {
    *rowid = sqlite3_column_int64(rows, 5);
    code = row_read(rows, mend->bucket, &row, err);
    if (code == MOONKEEP_CORRUPT && row_has_its_key(rows)) {
      *damaged = !(mend->past_edit && row.foreign);
      code = MOONKEEP_OK;
    }
  } else if (rc != SQLITE_DONE) {
    code = sql_fail(engine->db, rc, "repair a row", err);
  }
  sqlite3_finalize(rows);
  return code;
}

/* An index goes by what the table says, which is what is damaged: it is made anew where it may be concerned.
 */
static enum moonkeep_code write_row(struct engine *engine, const struct mend_job *mend, int64_t rowid,
                                    struct err *err) {
  const struct truth *truth = &mend->truth;
  sqlite3_stmt *put = NULL;
  char *reindex = sqlite3_mprintf("REINDEX \"_%w_expires\"", mend->bucket);
  char *sql =
      truth->there
          ? sqlite3_mprintf("UPDATE \"%w\" SET value=?1, expires_at=?2, sum=?3 WHERE rowid=?4", mend->bucket)
          : sqlite3_mprintf("DELETE FROM \"%w\" WHERE rowid=?4", mend->bucket);
  enum moonkeep_code code =
      sql && reindex ? sql_run(engine->db, reindex, "repair a row", err) : err_memory(err);
  if (!code) code = sql_prepare(engine->db, sql, &put, err);
  if (!code) {
    sqlite3_bind_int64(put, 4, rowid);
    if (truth->there) {
      sqlite3_bind_text64(put, 1, truth->json.data, truth->json.len, SQLITE_STATIC, SQLITE_UTF8);
      if (truth->expires_at_ms) sqlite3_bind_int64(put, 2, truth->expires_at_ms);
      sqlite3_bind_int64(put, 3,
                         sum_row(mend->bucket, mend->key, mend->key_len, truth->json.data, truth->json.len,
                                 truth->expires_at_ms));
    }
    int rc = sqlite3_step(put);
    if (rc != SQLITE_DONE) code = sql_fail(engine->db, rc, "repair a row", err);
  }
  sqlite3_finalize(put);
  sqlite3_free(sql);
  sqlite3_free(reindex);
  return code;
}

static void make_receipt(struct mend_job *mend, const struct clock *clock) {
  struct receipt *receipt = &mend->receipt;
  *receipt = (struct receipt){.kind = RECEIPT_REPAIRED, .keys = 1, .at_ms = clock_wall_ms(clock)};
  snprintf(receipt->why, sizeof receipt->why, "a damaged row of %s", mend->bucket);
  memcpy(receipt->backup, mend->truth.backup, sizeof mend->truth.backup);
}

enum moonkeep_code engine_mend(struct engine *engine, struct mend_job *mend, const struct clock *clock,
                               struct err *err) {
  int64_t rowid = 0;
  bool damaged = false;
  if (mend->truth.epoch != engine->epoch || mend->truth.seq < mend->asked_seq)
    return err_set(
        err, MOONKEEP_CORRUPT,
        "backup and archive do not reach to the newest changes, so that what it holds is not known");
  enum moonkeep_code code = engine_tighten(engine, err);
  if (!code) code = sql_run(engine->db, "BEGIN IMMEDIATE", "repair a row", err);
  if (!code) code = find_damaged(engine, mend, &rowid, &damaged, err);
  if (!code && damaged) {
    make_receipt(mend, clock);
    code = write_row(engine, mend, rowid, err);
    if (!code) code = receipt_save(engine->db, &mend->receipt, err);
  }
  if (!code) code = sql_run(engine->db, "COMMIT", "repair a row", err);
  if (code) return engine_rollback(engine, code);
  mend->mended = damaged;
  return MOONKEEP_OK;
}

/* ---- the mender's thread ---- */

void mend_job_free(struct mend_job *mend) {
  truth_deinit(&mend->truth);
  job_err_free(mend->job.err);
  mem_free(mend);
}

/* A row with a checksum was written by a host: what other programs have done since has not touched it, and
 * need not be known. The time of a file that was damaged while nobody had it open looks like their work, too.
 */
static struct mend_job *new_job(const struct mender *mender, const char *bucket, const char *key,
                                size_t key_len, uint64_t seq) {
  struct mend_job *mend = key_len > 0 && key_len <= STORE_KEY_BYTES ? mem_zero(sizeof *mend) : NULL;
  if (!mend) return NULL;
  mend->job.kind = JOB_MEND;
  snprintf(mend->bucket, sizeof mend->bucket, "%s", bucket);
  memcpy(mend->key, key, key_len);
  mend->key_len = key_len;
  mend->past_edit = seq > 0 && seq == mender->edit_seq;
  mend->asked_seq = mend->past_edit ? seq - 1 : seq;
  return mend;
}

void mender_ask(struct mender *mender, const char *bucket, const char *key, size_t key_len, uint64_t seq) {
  struct mend_job *mend = new_job(mender, bucket, key, key_len, seq);
  if (mend) inbox_put(&mender->inbox, &mend->job);
}

void mender_ask_check(struct mender *mender) {
  atomic_store(&mender->check_soon, true);
}

/* It is behind by about a second. */
static void wait_for_the_archive(void) {
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

static void look_up(struct mender *mender, struct mend_job *mend) {
  struct err err;
  enum moonkeep_code code = MOONKEEP_OK;
  for (int i = 0; i < TRIES && !atomic_load(&mender->stopping); i++) {
    truth_deinit(&mend->truth);
    code = deed_claim(mender->deed, DEED_READ, &err);
    if (!code) code = truth_find(&mend->truth, mender->dir, mend->bucket, mend->key, mend->key_len, &err);
    if (code || mend->truth.seq >= mend->asked_seq) break;
    wait_for_the_archive();
  }
  if (code) {
    job_fail(&mend->job, &err);
    outbox_put(mender->outbox, &mend->job);
  } else {
    inbox_put(mender->commit, &mend->job);
  }
}

/* ---- the check of the whole file ---- */

struct whole_check {
  struct mender *mender;
  struct list found; /* mend jobs */
  size_t count;
};

static bool goes_on(void *ctx) {
  const struct whole_check *whole = ctx;
  return !atomic_load(&whole->mender->hurry_up) && !atomic_load(&whole->mender->stopping);
}

static void on_damaged(void *ctx, const char *bucket, const struct err *why) {
  struct whole_check *whole = ctx;
  if (whole->count >= MOST_ROWS) return; /* the next check finds the others */
  struct mend_job *mend =
      new_job(whole->mender, bucket, why->key, strlen(why->key), atomic_load(whole->mender->seq));
  if (!mend) return;
  list_add(&whole->found, &mend->job.link);
  whole->count++;
}

static void tell_unusable(const struct mender *mender, const struct check_found *found) {
  if (found->unusable > 0)
    log_write(mender->log, LOG_WARN, "store", "%llu row%s cannot be used: %.300s",
              (unsigned long long)found->unusable, found->unusable == 1 ? "" : "s", found->unusable_why);
}

static void tell(const struct mender *mender, enum moonkeep_code code, const struct check_found *found,
                 const struct err *err) {
  if (code == MOONKEEP_OK)
    log_write(mender->log, LOG_INFO, "store", "the store file has been checked: %llu keys, all is well",
              (unsigned long long)found->keys);
  else if (code == MOONKEEP_CORRUPT && found->faults > 0)
    log_write(
        mender->log, LOG_ERROR, "store",
        "the store file is damaged: %s. It will be restored at the next start; until then some keys may not "
        "be found",
        err->message);
  else if (code == MOONKEEP_CORRUPT)
    log_write(mender->log, LOG_ERROR, "store", "%llu rows are damaged: %s",
              (unsigned long long)found->damaged, err->message);
  else
    log_write(mender->log, LOG_WARN, "store", "the store file could not be checked: %s", err->message);
}

static void tell_faulty(struct mender *mender, uint64_t epoch, bool covered) {
  struct faulty_job *faulty = mem_zero(sizeof *faulty);
  if (!faulty) return;
  *faulty = (struct faulty_job){.job.kind = JOB_FAULTY, .epoch = epoch, .covered = covered};
  inbox_put(mender->commit, &faulty->job);
}

/* At once: the host may be killed before it stops. Then, whether a restore would bring back everything. */
static void note_faulty(struct mender *mender) {
  uint64_t asked = atomic_load(mender->seq), epoch, seq = 0;
  struct err ignored;
  atomic_store(&mender->faulty, true);
  tell_faulty(mender, 0, false);
  for (int i = 1; i <= TRIES && seq < asked && !atomic_load(&mender->stopping); i++) {
    wait_for_the_archive();
    if (i % REACH_PAUSES != 0) continue; /* a backup is read as a whole for it */
    if (deed_claim(mender->deed, DEED_READ, &ignored) || truth_reach(mender->dir, &epoch, &seq, &ignored))
      return;
  }
  if (seq >= asked) tell_faulty(mender, epoch, true);
}

static void check_whole(struct mender *mender) {
  struct whole_check whole = {.mender = mender};
  struct check check = {.full = true, .damaged = on_damaged, .go_on = goes_on, .ctx = &whole};
  struct check_found found;
  struct err err;
  list_init(&whole.found);
  pthread_mutex_lock(&mender->file_lock);
  enum moonkeep_code code = check_file(mender->path, &check, &found, &err);
  pthread_mutex_unlock(&mender->file_lock);
  int64_t now = clock_steady_ms(mender->clock);
  mender->soonest_ms = now + AGAIN_MS;
  mender->check_ms = now + (code == MOONKEEP_CLOSED ? LOOK_MS : MEND_CHECK_MS);
  if (code != MOONKEEP_CLOSED) tell(mender, code, &found, &err);
  if (code != MOONKEEP_CLOSED) tell_unusable(mender, &found);
  if (code == MOONKEEP_CORRUPT && found.faults > 0) note_faulty(mender);
  for (struct list *link; (link = list_pop(&whole.found));)
    look_up(mender, list_of(list_of(link, struct job, link), struct mend_job, job));
}

void mender_hold(struct mender *mender) {
  atomic_store(&mender->hurry_up, true);
  pthread_mutex_lock(&mender->file_lock);
  atomic_store(&mender->hurry_up, false);
}

void mender_let_go(struct mender *mender) {
  pthread_mutex_unlock(&mender->file_lock);
}

/* ---- the life of it ---- */

static void *mender_main(void *arg) {
  struct mender *mender = arg;
  for (;;) {
    struct job *job = inbox_take(&mender->inbox, LOOK_MS);
    if (job && job->kind == JOB_STOP) return NULL;
    if (job) look_up(mender, list_of(job, struct mend_job, job));
    if (atomic_exchange(&mender->check_soon, false) && mender->check_ms > mender->soonest_ms)
      mender->check_ms = mender->soonest_ms;
    if (clock_steady_ms(mender->clock) >= mender->check_ms && !atomic_load(&mender->stopping))
      check_whole(mender);
  }
}

bool mender_init(struct mender *mender) {
  atomic_init(&mender->hurry_up, false);
  atomic_init(&mender->stopping, false);
  atomic_init(&mender->faulty, false);
  atomic_init(&mender->check_soon, false);
  if (!inbox_init(&mender->inbox)) return false;
  if (pthread_mutex_init(&mender->file_lock, NULL) == 0) return true;
  inbox_deinit(&mender->inbox);
  return false;
}

void mender_deinit(struct mender *mender) {
  pthread_mutex_destroy(&mender->file_lock);
  inbox_deinit(&mender->inbox);
}

bool mender_start(struct mender *mender) {
  mender->soonest_ms = clock_steady_ms(mender->clock);
  mender->check_ms = mender->soonest_ms + (mender->check_now ? 0 : MEND_CHECK_MS);
  return mender->running = thread_start(&mender->thread, "mender", mender_main, mender);
}

void mender_stop(struct mender *mender) {
  if (!mender->running) return;
  atomic_store(&mender->stopping, true);
  mender->stop.kind = JOB_STOP;
  inbox_put(&mender->inbox, &mender->stop);
  pthread_join(mender->thread, NULL);
  mender->running = false;
}
