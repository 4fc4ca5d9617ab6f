#include "cli/rows.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "link/fields.h"
#include "link/seconds.h"
#include "store/foreign.h"
#include "store/store.h"

enum { CHUNK_BYTES = 64 << 10, WHOLE_BYTES = 1 << 30 };

/* ---- bytes ---- */

/* Reads some more; `ended` at the end. */
static enum moonkeep_code read_more(struct rows *rows, struct err *err) {
  char *room = buf_reserve(&rows->in, CHUNK_BYTES);
  if (!room) return err_memory(err);
  ssize_t n;
  do n = read(rows->fd, room, CHUNK_BYTES);
  while (n < 0 && errno == EINTR);
  if (n < 0) return err_set(err, MOONKEEP_IO, "cannot read %s: %s", rows->name, strerror(errno));
  rows->in.len += (size_t)n;
  rows->bytes += (uint64_t)n;
  rows->ended = n == 0;
  return MOONKEEP_OK;
}

static enum moonkeep_code read_all(struct rows *rows, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !rows->ended && rows->in.len <= WHOLE_BYTES) code = read_more(rows, err);
  if (!code && !rows->ended)
    return err_set(err, MOONKEEP_TOO_LARGE,
                   "%s is one value of more than %d MiB; larger ones have to be one object a line",
                   rows->name, WHOLE_BYTES >> 20);
  return code;
}

/* The longest line that can be a row: every byte of it may have been escaped. */
static size_t line_limit(const struct rows *rows) {
  return (rows->value_limit + STORE_KEY_BYTES) * 6 + 4096;
}

static bool is_blank(const char *line, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
  return true;
}

enum moonkeep_code rows_blame(const struct rows *rows, uint64_t line, struct err *err) {
  struct err why = *err;
  return err_key(err, why.code, why.key, strlen(why.key), "%s %llu of %s: %s",
                 rows->kind == ROWS_FOREIGN ? "row" : "line", (unsigned long long)line, rows->name,
                 why.message);
}

/* The next line that is not blank, valid until more is read; it stays there until `taken` is moved. *line
 * NULL: there is none. */
static enum moonkeep_code find_line(struct rows *rows, const char **line, size_t *len, struct err *err) {
  for (;;) {
    const char *from = rows->in.data + rows->taken;
    size_t left = rows->in.len - rows->taken;
    const char *newline =
        left > rows->scanned ? memchr(from + rows->scanned, '\n', left - rows->scanned) : NULL;
    *line = left > 0 && (newline || rows->ended) ? from : NULL;
    *len = newline ? (size_t)(newline - from) : left;
    if (!*line && rows->ended) return MOONKEEP_OK;
    if (*len > line_limit(rows)) {
      err_set(err, MOONKEEP_TOO_LARGE, "it is longer than %zu bytes", line_limit(rows));
      return rows_blame(rows, rows->line, err);
    }
    if (*line && !is_blank(*line, *len)) return MOONKEEP_OK;
    if (*line) {
      rows->taken += *len + (newline != NULL);
      rows->scanned = 0;
      rows->line++;
      continue;
    }
    buf_drop(&rows->in, rows->taken);
    rows->taken = 0;
    rows->scanned = left;
    enum moonkeep_code code = read_more(rows, err);
    if (code) return code;
  }
}

/* ---- rows ---- */

enum { STORE, KEY, VALUE, EXPIRES_AT, FIELDS };

static void name_fields(struct field *fields) {
  static const char *const names[FIELDS] = {"store", "key", "value", "expires_at"};
  for (int i = 0; i < FIELDS; i++) fields[i] = (struct field){.name = names[i], .type = JSON_END};
}

static enum moonkeep_code take_store(struct rows *rows, const struct field *field, struct row *row,
                                     struct err *err) {
  buf_clear(&rows->store);
  if (field->type == JSON_END) return MOONKEEP_OK;
  if (!field_text(field, &rows->store))
    return err_set(err, MOONKEEP_INVALID_KEY, "\"store\" is not a string");
  row->store = buf_text(&rows->store);
  if (strlen(row->store) != rows->store.len)
    return err_set(err, MOONKEEP_INVALID_KEY, "the store's name has a NUL in it");
  return store_check_name(row->store, err);
}

