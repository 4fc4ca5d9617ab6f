/* Calls on many keys: scans, and deleting by pattern. The threads do them as a whole, when every older call
 * has run. */
#include "base/mem.h"
#include "store/like.h"
#include "store/store_parts.h"

static void send_scan(struct store *store, struct store_call *call, uint64_t journal_seq) {
  struct scan_job *scan = mem_zero(sizeof *scan);
  if (!scan) {
    front_fail_memory(store, call);
    return;
  }
  scan->job.kind = JOB_SCAN;
  scan->scan = (struct scan){.call = call, .bucket = call->bucket->name, .journal_seq = journal_seq};
  inbox_put(&store->reader.inbox, &scan->job);
}

/* A scan reads the tables: what came before it has to be in them. */
static void send_fold(struct store *store, struct store_call *call) {
  group_hand_over(store);
  if (store->next_seq - 1 == atomic_load(&store->commit.folded_seq)) {
    if (call->op == STORE_SCAN)
      send_scan(store, call, 0);
    else
      front_answer(store, call);
    return;
  }
  struct fold_job *fold = mem_zero(sizeof *fold);
  if (!fold) {
    front_fail_memory(store, call);
    return;
  }
  fold->job.kind = JOB_FOLD;
  fold->call = call;
  inbox_put(&store->commit.inbox, &fold->job);
}

static void end_delete_like(struct store *store, struct store_call *call, const struct err *why) {
  struct list waited;
  barrier_lower(call, &waited);
  if (why)
    front_fail(store, call, why);
  else
    front_answer(store, call);
  front_dispatch_all(store, &waited);
}

static void send_erase(struct store *store, struct store_call *call) {
  struct erase_job *erase = mem_zero(sizeof *erase);
  if (!erase) {
    end_delete_like(store, call, &job_no_memory);
    return;
  }
  group_hand_over(store);
  erase->job.kind = JOB_ERASE;
  erase->call = call;
  erase->seq = store->next_seq++;
  erase->now_ms = store_now_ms(store);
  inbox_put(&store->commit.inbox, &erase->job);
}

void many_send(struct store *store, struct store_call *call) {
  if (call->op == STORE_DELETE_LIKE)
    send_erase(store, call);
  else
    send_fold(store, call);
}

/* Calls on many keys run when no older call is parked. */
void many_run(struct store *store, struct store_call *call) {
  if (call->op == STORE_DELETE_LIKE && !barrier_raise(store, call)) {
    front_fail_memory(store, call);
    return;
  }
  call->before = store->parked;
  if (call->before > 0)
    list_add(&store->gates, &call->link);
  else
    many_send(store, call);
}

/* ---- what comes back ---- */

struct matching {
  struct store *store;
  const struct store_call *call;
};

static void forget_match(struct map_link *link, void *ctx) {
  const struct matching *matching = ctx;
  struct entry *entry = list_of(link, struct entry, link);
  if (!like_match(matching->call->pattern, matching->call->pattern_len, entry->key, entry->link.key_len))
    return;
  if (cache_is_free(matching->store, entry))
    cache_drop(matching->store, entry);
  else
    cache_unknow(matching->store, entry);
}

void many_take_in_erase(struct store *store, struct erase_job *erase) {
  struct store_call *call = erase->call;
  const struct err *why = erase->job.err;
  if (!why) store->durable_seq = erase->seq;
  if (!why || why->code == MOONKEEP_UNKNOWN)
    map_each(&call->bucket->entries, forget_match, &(struct matching){store, call});
  end_delete_like(store, call, why);
  job_err_free(erase->job.err);
  mem_free(erase);
}

/* Where the disk does not let the journal be folded, reads go on: the scan reads the journal beside the
 * tables, as far as it is known to be durable. */
void many_take_in_fold(struct store *store, struct fold_job *fold) {
  if (fold->call->op == STORE_SCAN)
    send_scan(store, fold->call, fold->job.err ? store->durable_seq : 0);
  else if (fold->job.err)
    front_fail(store, fold->call, fold->job.err);
  else
    front_answer(store, fold->call);
  job_err_free(fold->job.err);
  mem_free(fold);
}

void many_take_in_scan(struct store *store, struct scan_job *scan) {
  if (scan->job.err)
    front_fail(store, scan->scan.call, scan->job.err);
  else
    front_answer(store, scan->scan.call);
  job_err_free(scan->job.err);
  mem_free(scan);
}

static void forget_entry(struct map_link *link, void *ctx) {
  struct entry *entry = list_of(link, struct entry, link);
  entry->stale = true;
  if (cache_is_free(ctx, entry))
    cache_drop(ctx, entry);
  else
    cache_unknow(ctx, entry);
}

void many_forget(struct store *store) {
  for (struct map_link *l = map_next(&store->buckets, NULL); l; l = map_next(&store->buckets, l))
    map_each(&list_of(l, struct bucket, link)->entries, forget_entry, store);
}
