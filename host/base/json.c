#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/json_plain.h"
#include "base/number.h"
#include "base/utf8.h"

/* What may come next. */
enum state {
  VALUE,      /* a value: at the start, or behind a key */
  FIRST_ITEM, /* a value, or the end of an empty array */
  FIRST_KEY,  /* a key, or the end of an empty object */
  AFTER,      /* behind a value: a comma, or the end of what it stands in */
  KEY,        /* a key, behind a comma */
  CLOSE,      /* the end of what a value stands in */
  DONE,
  BROKEN,
};

void json_init(struct json *json, const char *text, size_t len) {
  /* Field by field: clearing the room for an error message costs more than reading a small text. */
  json->text = json->at = text;
  json->end = text + len;
  json->depth = 0;
  json->most = JSON_DEPTH;
  json->state = VALUE;
  buf_init(&json->scratch);
  json->err.code = MOONKEEP_OK;
  json->err.message[0] = json->err.key[0] = '\0';
}

void json_init_message(struct json *json, const char *text, size_t len) {
  json_init(json, text, len);
  json->most = JSON_DEPTH + JSON_AROUND;
}

void json_deinit(struct json *json) {
  buf_deinit(&json->scratch);
}

static bool in_object(const struct json *json) {
  unsigned level = json->depth - 1;
  return json->depth > 0 && (json->in_object[level / 8] >> level % 8 & 1);
}

/* What is wrong with the text. */

static enum json_type broken(struct json *json) {
  json->state = BROKEN;
  return JSON_ERROR;
}

static size_t place(const struct json *json, const char *at) {
  return (size_t)(at - json->text) + 1;
}

static enum json_type out_of_memory(struct json *json) {
  err_memory(&json->err);
  return broken(json);
}

static enum json_type ends_in(struct json *json, const char *what) {
  err_set(&json->err, MOONKEEP_INVALID_VALUE, "not JSON: it ends in the middle of %s", what);
  return broken(json);
}

static enum json_type ends_early(struct json *json) {
  if (json->depth > 0) return ends_in(json, in_object(json) ? "an object" : "an array");
  err_set(&json->err, MOONKEEP_INVALID_VALUE, "not JSON: it is empty");
  return broken(json);
}

static enum json_type wrong(struct json *json, const char *what, const char *at) {
  err_set(&json->err, MOONKEEP_INVALID_VALUE, "not JSON: %s at byte %zu", what, place(json, at));
  return broken(json);
}

static unsigned codepoint(const char *at, size_t len) {
  unsigned value = (unsigned char)*at & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) value = value << 6 | ((unsigned char)at[i] & 0x3F);
  return value;
}

/* A character beyond ASCII is given as its number: it may be one that does not show. */
static enum json_type unexpected(struct json *json, const char *at, const char *where) {
  unsigned char c = (unsigned char)*at;
  size_t len = utf8_check(at, json->end);
  char what[32];
  if (c > 0x20 && c < 0x7F)
    snprintf(what, sizeof what, "'%c'", c);
  else if (len > 1)
    snprintf(what, sizeof what, "U+%04X", codepoint(at, len));
  else
    snprintf(what, sizeof what, "byte 0x%02X", c);
  if (len == 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) strcpy(what, "byte order mark");
  err_set(&json->err, MOONKEEP_INVALID_VALUE, "not JSON: unexpected %s at byte %zu%s", what, place(json, at),
          where);
  return broken(json);
}

/* Strings. */

/* Reads four hexadecimal digits; on a fault leaves *at there and returns -1. */
static int read_hex(const char **at, const char *end) {
  int value = 0;
  for (int i = 0; i < 4; i++, ++*at) {
    if (*at == end) return -1;
    unsigned char c = (unsigned char)**at, letter = c | 0x20;
    if (c >= '0' && c <= '9')
      value = value << 4 | (c - '0');
    else if (letter >= 'a' && letter <= 'f')
      value = value << 4 | (letter - 'a' + 10);
    else
      return -1;
  }
  return value;
}

static const char *wrong_escape(struct json *json, const char *at) {
  if (at == json->end)
    ends_in(json, "a string");
  else
    unexpected(json, at, ", in an escape");
  return NULL;
}

/* Reads the `\uXXXX` at `escape`, or the two of a surrogate pair, into the scratch. */
static const char *read_unicode(struct json *json, const char *escape) {
  const char *at = escape + 2;
  int first = read_hex(&at, json->end);
  if (first < 0) return wrong_escape(json, at);
  unsigned value = (unsigned)first;
  if (value >= 0xD800 && value <= 0xDFFF) {
    const char *low = at + 2;
    bool follows = value <= 0xDBFF && json->end - at >= 2 && at[0] == '\\' && at[1] == 'u';
    int second = follows ? read_hex(&low, json->end) : -1;
    if (follows && second < 0) return wrong_escape(json, low);
    if (second < 0xDC00 || second > 0xDFFF) {
      wrong(json, "half of a surrogate pair", escape);
      return NULL;
    }
    value = 0x10000 + ((value - 0xD800) << 10) + ((unsigned)second - 0xDC00);
    at = low;
  }
  char bytes[4];
  buf_add(&json->scratch, bytes, utf8_put(bytes, value));
  return at;
}

