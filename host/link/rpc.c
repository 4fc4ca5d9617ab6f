#include "link/rpc.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "link/fields.h"
#include "link/rpc_answer.h"

/* Seconds from here on (the year 5138) are what somebody wrote who meant milliseconds. */
static const double LAST_SECOND = 1e11;

enum param { P_STORE, P_KEY, P_VALUE, P_EXPIRES_AT, P_TTL, P_PATTERN, P_LIMIT, P_AFTER, P_ROWS, PARAMS };
static const char *const param_names[PARAMS] = {"store",   "key",   "value", "expires_at", "ttl",
                                                "pattern", "limit", "after", "rows"};
enum {
  T_STORE = 1 << P_STORE,
  T_KEY = 1 << P_KEY,
  T_VALUE = 1 << P_VALUE,
  T_EXPIRY = 1 << P_EXPIRES_AT | 1 << P_TTL,
  T_PATTERN = 1 << P_PATTERN,
  T_PAGE = 1 << P_LIMIT | 1 << P_AFTER,
  T_ROWS = 1 << P_ROWS,
};

struct rpc {
  struct store *store;
  const struct method *method;
  struct field params[PARAMS];
  struct buf key, pattern, after; /* owned; decoded */
  struct store_call *call;        /* owned */
  char *id;                       /* owned; the raw JSON; NULL: none, or no memory for it */
  bool silent;                    /* it had none, and gets no answer */
  size_t id_len;
  rpc_answer *answer;
  void *ctx;
};

struct method {
  const char *name;
  enum store_op op;
  enum store_want want;
  unsigned takes, needs; /* of the parameters */
  void (*result)(const struct store_call *, struct buf *out);
};

static const struct method methods[] = {
    {"get", STORE_GET, STORE_ROWS, T_KEY, T_KEY, answer_get},
    {"set", STORE_SET, STORE_ROWS, T_KEY | T_VALUE | T_EXPIRY, T_KEY | T_VALUE, answer_true},
    {"setAll", STORE_SET, STORE_ROWS, T_ROWS, T_ROWS, answer_rows},
    {"delete", STORE_DELETE, STORE_ROWS, T_KEY, T_KEY, answer_found},
    {"deleteLike", STORE_DELETE_LIKE, STORE_ROWS, T_PATTERN, T_PATTERN, answer_count},
    {"select", STORE_SCAN, STORE_ROWS, T_PATTERN | T_PAGE, 0, answer_list},
    {"keys", STORE_SCAN, STORE_KEYS, T_PATTERN | T_PAGE, 0, answer_list},
    {"count", STORE_SCAN, STORE_COUNT, T_PATTERN, 0, answer_count},
};
enum { METHODS = sizeof methods / sizeof *methods };

/* ---- its life ---- */

static void rpc_free(struct rpc *rpc) {
  store_call_free(rpc->call);
  buf_deinit(&rpc->key);
  buf_deinit(&rpc->pattern);
  buf_deinit(&rpc->after);
  mem_free(rpc->id);
  mem_free(rpc);
}

/* Hands the line out and ends the request's life. Without memory for an answer there is a short one, which
 * leaves open what has become of the request. */
static void send_and_free(struct rpc *rpc, struct buf *line) {
  static const char no_memory[] = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":"
                                  "\"out of memory for the answer\","
                                  "\"data\":{\"code\":\"unknown\"}}}\n";
  if (rpc->silent)
    rpc->answer(rpc->ctx, "", 0);
  else if (line->failed || !rpc->id)
    rpc->answer(rpc->ctx, no_memory, sizeof no_memory - 1);
  else
    rpc->answer(rpc->ctx, line->data, line->len);
  buf_deinit(line);
  rpc_free(rpc);
}

static void end_with_error(struct rpc *rpc, int number, const struct err *err) {
  struct buf line = {0};
  rpc_put_error(&line, rpc->id, rpc->id_len, number, err);
  send_and_free(rpc, &line);
}

