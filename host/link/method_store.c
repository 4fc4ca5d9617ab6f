/* The store's methods: each is one call of store/store.h.
 *
 *     get        key                             {"found":…,"value":…,"expires_at":…}
 *     set        key, value [, expires_at | ttl] true
 *     setAll     rows                            how many: all of them or none, each
 *                                                {["store":…,] "key":…, "value":… [, "expires_at":…]}
 *     delete     key                             whether it was there
 *     deleteLike pattern                         how many went
 *     select     [pattern, limit, after]         [{"key":…,"value":…,"expires_at":…}, …] in key order
 *     keys       [pattern, limit, after]         [key, …]
 *     count      [pattern]                       how many there are
 *
 * Each takes "store" too (appData where it is absent). Times are seconds, with a fraction where there is one.
 */
#include <string.h>

#include "base/mem.h"
#include "link/answer.h"
#include "link/methods.h"
#include "link/seconds.h"
#include "store/store.h"

struct asked {
  struct request *request;
  const struct kind *kind;
  struct buf key, pattern, after; /* owned; decoded */
  struct store_call *call;        /* owned */
};

struct kind {
  const char *name;
  enum store_op op;
  enum store_want want;
  void (*result)(const struct store_call *, struct buf *out);
};

static const struct kind kinds[] = {
    {"get", STORE_GET, STORE_ROWS, answer_get},
    {"set", STORE_SET, STORE_ROWS, answer_true},
    {"setAll", STORE_SET, STORE_ROWS, answer_rows},
    {"delete", STORE_DELETE, STORE_ROWS, answer_found},
    {"deleteLike", STORE_DELETE_LIKE, STORE_ROWS, answer_count},
    {"select", STORE_SCAN, STORE_ROWS, answer_list},
    {"keys", STORE_SCAN, STORE_KEYS, answer_list},
    {"count", STORE_SCAN, STORE_COUNT, answer_count},
};

static const struct kind *kind_of(const struct request *request) {
  size_t i = 0;
  while (strcmp(kinds[i].name, request->method->name) != 0) i++;
  return &kinds[i];
}

static void asked_free(struct asked *asked) {
  if (!asked) return;
  store_call_free(asked->call);
  buf_deinit(&asked->key);
  buf_deinit(&asked->pattern);
  buf_deinit(&asked->after);
  mem_free(asked);
}

static void end(struct asked *asked) {
  if (asked->call->err) {
    request_fail(asked->request, asked->call->err);
  } else {
    struct buf result = {0};
    asked->kind->result(asked->call, &result);
    request_result_buf(asked->request, &result);
  }
  asked_free(asked);
}

static void on_done(struct store_call *call) {
  end(call->ctx);
}

/* ---- parameters ---- */

static bool is_given(const struct asked *asked, const char *name) {
  return request_param(asked->request, name)->type != JSON_END;
}

/* 0 where the field is absent. */
static enum moonkeep_code take_moment(const struct field *at, int64_t *ms, struct err *err) {
  double seconds = 0;
  *ms = 0;
  if (at->type == JSON_END || (field_number(at, &seconds) && seconds_to_ms(seconds, ms))) return MOONKEEP_OK;
  return err_set(
      err, MOONKEEP_INVALID,
      "set: expires_at is %.*s, which is not a number of seconds since 1970 (are they milliseconds?)",
      (int)(at->len < 40 ? at->len : 40), at->at);
}

static enum moonkeep_code take_expiry(struct asked *asked, int64_t *ms, struct err *err) {
  const struct field *at = request_param(asked->request, "expires_at"),
                     *ttl = request_param(asked->request, "ttl");
  double seconds = 0;
  if (at->type != JSON_END && ttl->type != JSON_END)
    return err_set(err, MOONKEEP_INVALID, "set takes expires_at or ttl, not both");
  enum moonkeep_code code = take_moment(at, ms, err);
  if (code) return code;
  if (ttl->type == JSON_END) return MOONKEEP_OK;
  double now = (double)store_now_ms(asked->request->site->store) / 1000;
  if (!(field_number(ttl, &seconds) && seconds > 0 && seconds_to_ms(now + seconds, ms)))
    return err_set(err, MOONKEEP_INVALID, "set: ttl is %.*s, which is not a number of seconds from now",
                   (int)(ttl->len < 40 ? ttl->len : 40), ttl->at);
  return MOONKEEP_OK;
}

