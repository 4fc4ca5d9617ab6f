/* Calls on single keys and on lists of them. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "store/store_parts.h"

const struct value *keys_live(const struct store *store, const struct value *value) {
  return value && value->expires_at_ms && value->expires_at_ms <= store_now_ms(store) ? NULL : value;
}

static const struct value *newest(const struct store *store, const struct entry *entry) {
  return keys_live(store, group_pending(store, entry) ? entry->newest : entry->durable);
}

static bool is_known(const struct store *store, const struct entry *entry) {
  return entry->known || group_pending(store, entry);
}

/* Asks the reader; false: no memory. */
static bool start_load(struct store *store, struct entry *entry) {
  struct load_job *load = mem_zero(sizeof *load);
  if (!load) return false;
  *load = (struct load_job){.job.kind = JOB_LOAD,
                            .entry = entry,
                            .bucket = entry->bucket->name,
                            .key = entry->key,
                            .key_len = entry->link.key_len};
  entry->loading = true;
  entry->stale = false;
  inbox_put(&store->reader.inbox, &load->job);
  return true;
}

static void await_load(struct store *store, struct store_call *call, struct entry *entry) {
  store->tally.misses += !entry->loading;
  if (entry->loading || start_load(store, entry))
    barrier_park(store, call, &entry->waiting);
  else
    front_fail_memory(store, call);
}

void keys_take_in_load(struct store *store, struct load_job *load) {
  struct entry *entry = load->entry;
  entry->loading = false;
  if (!load->job.err && !entry->stale) {
    cache_set_durable(store, entry, load->value);
    load->value = NULL;
  }
  entry->load_err = load->job.err;
  entry->pins++; /* what callers do with their answers may let the cache shrink */
  front_dispatch_all(store, &entry->waiting);
  entry->pins--;
  entry->load_err = NULL;
  value_free(load->value);
  job_err_free(load->job.err);
  mem_free(load);
}

static enum moonkeep_code check_case(const char *name, const char *existing, struct err *err) {
  if (strcasecmp(existing, name) != 0 || strcmp(existing, name) == 0) return MOONKEEP_OK;
  return err_key(err, MOONKEEP_INVALID_KEY, name, strlen(name),
                 "the store name \"%s\" differs from the existing \"%s\" only in case", name, existing);
}

/* Only writing makes a bucket come into being, and from then on no other may differ from it in case alone:
 * SQLite takes both names for one table. The one that scripts find ready-made counts from the beginning. */
enum moonkeep_code keys_claim(struct store *store, const char *name, struct err *err) {
  enum moonkeep_code code = check_case(name, "appData", err);
  for (struct map_link *l = map_next(&store->buckets, NULL); l && !code; l = map_next(&store->buckets, l)) {
    const struct bucket *other = list_of(l, struct bucket, link);
    if (other->exists || other->pending > 0) code = check_case(name, other->name, err);
  }
  return code;
}

enum moonkeep_code keys_claim_bucket(struct store *store, const struct bucket *bucket, struct err *err) {
  return bucket->exists || bucket->pending > 0 ? MOONKEEP_OK : keys_claim(store, bucket->name, err);
}

/* ---- running ---- */

bool keys_must_wait(const struct store *store, const struct entry *entry) {
  bool shows = entry->known && (!entry->durable || keys_live(store, entry->durable));
  return !shows && group_pending(store, entry);
}

static void run_get(struct store *store, struct store_call *call, struct entry *entry) {
  if (keys_must_wait(store, entry)) { /* asked again when it is durable, or has failed */
    group_join(call, entry->group);
    return;
  }
  call->value = value_ref((struct value *)keys_live(store, entry->durable));
  front_answer(store, call);
}

static void run_write(struct store *store, struct store_call *call, struct entry *entry,
                      struct value *value) {
  struct err err;
  enum moonkeep_code code = keys_claim_bucket(store, entry->bucket, &err);
  struct group *group = code ? NULL : group_open(store, 1);
  if (!code && !group) code = err_memory(&err);
  if (code) {
    front_fail(store, call, &err);
    return;
  }
  group_put(store, entry, value_ref(value));
  group_join(call, group);
}

static void run_delete(struct store *store, struct store_call *call, struct entry *entry) {
  call->found = newest(store, entry) != NULL;
  if (call->found)
    run_write(store, call, entry, NULL);
  else
    group_answer_after(store, call, entry);
}

