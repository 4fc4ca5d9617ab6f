/* Transactions from C.
 *
 * The function never waits: it reads newest values where they are at hand. What is not is loaded, and then
 * the function runs again from the start, on values that are all of one moment wherever all are at hand. Its
 * changes are handed to the store as one call, which looks whether what was read still holds. */
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "script/tx.h"

struct moonkeep_tx {
  struct answered answered;
  struct moonkeep_host *api;
  struct tx rows;
  enum moonkeep_code (*fn)(void *ctx, struct moonkeep_tx *tx);
  moonkeep_done *done;
  void *ctx;
  unsigned tries;
  size_t loads;                /* on their way */
  bool making;                 /* moonkeep_transaction has not returned: the answer waits for a tick */
  bool incomplete;             /* this run has read what has to be loaded */
  enum moonkeep_code given_up; /* what the function has returned */
  struct err err;              /* what was wrong in this run, or with the store; code MOONKEEP_OK: nothing */
};

struct load { /* of one row; the call's ctx */
  struct moonkeep_tx *tx;
  struct tx_row *row;
};

static void run(struct moonkeep_tx *tx);

/* ---- the answer ---- */

static void free_tx(struct moonkeep_tx *tx) {
  tx_deinit(&tx->rows);
  mem_free(tx);
}

static void answer(struct moonkeep_tx *tx) {
  struct moonkeep_answer to = {.code = tx->err.code, .message = tx->err.message};
  if (!tx->err.code) to.message = "";
  if (!tx->err.code && tx->given_up) {
    to.code = tx->given_up;
    to.message = "the transaction's function has given it up: nothing was written";
  }
  api_done(tx->api, tx->done, tx->ctx, &to);
  free_tx(tx);
}

static void on_answered(struct answered *answered) {
  answer(list_of(answered, struct moonkeep_tx, answered));
}

static void finish(struct moonkeep_tx *tx) {
  if (!tx->making) {
    answer(tx);
    return;
  }
  tx->answered.answer = on_answered;
  list_add(&tx->api->answered, &tx->answered.link);
}

/* ---- the commit ---- */

/* Something else got in between. */
static void again(struct moonkeep_tx *tx) {
  if (++tx->tries < TX_TRIES) {
    tx_forget(&tx->rows);
    run(tx);
    return;
  }
  err_set(&tx->err, MOONKEEP_CONFLICT,
          "transaction: what it had read was changed by others, %d times over; nothing was written",
          TX_TRIES);
  finish(tx);
}

static void committed(struct moonkeep_tx *tx, struct store_call *call) {
  bool done = call->found || call->row_count == 0;
  if (call->err) tx->err = *call->err;
  if (done || call->err)
    finish(tx);
  else
    again(tx);
  store_call_free(call);
}

static void on_committed(struct store_call *call) {
  committed(call->ctx, call);
}

static void commit(struct moonkeep_tx *tx) {
  struct err err;
  struct bucket *bucket;
  struct store_call *call = NULL;
  bool write = !tx->err.code && !tx->given_up;
  if (api_bucket(tx->api, NULL, &bucket, &err) == MOONKEEP_OK)
    call = store_call_new(STORE_COMMIT, bucket, NULL, 0);
  if (!call || !tx_fill(&tx->rows, call, write)) {
    store_call_free(call);
    err_memory(&tx->err);
    finish(tx);
    return;
  }
  call->done = on_committed;
  call->ctx = tx;
  if (store_submit(host_store(tx->api->host), call)) committed(tx, call);
}

/* ---- the function's turn ---- */

/* All that is at hand is read anew, so that the function sees one moment. */
static void refresh(struct moonkeep_tx *tx) {
  struct store *store = host_store(tx->api->host);
  const struct value *value;
  for (struct map_link *l = map_next(&tx->rows.rows, NULL); l; l = map_next(&tx->rows.rows, l)) {
    struct tx_row *row = list_of(l, struct tx_row, link);
    if (row->read && store_newest(store, row->bucket, row->key, row->key_len, &value))
      tx_read(row, value_ref((struct value *)value));
  }
}

static void run(struct moonkeep_tx *tx) {
  unsigned *in_update = provided_in_update(tx->api->provided);
  tx_unwrite(&tx->rows);
  refresh(tx);
  tx->incomplete = false;
  tx->given_up = MOONKEEP_OK;
  tx->err.code = MOONKEEP_OK;
  ++*in_update;
  tx->given_up = tx->fn(tx->ctx, tx);
  --*in_update;
  if (!tx->incomplete)
    commit(tx);
  else if (tx->loads == 0)
    finish(tx); /* a load could not even begin */
  else
    tx->err.code = MOONKEEP_OK; /* it was wrong on values that were not there */
}

/* ---- reading ---- */

static void take_in(struct moonkeep_tx *tx, struct tx_row *row, const struct store_call *call) {
  const struct value *value;
  row->asked = false;
  if (call->err) {
    if (!tx->err.code) tx->err = *call->err;
    return;
  }
  if (!store_newest(host_store(tx->api->host), row->bucket, row->key, row->key_len, &value))
    value = call->value;
  tx_read(row, value_ref((struct value *)value));
}

