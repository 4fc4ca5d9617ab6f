#include "store/commit.h"

#include "base/mem.h"
#include "base/thread.h"
#include "store/archiver.h"
#include "store/journal.h"
#include "store/keeper.h"
#include "store/mend.h"
#include "store/receipt.h"
#include "store/settle.h"

/* Above this much journal each commit folds first, and callers feel it as waiting. What is not folded is in
 * the front's memory too, where a small change takes thrice as much: so it is less with a small cache. */
#ifndef COMMIT_JOURNAL_BYTES
#define COMMIT_JOURNAL_BYTES (64 << 20)
#endif
enum { LEAST_JOURNAL_BYTES = 2 << 20 };
#ifndef COMMIT_WAL_PAGES
#define COMMIT_WAL_PAGES 1000 /* a checkpoint of 4 MiB costs a stall of some 80 ms at worst */
#endif

enum {
  IDLE_MS = 200,        /* nothing to do for so long: fold */
  FOLD_AFTER_MS = 1000, /* and so long under load */
  UPKEEP_MS = 1000,     /* between looks at what has expired, and where upkeep has failed */
};

/* ---- the archive ---- */

static enum moonkeep_code be_ready(struct commit *commit, struct err *err) {
  enum moonkeep_code code = settle_be_whole(commit, err);
  return code ? code : archiver_is_well(commit->archiver, err);
}

/* What has been committed goes into the archive. Where it has to be there before anybody is told, and is not,
 * the change is saved and yet cannot be called so; the cache has to forget what it says of it. */
static enum moonkeep_code hand_to_archive(struct commit *commit, enum moonkeep_code code, struct err *err) {
  struct err why;
  if (code) buf_clear(&commit->engine.fresh);
  if (code || archiver_add(commit->archiver, &commit->engine, &why) == MOONKEEP_OK) return code;
  commit->broken = true;
  return err_set(err, MOONKEEP_UNKNOWN, "the change is in the store file, but not in the archive: %s",
                 why.message);
}

/* ---- upkeep: folding, sweeping, checkpoints ---- */

static void note_unfolded(struct commit *commit) {
  bool unfolded = commit->engine.folded_seq < commit->engine.last_seq;
  if (!unfolded)
    commit->unfolded_since_ms = 0;
  else if (!commit->unfolded_since_ms)
    commit->unfolded_since_ms = clock_steady_ms(commit->clock) | 1;
  atomic_store(&commit->folded_seq, commit->engine.folded_seq);
  atomic_store(&commit->last_seq, commit->engine.last_seq);
  atomic_store(&commit->wal_pages, commit->engine.wal_pages);
  atomic_store(&commit->journal_bytes, commit->engine.journal_bytes);
}

/* Upkeep that fails is no caller's failure: everything stays in the journal, and it is tried again. */
static void upkeep_result(struct commit *commit, enum moonkeep_code code, const struct err *err) {
  if (code && !commit->complained)
    log_write(commit->log, LOG_ERROR, "store", "%s; nothing is lost, it will be tried again", err->message);
  commit->complained = code != 0;
  if (code) commit->more_to_do = false;
  if (code == MOONKEEP_IO) commit->broken = true;
}

/* What is written after a write that failed, on the same connection, cannot be trusted. */
static enum moonkeep_code fold_everything(struct commit *commit, struct err *err) {
  enum moonkeep_code code = settle_be_whole(commit, err);
  if (!code) code = engine_fold_all(&commit->engine, err);
  if (code == MOONKEEP_IO) commit->broken = true;
  return code;
}

static size_t journal_limit(const struct commit *commit) {
  size_t limit = LEAST_JOURNAL_BYTES + commit->cache_bytes / 4;
  return limit < COMMIT_JOURNAL_BYTES ? limit : COMMIT_JOURNAL_BYTES;
}

static bool is_long(const struct commit *commit) {
  return commit->engine.journal_bytes >= journal_limit(commit) / 2;
}

/* A fold takes what has gathered for a second, or much of it: the more it takes, the fewer pages it writes
 * for each row. */
static bool fold_is_due(const struct commit *commit, bool idle) {
  int64_t since = commit->unfolded_since_ms;
  if (!since) return false;
  return idle || engine_is_folding(&commit->engine) || is_long(commit) ||
         clock_steady_ms(commit->clock) - since >= FOLD_AFTER_MS;
}

