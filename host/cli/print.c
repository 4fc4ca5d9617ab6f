#include "cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "link/fields.h"

enum { LEAST_COLUMNS = 40, USUAL_COLUMNS = 100, KEY_COLUMNS = 40, EXPIRY_COLUMNS = 19, GAP = 2 };

/* ---- values ---- */

struct pretty {
  const struct console *console;
  struct buf *out;
  unsigned depth;
  enum json_type last; /* the token before this one */
};

static bool is_end(enum json_type type) {
  return type == JSON_ARRAY_END || type == JSON_OBJECT_END;
}

static void new_line(struct pretty *pretty) {
  buf_printf(pretty->out, "\n%*s", (int)pretty->depth * 2, "");
}

/* What stands between the token before and this one. */
static void put_between(struct pretty *pretty, enum json_type type) {
  bool opened = pretty->last == JSON_ARRAY || pretty->last == JSON_OBJECT;
  if (is_end(type)) pretty->depth--;
  if (pretty->last == JSON_KEY) {
    buf_puts(pretty->out, ": ");
  } else if (is_end(type)) {
    if (!opened) new_line(pretty); /* an empty one stays on its line */
  } else if (opened) {
    new_line(pretty);
  } else if (pretty->last != JSON_END) {
    buf_putc(pretty->out, ',');
    new_line(pretty);
  }
}

static enum style style_of(enum json_type type) {
  switch (type) {
  case JSON_KEY: return STYLE_BLUE;
  case JSON_STRING: return STYLE_GREEN;
  case JSON_INTEGER:
  case JSON_FLOAT: return STYLE_CYAN;
  case JSON_NULL:
  case JSON_FALSE:
  case JSON_TRUE: return STYLE_YELLOW;
  default: return STYLE_NONE;
  }
}

static void put_token(struct pretty *pretty, const struct json_token *token) {
  enum style style = style_of(token->type);
  put_between(pretty, token->type);
  if (style) console_style(pretty->console, CONSOLE_OUT, pretty->out, style);
  console_put(pretty->console, CONSOLE_OUT, pretty->out, token->begin, (size_t)(token->end - token->begin));
  if (style) console_style(pretty->console, CONSOLE_OUT, pretty->out, STYLE_NONE);
  if (token->type == JSON_ARRAY || token->type == JSON_OBJECT) pretty->depth++;
  pretty->last = token->type;
}

void print_pretty(const struct console *console, struct buf *out, const char *text, size_t len) {
  struct pretty pretty = {.console = console, .out = out, .last = JSON_END};
  struct json json;
  struct json_token token;
  json_init(&json, text, len);
  while (json_next(&json, &token) != JSON_END && token.type != JSON_ERROR) put_token(&pretty, &token);
  json_deinit(&json);
}

/* ---- tables ---- */

/* Appends one cell, cut to its width, and filled up to it where another follows. */
static void put_cell(struct buf *out, const struct buf *text, size_t width, bool fill) {
  size_t columns = text_columns(text->data, text->len), at = 0;
  bool cut = columns > width;
  for (size_t i = 0; at < text->len && !(cut && i + 1 >= width); i++) at += utf8_len(text->data + at);
  buf_add(out, text->data, at);
  if (cut) buf_puts(out, "…");
  size_t used = cut ? width : columns;
  if (fill) buf_printf(out, "%*s", (int)(width - used + GAP), "");
}

struct row {
  struct buf key, value, expiry; /* owned; fit to be seen */
};

static void put_expiry(struct buf *out, const struct field *field) {
  char text[32] = "";
  if (field->type == JSON_END) return;
  time_t when = (time_t)strtoll(field->at, NULL, 10);
  struct tm tm;
  if (localtime_r(&when, &tm)) strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
  buf_puts(out, text);
}

static void read_row(struct row *row, const struct field *element) {
  struct field fields[] = {{.name = "key"}, {.name = "value"}, {.name = "expires_at"}};
  struct buf key = {0};
  *row = (struct row){0};
  fields_read(element->at, element->len, fields, 3, false, NULL);
  field_text(&fields[0], &key);
  put_visible(&row->key, key.data, key.len, true);
  put_visible(&row->value, fields[1].at, fields[1].len, true);
  put_expiry(&row->expiry, &fields[2]);
  buf_deinit(&key);
}

static void row_free(struct row *row) {
  buf_deinit(&row->key);
  buf_deinit(&row->value);
  buf_deinit(&row->expiry);
}

struct widths {
  size_t key, value, rows;
  bool expiry;
};

static size_t terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return USUAL_COLUMNS;
  return size.ws_col < LEAST_COLUMNS ? LEAST_COLUMNS : size.ws_col;
}

static struct widths measure(const char *rows, size_t len) {
  struct widths widths = {.key = 3};
  struct array_walk walk;
  struct field element;
  array_walk_init(&walk, rows, len);
  while (array_walk_next(&walk, &element)) {
    struct row row;
    read_row(&row, &element);
    size_t columns = text_columns(row.key.data, row.key.len);
    if (columns > widths.key) widths.key = columns < KEY_COLUMNS ? columns : KEY_COLUMNS;
    widths.expiry |= row.expiry.len > 0;
    widths.rows++;
    row_free(&row);
  }
  array_walk_deinit(&walk);
  size_t others = widths.key + GAP + (widths.expiry ? EXPIRY_COLUMNS + GAP : 0), all = terminal_columns();
  widths.value = all > others + 10 ? all - others : 10;
  return widths;
}

static void put_row(struct buf *out, const struct widths *widths, const struct row *row) {
  put_cell(out, &row->key, widths->key, true);
  if (widths->expiry) {
    put_cell(out, &row->expiry, EXPIRY_COLUMNS, true);
  }
  put_cell(out, &row->value, widths->value, false);
  buf_putc(out, '\n');
}

static void put_head(const struct console *console, struct buf *out, const struct widths *widths) {
  struct row head = {0};
  buf_puts(&head.key, "KEY");
  buf_puts(&head.expiry, "EXPIRES");
  buf_puts(&head.value, "VALUE");
  console_style(console, CONSOLE_OUT, out, STYLE_BOLD);
  put_row(out, widths, &head);
  console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  row_free(&head);
}

void print_table(const struct console *console, struct buf *out, const char *rows, size_t len) {
  struct widths widths = measure(rows, len);
  struct array_walk walk;
  struct field element;
  if (widths.rows == 0) return;
  put_head(console, out, &widths);
  array_walk_init(&walk, rows, len);
  while (array_walk_next(&walk, &element)) {
    struct row row;
    read_row(&row, &element);
    put_row(out, &widths, &row);
    row_free(&row);
  }
  array_walk_deinit(&walk);
}
