#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void buf_init(struct buf *buf) {
  *buf = (struct buf){0};
}

void buf_deinit(struct buf *buf) {
  mem_free(buf->data);
  *buf = (struct buf){0};
}

void buf_clear(struct buf *buf) {
  buf->len = 0;
  buf->failed = false;
}

static bool grow(struct buf *buf, size_t need) {
  size_t cap = buf->cap ? buf->cap : 64;
  while (cap < need) {
    if (cap > SIZE_MAX / 2) return false;
    cap *= 2;
  }
  char *data = mem_resize(buf->data, cap);
  if (!data) return false;
  buf->data = data;
  buf->cap = cap;
  return true;
}

char *buf_grow(struct buf *buf, size_t len) {
  if (!buf->failed && len <= SIZE_MAX - buf->len && grow(buf, buf->len + len)) return buf->data + buf->len;
  buf->failed = true;
  return NULL;
}

void buf_add(struct buf *buf, const void *bytes, size_t len) {
  if (len == 0) return;
  char *room = buf_reserve(buf, len);
  if (!room) return;
  memcpy(room, bytes, len);
  buf->len += len;
}

void buf_puts(struct buf *buf, const char *text) {
  buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  char *room = n < 0 ? NULL : buf_reserve(buf, (size_t)n + 1);
  if (room) {
    vsnprintf(room, (size_t)n + 1, format, again);
    buf->len += (size_t)n;
  }
  va_end(again);
  va_end(args);
}

void buf_drop(struct buf *buf, size_t len) {
  if (len == 0) return;
  buf->len -= len;
  if (buf->len) memmove(buf->data, buf->data + len, buf->len);
}

const char *buf_text(struct buf *buf) {
  char *room = buf_reserve(buf, 1);
  if (!room) return "";
  *room = '\0';
  return buf->data;
}
