#include "link/keycount.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/stats.h"

enum { PART = 20, LEAST_US = 10000000 };

void keycount_init(struct keycount *keys, struct store *store) {
  *keys = (struct keycount){.store = store};
}

static void forget_run(struct keycount *keys) {
  mem_free(keys->counts);
  keys->counts = NULL;
  buf_clear(&keys->names);
  keys->count = keys->at = 0;
}

static void rest(struct keycount *keys) {
  int64_t now_us = clock_ticks_us(), pause_us = (now_us - keys->began_us) * PART;
  keys->again_us = now_us + (pause_us > LEAST_US ? pause_us : LEAST_US);
}

/* What was counted becomes what is known. */
static void end_run(struct keycount *keys) {
  struct buf names = keys->names_known;
  mem_free(keys->counts_known);
  keys->names_known = keys->names;
  keys->counts_known = keys->counts;
  keys->known = keys->count;
  keys->known_ms = store_now_ms(keys->store);
  keys->names = names;
  keys->counts = NULL;
  forget_run(keys);
  rest(keys);
}

static void give_up(struct keycount *keys) {
  forget_run(keys);
  rest(keys);
}

static const char *name_at(const struct buf *names, size_t which) {
  const char *at = names->data;
  for (; which > 0; which--) at += strlen(at) + 1;
  return at;
}

static void on_counted(struct store_call *call);

/* Counts the next stores; a call that is answered at once is followed by the next. */
static void go_on(struct keycount *keys) {
  struct err err;
  struct bucket *bucket;
  while (keys->at < keys->count && !keys->closing) {
    if (store_bucket(keys->store, name_at(&keys->names, keys->at), &bucket, &err)) break;
    struct store_call *call = keys->call = store_call_new(STORE_SCAN, bucket, NULL, 0);
    if (!call || !store_call_pattern(call, "%", 1)) break;
    call->want = STORE_COUNT;
    call->done = on_counted;
    call->ctx = keys;
    if (!store_submit(keys->store, call)) return;
    if (call->err) break;
    keys->counts[keys->at++] = call->count;
    store_call_free(call);
    keys->call = NULL;
  }
  bool whole = keys->at == keys->count;
  store_call_free(keys->call);
  keys->call = NULL;
  if (whole)
    end_run(keys);
  else
    give_up(keys);
}

static void on_counted(struct store_call *call) {
  struct keycount *keys = call->ctx;
  bool failed = call->err != NULL;
  if (!failed) keys->counts[keys->at++] = call->count;
  store_call_free(call);
  keys->call = NULL;
  if (failed)
    give_up(keys);
  else
    go_on(keys);
}

static void add_name(void *ctx, const char *name) {
  struct keycount *keys = ctx;
  buf_add(&keys->names, name, strlen(name) + 1);
  keys->count++;
}

void keycount_refresh(struct keycount *keys) {
  if (keys->call || keys->closing || clock_ticks_us() < keys->again_us) return;
  keys->began_us = clock_ticks_us();
  forget_run(keys);
  store_each_bucket(keys->store, add_name, keys);
  keys->counts = mem_zero((keys->count + 1) * sizeof *keys->counts);
  if (!keys->counts || keys->names.failed)
    give_up(keys);
  else
    go_on(keys);
}

void keycount_each(const struct keycount *keys, void (*visit)(void *ctx, const char *name, uint64_t count),
                   void *ctx) {
  for (size_t i = 0; i < keys->known; i++) visit(ctx, name_at(&keys->names_known, i), keys->counts_known[i]);
}

void keycount_deinit(struct keycount *keys) {
  keys->closing = true;
  while (keys->call) store_wait(keys->store, -1);
  mem_free(keys->counts);
  mem_free(keys->counts_known);
  buf_deinit(&keys->names);
  buf_deinit(&keys->names_known);
}