static enum moonkeep_code take_key(struct rows *rows, const struct field *field, struct row *row,
                                   struct err *err) {
  buf_clear(&rows->key);
  if (field->type == JSON_END) return err_set(err, MOONKEEP_INVALID_KEY, "\"key\" is missing");
  if (!field_text(field, &rows->key)) return err_set(err, MOONKEEP_INVALID_KEY, "\"key\" is not a string");
  row->key = buf_text(&rows->key);
  row->key_len = rows->key.len;
  return store_check_key("import", row->key, row->key_len, err);
}

static enum moonkeep_code take_value(struct rows *rows, const struct field *field, struct row *row,
                                     struct err *err) {
  buf_clear(&rows->value);
  if (field->type == JSON_END) return err_set(err, MOONKEEP_INVALID_VALUE, "\"value\" is missing");
  struct err why;
  enum moonkeep_code code = json_compact(&rows->value, field->at, field->len, rows->value_limit, &why);
  if (!code && rows->value.failed) return err_memory(err);
  if (code)
    return err_key(err, code, row->key, row->key_len, "the value of \"%.*s\": %s",
                   (int)(row->key_len < 200 ? row->key_len : 200), row->key, why.message);
  row->json = rows->value.data;
  row->json_len = rows->value.len;
  return MOONKEEP_OK;
}

static enum moonkeep_code take_expiry(const struct field *field, struct row *row, struct err *err) {
  double seconds;
  if (field->type == JSON_END || field->type == JSON_NULL) return MOONKEEP_OK;
  if (field_number(field, &seconds) && seconds_to_ms(seconds, &row->expires_at_ms)) return MOONKEEP_OK;
  return err_key(err, MOONKEEP_INVALID, row->key, row->key_len,
                 "\"expires_at\" is %.*s, which is not a number of seconds since 1970 (are they "
                 "milliseconds?)",
                 (int)(field->len < 40 ? field->len : 40), field->at);
}

static enum moonkeep_code take_row(struct rows *rows, const struct field *fields, struct row *row,
                                   struct err *err) {
  enum moonkeep_code code = take_store(rows, &fields[STORE], row, err);
  if (!code) code = take_key(rows, &fields[KEY], row, err);
  if (!code) code = take_value(rows, &fields[VALUE], row, err);
  return code ? code : take_expiry(&fields[EXPIRES_AT], row, err);
}

static enum moonkeep_code read_row(struct rows *rows, const char *text, size_t len, struct row *row,
                                   struct err *err) {
  struct field fields[FIELDS];
  name_fields(fields);
  switch (fields_read(text, len, fields, FIELDS, true, err)) {
  case FIELDS_OK: return take_row(rows, fields, row, err);
  case FIELDS_NOT_OBJECT:
    return err_set(err, MOONKEEP_INVALID_VALUE,
                   "not an object: {\"store\":…,\"key\":…,\"value\":…,\"expires_at\":…} is expected");
  case FIELDS_NOT_JSON:
  case FIELDS_UNKNOWN: break;
  }
  return err->code;
}

static enum moonkeep_code next_line(struct rows *rows, struct row *row, bool *end, struct err *err) {
  const char *line = NULL;
  size_t len = 0;
  enum moonkeep_code code = find_line(rows, &line, &len, err);
  *end = !code && !line;
  if (code || *end) return code;
  row->line = rows->line;
  code = read_row(rows, line, len, row, err);
  if (code) return rows_blame(rows, row->line, err);
  bool last = rows->taken + len == rows->in.len;
  rows->taken += len + !last;
  rows->scanned = 0;
  rows->line++;
  return MOONKEEP_OK;
}

/* ---- what is held as a whole ---- */

/* Counts the lines up to what has been read. */
static uint64_t line_at(struct rows *rows, const char *at) {
  const char *from = rows->in.data + rows->taken;
  for (; from < at; from++) rows->line += *from == '\n';
  rows->taken = (size_t)(at - rows->in.data);
  return rows->line;
}

static enum moonkeep_code not_json(struct rows *rows, struct err *err) {
  *err = rows->json.err;
  return rows_blame(rows, line_at(rows, rows->json.at), err);
}