/* Makes the row's value of the text that somebody gave. */
static enum moonkeep_code make_value(struct asked *asked, struct store_row *row, const struct field *value,
                                     int64_t expires_at_ms, struct err *err) {
  struct buf json = {0};
  struct err why;
  enum moonkeep_code code =
      json_compact(&json, value->at, value->len, store_value_limit(asked->request->site->store), &why);
  if (!code && !json.failed) row->value = value_new(json.data, json.len, expires_at_ms);
  buf_deinit(&json);
  if (code == MOONKEEP_INVALID_VALUE || code == MOONKEEP_TOO_LARGE)
    return err_key(err, code, row->key, row->key_len, "set: value of \"%.*s\": %s",
                   (int)(row->key_len < 200 ? row->key_len : 200), row->key, why.message);
  return row->value ? MOONKEEP_OK : err_memory(err);
}

/* Room for the rows of a set; they belong to the call. */
static struct store_row *make_rows(struct asked *asked, size_t count) {
  if (!count) return NULL;
  return asked->call->rows =
             count > SIZE_MAX / sizeof(struct store_row) ? NULL : mem_zero(count * sizeof(struct store_row));
}

static enum moonkeep_code take_value(struct asked *asked, struct err *err) {
  int64_t expires_at_ms;
  enum moonkeep_code code = take_expiry(asked, &expires_at_ms, err);
  if (code) return code;
  struct store_row *row = make_rows(asked, 1);
  if (!row) return err_memory(err);
  asked->call->row_count = 1;
  row->key = asked->key.data;
  row->key_len = asked->key.len;
  return make_value(asked, row, request_param(asked->request, "value"), expires_at_ms, err);
}

/* The text of a parameter that this method may have, with a NUL behind it that does not count. */
static enum moonkeep_code take_text(struct asked *asked, const char *name, enum moonkeep_code fault,
                                    struct buf *out, struct err *err) {
  enum moonkeep_code code = request_text(asked->request, name, out, err);
  if (code) return code == MOONKEEP_INVALID ? err->code = fault : code;
  buf_text(out);
  return out->failed ? err_memory(err) : MOONKEEP_OK;
}

static enum moonkeep_code find_bucket(struct asked *asked, struct bucket **bucket, struct err *err) {
  struct buf name = {0};
  enum moonkeep_code code = take_text(asked, "store", MOONKEEP_INVALID_KEY, &name, err);
  if (!code && !is_given(asked, "store")) buf_puts(&name, "appData");
  if (!code && name.len != strlen(buf_text(&name)))
    code = err_set(err, MOONKEEP_INVALID_KEY, "%s: a store's name has a NUL in it", asked->kind->name);
  if (!code) code = store_bucket(asked->request->site->store, buf_text(&name), bucket, err);
  buf_deinit(&name);
  return code;
}

static enum moonkeep_code make_call(struct asked *asked, struct bucket *bucket, struct err *err) {
  bool keyed = asked->kind->op == STORE_GET || asked->kind->op == STORE_DELETE;
  asked->call =
      store_call_new(asked->kind->op, bucket, keyed ? asked->key.data : NULL, keyed ? asked->key.len : 0);
  if (!asked->call) return err_memory(err);
  asked->call->done = on_done;
  asked->call->ctx = asked;
  asked->call->want = asked->kind->want;
  return MOONKEEP_OK;
}

static enum moonkeep_code make_keyed(struct asked *asked, struct err *err) {
  struct bucket *bucket = NULL;
  enum moonkeep_code code = take_text(asked, "key", MOONKEEP_INVALID_KEY, &asked->key, err);
  if (!code) code = find_bucket(asked, &bucket, err);
  if (!code)
    code = store_check_key(asked->kind->name, asked->key.data ? asked->key.data : "", asked->key.len, err);
  if (!code) code = make_call(asked, bucket, err);
  return code || asked->kind->op != STORE_SET ? code : take_value(asked, err);
}

static enum moonkeep_code take_page(struct asked *asked, struct err *err) {
  enum moonkeep_code code = take_text(asked, "after", MOONKEEP_INVALID_KEY, &asked->after, err);
  if (!code) code = request_count(asked->request, "limit", &asked->call->limit, err);
  if (!code && is_given(asked, "after") &&
      !store_call_after(asked->call, asked->after.data, asked->after.len))
    code = err_memory(err);
  return code;
}

