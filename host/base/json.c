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

/* Reads the string whose quote is at json->at. Without escapes it is borrowed from the text, else put
 * together in the scratch, run by run. */
static bool read_string(struct json *json, struct json_token *token) {
  const char *run = json->at + 1, *at = run;
  bool escaped = false;
  while ((at = json_skip_plain(at, json->end, true)) == json->end || *at != '"') {
    bool escape = at < json->end && *at == '\\';
    if (escape) {
      if (!escaped) buf_clear(&json->scratch);
      buf_add(&json->scratch, run, (size_t)(at - run));
      escaped = true;
    }
    if (!(at = pass(json, at))) return false;
    if (escape) run = at;
  }
  token->string = run;
  token->string_len = (size_t)(at - run);
  if (escaped) {
    buf_add(&json->scratch, run, (size_t)(at - run));
    token->string = json->scratch.data;
    token->string_len = json->scratch.len;
    if (json->scratch.failed) return out_of_memory(json), false;
  }
  token->end = json->at = at + 1;
  return true;
}

/* Values. */

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  return at;
}

static enum json_type finish(struct json *json, struct json_token *token, const char *end,
                             enum json_type type) {
  token->end = json->at = end;
  json->state = AFTER;
  return type;
}

static enum json_type read_number(struct json *json, struct json_token *token) {
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

static enum json_type close_level(struct json *json, struct json_token *token, enum json_type type) {
  json->depth--;
  return finish(json, token, json->at + 1, type);
}

static enum json_type read_value(struct json *json, struct json_token *token) {
  if (json->at == json->end) return ends_early(json);
  switch (*json->at) {
  case '"': return read_string(json, token) ? finish(json, token, json->at, JSON_STRING) : JSON_ERROR;
  case '{': return open_level(json, token, JSON_OBJECT);
  case '[': return open_level(json, token, JSON_ARRAY);
  case 't': return read_word(json, token, "true", JSON_TRUE);
  case 'f': return read_word(json, token, "false", JSON_FALSE);
  case 'n': return read_word(json, token, "null", JSON_NULL);
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9': return read_number(json, token);
  default: return unexpected(json, json->at, "");
  }
}

/* Reads a key and the colon behind it. */
static enum json_type read_key(struct json *json, struct json_token *token) {
  if (json->at == json->end) return ends_early(json);
  if (*json->at != '"') return unexpected(json, json->at, ", where a key should be");
  if (!read_string(json, token)) return JSON_ERROR;
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

/* Reads what follows a value: the end of what it stands in, or the comma and what is behind that. */
static enum json_type read_on(struct json *json, struct json_token *token) {
  if (json->depth == 0) return read_end(json, token);
  if (json->at == json->end) return ends_early(json);
  bool object = in_object(json);
  if (*json->at == (object ? '}' : ']'))
    return close_level(json, token, object ? JSON_OBJECT_END : JSON_ARRAY_END);
  if (*json->at != ',') return unexpected(json, json->at, "");
  token->begin = json->at = skip_space(json->at + 1, json->end);
  return object ? read_key(json, token) : read_value(json, token);
}

static enum json_type read_token(struct json *json, struct json_token *token) {
  bool more = json->at < json->end;
  switch ((enum state)json->state) {
  case FIRST_ITEM:
    return more && *json->at == ']' ? close_level(json, token, JSON_ARRAY_END) : read_value(json, token);
  case FIRST_KEY:
    return more && *json->at == '}' ? close_level(json, token, JSON_OBJECT_END) : read_key(json, token);
  case VALUE: return read_value(json, token);
  case AFTER: return read_on(json, token);
  case DONE: return JSON_END;
  case BROKEN: break;
  }
  return JSON_ERROR;
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