static void end_with_call(struct rpc *rpc) {
  if (rpc->call->err) {
    end_with_error(rpc, RPC_FAILED, rpc->call->err);
    return;
  }
  struct buf line = {0};
  buf_puts(&line, "{\"jsonrpc\":\"2.0\",\"id\":");
  buf_add(&line, rpc->id, rpc->id ? rpc->id_len : 0);
  buf_puts(&line, ",\"result\":");
  rpc->method->result(rpc->call, &line);
  buf_puts(&line, "}\n");
  send_and_free(rpc, &line);
}

static void on_done(struct store_call *call) {
  end_with_call(call->ctx);
}

/* ---- requests ---- */

bool rpc_moment(double seconds, int64_t *ms) {
  if (!(seconds > 0 && seconds < LAST_SECOND)) return false;
  double exact = round(seconds * 1000);
  *ms = exact < 1 ? 1 : (int64_t)exact;
  return true;
}

/* 0 where the field is absent. */
static enum moonkeep_code take_moment(const struct field *at, int64_t *ms, struct err *err) {
  double seconds = 0;
  *ms = 0;
  if (at->type == JSON_END || (field_number(at, &seconds) && rpc_moment(seconds, ms))) return MOONKEEP_OK;
  return err_set(
      err, MOONKEEP_INVALID,
      "set: expires_at is %.*s, which is not a number of seconds since 1970 (are they milliseconds?)",
      (int)(at->len < 40 ? at->len : 40), at->at);
}

static enum moonkeep_code take_expiry(struct rpc *rpc, int64_t *ms, struct err *err) {
  const struct field *at = &rpc->params[P_EXPIRES_AT], *ttl = &rpc->params[P_TTL];
  double seconds = 0;
  if (at->type != JSON_END && ttl->type != JSON_END)
    return err_set(err, MOONKEEP_INVALID, "set takes expires_at or ttl, not both");
  enum moonkeep_code code = take_moment(at, ms, err);
  if (code) return code;
  if (ttl->type == JSON_END) return MOONKEEP_OK;
  double now = (double)store_now_ms(rpc->store) / 1000;
  if (!(field_number(ttl, &seconds) && seconds > 0 && rpc_moment(now + seconds, ms)))
    return err_set(err, MOONKEEP_INVALID, "set: ttl is %.*s, which is not a number of seconds from now",
                   (int)(ttl->len < 40 ? ttl->len : 40), ttl->at);
  return MOONKEEP_OK;
}

/* Makes the row's value of the text that somebody gave. */
static enum moonkeep_code make_value(struct rpc *rpc, struct store_row *row, const struct field *value,
                                     int64_t expires_at_ms, struct err *err) {
  struct buf json = {0};
  struct err why;
  enum moonkeep_code code = json_compact(&json, value->at, value->len, store_value_limit(rpc->store), &why);
  if (!code && !json.failed) row->value = value_new(json.data, json.len, expires_at_ms);
  buf_deinit(&json);
  if (code == MOONKEEP_INVALID_VALUE || code == MOONKEEP_TOO_LARGE)
    return err_key(err, code, row->key, row->key_len, "set: value of \"%.*s\": %s",
                   (int)(row->key_len < 200 ? row->key_len : 200), row->key, why.message);
  return row->value ? MOONKEEP_OK : err_memory(err);
}

/* Room for the rows of a set; they belong to the call. */
static struct store_row *make_rows(struct rpc *rpc, size_t count) {
  if (!count) return NULL;
  return rpc->call->rows =
             count > SIZE_MAX / sizeof(struct store_row) ? NULL : mem_zero(count * sizeof(struct store_row));
}

static enum moonkeep_code take_value(struct rpc *rpc, struct err *err) {
  int64_t expires_at_ms;
  enum moonkeep_code code = take_expiry(rpc, &expires_at_ms, err);
  if (code) return code;
  struct store_row *row = make_rows(rpc, 1);
  if (!row) return err_memory(err);
  rpc->call->row_count = 1;
  row->key = rpc->key.data;
  row->key_len = rpc->key.len;
  return make_value(rpc, row, &rpc->params[P_VALUE], expires_at_ms, err);
}

