/* The store's calls from C. */
#include <string.h>

#include "api/api.h"
#include "base/json.h"
#include "base/mem.h"

struct asked { /* the call's ctx */
  struct answered answered;
  struct moonkeep_host *api;
  struct store_call *call;
  moonkeep_done *done;
  void *ctx;
  const char *(*fn)(void *ctx, const char *json);
};

/* ---- answers ---- */

static void put_rows(struct buf *out, const struct store_call *call) {
  buf_puts(out, "[");
  for (size_t i = 0; i < call->found_count; i++) {
    const struct store_found *row = &call->found_rows[i];
    buf_puts(out, i ? ",{\"key\":" : "{\"key\":");
    json_put_string(out, call->text.data + row->key, row->key_len);
    buf_puts(out, ",\"value\":");
    buf_add(out, call->text.data + row->json, row->json_len);
    if (row->expires_at_ms) buf_printf(out, ",\"expires_at_ms\":%lld", (long long)row->expires_at_ms);
    buf_puts(out, "}");
  }
  buf_puts(out, "]");
}

void api_done(struct moonkeep_host *api, moonkeep_done *done, void *ctx,
              const struct moonkeep_answer *answer) {
  if (!done) return;
  api->answering++;
  done(ctx, answer);
  api->answering--;
}

static void answer(struct asked *asked) {
  struct store_call *call = asked->call;
  struct buf rows = {0};
  struct moonkeep_answer to = {.message = ""};
  if (call->err) {
    to.code = call->err->code;
    to.message = call->err->message;
  } else if (call->op == STORE_SCAN && call->want == STORE_ROWS) {
    put_rows(&rows, call);
    buf_add(&rows, "", 1); /* the NUL behind it */
    if (rows.failed) to.code = MOONKEEP_MEMORY;
    to.json = rows.failed ? NULL : rows.data;
    to.count = call->found_count;
  } else {
    to.json = call->value ? call->value->json : NULL;
    to.expires_at_ms = call->value ? call->value->expires_at_ms : 0;
    to.count = call->op == STORE_DELETE ? call->found : call->count;
  }
  api_done(asked->api, asked->done, asked->ctx, &to);
  buf_deinit(&rows);
  store_call_free(call);
  mem_free(asked);
}

static void on_done(struct store_call *call) {
  answer(call->ctx);
}

static void on_answered(struct answered *answered) {
  answer(list_of(answered, struct asked, answered));
}

void api_answer(struct moonkeep_host *api) {
  struct list mine;
  list_init(&mine);
  list_join(&mine, &api->answered);
  for (struct list *link; (link = list_pop(&mine));) {
    struct answered *answered = list_of(link, struct answered, link);
    answered->answer(answered);
  }
}

void api_await(struct moonkeep_host *api) {
  struct store *store = host_store(api->host);
  api_answer(api);
  if (store_pending(store) > 0) store_wait(store, -1);
}

enum moonkeep_code api_may_wait(struct moonkeep_host *api) {
  if (!api->answering) return api_may_call(api);
  return err_set(&api->refused, MOONKEEP_NESTED,
                 "waiting for the store in a callback that the store has called");
}

void moonkeep_wait(struct moonkeep_host *host) {
  const struct store *store = host_store(host->host);
  if (api_may_wait(host)) return;
  do api_await(host);
  while (store_pending(store) > 0 || !list_empty(&host->answered));
  host_stir(host->host);
}

/* ---- calls ---- */

enum moonkeep_code api_may_call(struct moonkeep_host *api) {
  enum moonkeep_code code = api_is_here(api, &api->refused);
  if (code) return code;
  if (api->closing) return err_set(&api->refused, MOONKEEP_CLOSED, "the host has been closed");
  if (*provided_in_update(api->provided) == 0) return MOONKEEP_OK;
  return err_set(&api->refused, MOONKEEP_NESTED,
                 "a store call inside an update function or a transaction: make it before or after");
}

enum moonkeep_code api_bucket(struct moonkeep_host *api, const char *store, struct bucket **bucket,
                              struct err *err) {
  return store_bucket(host_store(api->host), store ? store : "appData", bucket, err);
}

static enum moonkeep_code begin(struct asked **out, struct moonkeep_host *api, enum store_op op,
                                const char *store, const char *key, moonkeep_done *done, void *ctx) {
  struct bucket *bucket = NULL;
  enum moonkeep_code code = api_may_call(api);
  if (!code) code = api_bucket(api, store, &bucket, &api->refused);
  if (code) return code;
  struct asked *asked = mem_zero(sizeof *asked);
  struct store_call *call = asked ? store_call_new(op, bucket, key, key ? strlen(key) : 0) : NULL;
  if (!call) {
    mem_free(asked);
    return err_memory(&api->refused);
  }
  *asked = (struct asked){.answered.answer = on_answered, .api = api, .call = call, .done = done, .ctx = ctx};
  call->done = on_done;
  call->ctx = asked;
  *out = asked;
  return MOONKEEP_OK;
}