static enum moonkeep_code make_matching(struct asked *asked, struct err *err) {
  struct bucket *bucket = NULL;
  struct buf *pattern = &asked->pattern;
  enum moonkeep_code code = take_text(asked, "pattern", MOONKEEP_INVALID_PATTERN, pattern, err);
  if (!code && !is_given(asked, "pattern")) buf_puts(pattern, "%");
  if (!code) code = find_bucket(asked, &bucket, err);
  if (!code) code = make_call(asked, bucket, err);
  if (!code && !store_call_pattern(asked->call, pattern->data, pattern->len)) code = err_memory(err);
  if (!code) code = store_check_pattern(asked->kind->name, pattern->data, pattern->len, err);
  bool paged = asked->kind->op == STORE_SCAN && asked->kind->want != STORE_COUNT;
  return code || !paged ? code : take_page(asked, err);
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

static enum moonkeep_code take_row_store(struct asked *asked, const struct field *field,
                                         struct store_row *row, struct err *err) {
  struct buf name = {0};
  enum moonkeep_code code = MOONKEEP_OK;
  if (field->type == JSON_END) return code;
  if (!field_text(field, &name) || name.len != strlen(buf_text(&name)))
    code = err_set(err, MOONKEEP_INVALID_KEY, "its store is not a name");
  else
    code = store_bucket(asked->request->site->store, buf_text(&name), &row->bucket, err);
  buf_deinit(&name);
  return code;
}

/* The keys are decoded into asked->key, which has room for all of them and does not move. */
static enum moonkeep_code take_row(struct asked *asked, const struct field *element, struct store_row *row,
                                   struct err *err) {
  struct field fields[R_FIELDS];
  int64_t expires_at_ms;
  enum moonkeep_code code = read_row(element, fields, err);
  if (!code) code = take_row_store(asked, &fields[R_STORE], row, err);
  if (code) return code;
  size_t at = asked->key.len;
  if (!field_text(&fields[R_KEY], &asked->key)) return err_memory(err);
  row->key = asked->key.data + at;
  row->key_len = asked->key.len - at;
  code = store_check_key("setAll", row->key, row->key_len, err);
  if (!code) code = take_moment(&fields[R_EXPIRES_AT], &expires_at_ms, err);
  return code ? code : make_value(asked, row, &fields[R_VALUE], expires_at_ms, err);
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

static enum moonkeep_code take_rows(struct asked *asked, struct err *err) {
  const struct field *list = request_param(asked->request, "rows");
  struct store_call *call = asked->call;
  if (list->type != JSON_ARRAY) return err_set(err, MOONKEEP_INVALID, "setAll: rows has to be an array");
  size_t count = count_elements(list);
  if (count == 0) return MOONKEEP_OK;
  if (!buf_reserve(&asked->key, list->len) || !make_rows(asked, count)) return err_memory(err);
  struct array_walk walk;
  struct field element;
  enum moonkeep_code code = MOONKEEP_OK;
  array_walk_init(&walk, list->at, list->len);
  while (!code && array_walk_next(&walk, &element)) {
    code = take_row(asked, &element, &call->rows[call->row_count++], err);
    if (!code) continue;
    struct err why = *err;
    err_key(err, code, why.key, strlen(why.key), "setAll: row %zu: %s", call->row_count, why.message);
  }
  array_walk_deinit(&walk);
  return code;
}

static enum moonkeep_code make_list(struct asked *asked, struct err *err) {
  struct bucket *bucket = NULL;
  enum moonkeep_code code = find_bucket(asked, &bucket, err);
  if (!code) code = make_call(asked, bucket, err);
  return code ? code : take_rows(asked, err);
}

/* ---- the request ---- */

static enum moonkeep_code make(struct asked *asked, struct err *err) {
  enum store_op op = asked->kind->op;
  if (asked->kind->result == answer_rows) return make_list(asked, err);
  return op == STORE_SCAN || op == STORE_DELETE_LIKE ? make_matching(asked, err) : make_keyed(asked, err);
}

void method_store(struct request *request) {
  struct asked *asked = mem_zero(sizeof *asked);
  struct err err;
  enum moonkeep_code code = asked ? MOONKEEP_OK : err_memory(&err);
  if (asked) {
    asked->request = request;
    asked->kind = kind_of(request);
    code = make(asked, &err);
  }
  if (!code) {
    if (store_submit(request->site->store, asked->call)) end(asked);
    return;
  }
  asked_free(asked);
  if (code == MOONKEEP_INVALID)
    request_refuse(request, &err);
  else
    request_fail(request, &err);
}