static enum moonkeep_code take_limit(struct rpc *rpc, struct err *err) {
  const struct field *limit = &rpc->params[P_LIMIT];
  double number = 0;
  if (limit->type == JSON_END) return MOONKEEP_OK;
  if (limit->type != JSON_INTEGER || !field_number(limit, &number) || number < 1)
    return err_set(err, MOONKEEP_INVALID, "%s: limit is %.*s, which is not a whole number above 0",
                   rpc->method->name, (int)(limit->len < 40 ? limit->len : 40), limit->at);
  rpc->call->limit = (uint64_t)number;
  return MOONKEEP_OK;
}

/* The text of a string parameter, with a NUL behind it that does not count. */
static enum moonkeep_code take_text(struct rpc *rpc, enum param which, struct buf *out, struct err *err) {
  const struct field *field = &rpc->params[which];
  if (field->type == JSON_END) return MOONKEEP_OK;
  if (field->type != JSON_STRING) {
    enum moonkeep_code code = which == P_PATTERN ? MOONKEEP_INVALID_PATTERN : MOONKEEP_INVALID_KEY;
    return err_set(err, code, "%s: %s has to be a string", rpc->method->name, field->name);
  }
  if (!field_text(field, out)) return err_memory(err);
  buf_text(out);
  return out->failed ? err_memory(err) : MOONKEEP_OK;
}

static enum moonkeep_code take_texts(struct rpc *rpc, struct err *err) {
  enum moonkeep_code code = take_text(rpc, P_KEY, &rpc->key, err);
  if (!code) code = take_text(rpc, P_PATTERN, &rpc->pattern, err);
  if (!code) code = take_text(rpc, P_AFTER, &rpc->after, err);
  if (!code && rpc->params[P_PATTERN].type == JSON_END) buf_puts(&rpc->pattern, "%");
  return code;
}

static enum moonkeep_code find_bucket(struct rpc *rpc, struct bucket **bucket, struct err *err) {
  struct buf name = {0};
  enum moonkeep_code code = take_text(rpc, P_STORE, &name, err);
  if (!code && rpc->params[P_STORE].type == JSON_END) buf_puts(&name, "appData");
  if (!code && name.len != strlen(buf_text(&name)))
    code = err_set(err, MOONKEEP_INVALID_KEY, "%s: a store's name has a NUL in it", rpc->method->name);
  if (!code) code = store_bucket(rpc->store, buf_text(&name), bucket, err);
  buf_deinit(&name);
  return code;
}

/* ---- setAll ---- */

enum { R_STORE, R_KEY, R_VALUE, R_EXPIRES_AT, R_FIELDS };

static enum moonkeep_code read_row(const struct field *element, struct field *fields, struct err *err) {
  static const char *const names[R_FIELDS] = {"store", "key", "value", "expires_at"};
  for (int i = 0; i < R_FIELDS; i++) fields[i] = (struct field){.name = names[i], .type = JSON_END};
  if (element->type != JSON_OBJECT) return err_set(err, MOONKEEP_INVALID, "it is not an object");
  if (fields_read(element->at, element->len, fields, R_FIELDS, true, err) != FIELDS_OK) return err->code;
  if (fields[R_KEY].type != JSON_STRING)
    return err_set(err, MOONKEEP_INVALID_KEY, "its key has to be a string");
  if (fields[R_VALUE].type == JSON_END) return err_set(err, MOONKEEP_INVALID, "it needs \"value\"");
  return MOONKEEP_OK;
}

static enum moonkeep_code take_row_store(struct rpc *rpc, const struct field *field, struct store_row *row,
                                         struct err *err) {
  struct buf name = {0};
  enum moonkeep_code code = MOONKEEP_OK;
  if (field->type == JSON_END) return code;
  if (!field_text(field, &name) || name.len != strlen(buf_text(&name)))
    code = err_set(err, MOONKEEP_INVALID_KEY, "its store is not a name");
  else
    code = store_bucket(rpc->store, buf_text(&name), &row->bucket, err);
  buf_deinit(&name);
  return code;
}