/* Reads the escape at `at` into the scratch and returns its end, or NULL. */
static const char *read_escape(struct json *json, const char *at) {
  static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  if (at + 1 == json->end) return wrong_escape(json, at + 1);
  if (at[1] == 'u') return read_unicode(json, at);
  const char *name = memchr(names, at[1], sizeof names - 1);
  if (!name) return wrong_escape(json, at + 1);
  buf_putc(&json->scratch, meant[name - names]);
  return at + 2;
}

/* Skips the characters beyond ASCII at `at`; NULL when one is not UTF-8. */
static const char *skip_wide(struct json *json, const char *at) {
  while (at < json->end && (unsigned char)*at >= 0x80) {
    size_t len = utf8_check(at, json->end);
    if (len == 0) {
      wrong(json, "invalid UTF-8", at);
      return NULL;
    }
    at += len;
  }
  return at;
}

static const char *control_character(struct json *json, const char *at) {
  unsigned char c = (unsigned char)*at;
  err_set(&json->err, MOONKEEP_INVALID_VALUE,
          "not JSON: a raw control character (0x%02X) in a string at byte %zu; write it as \\u%04X", c,
          place(json, at), c);
  broken(json);
  return NULL;
}

/* Moves on from what stopped a plain run inside a string; NULL when that is an error. */
static const char *pass(struct json *json, const char *at) {
  if (at == json->end) {
    ends_in(json, "a string");
    return NULL;
  }
  if (*at == '\\') return read_escape(json, at);
  return (unsigned char)*at < 0x20 ? control_character(json, at) : skip_wide(json, at);
}

static enum json_type take_string(struct json *json, struct json_token *token, const char *string, size_t len,
                                  const char *quote) {
  token->string = string;
  token->string_len = len;
  token->end = json->at = quote + 1;
  return JSON_STRING;
}

/* Reads on in a string that has more than plain characters, from the first of those. Without escapes it is
 * borrowed from the text, else put together in the scratch, run by run. */
static enum json_type read_rich_string(struct json *json, struct json_token *token, const char *at) {
  const char *run = json->at + 1;
  bool escaped = false;
  while (at == json->end || *at != '"') {
    bool escape = at < json->end && *at == '\\';
    if (escape) {
      if (!escaped) buf_clear(&json->scratch);
      buf_add(&json->scratch, run, (size_t)(at - run));
      escaped = true;
    }
    if (!(at = pass(json, at))) return JSON_ERROR;
    if (escape) run = at;
    at = json_skip_plain(at, json->end, true);
  }
  if (!escaped) return take_string(json, token, run, (size_t)(at - run), at);
  buf_add(&json->scratch, run, (size_t)(at - run));
  if (json->scratch.failed) return out_of_memory(json);
  return take_string(json, token, json->scratch.data, json->scratch.len, at);
}

/* Reads the string whose quote is at json->at. */
static inline enum json_type read_string(struct json *json, struct json_token *token) {
  const char *run = json->at + 1, *at = json_skip_plain(run, json->end, true);
  if (at == json->end || *at != '"') return read_rich_string(json, token, at);
  return take_string(json, token, run, (size_t)(at - run), at);
}

/* Values. */

static bool is_digit(char c) {
  return (unsigned char)(c - '0') < 10;
}

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  return at;
}

/* Mostly there is none. */
static inline const char *skip_space(const char *at, const char *end) {
  return at < end && (unsigned char)*at <= ' ' ? skip_blanks(at, end) : at;
}

static enum json_type finish(struct json *json, struct json_token *token, const char *end,
                             enum json_type type) {
  token->end = json->at = end;
  json->state = AFTER;
  return type;
}

static enum json_type read_any_number(struct json *json, struct json_token *token) {
  struct number number;
  const char *begin = json->at, *end = number_read(begin, json->end, &number);
  switch (number.type) {
  case NUMBER_INTEGER: token->integer = number.integer; return finish(json, token, end, JSON_INTEGER);
  case NUMBER_FLOAT: token->number = number.real; return finish(json, token, end, JSON_FLOAT);
  case NUMBER_BROKEN: return end == json->end ? ends_in(json, "a number") : unexpected(json, end, "");
  case NUMBER_WIDE:
  case NUMBER_HUGE: break;
  }
  const char *fault =
      number.type == NUMBER_WIDE ? "is an integer beyond 64 bits" : "is beyond the largest float";
  int shown = end - begin > 40 ? 40 : (int)(end - begin);
  err_set(&json->err, MOONKEEP_INVALID_VALUE, "not a value: %.*s%s at byte %zu %s; send it as a string",
          shown, begin, end - begin > shown ? "..." : "", place(json, begin), fault);
  return broken(json);
}

