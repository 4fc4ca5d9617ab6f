/* A growing run of bytes.
 *
 * Appending never needs a check of its own: where memory runs out the buffer remembers it in `failed`, takes
 * nothing more, and is looked at once, at the end. An embedded struct: buf_init (or zero), append,
 * buf_deinit. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
  char *data; /* owned; not NUL-terminated, see buf_text */
  size_t len, cap;
  bool failed; /* an append found no memory: what is here is not whole */
};

void buf_init(struct buf *buf);
void buf_deinit(struct buf *buf);
void buf_clear(struct buf *buf); /* empties it and forgets a failure; keeps the memory */

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What buf_reserve does where there is no room yet. */
char *buf_grow(struct buf *buf, size_t len);

/* Room for len more bytes, to be written at data + len and then counted into `len` by the caller; NULL when
 * there is no memory. Valid until the next call on this buffer. */
static inline char *buf_reserve(struct buf *buf, size_t len) {
  return len <= buf->cap - buf->len && !buf->failed ? buf->data + buf->len : buf_grow(buf, len);
}

/* Takes the first len bytes away. */
void buf_drop(struct buf *buf, size_t len);

/* The bytes with a NUL behind them, "" where the buffer has failed; valid until the next call. */
const char *buf_text(struct buf *buf);

static inline void buf_putc(struct buf *buf, char c) {
  char *room = buf_reserve(buf, 1);
  if (!room) return;
  *room = c;
  buf->len++;
}

#endif