static size_t fold_step(struct commit *commit, uint64_t up_to) {
  struct err err;
  size_t rows;
  int64_t now_ms = clock_steady_ms(commit->clock);
  if (!engine_is_folding(&commit->engine)) commit->fold_ms = now_ms;
  enum moonkeep_code code = engine_fold(&commit->engine, up_to, &rows, &err);
  if (!code && rows > 0 && !engine_is_folding(&commit->engine)) /* what is left came later */
    commit->unfolded_since_ms = commit->fold_ms | 1;
  note_unfolded(commit);
  commit->more_to_do = (rows > 0 || engine_is_folding(&commit->engine)) && fold_is_due(commit, false);
  upkeep_result(commit, code, &err);
  return rows;
}

/* Between two groups so much is folded that the journal gets shorter, however large the groups are. Where
 * that takes long, as with keys all over a store that is larger than memory, it takes the time that the
 * commits leave, and at most as much again as they need, until the journal has got half as long as it may
 * be. What is not archived yet stays in the journal, from where the next start takes it over. */
static void fold_as_owed(struct commit *commit) {
  uint64_t up_to = archiver_reach(commit->archiver);
  bool in_time = !is_long(commit);
  int64_t end_us = clock_ticks_us() + commit->owed_us;
  size_t rows = 0;
  do rows += fold_step(commit, up_to);
  while (commit->more_to_do && rows < commit->owed_rows && !(in_time && clock_ticks_us() >= end_us));
  commit->owed_rows -= rows < commit->owed_rows ? rows : commit->owed_rows;
}

static void checkpoint(struct commit *commit) {
  struct err err;
  if (commit->engine.wal_pages < COMMIT_WAL_PAGES) return;
  upkeep_result(commit, engine_checkpoint(&commit->engine, &err), &err);
  marker_follow(&commit->marker, &commit->engine); /* before the log begins anew */
  atomic_store(&commit->wal_pages, commit->engine.wal_pages);
  atomic_store(&commit->done_pages, commit->engine.done_pages);
}

static void sweep(struct commit *commit) {
  struct err err;
  bool more = false;
  int64_t steady = clock_steady_ms(commit->clock), now = clock_wall_ms(commit->clock);
  if (now < commit->engine.next_expiry_ms || steady < commit->sweep_ms + UPKEEP_MS) return;
  enum moonkeep_code code = engine_sweep(&commit->engine, now, &more, &err);
  if (!more || code) commit->sweep_ms = steady;
  commit->more_to_do |= more;
  upkeep_result(commit, code, &err);
}

static void upkeep(struct commit *commit, bool idle) {
  struct err err;
  if (settle_be_whole(commit, &err)) return;
  commit->more_to_do = false;
  if (fold_is_due(commit, idle)) fold_as_owed(commit);
  if (!commit->broken) sweep(commit);
  if (!commit->broken) checkpoint(commit);
}

/* ---- jobs ---- */

static void encode(struct commit *commit, const struct group *group) {
  const char *bucket = NULL;
  struct buf *out = &commit->changes;
  buf_clear(out);
  journal_begin(out, commit->engine.epoch);
  for (size_t i = 0; i < group->count; i++) {
    const struct change *change = &group->changes[i];
    if (change->bucket != bucket) journal_bucket(out, bucket = change->bucket);
    if (change->value)
      journal_put(out, change->key, change->key_len, change->value->json, change->value->len,
                  change->value->expires_at_ms);
    else
      journal_erase(out, change->key, change->key_len);
  }
}

static enum moonkeep_code save(struct commit *commit, struct group *group, struct err *err) {
  while (commit->engine.journal_bytes > journal_limit(commit) && !commit->broken && !commit->complained)
    fold_step(commit, UINT64_MAX);
  enum moonkeep_code code = be_ready(commit, err);
  if (code) return code;
  encode(commit, group);
  if (commit->changes.failed) return err_memory(err);
  code = engine_append(&commit->engine, group->seq, clock_wall_ms(commit->clock), commit->changes.data,
                       commit->changes.len, err);
  if (code) code = settle(commit, group->seq, code, err);
  return hand_to_archive(commit, code, err);
}

static void fail_group(struct commit *commit, struct group *group, const struct err *why) {
  job_fail(&group->job, why);
  commit->min_epoch = group->epoch + 1;
  commit->why_refused = *why;
  /* Those that come behind it were certainly not written. */
  if (why->code == MOONKEEP_UNKNOWN) commit->why_refused.code = MOONKEEP_IO;
  commit->doubtful |= why->code == MOONKEEP_UNKNOWN;
}

static void run_group(struct commit *commit, struct group *group) {
  struct err err;
  enum moonkeep_code code = settle_be_whole(commit, &err);
  if (group->epoch < commit->min_epoch) {
    job_fail(&group->job, &commit->why_refused);
    return;
  }
  if (!code) code = save(commit, group, &err);
  if (code) fail_group(commit, group, &err);
}

