#include "store/settle.h"

#include "base/mem.h"
#include "store/archiver.h"
#include "store/keeper.h"
#include "store/mend.h"

enum { RETRY_MS = 1000 }; /* between tries to get a broken file back */

static enum moonkeep_code post_forget(struct commit *commit, struct err *err) {
  struct job *note = mem_zero(sizeof *note);
  if (!note) return err_memory(err);
  note->kind = JOB_FORGET;
  outbox_put(commit->outbox, note);
  return MOONKEEP_OK;
}

/* What the front has built while a change was unknown may rest on a value that is not the newest. */
static void refuse_doubtful(struct commit *commit) {
  if (!commit->doubtful) return;
  commit->doubtful = false;
  commit->min_epoch++;
  err_set(&commit->why_refused, MOONKEEP_IO,
          "the store file had to be opened anew after a disk error; what was on its way is not saved");
}

enum moonkeep_code settle_reopen(struct commit *commit, uint64_t seq, bool *there, struct err *err) {
  keeper_hold(commit->keeper);
  mender_hold(commit->mender);
  pthread_mutex_lock(commit->view_lock);
  view_close(commit->view);
  enum moonkeep_code code = engine_reopen(&commit->engine, commit->folder, seq, there, err);
  if (!code) code = post_forget(commit, err);
  pthread_mutex_unlock(commit->view_lock);
  mender_let_go(commit->mender);
  keeper_let_go(commit->keeper);
  if (commit->broken != (code != 0))
    log_write(commit->log, code ? LOG_ERROR : LOG_WARN, "store", "%s%s",
              code ? "the store has stopped writing after a disk error: " : "the store file is open again",
              code ? err->message : "");
  commit->broken = code != 0;
  atomic_store(&commit->has_stopped, commit->broken);
  commit->retry_ms = clock_steady_ms(commit->clock) + RETRY_MS;
  atomic_store(&commit->folded_seq, commit->engine.folded_seq);
  if (!code && commit->doubtful)
    archiver_break(commit->archiver, "after a disk error it is not known what it lacks");
  if (!code) refuse_doubtful(commit);
  return code;
}

static enum moonkeep_code refuse_broken(struct err *err) {
  return err_set(err, MOONKEEP_IO,
                 "the store has stopped writing after a disk error; it tries again every second");
}

enum moonkeep_code settle_be_whole(struct commit *commit, struct err *err) {
  bool there;
  if (!commit->broken) return MOONKEEP_OK;
  if (clock_steady_ms(commit->clock) < commit->retry_ms) return refuse_broken(err);
  return settle_reopen(commit, 0, &there, err) ? refuse_broken(err) : MOONKEEP_OK;
}

enum moonkeep_code settle(struct commit *commit, uint64_t seq, enum moonkeep_code code, struct err *err) {
  if (code != MOONKEEP_IO && code != MOONKEEP_MEMORY) return code;
  struct err why = *err;
  bool there = false;
  log_write(commit->log, LOG_ERROR, "store", "%s; opening the store file anew", why.message);
  if (settle_reopen(commit, seq, &there, err))
    return err_set(err, MOONKEEP_UNKNOWN, "%.300s, and whether the change was saved cannot be read: %.300s",
                   why.message, err->message);
  if (there) return MOONKEEP_OK;
  *err = why;
  return code;
}
