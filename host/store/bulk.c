#include "store/bulk.h"

#include <assert.h>

#include "base/mem.h"
#include "store/journal.h"
#include "store/store_parts.h"

#ifndef BULK_GROUP_BYTES
#define BULK_GROUP_BYTES (1 << 20) /* what gathers before it goes into the journal */
#endif

struct bulk {
  struct store *store;     /* borrowed */
  struct buf changes;      /* owned: that have not been sent */
  struct bucket *last;     /* whose rows the changes are about */
  struct bucket **claimed; /* owned: new buckets, which count as pending */
  size_t claimed_count;
  uint64_t first_seq;  /* of its groups */
  struct bulk_job job; /* there from the start: taking a bulk back needs no memory */
  bool failed;
};

/* ---- the commit thread's turn ---- */

/* Hands the changes over and waits until the commit thread has done the step. */
static enum moonkeep_code step(struct bulk *bulk, enum bulk_step what, struct err *err) {
  struct store *store = bulk->store;
  struct bulk_job *job = &bulk->job;
  *job = (struct bulk_job){.job.kind = JOB_BULK, .step = what, .changes = &bulk->changes};
  if (what == BULK_APPEND) job->seq = store->next_seq++;
  if (what == BULK_COMMIT) job->seq = store->next_seq - 1;
  inbox_put(&store->commit.inbox, &job->job);
  while (!job->done) store_wait(store, -1);
  enum moonkeep_code code = job->job.err ? job->job.err->code : MOONKEEP_OK;
  if (code) *err = *job->job.err;
  bulk->failed |= code != 0;
  job_err_free(job->job.err);
  return code;
}

static enum moonkeep_code send(struct bulk *bulk, struct err *err) {
  if (bulk->changes.failed) return err_memory(err);
  enum moonkeep_code code = bulk->changes.len > 0 ? step(bulk, BULK_APPEND, err) : MOONKEEP_OK;
  buf_clear(&bulk->changes);
  bulk->last = NULL;
  return code;
}

/* ---- its life ---- */

enum moonkeep_code store_bulk_begin(struct store *store, struct bulk **out, struct err *err) {
  assert(store->pending == 0 && !store->open);
  struct bulk *bulk = *out = mem_zero(sizeof *bulk);
  if (!bulk) return err_memory(err);
  bulk->store = store;
  bulk->first_seq = store->next_seq;
  enum moonkeep_code code = step(bulk, BULK_BEGIN, err);
  if (!code) return code;
  mem_free(bulk);
  *out = NULL;
  return code;
}

/* New buckets of the bulk must not differ in case alone, neither from those that exist nor among themselves.
 */
static enum moonkeep_code claim(struct bulk *bulk, struct bucket *bucket, struct err *err) {
  if (bucket->exists || bucket->pending > 0) return MOONKEEP_OK;
  enum moonkeep_code code = keys_claim(bulk->store, bucket->name, err);
  if (code) return code;
  void *grown = mem_resize(bulk->claimed, (bulk->claimed_count + 1) * sizeof(struct bucket *));
  if (!grown) return err_memory(err);
  bulk->claimed = grown;
  bulk->claimed[bulk->claimed_count++] = bucket;
  bucket->pending++;
  return MOONKEEP_OK;
}

enum moonkeep_code store_bulk_put(struct bulk *bulk, struct bucket *bucket, const char *key, size_t key_len,
                                  const char *json, size_t json_len, int64_t expires_at_ms, struct err *err) {
  enum moonkeep_code code = store_check_key(bucket->name, key, key_len, err);
  if (code) return code;
  if (json_len > bulk->store->value_bytes)
    return err_key(err, MOONKEEP_TOO_LARGE, key, key_len,
                   "the value has %zu bytes of JSON; at most %zu are allowed", json_len,
                   bulk->store->value_bytes);
  code = claim(bulk, bucket, err);
  if (code) return code;
  if (bulk->last != bucket) journal_bucket(&bulk->changes, bucket->name);
  bulk->last = bucket;
  journal_put(&bulk->changes, key, key_len, json, json_len, expires_at_ms);
  if (bulk->changes.failed) return err_memory(err);
  return bulk->changes.len >= BULK_GROUP_BYTES ? send(bulk, err) : MOONKEEP_OK;
}

static void end(struct bulk *bulk, bool committed) {
  for (size_t i = 0; i < bulk->claimed_count; i++) {
    bulk->claimed[i]->pending--;
    bulk->claimed[i]->exists |= committed;
  }
  many_forget(bulk->store);
  if (!committed) bulk->store->next_seq = bulk->first_seq; /* those groups were never there */
  bulk->store->durable_seq = bulk->store->next_seq - 1;
  buf_deinit(&bulk->changes);
  mem_free(bulk->claimed);
  mem_free(bulk);
}

enum moonkeep_code store_bulk_commit(struct bulk *bulk, struct err *err) {
  enum moonkeep_code code = send(bulk, err);
  if (code) {
    store_bulk_abandon(bulk);
    return code;
  }
  code = step(bulk, BULK_COMMIT, err);
  end(bulk, !code || code == MOONKEEP_UNKNOWN);
  return code;
}

void store_bulk_abandon(struct bulk *bulk) {
  struct err ignored;
  if (!bulk) return;
  if (!bulk->failed) step(bulk, BULK_ABANDON, &ignored); /* rolling back does not fail */
  end(bulk, false);
}