static void time_group(struct commit *commit, struct group *group) {
  int64_t began = clock_ticks_us();
  run_group(commit, group);
  commit->owed_rows = 2 * group->count;
  group->took_us = commit->owed_us = clock_ticks_us() - began;
}

/* It is in the tables at once. Where the archive has to have it before anybody is told, no reader may look
 * there in between: what it saw could still be lost with the store file. */
static enum moonkeep_code erase_unseen(struct commit *commit, struct erase_job *erase, struct err *err) {
  struct store_call *call = erase->call;
  bool hold = commit->archiver->mode == STORE_ARCHIVE_SYNC;
  if (hold) pthread_mutex_lock(commit->view_lock);
  enum moonkeep_code code =
      engine_erase_like(&commit->engine, erase->seq, erase->now_ms, bucket_name(call->bucket), call->pattern,
                        call->pattern_len, &call->count, err);
  bool failed = code != MOONKEEP_OK;
  if (!failed) code = hand_to_archive(commit, code, err);
  if (hold) pthread_mutex_unlock(commit->view_lock);
  if (!failed) return code;
  code = settle(commit, erase->seq, code, err);
  return hand_to_archive(commit, code, err);
}

static void run_erase(struct commit *commit, struct erase_job *erase) {
  struct err err;
  enum moonkeep_code code = archiver_is_well(commit->archiver, &err);
  if (!code) code = fold_everything(commit, &err);
  if (!code) code = erase_unseen(commit, erase, &err);
  if (code) job_fail(&erase->job, &err);
}

static void run_fold(struct commit *commit, struct fold_job *fold) {
  struct err err;
  enum moonkeep_code code = fold_everything(commit, &err);
  if (code) job_fail(&fold->job, &err);
}

static void run_mend(struct commit *commit, struct mend_job *mend) {
  struct err err;
  enum moonkeep_code code = fold_everything(commit, &err);
  if (!code) code = engine_mend(&commit->engine, mend, commit->clock, &err);
  if (code) job_fail(&mend->job, &err);
}

/* Where it cannot be noted they are told again. */
static void run_told(struct commit *commit) {
  struct err ignored;
  if (!commit->broken && !commit->in_bulk) receipt_note_told(commit->engine.db, &ignored);
}

/* A group of a bulk: its changes behind a head of their own. */
static enum moonkeep_code append_bulk(struct commit *commit, const struct bulk_job *bulk, struct err *err) {
  struct buf *out = &commit->changes;
  buf_clear(out);
  journal_begin(out, commit->engine.epoch);
  buf_add(out, bulk->changes->data, bulk->changes->len);
  if (out->failed) return err_memory(err);
  return engine_append(&commit->engine, bulk->seq, clock_wall_ms(commit->clock), out->data, out->len, err);
}

static enum moonkeep_code step_bulk(struct commit *commit, const struct bulk_job *bulk, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  switch (bulk->step) {
  case BULK_BEGIN:
    code = archiver_is_well(commit->archiver, err);
    if (!code) code = fold_everything(commit, err);
    return code ? code : engine_begin_many(&commit->engine, err);
  case BULK_APPEND: return append_bulk(commit, bulk, err);
  case BULK_COMMIT: return engine_end_many(&commit->engine, true, err);
  case BULK_ABANDON: return engine_end_many(&commit->engine, false, err);
  }
  return code;
}

/* What a bulk has committed goes into the archive from the journal, a piece at a time: it may be larger than
 * memory. */
static enum moonkeep_code archive_bulk(struct commit *commit, uint64_t after, struct err *err) {
  enum { PIECE_BYTES = 4 << 20 };
  struct engine *engine = &commit->engine;
  enum moonkeep_code code = MOONKEEP_OK;
  struct err why;
  for (uint64_t last = after; engine->keeps_fresh && !code; after = last) {
    code = engine_read_fresh(engine, after, PIECE_BYTES, &last, &why);
    if (code || last == after) break;
    code = archiver_add_up_to(commit->archiver, engine, last, &why);
    archiver_drain(commit->archiver);
  }
  if (!code) return code;
  buf_clear(&engine->fresh);
  archiver_break(commit->archiver, why.message);
  if (commit->archiver->mode != STORE_ARCHIVE_SYNC) return MOONKEEP_OK; /* nobody waits for it */
  commit->broken = true;
  return err_set(err, MOONKEEP_UNKNOWN, "the rows are in the store file, but not all in the archive: %s",
                 why.message);
}

