/* JSON text (RFC 8259), read token by token and written piece by piece.
 *
 * One scanner serves everybody who reads JSON: the codec of Lua values, the event reader, the control socket,
 * the command line. It is strict: one value, nothing behind it, valid UTF-8, no byte order mark, no lone
 * surrogates, at most JSON_DEPTH levels, integers of 64 bits, floats that are finite. An integer beyond 64
 * bits is refused, because no reader of ours could give it back exactly.
 *
 * An embedded struct: json_init, json_next until JSON_END or JSON_ERROR, json_deinit. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
  JSON_DEPTH = 128, /* levels of nesting that a value may have; a scalar has none */
  JSON_AROUND = 8,  /* and those that a message may have around the values in it */
};

enum json_type {
  JSON_ERROR, /* the text is not JSON: see json->err */
  JSON_END,   /* the value is complete and nothing but white space follows */
  JSON_NULL,
  JSON_FALSE,
  JSON_TRUE,
  JSON_INTEGER, /* a number without `.`, `e` or `E` */
  JSON_FLOAT,
  JSON_STRING,
  JSON_KEY, /* an object's key; its value follows */
  JSON_ARRAY,
  JSON_ARRAY_END,
  JSON_OBJECT,
  JSON_OBJECT_END,
};

struct json_token {
  enum json_type type;
  int64_t integer;         /* JSON_INTEGER */
  double number;           /* JSON_FLOAT */
  const char *string;      /* JSON_STRING, JSON_KEY: unescaped, not NUL-terminated, may contain NUL; */
  size_t string_len;       /*   borrowed: valid until the next json_next */
  const char *begin, *end; /* the token as it stands in the text (with its quotes) */
};

struct json {
  const char *text, *at, *end; /* borrowed */
  unsigned depth, most;        /* levels: that are open; that may be */
  unsigned char in_object[(JSON_DEPTH + JSON_AROUND) / 8];
  unsigned char state;
  struct buf scratch; /* owned: the last string that had escapes */
  struct err err;     /* MOONKEEP_INVALID_VALUE or MOONKEEP_MEMORY; says what was found at which byte */
};

void json_init(struct json *json, const char *text, size_t len);
void json_init_message(struct json *json, const char *text, size_t len); /* with values in it */
void json_deinit(struct json *json);

/* Reads the next token into *token and returns its type. After JSON_END and JSON_ERROR it repeats itself. */
enum json_type json_next(struct json *json, struct json_token *token);

/* Having read JSON_ARRAY or JSON_OBJECT, reads on to the end of it (including); after any other token of a
 * value it does nothing. False: the text is not JSON. */
bool json_skip(struct json *json, enum json_type opened);

/* Appends the value in compact form: no white space outside strings, shortest numbers, the order of keys (and
 * of doubled keys) as it was. Fails with invalid_value, or with too_large where the result has over limit
 * bytes. */
enum moonkeep_code json_compact(struct buf *out, const char *text, size_t len, size_t limit, struct err *err);

/* Writers: each appends one token. Strings must be valid UTF-8; `"`, `\` and control characters are escaped,
 * and nothing else. A float is written with the fewest digits that read back to the same double, and always
 * with a
 * `.` or an `e`, so that it stays a float: 1.0, 0.1, 1e+300, -0.0. It must be finite. No locale has a say. */
void json_put_string(struct buf *out, const char *bytes, size_t len);
/* Appends a string where it is ASCII with nothing to escape, as most are; false: it is not, and nothing is
 * appended. */
bool json_put_plain(struct buf *out, const char *bytes, size_t len);
void json_put_integer(struct buf *out, int64_t integer);
void json_put_float(struct buf *out, double number);

#endif
