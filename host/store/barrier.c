/* What a call waits for before it runs: a load, a barrier in front of its key, older calls that have not run.
 */
#include <string.h>

#include "base/mem.h"
#include "store/like.h"
#include "store/store_parts.h"

/* What is younger and concerns many keys has one more to wait for. Nearly always there is nothing younger. */
static void hold_gates(struct store *store, const struct store_call *call) {
  if (call->turn == store->turns) return;
  for (struct list *at = store->gates.next; at != &store->gates; at = at->next) {
    struct store_call *gate = list_of(at, struct store_call, link);
    gate->before += gate->turn > call->turn;
  }
}

/* The call waits: it has not run, and what is younger and concerns many keys has to wait for it. */
void barrier_park(struct store *store, struct store_call *call, struct list *where) {
  list_add(where, &call->link);
  if (!call->parked) hold_gates(store, call);
  store->parked += !call->parked;
  call->parked = true;
  store->parked_turn = call->turn;
}

static bool is_in_rows(const struct store_call *call, const struct bucket *bucket, const char *key,
                       size_t len) {
  for (size_t i = 0; i < call->row_count; i++) {
    const struct store_row *row = &call->rows[i];
    if (row->key_len == len && row_bucket(call, row) == bucket && memcmp(row->key, key, len) == 0)
      return true;
  }
  return false;
}

static bool concerns(const struct store_call *call, const struct bucket *bucket, const char *key,
                     size_t len) {
  if (call->op == STORE_SET) return is_in_rows(call, bucket, key, len);
  return call->bucket == bucket && like_match(call->pattern, call->pattern_len, key, len);
}

/* Parks a call behind the first older barrier that concerns its key. */
bool barrier_await(struct store *store, struct store_call *call, const struct bucket *bucket, const char *key,
                   size_t len) {
  for (struct list *at = store->barriers.next; at != &store->barriers; at = at->next) {
    struct barrier *barrier = list_of(at, struct barrier, link);
    if (barrier->call->turn >= call->turn) return false;
    if (!concerns(barrier->call, bucket, key, len)) continue;
    barrier_park(store, call, &barrier->waiting);
    return true;
  }
  return false;
}

bool barrier_covers(const struct store *store, const struct bucket *bucket, const char *key, size_t len) {
  for (struct list *at = store->barriers.next; at != &store->barriers; at = at->next)
    if (concerns(list_of(at, struct barrier, link)->call, bucket, key, len)) return true;
  return false;
}

/* False: no memory. A call has one barrier at most. */
bool barrier_raise(struct store *store, struct store_call *call) {
  if (call->barrier) return true;
  struct barrier *barrier = mem_zero(sizeof *barrier);
  if (!barrier) return false;
  barrier->call = call;
  list_init(&barrier->waiting);
  struct list *at =
      store->barriers.prev; /* nearly always the youngest; a list may be older when it first waits */
  while (at != &store->barriers && list_of(at, struct barrier, link)->call->turn > call->turn) at = at->prev;
  list_add(at->next, &barrier->link);
  call->barrier = barrier;
  return true;
}

/* Takes the barrier away; those that waited for it are to be dispatched. */
void barrier_lower(struct store_call *call, struct list *waited) {
  struct barrier *barrier = call->barrier;
  list_init(waited);
  if (!barrier) return;
  list_take(&barrier->link);
  list_join(waited, &barrier->waiting);
  mem_free(barrier);
  call->barrier = NULL;
}

/* A parked call has run: what waited only for it may go. */
void barrier_open_gates(struct store *store, uint64_t turn) {
  struct list *next, open;
  list_init(&open); /* sending one may answer it, and what its caller does then may come here again */
  for (struct list *at = store->gates.next; at != &store->gates; at = next) {
    next = at->next;
    struct store_call *call = list_of(at, struct store_call, link);
    if (call->turn < turn || --call->before > 0) continue;
    list_take(at);
    list_add(&open, at);
  }
  for (struct list *link; (link = list_pop(&open));) many_send(store, list_of(link, struct store_call, link));
}