static void run_update(struct store *store, struct store_call *call, struct entry *entry) {
  const struct value *current = newest(store, entry);
  switch (call->apply(call, current)) {
  case STORE_WRITE:
    if (call->keep_expiry) call->value->expires_at_ms = current ? current->expires_at_ms : 0;
    front_charge(store, call, sizeof *call->value + call->value->len);
    run_write(store, call, entry, call->value);
    break;
  case STORE_ERASE:
    if (current)
      run_write(store, call, entry, NULL);
    else
      group_answer_after(store, call, entry);
    break;
  case STORE_KEEP:
    call->value = value_ref((struct value *)current);
    group_answer_after(store, call, entry);
    break;
  case STORE_FAIL:
    if (!call->err) call->err = &job_no_memory;
    group_answer_after(store, call, entry);
    break;
  }
}

enum readiness { READY, PARKED, NO_MEMORY };

/* Whether the row's key lets the call run now; otherwise the call is parked. */
static enum readiness row_is_ready(struct store *store, struct store_call *call,
                                   const struct store_row *row) {
  struct bucket *bucket = row_bucket(call, row);
  if (barrier_await(store, call, bucket, row->key, row->key_len)) return PARKED;
  struct entry *entry = cache_get(store, bucket, row->key, row->key_len);
  if (!entry) return NO_MEMORY;
  if (!entry->loading) return READY;
  barrier_park(store, call, &entry->waiting);
  return PARKED;
}

/* The caller's keys are borrowed, and may be gone when a call that has waited runs. False: no memory. */
static bool own_keys(struct store_call *call) {
  size_t len = 0;
  if (call->own_keys) return true;
  for (size_t i = 0; i < call->row_count; i++) len += call->rows[i].key_len;
  char *at = call->own_keys = mem_alloc(len);
  if (!at) return false;
  for (size_t i = 0; i < call->row_count; i++) {
    struct store_row *row = &call->rows[i];
    memcpy(at, row->key, row->key_len);
    row->key = at;
    at += row->key_len;
  }
  return true;
}

/* A list that has to wait must not be overtaken on any of its keys. */
static bool prepare_to_wait(struct store *store, struct store_call *call) {
  return own_keys(call) && (call->row_count == 1 || barrier_raise(store, call));
}

static enum readiness rows_are_ready(struct store *store, struct store_call *call) {
  bool may_wait = store->parked > 0 || !list_empty(&store->barriers);
  enum readiness ready = !may_wait || prepare_to_wait(store, call) ? READY : NO_MEMORY;
  for (size_t i = 0; i < call->row_count && ready == READY; i++)
    ready = row_is_ready(store, call, &call->rows[i]);
  return ready;
}

static bool writes_row(const struct store_call *call, size_t i) {
  return !call->claims || !call->claims[i].kept;
}

/* Claims the buckets of all rows; new ones must not differ in case alone among themselves either, so each
 * counts as pending while the others are looked at. */
static enum moonkeep_code claim_all(struct store *store, struct store_call *call, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  size_t claimed = 0;
  for (; !code && claimed < call->row_count; claimed++) {
    struct bucket *bucket = row_bucket(call, &call->rows[claimed]);
    if (writes_row(call, claimed)) code = keys_claim_bucket(store, bucket, err);
    bucket->pending++;
  }
  while (claimed > 0) row_bucket(call, &call->rows[--claimed])->pending--;
  return code;
}

/* All rows or none: everything that can fail comes before the first change. */
static void write_rows(struct store *store, struct store_call *call) {
  struct err err;
  enum moonkeep_code code = claim_all(store, call, &err);
  struct group *group = code ? NULL : group_open(store, call->row_count);
  if (!code && !group) code = err_memory(&err);
  if (code) {
    front_fail(store, call, &err);
    return;
  }
  for (size_t i = 0; i < call->row_count; i++) {
    const struct store_row *row = &call->rows[i];
    if (!writes_row(call, i)) continue;
    group_put(store, cache_find(row_bucket(call, row), row->key, row->key_len), value_ref(row->value));
  }
  group_join(call, group);
}

void keys_set(struct store *store, struct store_call *call) {
  struct list waited;
  enum readiness ready = rows_are_ready(store, call);
  if (ready == PARKED) return;
  barrier_lower(call, &waited);
  if (ready == READY)
    write_rows(store, call);
  else
    front_fail_memory(store, call);
  front_dispatch_all(store, &waited);
}

/* ---- commits ---- */