/* The value that begins with this token, as it stands in the text. */
static bool take_slice(struct rows *rows, const struct json_token *first, struct field *field) {
  *field = (struct field){.type = first->type, .at = first->begin};
  if (first->type == JSON_ERROR || !json_skip(&rows->json, first->type)) return false;
  bool nested = first->type == JSON_ARRAY || first->type == JSON_OBJECT;
  field->len = (size_t)((nested ? rows->json.at : first->end) - field->at);
  return true;
}

static enum moonkeep_code next_member(struct rows *rows, const struct json_token *name, struct row *row,
                                      struct err *err) {
  struct json_token token;
  struct field value;
  buf_clear(&rows->key);
  buf_add(&rows->key, name->string, name->string_len);
  row->line = line_at(rows, name->begin);
  row->key = buf_text(&rows->key);
  row->key_len = rows->key.len;
  json_next(&rows->json, &token);
  if (!take_slice(rows, &token, &value)) return not_json(rows, err);
  enum moonkeep_code code = store_check_key("import", row->key, row->key_len, err);
  if (!code) code = take_value(rows, &value, row, err);
  return code ? rows_blame(rows, row->line, err) : MOONKEEP_OK;
}

static enum moonkeep_code next_element(struct rows *rows, const struct json_token *first, struct row *row,
                                       struct err *err) {
  struct field element;
  row->line = line_at(rows, first->begin);
  if (!take_slice(rows, first, &element)) return not_json(rows, err);
  enum moonkeep_code code = read_row(rows, element.at, element.len, row, err);
  return code ? rows_blame(rows, row->line, err) : MOONKEEP_OK;
}

static enum moonkeep_code next_of_whole(struct rows *rows, struct row *row, bool *end, struct err *err) {
  struct json_token token;
  enum json_type type = json_next(&rows->json, &token);
  *end = type == JSON_OBJECT_END || type == JSON_ARRAY_END;
  if (*end && json_next(&rows->json, &token) == JSON_END) return MOONKEEP_OK;
  if (*end || type == JSON_ERROR) return not_json(rows, err);
  return rows->kind == ROWS_OBJECT ? next_member(rows, &token, row, err)
                                   : next_element(rows, &token, row, err);
}

static enum moonkeep_code begin_whole(struct rows *rows, struct err *err) {
  struct json_token token;
  enum moonkeep_code code = read_all(rows, err);
  if (code) return code;
  json_init_message(&rows->json, rows->in.data + rows->taken, rows->in.len - rows->taken);
  enum json_type type = json_next(&rows->json, &token);
  rows->kind = type == JSON_OBJECT ? ROWS_OBJECT : ROWS_ARRAY;
  if (type == JSON_ERROR) return not_json(rows, err);
  if (type == JSON_OBJECT || type == JSON_ARRAY) return MOONKEEP_OK;
  err_set(err, MOONKEEP_INVALID_VALUE, "neither an object nor an array");
  return rows_blame(rows, rows->line, err);
}

/* ---- databases ---- */

static enum moonkeep_code begin_foreign(struct rows *rows, struct err *err) {
  if (rows->fd == STDIN_FILENO)
    return err_set(err, MOONKEEP_INVALID,
                   "a database cannot be read from standard input: give the file's name");
  rows->kind = ROWS_FOREIGN;
  rows->line = 0;
  return foreign_open(&rows->foreign, rows->name, err);
}

static enum moonkeep_code take_foreign(struct rows *rows, const struct foreign_row *from, struct row *row,
                                       struct err *err) {
  row->store = from->store;
  row->key = from->key;
  row->key_len = from->key_len;
  row->expires_at_ms = from->expires_at_ms;
  enum moonkeep_code code = from->store ? store_check_name(from->store, err) : MOONKEEP_OK;
  if (!code) code = store_check_key("import", row->key, row->key_len, err);
  if (code) return code;
  buf_clear(&rows->key);
  if (from->is_json)
    buf_add(&rows->key, from->value, from->value_len);
  else if (utf8_valid(from->value, from->value_len) == from->value_len)
    json_put_string(&rows->key, from->value, from->value_len);
  else
    return err_key(err, MOONKEEP_INVALID_VALUE, row->key, row->key_len,
                   "the value of \"%.*s\" is not valid UTF-8, which a text has to be",
                   (int)(row->key_len < 200 ? row->key_len : 200), row->key);
  if (rows->key.failed) return err_memory(err);
  struct field value = {.at = rows->key.data ? rows->key.data : "", .len = rows->key.len, .type = JSON_NULL};
  return take_value(rows, &value, row, err);
}

