#include <string.h>

#include "base/json.h"
#include "base/json_plain.h"
#include "base/number.h"

static void put_escape(struct buf *out, unsigned char c) {
  static const char named[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
  const char *name = memchr(named, c, sizeof named - 1);
  char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  if (name) escape[1] = names[name - named];
  buf_add(out, escape, name ? 2 : sizeof escape);
}

void json_put_string(struct buf *out, const char *bytes, size_t len) {
  const char *at = bytes, *end = bytes + len;
  buf_putc(out, '"');
  for (;;) {
    const char *run = at;
    at = json_skip_plain(at, end, false);
    buf_add(out, run, (size_t)(at - run));
    if (at == end) break;
    put_escape(out, (unsigned char)*at++);
  }
  buf_putc(out, '"');
}

bool json_put_plain(struct buf *out, const char *bytes, size_t len) {
  if (!json_is_plain(bytes, len)) return false;
  char *room = buf_reserve(out, len + 2);
  if (!room) return true;
  room[0] = '"';
  memcpy(room + 1, bytes, len);
  room[len + 1] = '"';
  out->len += len + 2;
  return true;
}

void json_put_integer(struct buf *out, int64_t integer) {
  char *room = buf_reserve(out, NUMBER_TEXT);
  if (room) out->len += number_print_integer(room, integer);
}

void json_put_float(struct buf *out, double number) {
  char *room = buf_reserve(out, NUMBER_TEXT);
  if (room) out->len += number_print_float(room, number);
}

static void put_token(struct buf *out, const struct json_token *token) {
  switch (token->type) {
  case JSON_NULL: buf_add(out, "null", 4); break;
  case JSON_FALSE: buf_add(out, "false", 5); break;
  case JSON_TRUE: buf_add(out, "true", 4); break;
  case JSON_INTEGER: json_put_integer(out, token->integer); break;
  case JSON_FLOAT: json_put_float(out, token->number); break;
  case JSON_STRING: json_put_string(out, token->string, token->string_len); break;
  case JSON_KEY:
    json_put_string(out, token->string, token->string_len);
    buf_putc(out, ':');
    break;
  case JSON_ARRAY: buf_putc(out, '['); break;
  case JSON_ARRAY_END: buf_putc(out, ']'); break;
  case JSON_OBJECT: buf_putc(out, '{'); break;
  case JSON_OBJECT_END: buf_putc(out, '}'); break;
  case JSON_ERROR:
  case JSON_END: break;
  }
}

static bool opens(enum json_type type) {
  return type == JSON_ARRAY || type == JSON_OBJECT || type == JSON_KEY;
}

static bool closes(enum json_type type) {
  return type == JSON_ARRAY_END || type == JSON_OBJECT_END;
}

static enum moonkeep_code copy_tokens(struct json *json, struct buf *out, size_t limit, struct err *err) {
  struct json_token token;
  size_t start = out->len;
  bool behind_value = false; /* what comes next needs a comma, unless it closes */
  while (json_next(json, &token) > JSON_END) {
    if (behind_value && !closes(token.type)) buf_putc(out, ',');
    put_token(out, &token);
    behind_value = !opens(token.type);
    if (out->failed) return err_memory(err);
    if (out->len - start > limit)
      return err_set(err, MOONKEEP_TOO_LARGE, "the value is larger than the limit of %zu bytes", limit);
  }
  return token.type == JSON_END ? MOONKEEP_OK : err_set(err, json->err.code, "%s", json->err.message);
}

enum moonkeep_code json_compact(struct buf *out, const char *text, size_t len, size_t limit,
                                struct err *err) {
  struct json json;
  json_init(&json, text, len);
  enum moonkeep_code code = copy_tokens(&json, out, limit, err);
  json_deinit(&json);
  return code;
}
