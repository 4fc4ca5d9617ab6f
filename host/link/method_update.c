/* update   key, function [, default]   the new value, as get answers
 *
 * The function is Lua's source text; it is called in a state of its own, with the value that the key has or
 * else the default, at the one moment that the call has in the order of all changes. */
#include <string.h>

#include "base/mem.h"
#include "link/answer.h"
#include "link/methods.h"
#include "script/snippet.h"
#include "store/store.h"

struct update {
  struct request *request;
  struct snippet *snippet;          /* owned */
  struct store_call *call;          /* owned */
  struct buf key, function, preset; /* owned */
  bool kept;
};

static void update_free(struct update *update) {
  if (!update) return;
  store_call_free(update->call);
  snippet_free(update->snippet);
  buf_deinit(&update->key);
  buf_deinit(&update->function);
  buf_deinit(&update->preset);
  mem_free(update);
}

/* What was left as it was, and is absent, is the default: so it is in scripts. */
static void answer(const struct update *update, struct buf *out) {
  if (!update->kept || update->call->value || update->preset.len == 0) {
    answer_get(update->call, out);
    return;
  }
  buf_puts(out, "{\"found\":true,\"value\":");
  buf_add(out, update->preset.data, update->preset.len);
  buf_putc(out, '}');
}

static void end(struct update *update) {
  struct buf result = {0};
  if (update->call->err) {
    request_fail(update->request, update->call->err);
  } else {
    answer(update, &result);
    request_result_buf(update->request, &result);
  }
  update_free(update);
}

static void on_done(struct store_call *call) {
  end(call->ctx);
}

static enum store_verdict apply(struct store_call *call, const struct value *current) {
  struct update *update = call->ctx;
  struct err err;
  enum store_verdict verdict = snippet_call(update->snippet, call->key, current, update->preset.data,
                                            update->preset.len, &call->value, &err);
  update->kept = verdict == STORE_KEEP;
  if (verdict == STORE_FAIL && (call->err = mem_alloc(sizeof *call->err))) *call->err = err;
  return verdict;
}

/* ---- parameters ---- */

/* A text that names something is its name's fault where it is none. */
static enum moonkeep_code take_name(const struct update *update, const char *name, struct buf *out,
                                    struct err *err) {
  enum moonkeep_code code = request_text(update->request, name, out, err);
  return code == MOONKEEP_INVALID ? err->code = MOONKEEP_INVALID_KEY : code;
}

static enum moonkeep_code take_texts(struct update *update, struct buf *store, struct err *err) {
  enum moonkeep_code code = take_name(update, "store", store, err);
  if (!code && request_param(update->request, "store")->type == JSON_END) buf_puts(store, "appData");
  if (!code && strlen(buf_text(store)) != store->len)
    code = err_set(err, MOONKEEP_INVALID_KEY, "update: a store's name has a NUL in it");
  if (!code) code = take_name(update, "key", &update->key, err);
  if (!code) code = store_check_key("update", update->key.data ? update->key.data : "", update->key.len, err);
  return code ? code : request_text(update->request, "function", &update->function, err);
}

static enum moonkeep_code take_default(struct update *update, struct err *err) {
  const struct field *field = request_param(update->request, "default");
  size_t limit = store_value_limit(update->request->site->store);
  struct err why;
  if (field->type == JSON_END) return MOONKEEP_OK;
  enum moonkeep_code code = json_compact(&update->preset, field->at, field->len, limit, &why);
  if (!code && update->preset.failed) return err_memory(err);
  return code ? err_set(err, code, "update: the default: %s", why.message) : MOONKEEP_OK;
}

static enum moonkeep_code make(struct update *update, struct err *err) {
  struct store *store = update->request->site->store;
  struct bucket *bucket;
  struct buf name = {0};
  enum moonkeep_code code = take_texts(update, &name, err);
  if (!code) code = take_default(update, err);
  if (!code) code = store_bucket(store, buf_text(&name), &bucket, err);
  buf_deinit(&name);
  if (!code)
    code = snippet_new(&update->snippet, store, update->function.data, update->function.len, NULL, err);
  if (code) return code;
  update->call = store_call_new(STORE_UPDATE, bucket, update->key.data, update->key.len);
  if (!update->call) return err_memory(err);
  update->call->done = on_done;
  update->call->ctx = update;
  update->call->apply = apply;
  update->call->keep_expiry = true;
  return MOONKEEP_OK;
}

void method_update(struct request *request) {
  struct update *update = mem_zero(sizeof *update);
  struct err err;
  if (update) update->request = request;
  if (update ? make(update, &err) : err_memory(&err)) {
    update_free(update);
    request_fail(request, &err);
  } else if (store_submit(request->site->store, update->call)) {
    end(update);
  }
}
