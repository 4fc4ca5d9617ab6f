/* The front: gives every call its place in the one order.
 *
 * A call runs when the newest values of its keys are known; until then it is parked at the entry whose load
 * is under way, or at a barrier. Running is one piece: an update's closure sees the newest value and puts a
 * newer one in its place before anything else happens. What it changed goes into the open group, and the call
 * is answered when that group is durable. Calls that concern many keys, scans and deleteLikes, run when every
 * older call has. */
#include <string.h>

#include "base/mem.h"
#include "store/store_parts.h"

/* A group this big goes on its way even while another is being written. */
#ifndef FRONT_GROUP_BYTES
#define FRONT_GROUP_BYTES (4 << 20)
#endif

/* ---- answering ---- */

void front_answer(struct store *store, struct store_call *call) {
  bool at_once = call->state == CALL_SUBMITTING;
  call->state = CALL_DONE;
  store->pending--;
  store->pending_bytes -= call->bytes;
  if (!at_once) call->done(call);
}

void front_fail(struct store *store, struct store_call *call, const struct err *why) {
  if (!call->err) {
    call->err = job_err_copy(why);
    if (call->err != &job_no_memory && !*call->err->key) err_name_key(call->err, call->key, call->key_len);
  }
  value_free(call->value);
  call->value = NULL;
  front_answer(store, call);
}

void front_fail_memory(struct store *store, struct store_call *call) {
  front_fail(store, call, &job_no_memory);
}

/* ---- running ---- */

void front_dispatch(struct store *store, struct store_call *call) {
  switch (call->op) {
  case STORE_GET:
  case STORE_UPDATE:
  case STORE_DELETE: keys_run(store, call); break;
  case STORE_SET: keys_set(store, call); break;
  case STORE_COMMIT: keys_commit(store, call); break;
  case STORE_DELETE_LIKE:
  case STORE_SCAN:
  case STORE_FLUSH: many_run(store, call); break;
  }
  if (store->open && store->open->bytes >= FRONT_GROUP_BYTES) group_hand_over(store);
}

/* Lets go on what was parked; the calls may be gone afterwards. */
void front_dispatch_all(struct store *store, struct list *calls) {
  struct list mine;
  list_init(&mine);
  list_join(&mine, calls);
  for (struct list *link; (link = list_pop(&mine));) {
    struct store_call *call = list_of(link, struct store_call, link);
    uint64_t turn = call->turn;
    store->parked_turn = 0;
    front_dispatch(store, call);
    if (store->parked_turn == turn) continue; /* others may have been parked meanwhile */
    store->parked--;
    barrier_open_gates(store, turn);
  }
}

/* A row that was found to be damaged is to be mended; one at a time: the others are found again. */
static void ask_to_mend(struct store *store, const char *bucket, const struct err *why) {
  if (why->code != MOONKEEP_CORRUPT) return;
  if (!why->key[0]) mender_ask_check(&store->mender);
  if (!why->key[0] || store->mending) return;
  store->mending = true;
  mender_ask(&store->mender, bucket, why->key, strlen(why->key), store->durable_seq);
}

static void take_in_mend(struct store *store, struct mend_job *mend) {
  struct buf text = {0};
  store->mending = false;
  if (mend->job.err) {
    log_write(store->log, LOG_ERROR, "store", "the damaged row of key \"%.*s\" in %s was not repaired: %s",
              (int)mend->key_len, mend->key, mend->bucket, mend->job.err->message);
  } else if (mend->mended) {
    buf_clear(&store->receipt);
    receipt_put_json(&store->receipt, &mend->receipt);
    buf_text(&store->receipt);
    store->receipt_now = true;
    receipt_put_text(&text, &mend->receipt);
    log_write(store->log, LOG_WARN, "store", "%s The key is \"%.*s\"", buf_text(&text), (int)mend->key_len,
              mend->key);
  }
  buf_deinit(&text);
  mend_job_free(mend);
}

static void take_in_faulty(struct store *store, struct faulty_job *faulty) {
  if (faulty->covered) store->wants_reopening = true;
  mem_free(faulty);
}

static void look_for_damage(struct store *store, const struct job *job) {
  if (job->kind == JOB_LOAD) ask_to_mend(store, list_of(job, const struct load_job, job)->bucket, job->err);
  if (job->kind == JOB_SCAN)
    ask_to_mend(store, list_of(job, const struct scan_job, job)->scan.bucket, job->err);
}

void front_take_in(struct store *store, struct job *job) {
  if (job->err) look_for_damage(store, job);
  switch (job->kind) {
  case JOB_GROUP: group_take_in(store, list_of(job, struct group, job)); break;
  case JOB_LOAD: keys_take_in_load(store, list_of(job, struct load_job, job)); break;
  case JOB_ERASE: many_take_in_erase(store, list_of(job, struct erase_job, job)); break;
  case JOB_FOLD: many_take_in_fold(store, list_of(job, struct fold_job, job)); break;
  case JOB_BULK: list_of(job, struct bulk_job, job)->done = true; break; /* it is its bulk's */
  case JOB_SCAN: many_take_in_scan(store, list_of(job, struct scan_job, job)); break;
  case JOB_FORGET:
    many_forget(store);
    mem_free(job);
    break;
  case JOB_BACKUP: backup_take_in(store, list_of(job, struct backup_job, job)); break;
  case JOB_MEND: take_in_mend(store, list_of(job, struct mend_job, job)); break;
  case JOB_FAULTY: take_in_faulty(store, list_of(job, struct faulty_job, job)); break;
  case JOB_TOLD:
  case JOB_STOP: mem_free(job); break;
  }
}

