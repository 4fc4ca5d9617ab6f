/* The store's calls for tools: each waits for its answer. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"

struct waited { /* one call's ctx */
  struct moonkeep_result *result;
  bool there;
};

static void set_message(struct moonkeep_result *result, enum moonkeep_code code, const char *message) {
  result->code = code;
  snprintf(result->message, sizeof result->message, "%s", message);
}

static void keep(void *ctx, const struct moonkeep_answer *answer) {
  struct waited *waited = ctx;
  struct moonkeep_result *result = waited->result;
  waited->there = true;
  set_message(result, answer->code, answer->message);
  result->count = answer->count;
  result->expires_at_ms = answer->expires_at_ms;
  if (!answer->json) return;
  result->json = mem_copy(answer->json, strlen(answer->json));
  if (!result->json) set_message(result, MOONKEEP_MEMORY, "out of memory");
}

void moonkeep_result_free(struct moonkeep_result *result) {
  mem_free(result->json);
  result->json = NULL;
}

/* Where the caller does not want the result, it goes into `own`. */
static enum moonkeep_code begin(struct moonkeep_host *host, struct waited *waited,
                                struct moonkeep_result *result, struct moonkeep_result *own) {
  *waited = (struct waited){.result = result ? result : own};
  memset(waited->result, 0, sizeof *own);
  return api_may_wait(host);
}

static enum moonkeep_code end(struct moonkeep_host *host, enum moonkeep_code code,
                              const struct waited *waited, bool throw_away) {
  struct moonkeep_result *result = waited->result;
  if (code) set_message(result, code, host->refused.message);
  while (!code && !waited->there) api_await(host);
  code = result->code;
  if (throw_away) moonkeep_result_free(result);
  return code;
}

enum moonkeep_code moonkeep_get_wait(struct moonkeep_host *host, const char *store, const char *key,
                                     struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_get(host, store, key, keep, &waited);
  return end(host, code, &waited, !result);
}

enum moonkeep_code moonkeep_set_wait(struct moonkeep_host *host, const char *store, const char *key,
                                     const char *json, int64_t expires_at_ms,
                                     struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_set(host, store, key, json, expires_at_ms, keep, &waited);
  return end(host, code, &waited, !result);
}

enum moonkeep_code moonkeep_delete_wait(struct moonkeep_host *host, const char *store, const char *key,
                                        struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_delete(host, store, key, keep, &waited);
  return end(host, code, &waited, !result);
}

enum moonkeep_code moonkeep_delete_like_wait(struct moonkeep_host *host, const char *store,
                                             const char *pattern, struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_delete_like(host, store, pattern, keep, &waited);
  return end(host, code, &waited, !result);
}

enum moonkeep_code moonkeep_select_wait(struct moonkeep_host *host, const char *store, const char *pattern,
                                        uint64_t limit, struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_select(host, store, pattern, limit, keep, &waited);
  return end(host, code, &waited, !result);
}

enum moonkeep_code moonkeep_count_wait(struct moonkeep_host *host, const char *store, const char *pattern,
                                       struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_count(host, store, pattern, keep, &waited);
  return end(host, code, &waited, !result);
}

enum moonkeep_code moonkeep_backup_wait(struct moonkeep_host *host, struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited waited;
  enum moonkeep_code code = begin(host, &waited, result, &own);
  if (!code) code = moonkeep_backup(host, keep, &waited);
  return end(host, code, &waited, !result);
}

/* The caller's function and ctx, behind the ctx that `keep` gets. */
struct waited_fn {
  struct waited waited;
  const char *(*update)(void *ctx, const char *json);
  enum moonkeep_code (*transaction)(void *ctx, struct moonkeep_tx *tx);
  void *ctx;
};

static const char *update(void *ctx, const char *json) {
  const struct waited_fn *waited = ctx;
  return waited->update(waited->ctx, json);
}

static enum moonkeep_code transaction(void *ctx, struct moonkeep_tx *tx) {
  const struct waited_fn *waited = ctx;
  return waited->transaction(waited->ctx, tx);
}

enum moonkeep_code moonkeep_update_wait(struct moonkeep_host *host, const char *store, const char *key,
                                        const char *(*fn)(void *ctx, const char *json), void *ctx,
                                        struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited_fn waited = {.update = fn, .ctx = ctx};
  enum moonkeep_code code = begin(host, &waited.waited, result, &own);
  if (!code) code = moonkeep_update(host, store, key, update, keep, &waited);
  return end(host, code, &waited.waited, !result);
}

enum moonkeep_code moonkeep_transaction_wait(struct moonkeep_host *host,
                                             enum moonkeep_code (*fn)(void *ctx, struct moonkeep_tx *tx),
                                             void *ctx, struct moonkeep_result *result) {
  struct moonkeep_result own;
  struct waited_fn waited = {.transaction = fn, .ctx = ctx};
  enum moonkeep_code code = begin(host, &waited.waited, result, &own);
  if (!code) code = moonkeep_transaction(host, transaction, keep, &waited);
  return end(host, code, &waited.waited, !result);
}
