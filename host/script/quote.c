#include "script/quote.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/file.h"
#include "script/script.h"

enum { QUOTE_BYTES = 160 };

/* Lua shortens a long name: "...folder/file.lua". */
static bool is_named(const char *path, const char *name, size_t len) {
  size_t path_len = strlen(path);
  if (len > 3 && strncmp(name, "...", 3) == 0)
    return path_len >= len - 3 && strncmp(path + path_len - (len - 3), name + 3, len - 3) == 0;
  return path_len == len && strncmp(path, name, len) == 0;
}

static const char *source_named(const struct script *script, const char *name, size_t len) {
  for (struct list *node = script->sources.next; node != &script->sources; node = node->next) {
    const struct source *source = list_of(node, struct source, link);
    if (is_named(source->path, name, len))
      return source_is_fresh(source, script->scripts->options.dir) ? source->path : NULL;
  }
  return NULL;
}

/* The line of this number, or NULL. */
static const char *line_of(const char *text, size_t text_len, unsigned long number, size_t *len) {
  const char *end = text + text_len;
  while (--number > 0) {
    text = memchr(text, '\n', (size_t)(end - text));
    if (!text) return NULL;
    text++;
  }
  const char *newline = memchr(text, '\n', (size_t)(end - text));
  *len = (size_t)((newline ? newline : end) - text);
  return text;
}

static void put_line(struct buf *out, unsigned long number, const char *line, size_t len) {
  while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t')) len--;
  while (len > 0 && (*line == ' ' || *line == '\t')) line++, len--;
  if (len == 0) return;
  size_t shown = len < QUOTE_BYTES ? len : QUOTE_BYTES;
  while (shown < len && shown > 0 && ((unsigned char)line[shown] & 0xC0) == 0x80) shown--;
  buf_printf(out, "\n    %lu | ", number);
  buf_add(out, line, shown);
  if (shown < len) buf_puts(out, "…");
}

void quote_line(const struct script *script, const char *message, struct buf *out) {
  const char *colon = strchr(message, ':');
  if (!colon || colon[1] < '1' || colon[1] > '9') return;
  char *end;
  unsigned long number = strtoul(colon + 1, &end, 10);
  const char *file = *end == ':' ? source_named(script, message, (size_t)(colon - message)) : NULL;
  char *path = file ? file_path(script->scripts->options.dir, file) : NULL;
  struct buf source = {0};
  struct err err;
  size_t len = 0;
  if (path && file_read(path, &source, &err) == MOONKEEP_OK && source.len) {
    const char *line = line_of(source.data, source.len, number, &len);
    if (line) put_line(out, number, line, len);
  }
  buf_deinit(&source);
  mem_free(path);
}