static void on_loaded(struct store_call *call) {
  struct load *load = call->ctx;
  struct moonkeep_tx *tx = load->tx;
  take_in(tx, load->row, call);
  store_call_free(call);
  mem_free(load);
  if (--tx->loads > 0) return;
  if (tx->err.code)
    finish(tx);
  else
    run(tx);
}

static void fail_load(struct moonkeep_tx *tx) {
  tx->incomplete = true;
  err_memory(&tx->err);
}

/* The row is read when this returns, or will be in another run. */
static void load(struct moonkeep_tx *tx, struct tx_row *row) {
  struct store_call *call = store_call_new(STORE_GET, row->bucket, row->key, row->key_len);
  struct load *load = call ? mem_alloc(sizeof *load) : NULL;
  if (!load) {
    store_call_free(call);
    fail_load(tx);
    return;
  }
  *load = (struct load){tx, row};
  call->ctx = load;
  call->done = on_loaded;
  row->asked = true;
  if (!store_submit(host_store(tx->api->host), call)) {
    tx->loads++;
    tx->incomplete = true;
    return;
  }
  take_in(tx, row, call);
  if (!row->read) tx->incomplete = true;
  store_call_free(call);
  mem_free(load);
}

/* The row of a key; NULL: what is wrong with it is noted. */
static struct tx_row *find_row(struct moonkeep_tx *tx, const char *store, const char *key) {
  struct err err;
  struct bucket *bucket;
  struct tx_row *row = NULL;
  size_t len = strlen(key);
  enum moonkeep_code code = api_bucket(tx->api, store, &bucket, &err);
  if (!code) code = store_check_key("transaction", key, len, &err);
  if (!code) row = tx_find(&tx->rows, bucket, key, len);
  if (!code && !row) row = tx_add(&tx->rows, bucket, key, len);
  if (!code && !row) code = err_memory(&err);
  if (code && !tx->err.code) tx->err = err;
  return row;
}

/* The same, read where it can be. */
static struct tx_row *read_row(struct moonkeep_tx *tx, const char *store, const char *key) {
  const struct value *value;
  struct tx_row *row = find_row(tx, store, key);
  if (!row || row->read || row->written || row->asked) return row;
  if (store_newest(host_store(tx->api->host), row->bucket, row->key, row->key_len, &value))
    tx_read(row, value_ref((struct value *)value));
  else
    load(tx, row);
  return row;
}

static bool is_there(const struct tx_row *row) {
  return row && (row->read || row->written);
}

static const struct value *value_of(const struct moonkeep_tx *tx, const struct tx_row *row) {
  return tx_value(row, store_now_ms(host_store(tx->api->host)));
}

const char *moonkeep_tx_get(struct moonkeep_tx *tx, const char *store, const char *key) {
  const struct tx_row *row = read_row(tx, store, key);
  const struct value *value = row ? value_of(tx, row) : NULL;
  return value ? value->json : NULL;
}

/* ---- writing ---- */

static void put_value(struct moonkeep_tx *tx, struct tx_row *row, const char *json, int64_t expires_at_ms) {
  struct err err;
  struct value *value = api_value(tx->api, json, expires_at_ms, &err);
  if (value)
    tx_write(row, value);
  else if (!tx->err.code)
    err_key(&tx->err, err.code, row->key, row->key_len, "transaction: %s", err.message);
}

void moonkeep_tx_set(struct moonkeep_tx *tx, const char *store, const char *key, const char *json,
                     int64_t expires_at_ms) {
  struct tx_row *row = find_row(tx, store, key);
  if (!row) return;
  struct err err;
  if (!api_check_expiry(expires_at_ms, &err))
    put_value(tx, row, json, expires_at_ms);
  else if (!tx->err.code)
    err_key(&tx->err, err.code, row->key, row->key_len, "transaction: %s", err.message);
}

void moonkeep_tx_update(struct moonkeep_tx *tx, const char *store, const char *key,
                        const char *(*fn)(void *ctx, const char *json), void *ctx) {
  struct tx_row *row = read_row(tx, store, key);
  if (!is_there(row)) return;
  const struct value *value = value_of(tx, row);
  const char *json = fn(ctx, value ? value->json : NULL);
  if (json) put_value(tx, row, json, value ? value->expires_at_ms : 0);
}

int moonkeep_tx_delete(struct moonkeep_tx *tx, const char *store, const char *key) {
  struct tx_row *row = read_row(tx, store, key);
  if (!is_there(row)) return 0;
  bool was_there = value_of(tx, row) != NULL;
  tx_write(row, NULL);
  return was_there;
}

/* ---- the transaction ---- */

enum moonkeep_code moonkeep_transaction(struct moonkeep_host *host,
                                        enum moonkeep_code (*fn)(void *ctx, struct moonkeep_tx *tx),
                                        moonkeep_done *done, void *ctx) {
  enum moonkeep_code code = api_may_call(host);
  if (code) return code;
  struct moonkeep_tx *tx = mem_zero(sizeof *tx);
  if (!tx) return err_memory(&host->refused);
  tx->api = host;
  tx->fn = fn;
  tx->done = done;
  tx->ctx = ctx;
  tx->making = true;
  tx_init(&tx->rows);
  run(tx);
  tx->making = false;
  host_stir(host->host);
  return MOONKEEP_OK;
}