/* Makes sure that the row's entry is known, and stays so until the others are: a small cache must not take
 * the one away while it makes place for the other. */
static enum readiness hold_row(struct store *store, struct store_call *call, size_t i,
                               const struct err **why) {
  const struct store_row *row = &call->rows[i];
  struct store_claim *claim = &call->claims[i];
  struct bucket *bucket = row_bucket(call, row);
  if (barrier_await(store, call, bucket, row->key, row->key_len)) return PARKED;
  if (!claim->entry) {
    claim->entry = cache_get(store, bucket, row->key, row->key_len);
    if (!claim->entry) return NO_MEMORY;
    claim->entry->pins++;
  }
  struct entry *entry = claim->entry;
  if (!entry->loading && (!claim->read || is_known(store, entry))) return READY;
  if (!entry->loading && entry->load_err) {
    *why = entry->load_err;
    return READY;
  }
  if (!entry->loading && !start_load(store, entry)) return NO_MEMORY;
  barrier_park(store, call, &entry->waiting);
  return PARKED;
}

static void let_rows_go(struct store_call *call) {
  for (size_t i = 0; i < call->row_count; i++) {
    if (call->claims[i].entry) call->claims[i].entry->pins--;
    call->claims[i].entry = NULL;
  }
}

static bool is_same(const struct value *a, const struct value *b) {
  if (a == b) return true;
  return a && b && a->len == b->len && a->expires_at_ms == b->expires_at_ms &&
         memcmp(a->json, b->json, a->len) == 0;
}

/* Whether what was read is still the newest. A value that was replaced by its equal is the same: nobody could
 * tell. */
static bool still_holds(const struct store *store, const struct store_call *call) {
  for (size_t i = 0; i < call->row_count; i++) {
    const struct store_claim *claim = &call->claims[i];
    if (claim->read && !is_same(newest(store, claim->entry), claim->seen)) return false;
  }
  return true;
}

static bool writes_nothing(const struct store_call *call) {
  for (size_t i = 0; i < call->row_count; i++)
    if (writes_row(call, i)) return false;
  return true;
}

/* What only reads is answered when all that it has seen is durable: with the youngest of those groups. */
static void answer_reader(struct store *store, struct store_call *call) {
  const struct entry *youngest = call->claims[0].entry;
  for (size_t i = 0; i < call->row_count; i++) {
    const struct entry *entry = call->claims[i].entry;
    const struct group *group = group_pending(store, entry), *other = group_pending(store, youngest);
    bool younger =
        group && other != store->open && (!other || group == store->open || group->seq > other->seq);
    if (younger) youngest = entry;
  }
  let_rows_go(call);
  group_answer_after(store, call, youngest);
}

void keys_commit(struct store *store, struct store_call *call) {
  const struct err *why = NULL;
  enum readiness ready = own_keys(call) ? READY : NO_MEMORY;
  for (size_t i = 0; i < call->row_count && ready == READY && !why; i++)
    ready = hold_row(store, call, i, &why);
  if (ready == PARKED) return;
  if (ready == READY && !why) call->found = still_holds(store, call);
  if (call->found && writes_nothing(call)) {
    answer_reader(store, call);
    return;
  }
  let_rows_go(call);
  if (ready != READY)
    front_fail_memory(store, call);
  else if (why)
    front_fail(store, call, why);
  else if (call->found)
    write_rows(store, call);
  else
    front_answer(store, call);
}

bool store_newest(struct store *store, struct bucket *bucket, const char *key, size_t len,
                  const struct value **value) {
  if (store->closing || barrier_covers(store, bucket, key, len)) return false;
  struct entry *entry = cache_find(bucket, key, len);
  if (!entry || entry->loading || !is_known(store, entry)) return false;
  entry->touched = true;
  *value = newest(store, entry);
  return true;
}

void keys_run(struct store *store, struct store_call *call) {
  if (barrier_await(store, call, call->bucket, call->key, call->key_len)) return;
  struct entry *entry = cache_get(store, call->bucket, call->key, call->key_len);
  if (!entry) {
    front_fail_memory(store, call);
    return;
  }
  if (!entry->loading && !is_known(store, entry) && entry->load_err)
    front_fail(store, call, entry->load_err);
  else if (entry->loading || !is_known(store, entry))
    await_load(store, call, entry);
  else if (call->op == STORE_GET)
    run_get(store, call, entry);
  else if (call->op == STORE_UPDATE)
    run_update(store, call, entry);
  else
    run_delete(store, call, entry);
}