static enum moonkeep_code next_foreign(struct rows *rows, struct row *row, bool *end, struct err *err) {
  struct foreign_row from;
  enum moonkeep_code code = foreign_next(rows->foreign, &from, end, err);
  if (code || *end) return code;
  row->line = ++rows->line;
  code = take_foreign(rows, &from, row, err);
  return code ? rows_blame(rows, row->line, err) : MOONKEEP_OK;
}

/* ---- its life ---- */

/* Whether the line opens something that it does not close: then it is the first of many that are one value.
 */
static bool is_opened(const char *line, size_t len) {
  struct json json;
  struct json_token token;
  json_init_message(&json, line, len);
  while (json_next(&json, &token) != JSON_END && token.type != JSON_ERROR) {}
  bool opened = token.type == JSON_ERROR && strstr(json.err.message, "ends in the middle of an ");
  json_deinit(&json);
  return opened;
}

/* An object with nothing in it but what a row has is a row, also a wrong one. */
static bool looks_like_row(const char *line, size_t len) {
  struct field fields[FIELDS];
  struct err ignored;
  name_fields(fields);
  return fields_read(line, len, fields, FIELDS, true, &ignored) == FIELDS_OK && fields[KEY].type != JSON_END;
}

static bool is_last(const struct rows *rows, size_t len) {
  size_t at = rows->taken + len;
  for (; at < rows->in.len; at++)
    if (!strchr(" \t\r\n", rows->in.data[at])) return false;
  return rows->ended;
}

/* An object in one line is the whole text, unless something follows it. */
static enum moonkeep_code look_behind(struct rows *rows, const char *line, size_t len, bool *whole,
                                      struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  size_t first = (size_t)(line - rows->in.data);
  rows->taken = first;
  while (!code && !rows->ended && rows->in.len - rows->taken <= len + CHUNK_BYTES)
    code = read_more(rows, err);
  *whole = !code && is_last(rows, len);
  return code;
}

static void skip_byte_order_mark(struct rows *rows) {
  if (rows->in.len >= 3 && memcmp(rows->in.data, "\xEF\xBB\xBF", 3) == 0) rows->taken = 3;
}

enum moonkeep_code rows_open(struct rows *rows, int fd, const char *name, size_t value_limit,
                             struct err *err) {
  *rows = (struct rows){.fd = fd, .name = name, .value_limit = value_limit, .line = 1};
  const char *line = NULL;
  size_t len = 0;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !rows->ended && rows->in.len < 16) code = read_more(rows, err);
  if (!code && foreign_is_database(rows->in.data, rows->in.len)) return begin_foreign(rows, err);
  skip_byte_order_mark(rows);
  if (!code) code = find_line(rows, &line, &len, err);
  if (code || !line) return code;
  bool whole = is_opened(line, len) || line[strspn(line, " \t")] == '[';
  if (!whole && !looks_like_row(line, len)) code = look_behind(rows, line, len, &whole, err);
  return code || !whole ? code : begin_whole(rows, err);
}

enum moonkeep_code rows_next(struct rows *rows, struct row *row, bool *end, struct err *err) {
  *row = (struct row){0};
  if (rows->kind == ROWS_FOREIGN) return next_foreign(rows, row, end, err);
  return rows->kind == ROWS_LINES ? next_line(rows, row, end, err) : next_of_whole(rows, row, end, err);
}

void rows_close(struct rows *rows) {
  foreign_close(rows->foreign);
  if (rows->kind == ROWS_ARRAY || rows->kind == ROWS_OBJECT) json_deinit(&rows->json);
  buf_deinit(&rows->in);
  buf_deinit(&rows->store);
  buf_deinit(&rows->key);
  buf_deinit(&rows->value);
}