/* ---- submitting ---- */

/* The call carries so much more while it is under way. */
void front_charge(struct store *store, struct store_call *call, size_t bytes) {
  call->bytes += bytes;
  store->pending_bytes += bytes;
}

static void charge(struct store *store, struct store_call *call) {
  size_t bytes = sizeof *call + call->key_len;
  for (size_t i = 0; i < call->row_count; i++) {
    const struct store_row *row = &call->rows[i];
    bytes += sizeof *row + row->key_len + (row->value ? sizeof *row->value + row->value->len : 0);
  }
  call->bytes = 0;
  front_charge(store, call, bytes);
}

bool store_has_room(const struct store *store) {
  return store->pending < STORE_ROOM_CALLS && store->pending_bytes < STORE_ROOM_BYTES;
}

/* The call itself is counted already; however large it is, it is let in where it is alone. */
static enum moonkeep_code check_room(const struct store *store, const struct store_call *call,
                                     struct err *err) {
  if (store->pending <= STORE_CALLS && store->pending_bytes - call->bytes < STORE_CALLS_BYTES)
    return MOONKEEP_OK;
  return err_set(
      err, MOONKEEP_BUSY,
      "%zu calls with %zu MiB wait for an answer already; at most %d calls or %d MiB may. Make more "
      "when some have been answered",
      store->pending - 1, (store->pending_bytes - call->bytes) >> 20, STORE_CALLS, STORE_CALLS_BYTES >> 20);
}

static enum moonkeep_code check_rows(struct store *store, const struct store_call *call, struct err *err) {
  size_t bytes = 0;
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = 0; !code && i < call->row_count; i++) {
    const struct store_row *row = &call->rows[i];
    code = store_check_key("set", row->key, row->key_len, err);
    if (!code) code = keys_claim_bucket(store, row_bucket(call, row), err);
    size_t len = row->value ? row->value->len : 0;
    if (!code && len > store->value_bytes)
      code = err_key(err, MOONKEEP_TOO_LARGE, row->key, row->key_len,
                     "the value has %zu bytes of JSON; at most %zu are allowed", len, store->value_bytes);
    bytes += row->key_len + len;
  }
  if (!code && call->row_count > 1 && bytes > STORE_LIST_BYTES)
    code = err_set(err, MOONKEEP_TOO_LARGE, "the list has %zu bytes; at most %d are allowed in one call",
                   bytes, STORE_LIST_BYTES);
  return code;
}

static enum moonkeep_code check(struct store *store, const struct store_call *call, struct err *err) {
  if (store->closing) return err_set(err, MOONKEEP_CLOSED, "the store has been closed");
  enum moonkeep_code code = check_room(store, call, err);
  if (code) return code;
  switch (call->op) {
  case STORE_GET:
  case STORE_UPDATE:
  case STORE_DELETE:
    code = store_check_key(call->bucket->name, call->key, call->key_len, err);
    return code ? code : keys_claim_bucket(store, call->bucket, err);
  case STORE_COMMIT:
  case STORE_SET: return check_rows(store, call, err);
  case STORE_SCAN:
  case STORE_DELETE_LIKE:
    code = store_check_pattern(call->bucket->name, call->pattern, call->pattern_len, err);
    return code ? code : keys_claim_bucket(store, call->bucket, err);
  case STORE_FLUSH: break;
  }
  return MOONKEEP_OK;
}

bool store_submit(struct store *store, struct store_call *call) {
  struct err err;
  call->state = CALL_SUBMITTING;
  call->turn = ++store->turns;
  store->pending++;
  store->tally.lookups += call->key_len > 0;
  charge(store, call);
  enum moonkeep_code code = check(store, call, &err);
  if (code)
    front_fail(store, call, &err);
  else if ((call->op == STORE_SET || call->op == STORE_COMMIT) && call->row_count == 0)
    front_answer(store, call);
  else
    front_dispatch(store, call);
  cache_trim(store);
  if (call->state == CALL_DONE) return true;
  call->state = CALL_WAITING;
  return false;
}

bool store_peek(struct store *store, struct bucket *bucket, const char *key, size_t len,
                const struct value **value) {
  if (store->closing || !bucket->exists || !list_empty(&store->barriers)) return false;
  struct entry *entry = cache_find(bucket, key, len);
  if (!entry || !entry->known || entry->loading || keys_must_wait(store, entry)) return false;
  entry->touched = true;
  store->tally.lookups++;
  *value = keys_live(store, entry->durable);
  return true;
}