/* Most numbers are short integers. */
static inline enum json_type read_number(struct json *json, struct json_token *token) {
  enum { DIGITS = 18 }; /* whichever they are, an integer has room for them */
  const char *begin = json->at, *at = begin;
  int64_t value = 0;
  for (; at < json->end && is_digit(*at); at++)
    value = (int64_t)((uint64_t)value * 10 + (uint64_t)(*at - '0'));
  if (at - begin > DIGITS || (*begin == '0' && at - begin > 1)) return read_any_number(json, token);
  if (at < json->end && (*at == '.' || *at == 'e' || *at == 'E')) return read_any_number(json, token);
  token->integer = value;
  return finish(json, token, at, JSON_INTEGER);
}

static enum json_type read_word(struct json *json, struct json_token *token, const char *word,
                                enum json_type type) {
  const char *at = json->at;
  for (const char *c = word; *c; c++, at++) {
    if (at == json->end) return ends_in(json, word);
    if (*at != *c) return unexpected(json, at, "");
  }
  return finish(json, token, at, type);
}

static enum json_type open_level(struct json *json, struct json_token *token, enum json_type type) {
  if (json->depth == json->most) {
    err_set(&json->err, MOONKEEP_INVALID_VALUE, "not a value: nested deeper than %u levels at byte %zu",
            json->most, place(json, json->at));
    return broken(json);
  }
  unsigned char bit = (unsigned char)(1u << json->depth % 8), *byte = &json->in_object[json->depth / 8];
  *byte = (unsigned char)(type == JSON_OBJECT ? *byte | bit : *byte & ~bit);
  json->depth++;
  json->at++;
  token->end = json->at;
  json->state = type == JSON_OBJECT ? FIRST_KEY : FIRST_ITEM;
  return type;
}

static enum json_type read_other(struct json *json, struct json_token *token) {
  switch (*json->at) {
  case '{': return open_level(json, token, JSON_OBJECT);
  case '[': return open_level(json, token, JSON_ARRAY);
  case 't': return read_word(json, token, "true", JSON_TRUE);
  case 'f': return read_word(json, token, "false", JSON_FALSE);
  case 'n': return read_word(json, token, "null", JSON_NULL);
  case '-': return read_any_number(json, token);
  default: return unexpected(json, json->at, "");
  }
}

static inline enum json_type read_value(struct json *json, struct json_token *token) {
  if (json->at == json->end) return ends_early(json);
  if (*json->at == '"') {
    enum json_type type = read_string(json, token);
    return type == JSON_ERROR ? type : finish(json, token, json->at, type);
  }
  return is_digit(*json->at) ? read_number(json, token) : read_other(json, token);
}

/* Reads a key and the colon behind it. */
static inline enum json_type read_key(struct json *json, struct json_token *token) {
  if (json->at == json->end) return ends_early(json);
  if (*json->at != '"') return unexpected(json, json->at, ", where a key should be");
  if (read_string(json, token) == JSON_ERROR) return JSON_ERROR;
  const char *colon = skip_space(json->at, json->end);
  if (colon == json->end) return ends_early(json);
  if (*colon != ':') return unexpected(json, colon, ", where a colon should be");
  json->at = colon + 1;
  json->state = VALUE;
  return JSON_KEY;
}

static enum json_type read_end(struct json *json, struct json_token *token) {
  if (json->at < json->end) return unexpected(json, json->at, ", behind the end of the value");
  token->end = json->at;
  json->state = DONE;
  return JSON_END;
}

/* Reads the end of what the last value stands in. */
static enum json_type read_close(struct json *json, struct json_token *token) {
  if (json->depth == 0) return read_end(json, token);
  if (json->at == json->end) return ends_early(json);
  bool object = in_object(json);
  if (*json->at != (object ? '}' : ']')) return unexpected(json, json->at, "");
  json->depth--;
  return finish(json, token, json->at + 1, object ? JSON_OBJECT_END : JSON_ARRAY_END);
}

/* What is to be read now, behind the comma if there is one. */
static inline enum state expect(struct json *json, struct json_token *token) {
  bool more = json->at < json->end;
  switch ((enum state)json->state) {
  case FIRST_ITEM: return more && *json->at == ']' ? CLOSE : VALUE;
  case FIRST_KEY: return more && *json->at == '}' ? CLOSE : KEY;
  case AFTER:
    if (!more || *json->at != ',' || json->depth == 0) return CLOSE;
    token->begin = json->at = skip_space(json->at + 1, json->end);
    return in_object(json) ? KEY : VALUE;
  default: return json->state;
  }
}

static inline enum json_type read_token(struct json *json, struct json_token *token) {
  switch (expect(json, token)) {
  case KEY: return read_key(json, token);
  case VALUE: return read_value(json, token);
  case CLOSE: return read_close(json, token);
  case DONE: return JSON_END;
  default: return JSON_ERROR;
  }
}

enum json_type json_next(struct json *json, struct json_token *token) {
  token->begin = token->end = json->at = skip_space(json->at, json->end);
  return token->type = read_token(json, token);
}

bool json_skip(struct json *json, enum json_type opened) {
  if (opened != JSON_ARRAY && opened != JSON_OBJECT) return opened != JSON_ERROR;
  struct json_token token;
  unsigned outside = json->depth - 1;
  while (json->depth > outside)
    if (json_next(json, &token) == JSON_ERROR) return false;
  return true;
}
