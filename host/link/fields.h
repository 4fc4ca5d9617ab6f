/* The named members of one JSON object, for those who want a few of them and no tree.
 *
 * The caller lists the names it knows; fields_read finds them, each as a slice of the text (the last one
 * where a name is doubled), and checks the whole text while it is at it. */
#ifndef LINK_FIELDS_H
#define LINK_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct field {
  const char *name;
  enum json_type type; /* the value's first token; JSON_END where the member is absent */
  const char *at;      /* the value as it stands in the text: borrowed */
  size_t len;
};

enum fields_verdict {
  FIELDS_OK,
  FIELDS_NOT_JSON,   /* err says where */
  FIELDS_NOT_OBJECT, /* JSON, but something else */
  FIELDS_UNKNOWN,    /* a member that is not in the list; err names it; only when `strict` */
};

enum fields_verdict fields_read(const char *text, size_t len, struct field *fields, size_t count, bool strict,
                                struct err *err);

/* Appends the characters of a string member; false where it is absent or no string. */
bool field_text(const struct field *field, struct buf *out);

/* The number of a member that is one. */
bool field_number(const struct field *field, double *number);

/* Walks an array's elements: begin with *rest = the array's text; each call fills element (its name is NULL)
 * and moves on. False: that was all. The text has been checked before. */
struct array_walk {
  struct json json;
};
void array_walk_init(struct array_walk *walk, const char *text, size_t len);
bool array_walk_next(struct array_walk *walk, struct field *element);
void array_walk_deinit(struct array_walk *walk);

/* As json_put_string for bytes that nobody has checked: what is not UTF-8 becomes U+FFFD. */
void put_any_text(struct buf *out, const char *bytes, size_t len);

/* Milliseconds as a number of seconds, with a fraction where there is one: 12.25. Not negative. */
void put_seconds(struct buf *out, int64_t ms);

/* A row of a store, as `export` writes it and `import` takes it, but for its closing brace:
 * {"store":…,"key":…, "value":…,"expires_at":…. store NULL: without it, as expires_at_ms 0. */
void put_store_row(struct buf *out, const char *store, const char *key, size_t key_len, const char *json,
                   size_t json_len, int64_t expires_at_ms);

/* Its end: ,"expires_at":…, or nothing where that is 0. */
void put_row_expiry(struct buf *out, int64_t expires_at_ms);

#endif