/* The keys are decoded into rpc->key, which has room for all of them and does not move. */
static enum moonkeep_code take_row(struct rpc *rpc, const struct field *element, struct store_row *row,
                                   struct err *err) {
  struct field fields[R_FIELDS];
  int64_t expires_at_ms;
  enum moonkeep_code code = read_row(element, fields, err);
  if (!code) code = take_row_store(rpc, &fields[R_STORE], row, err);
  if (code) return code;
  size_t at = rpc->key.len;
  if (!field_text(&fields[R_KEY], &rpc->key)) return err_memory(err);
  row->key = rpc->key.data + at;
  row->key_len = rpc->key.len - at;
  code = store_check_key("setAll", row->key, row->key_len, err);
  if (!code) code = take_moment(&fields[R_EXPIRES_AT], &expires_at_ms, err);
  return code ? code : make_value(rpc, row, &fields[R_VALUE], expires_at_ms, err);
}

static size_t count_elements(const struct field *list) {
  struct array_walk walk;
  struct field element;
  size_t count = 0;
  array_walk_init(&walk, list->at, list->len);
  while (array_walk_next(&walk, &element)) count++;
  array_walk_deinit(&walk);
  return count;
}

static enum moonkeep_code take_rows(struct rpc *rpc, struct err *err) {
  const struct field *list = &rpc->params[P_ROWS];
  struct store_call *call = rpc->call;
  if (list->type != JSON_ARRAY) return err_set(err, MOONKEEP_INVALID, "setAll: rows has to be an array");
  size_t count = count_elements(list);
  if (count == 0) return MOONKEEP_OK;
  if (!buf_reserve(&rpc->key, list->len) || !make_rows(rpc, count)) return err_memory(err);
  struct array_walk walk;
  struct field element;
  enum moonkeep_code code = MOONKEEP_OK;
  array_walk_init(&walk, list->at, list->len);
  while (!code && array_walk_next(&walk, &element)) {
    code = take_row(rpc, &element, &call->rows[call->row_count++], err);
    if (!code) continue;
    struct err why = *err;
    err_key(err, code, why.key, strlen(why.key), "setAll: row %zu: %s", call->row_count, why.message);
  }
  array_walk_deinit(&walk);
  return code;
}

static enum moonkeep_code make_call(struct rpc *rpc, struct err *err) {
  struct bucket *bucket = NULL;
  enum moonkeep_code code = take_texts(rpc, err);
  if (!code) code = find_bucket(rpc, &bucket, err);
  if (!code && rpc->method->needs & T_KEY)
    code = store_check_key(rpc->method->name, rpc->key.data ? rpc->key.data : "", rpc->key.len, err);
  if (code) return code;
  enum store_op op = rpc->method->op;
  bool keyed = op == STORE_GET || op == STORE_DELETE;
  rpc->call = store_call_new(op, bucket, keyed ? rpc->key.data : NULL, keyed ? rpc->key.len : 0);
  if (!rpc->call) return err_memory(err);
  rpc->call->done = on_done;
  rpc->call->ctx = rpc;
  rpc->call->want = rpc->method->want;
  if (rpc->method->takes & T_ROWS) return take_rows(rpc, err);
  if (op == STORE_SET) return take_value(rpc, err);
  if (op != STORE_SCAN && op != STORE_DELETE_LIKE) return MOONKEEP_OK;
  if (!store_call_pattern(rpc->call, rpc->pattern.data, rpc->pattern.len)) return err_memory(err);
  if (rpc->params[P_AFTER].type != JSON_END && !store_call_after(rpc->call, rpc->after.data, rpc->after.len))
    return err_memory(err);
  code = store_check_pattern(rpc->method->name, rpc->pattern.data, rpc->pattern.len, err);
  return code ? code : take_limit(rpc, err);
}

static enum moonkeep_code check_params(struct rpc *rpc, struct err *err) {
  const struct method *method = rpc->method;
  for (int i = 0; i < PARAMS; i++) {
    bool given = rpc->params[i].type != JSON_END;
    unsigned bit = 1u << i;
    if (given && !((method->takes | T_STORE) & bit))
      return err_set(err, MOONKEEP_INVALID, "%s does not take \"%s\"", method->name, param_names[i]);
    if (!given && method->needs & bit)
      return err_set(err, MOONKEEP_INVALID, "%s needs \"%s\"", method->name, param_names[i]);
  }
  return MOONKEEP_OK;
}

