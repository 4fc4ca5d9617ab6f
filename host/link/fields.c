#include "link/fields.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"

/* Reads on to the end of the value whose first token this is. */
static bool take_value(struct json *json, struct json_token *token, struct field *into) {
  into->type = token->type;
  into->at = token->begin;
  for (unsigned depth = 0;;) {
    if (token->type == JSON_ERROR) return false;
    if (token->type == JSON_ARRAY || token->type == JSON_OBJECT) depth++;
    if (token->type == JSON_ARRAY_END || token->type == JSON_OBJECT_END) depth--;
    if (depth == 0) break;
    json_next(json, token);
  }
  into->len = (size_t)(token->end - into->at);
  return true;
}

static struct field *find(struct field *fields, size_t count, const struct json_token *key) {
  for (size_t i = 0; i < count; i++)
    if (strlen(fields[i].name) == key->string_len &&
        memcmp(fields[i].name, key->string, key->string_len) == 0)
      return &fields[i];
  return NULL;
}

static enum fields_verdict read_members(struct json *json, struct field *fields, size_t count, bool strict,
                                        struct err *err) {
  struct json_token token;
  enum fields_verdict verdict = FIELDS_OK;
  while (json_next(json, &token) == JSON_KEY) {
    struct field ignored, *field = find(fields, count, &token);
    if (!field && strict && verdict == FIELDS_OK) {
      verdict = FIELDS_UNKNOWN;
      err_set(err, MOONKEEP_INVALID, "unknown member \"%.*s\"",
              (int)(token.string_len < 64 ? token.string_len : 64), token.string);
    }
    json_next(json, &token);
    if (!take_value(json, &token, field ? field : &ignored)) return FIELDS_NOT_JSON;
  }
  if (token.type != JSON_OBJECT_END || json_next(json, &token) != JSON_END) return FIELDS_NOT_JSON;
  return verdict;
}

static enum fields_verdict read_object(struct json *json, struct field *fields, size_t count, bool strict,
                                       struct err *err) {
  struct json_token token;
  struct field whole;
  json_next(json, &token);
  if (token.type == JSON_OBJECT) return read_members(json, fields, count, strict, err);
  if (!take_value(json, &token, &whole) || json_next(json, &token) != JSON_END) return FIELDS_NOT_JSON;
  return FIELDS_NOT_OBJECT;
}

enum fields_verdict fields_read(const char *text, size_t len, struct field *fields, size_t count, bool strict,
                                struct err *err) {
  for (size_t i = 0; i < count; i++) fields[i].type = JSON_END;
  struct json json;
  json_init_message(&json, text, len);
  enum fields_verdict verdict = read_object(&json, fields, count, strict, err);
  if (verdict == FIELDS_NOT_JSON && err) *err = json.err;
  json_deinit(&json);
  return verdict;
}

bool field_text(const struct field *field, struct buf *out) {
  if (field->type != JSON_STRING) return false;
  struct json json;
  struct json_token token;
  json_init(&json, field->at, field->len);
  bool ok = json_next(&json, &token) == JSON_STRING;
  if (ok) buf_add(out, token.string, token.string_len);
  json_deinit(&json);
  return ok && !out->failed;
}

bool field_number(const struct field *field, double *number) {
  if (field->type != JSON_INTEGER && field->type != JSON_FLOAT) return false;
  struct json json;
  struct json_token token;
  json_init(&json, field->at, field->len);
  enum json_type type = json_next(&json, &token);
  *number = type == JSON_INTEGER ? (double)token.integer : token.number;
  json_deinit(&json);
  return type == JSON_INTEGER || type == JSON_FLOAT;
}

void array_walk_init(struct array_walk *walk, const char *text, size_t len) {
  struct json_token token;
  json_init_message(&walk->json, text, len);
  json_next(&walk->json, &token);
}

bool array_walk_next(struct array_walk *walk, struct field *element) {
  struct json_token token;
  enum json_type type = json_next(&walk->json, &token);
  if (type == JSON_ARRAY_END || type == JSON_END) return false;
  element->name = NULL;
  return take_value(&walk->json, &token, element);
}

void array_walk_deinit(struct array_walk *walk) {
  json_deinit(&walk->json);
}

void put_any_text(struct buf *out, const char *bytes, size_t len) {
  if (utf8_valid(bytes, len) == len) {
    json_put_string(out, bytes, len);
    return;
  }
  struct buf clean = {0};
  while (len > 0) {
    size_t good = utf8_valid(bytes, len);
    buf_add(&clean, bytes, good);
    if (good < len) buf_puts(&clean, "\xEF\xBF\xBD");
    size_t step = good < len ? good + 1 : good;
    bytes += step;
    len -= step;
  }
  json_put_string(out, clean.data ? clean.data : "", clean.failed ? 0 : clean.len);
  buf_deinit(&clean);
}

void put_seconds(struct buf *out, int64_t ms) {
  buf_printf(out, "%" PRId64, ms / 1000);
  int rest = (int)(ms % 1000);
  if (rest == 0) return;
  int digits = 3;
  for (; rest % 10 == 0; rest /= 10) digits--;
  buf_printf(out, ".%0*d", digits, rest);
}

void put_row_expiry(struct buf *out, int64_t expires_at_ms) {
  if (expires_at_ms == 0) return;
  buf_puts(out, ",\"expires_at\":");
  put_seconds(out, expires_at_ms);
}

void put_store_row(struct buf *out, const char *store, const char *key, size_t key_len, const char *json,
                   size_t json_len, int64_t expires_at_ms) {
  buf_putc(out, '{');
  if (store) buf_printf(out, "\"store\":\"%s\",", store);
  buf_puts(out, "\"key\":");
  put_any_text(out, key, key_len);
  buf_puts(out, ",\"value\":");
  buf_add(out, json, json_len);
  put_row_expiry(out, expires_at_ms);
}