/* A step that fails takes back what came before it. */
static void run_bulk(struct commit *commit, struct bulk_job *bulk) {
  struct err err;
  bool began = commit->in_bulk;
  enum moonkeep_code code = step_bulk(commit, bulk, &err);
  commit->in_bulk = !code && (bulk->step == BULK_BEGIN || bulk->step == BULK_APPEND);
  if (!code && commit->in_bulk) return;
  struct err ignored;
  if (code && began && bulk->step == BULK_APPEND) engine_end_many(&commit->engine, false, &ignored);
  if (code) code = settle(commit, bulk->seq, code, &err);
  if (!code && bulk->step == BULK_COMMIT)
    code = archive_bulk(commit, commit->engine.before_many.last_seq, &err);
  if (code) job_fail(&bulk->job, &err);
}

/* What is of another epoch than the file's may lack what came since. */
static void run_faulty(struct commit *commit, struct faulty_job *faulty) {
  marker_note_faulty(&commit->marker);
  if (faulty->epoch != commit->engine.epoch) faulty->covered = false;
}

/* The last chance for a disk that works again to let the store close cleanly. */
static void try_once_more(struct commit *commit) {
  struct err err;
  bool there;
  if (commit->broken) settle_reopen(commit, 0, &there, &err);
}

static void run(struct commit *commit, struct job *job) {
  if (job->kind == JOB_GROUP) time_group(commit, list_of(job, struct group, job));
  if (job->kind == JOB_ERASE) run_erase(commit, list_of(job, struct erase_job, job));
  if (job->kind == JOB_BULK) run_bulk(commit, list_of(job, struct bulk_job, job));
  if (job->kind == JOB_FOLD) run_fold(commit, list_of(job, struct fold_job, job));
  if (job->kind == JOB_MEND) run_mend(commit, list_of(job, struct mend_job, job));
  if (job->kind == JOB_TOLD) run_told(commit);
  if (job->kind == JOB_FAULTY) run_faulty(commit, list_of(job, struct faulty_job, job));
  if (job->kind == JOB_STOP) try_once_more(commit);
  if (!commit->in_bulk) marker_follow(&commit->marker, &commit->engine); /* before anybody is told */
  note_unfolded(commit);
}

/* ---- on the host's thread ---- */

/* Nothing but the group itself is in its way. */
static bool is_free_for(const struct commit *commit, const struct group *group) {
  return !commit->in_bulk && !commit->broken && !commit->complained && group->epoch >= commit->min_epoch &&
         commit->engine.journal_bytes <= journal_limit(commit);
}

/* False: another program holds the file; waiting for it is the commit thread's. */
static bool run_here(struct commit *commit, struct group *group) {
  struct err err;
  int64_t began = clock_ticks_us();
  sql_wait_for_others(commit->engine.db, false);
  enum moonkeep_code code = save(commit, group, &err);
  if (commit->engine.db) sql_wait_for_others(commit->engine.db, true);
  if (code == MOONKEEP_BUSY) return false;
  if (code) fail_group(commit, group, &err);
  marker_follow(&commit->marker, &commit->engine);
  note_unfolded(commit);
  commit->here_us = clock_ticks_us();
  group->took_us = commit->here_us - began;
  return true;
}

bool commit_here(struct commit *commit, struct group *group) {
  if (!inbox_borrow(&commit->inbox)) return false;
  bool waits_for_ever = commit->unfolded_since_ms == 0;
  bool done = is_free_for(commit, group) && run_here(commit, group);
  if (done) outbox_add(commit->outbox, &group->job);
  bool to_checkpoint = commit->engine.wal_pages >= COMMIT_WAL_PAGES;
  inbox_give_back(&commit->inbox, waits_for_ever || to_checkpoint || commit->broken);
  return done;
}

/* ---- the thread ---- */

/* What was done on the host's thread did not come through the inbox. */
static bool is_idle(const struct commit *commit) {
  return clock_ticks_us() - commit->here_us >= IDLE_MS * INT64_C(1000);
}

static int patience_ms(const struct commit *commit) {
  if (commit->in_bulk) return -1;
  if (commit->broken || commit->complained) return UPKEEP_MS;
  if (commit->more_to_do) return 0;
  if (commit->unfolded_since_ms) return IDLE_MS;
  return commit->engine.next_expiry_ms == INT64_MAX ? -1 : UPKEEP_MS;
}

static void *commit_main(void *arg) {
  struct commit *commit = arg;
  for (;;) {
    struct job *job = inbox_take(&commit->inbox, patience_ms(commit));
    bool stop = job && job->kind == JOB_STOP;
    if (job) {
      run(commit, job);
      outbox_put(commit->outbox, job);
    }
    if (stop) return NULL;
    if (!commit->in_bulk) upkeep(commit, job == NULL && is_idle(commit));
  }
}

bool commit_start(struct commit *commit) {
  return thread_start(&commit->thread, "commit", commit_main, commit);
}

void commit_join(struct commit *commit) {
  pthread_join(commit->thread, NULL);
  buf_deinit(&commit->changes);
}
