/* Groups: the changes that are made durable together, and what becomes of them.
 *
 * When a group fails, everything that was built on it fails with it: the epoch is raised, entries forget the
 * values of groups of an older epoch, and the commit thread refuses such groups. */
#include "base/mem.h"
#include "store/store_parts.h"

enum { SPARE_CHANGES = 4096 }; /* the most that a group kept for use again may have room for */

/* A group is made for each commit, so the last one done is kept for the next. */
static struct group *new_group(struct store *store) {
  struct group *group = store->spare ? store->spare : mem_alloc(sizeof *group);
  if (!group) return NULL;
  struct change *changes = store->spare ? group->changes : NULL;
  size_t cap = store->spare ? group->cap : 0;
  store->spare = NULL;
  *group = (struct group){.job.kind = JOB_GROUP, .epoch = store->epoch, .changes = changes, .cap = cap};
  list_init(&group->calls);
  return group;
}

/* The open group with room for so many more changes; NULL: no memory. */
struct group *group_open(struct store *store, size_t changes) {
  if (!store->open) store->open = new_group(store);
  struct group *group = store->open;
  if (!group) return NULL;
  size_t need = group->count + changes, cap = group->cap ? group->cap : 16;
  if (need <= group->cap) return group;
  while (cap < need) cap *= 2;
  void *grown = mem_resize(group->changes, cap * sizeof *group->changes);
  if (!grown) return NULL;
  group->changes = grown;
  group->cap = cap;
  return group;
}

static void group_free(struct store *store, struct group *group) {
  for (size_t i = 0; i < group->count; i++) value_free(group->changes[i].value);
  job_err_free(group->job.err);
  if (!store->spare && group->cap <= SPARE_CHANGES) {
    store->spare = group;
    return;
  }
  mem_free(group->changes);
  mem_free(group);
}

void group_close(struct store *store) {
  if (store->open) group_free(store, store->open); /* made when there was no memory for its change */
  if (store->spare) mem_free(store->spare->changes);
  mem_free(store->spare);
  store->open = store->spare = NULL;
}

/* The open group is open no longer; NULL: nothing has gathered. */
static struct group *close_open(struct store *store) {
  struct group *group = store->open;
  if (!group || group->count == 0) return NULL;
  store->open = NULL;
  group->seq = store->next_seq++;
  store->inflight++;
  return group;
}

void group_hand_over(struct store *store) {
  struct group *group = close_open(store);
  if (group) inbox_put(&store->commit.inbox, &group->job);
}

bool group_commit_here(struct store *store) {
  struct group *group = store->inflight == 0 ? close_open(store) : NULL;
  if (!group) return false;
  if (commit_here(&store->commit, group)) return true;
  inbox_put(&store->commit.inbox, &group->job);
  return false;
}

/* The group whose outcome the newest value hangs on; NULL: the durable value is the newest. A group of an
 * older epoch has failed or will. */
struct group *group_pending(const struct store *store, const struct entry *entry) {
  return entry->group && entry->group->epoch == store->epoch ? entry->group : NULL;
}

static size_t change_bytes(const struct entry *entry, const struct value *value) {
  return 16 + entry->link.key_len + (value ? value->len : 0);
}

/* Makes value (a reference; NULL: erased) the entry's newest. The open group has room. */
void group_put(struct store *store, struct entry *entry, struct value *value) {
  struct group *group = store->open;
  if (entry->group) value_free(entry->newest);
  entry->newest = value;
  if (entry->group == group) { /* a group holds each key once */
    struct change *change = &group->changes[entry->place];
    group->bytes -= change_bytes(entry, change->value);
    value_free(change->value);
    change->value = value_ref(value);
  } else {
    entry->group = group;
    entry->place = group->count;
    entry->pins++;
    entry->bucket->pending++;
    group->changes[group->count++] = (struct change){.entry = entry,
                                                     .bucket = entry->bucket->name,
                                                     .key = entry->key,
                                                     .key_len = entry->link.key_len,
                                                     .value = value_ref(value)};
  }
  group->bytes += change_bytes(entry, value);
}

/* The call has run. A get runs again afterwards, and may have to wait once more. */
void group_join(struct store_call *call, struct group *group) {
  call->group = group;
  call->parked = false;
  list_add(&group->calls, &call->link);
}

/* A call that changes nothing answers when what it saw is durable. */
void group_answer_after(struct store *store, struct store_call *call, const struct entry *entry) {
  struct group *group = group_pending(store, entry);
  if (group)
    group_join(call, group);
  else if (call->err)
    front_fail(store, call, call->err);
  else
    front_answer(store, call);
}

/* ---- what becomes of them ---- */

/* Takes the group's hand off its entries. */
static void release(struct store *store, struct group *group, bool durable) {
  for (size_t i = 0; i < group->count; i++) {
    struct change *change = &group->changes[i];
    struct entry *entry = change->entry;
    entry->pins--;
    entry->bucket->pending--;
    if (durable) {
      cache_set_durable(store, entry, value_ref(change->value));
      entry->journal_seq = group->seq;
      entry->bucket->exists = true;
    }
    if (entry->group != group) continue;
    entry->group = NULL;
    value_free(entry->newest);
    entry->newest = NULL;
  }
}

static void answer_group(struct store *store, struct group *group) {
  for (struct list *link; (link = list_pop(&group->calls));) {
    struct store_call *call = list_of(link, struct store_call, link);
    if (call->op == STORE_GET)
      front_dispatch(store, call);
    else if (call->err)
      front_fail(store, call, call->err);
    else
      front_answer(store, call);
  }
}

static void fail_group(struct store *store, struct group *group, const struct err *why) {
  release(store, group, false);
  struct list calls;
  list_init(&calls);
  list_join(&calls, &group->calls);
  for (struct list *link; (link = list_pop(&calls));) {
    struct store_call *call = list_of(link, struct store_call, link);
    if (call->op == STORE_GET) {
      front_dispatch(store, call);
      continue;
    }
    if (call->err) job_err_free(call->err); /* what its closure raised rests on what is not there */
    call->err = NULL;
    front_fail(store, call, why);
  }
}

/* The first group of an epoch to fail takes the open one with it; those in between come back refused. */
static void raise_epoch(struct store *store, const struct group *failed) {
  if (failed->epoch != store->epoch) return;
  store->epoch++;
  struct group *open = store->open;
  store->open = NULL;
  if (!open) return;
  struct err why = *failed->job.err;
  if (why.code == MOONKEEP_UNKNOWN) why.code = MOONKEEP_IO;
  fail_group(store, open, &why);
  group_free(store, open);
}

void group_take_in(struct store *store, struct group *group) {
  store->took_us = group->took_us;
  tally_group(store, group);
  if (--store->inflight == 0) store->free_us = clock_ticks_us();
  if (group->job.err) {
    raise_epoch(store, group);
    fail_group(store, group, group->job.err);
  } else {
    group_hand_over(store); /* what has gathered meanwhile is on its way before anybody is woken */
    store->durable_seq = group->seq;
    release(store, group, true);
    answer_group(store, group);
  }
  group_free(store, group);
}