static enum moonkeep_code drop(struct asked *asked, enum moonkeep_code code) {
  store_call_free(asked->call);
  mem_free(asked);
  return code;
}

static enum moonkeep_code submit(struct asked *asked) {
  struct moonkeep_host *api = asked->api;
  if (store_submit(host_store(api->host), asked->call)) list_add(&api->answered, &asked->answered.link);
  host_stir(api->host);
  return MOONKEEP_OK;
}

enum moonkeep_code api_check_expiry(int64_t expires_at_ms, struct err *err) {
  if (expires_at_ms <= STORE_LAST_EXPIRY_MS) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_INVALID_VALUE,
                 "expires_at_ms is %lld, which is too far away: it counts milliseconds since 1970",
                 (long long)expires_at_ms);
}

struct value *api_value(struct moonkeep_host *api, const char *json, int64_t expires_at_ms, struct err *err) {
  struct buf text = {0};
  struct value *value = NULL;
  enum moonkeep_code code =
      json_compact(&text, json, strlen(json), store_value_limit(host_store(api->host)), err);
  if (!code && !text.failed) value = value_new(text.data, text.len, expires_at_ms);
  if (!code && !value) err_memory(err);
  buf_deinit(&text);
  return value;
}

enum moonkeep_code moonkeep_get(struct moonkeep_host *host, const char *store, const char *key,
                                moonkeep_done *done, void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_GET, store, key, done, ctx);
  return code ? code : submit(asked);
}

enum moonkeep_code moonkeep_set(struct moonkeep_host *host, const char *store, const char *key,
                                const char *json, int64_t expires_at_ms, moonkeep_done *done, void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_SET, store, key, done, ctx);
  if (code) return code;
  struct store_call *call = asked->call;
  struct value *value = NULL;
  if (!api_check_expiry(expires_at_ms, &host->refused))
    value = api_value(host, json, expires_at_ms, &host->refused);
  if (!value) return drop(asked, host->refused.code);
  call->rows = mem_zero(sizeof *call->rows);
  if (!call->rows) {
    value_free(value);
    return drop(asked, err_memory(&host->refused));
  }
  call->rows[0].key = call->key;
  call->rows[0].key_len = call->key_len;
  call->rows[0].value = value;
  call->row_count = 1;
  return submit(asked);
}

enum moonkeep_code moonkeep_delete(struct moonkeep_host *host, const char *store, const char *key,
                                   moonkeep_done *done, void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_DELETE, store, key, done, ctx);
  return code ? code : submit(asked);
}

static enum moonkeep_code submit_pattern(struct asked *asked, const char *pattern) {
  if (!store_call_pattern(asked->call, pattern, strlen(pattern)))
    return drop(asked, err_memory(&asked->api->refused));
  return submit(asked);
}

enum moonkeep_code moonkeep_delete_like(struct moonkeep_host *host, const char *store, const char *pattern,
                                        moonkeep_done *done, void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_DELETE_LIKE, store, NULL, done, ctx);
  return code ? code : submit_pattern(asked, pattern);
}

enum moonkeep_code moonkeep_select(struct moonkeep_host *host, const char *store, const char *pattern,
                                   uint64_t limit, moonkeep_done *done, void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_SCAN, store, NULL, done, ctx);
  if (code) return code;
  asked->call->want = STORE_ROWS;
  asked->call->limit = limit;
  return submit_pattern(asked, pattern);
}

enum moonkeep_code moonkeep_count(struct moonkeep_host *host, const char *store, const char *pattern,
                                  moonkeep_done *done, void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_SCAN, store, NULL, done, ctx);
  if (code) return code;
  asked->call->want = STORE_COUNT;
  return submit_pattern(asked, pattern);
}

static enum store_verdict apply(struct store_call *call, const struct value *current) {
  const struct asked *asked = call->ctx;
  struct err err;
  unsigned *in_update = provided_in_update(asked->api->provided);
  ++*in_update;
  const char *json = asked->fn(asked->ctx, current ? current->json : NULL);
  --*in_update;
  if (!json) return STORE_KEEP;
  call->value = api_value(asked->api, json, 0, &err);
  if (call->value) return STORE_WRITE;
  call->err = mem_alloc(sizeof *call->err);
  if (call->err) err_set(call->err, err.code, "update: what the function gave is no value: %s", err.message);
  return STORE_FAIL;
}

enum moonkeep_code moonkeep_update(struct moonkeep_host *host, const char *store, const char *key,
                                   const char *(*fn)(void *ctx, const char *json), moonkeep_done *done,
                                   void *ctx) {
  struct asked *asked;
  enum moonkeep_code code = begin(&asked, host, STORE_UPDATE, store, key, done, ctx);
  if (code) return code;
  asked->fn = fn;
  asked->call->apply = apply;
  asked->call->keep_expiry = true;
  return submit(asked);
}