static enum moonkeep_code read_params(struct rpc *rpc, const struct field *params, struct err *err) {
  for (int i = 0; i < PARAMS; i++) rpc->params[i] = (struct field){.name = param_names[i], .type = JSON_END};
  if (params->type == JSON_END) return check_params(rpc, err);
  if (params->type != JSON_OBJECT)
    return err_set(err, MOONKEEP_INVALID, "%s: params has to be an object", rpc->method->name);
  struct err unknown;
  if (fields_read(params->at, params->len, rpc->params, PARAMS, true, &unknown) == FIELDS_UNKNOWN)
    return err_set(err, MOONKEEP_INVALID, "%s: %s", rpc->method->name, unknown.message);
  return check_params(rpc, err);
}

static const struct method *find_method(const struct field *name, struct err *err) {
  struct buf text = {0};
  const struct method *method = NULL;
  field_text(name, &text);
  const char *plain = buf_text(&text);
  for (int i = 0; i < METHODS && !method; i++)
    if (strcmp(methods[i].name, plain) == 0 && text.len == strlen(plain)) method = &methods[i];
  if (!method) err_set(err, MOONKEEP_INVALID, "there is no method \"%.64s\"", plain);
  buf_deinit(&text);
  return method;
}

enum { F_JSONRPC, F_ID, F_METHOD, F_PARAMS, FIELDS };

static bool is_request(const struct field *fields) {
  enum json_type id = fields[F_ID].type;
  bool id_ok =
      id == JSON_END || id == JSON_STRING || id == JSON_INTEGER || id == JSON_FLOAT || id == JSON_NULL;
  const struct field *version = &fields[F_JSONRPC];
  return version->type == JSON_STRING && version->len == 5 && memcmp(version->at, "\"2.0\"", 5) == 0 &&
         id_ok && fields[F_METHOD].type == JSON_STRING;
}

/* 0, or the number of the error; then err is filled. */
static int prepare(struct rpc *rpc, const char *line, size_t len, struct err *err) {
  struct field fields[FIELDS] = {{.name = "jsonrpc"}, {.name = "id"}, {.name = "method"}, {.name = "params"}};
  enum fields_verdict verdict = fields_read(line, len, fields, FIELDS, false, err);
  const struct field *id = &fields[F_ID];
  bool bad = verdict != FIELDS_OK || !is_request(fields);
  rpc->silent = !bad && id->type == JSON_END;
  if (!bad && !rpc->silent)
    rpc->id = mem_copy(id->at, rpc->id_len = id->len);
  else if (bad) /* whoever sent this is told, though there is no id to tell it by */
    rpc->id = mem_copy("null", rpc->id_len = 4);
  if (verdict == FIELDS_NOT_JSON) return RPC_PARSE_ERROR;
  if (bad) {
    err_set(err, MOONKEEP_INVALID,
            "not a request: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get\",\"params\":{\"key\":\"alice\"}} "
            "is one");
    return RPC_INVALID_REQUEST;
  }
  rpc->method = find_method(&fields[F_METHOD], err);
  if (!rpc->method) return RPC_NO_METHOD;
  if (read_params(rpc, &fields[F_PARAMS], err)) return RPC_INVALID_PARAMS;
  enum moonkeep_code code = make_call(rpc, err);
  return code == MOONKEEP_INVALID ? RPC_INVALID_PARAMS : code ? RPC_FAILED : 0;
}

bool rpc_handle(struct store *store, const char *line, size_t len, rpc_answer *answer, void *ctx) {
  struct rpc *rpc = mem_zero(sizeof *rpc);
  struct err err;
  if (!rpc) {
    struct buf text = {0};
    err_memory(&err);
    rpc_put_error(&text, NULL, 0, RPC_FAILED, &err);
    answer(ctx, text.data ? text.data : "", text.failed ? 0 : text.len);
    buf_deinit(&text);
    return false;
  }
  rpc->store = store;
  rpc->answer = answer;
  rpc->ctx = ctx;
  int number = prepare(rpc, line, len, &err);
  bool list = !number && rpc->method->result == answer_list;
  if (number)
    end_with_error(rpc, number, &err);
  else if (store_submit(store, rpc->call))
    end_with_call(rpc);
  return list;
}
