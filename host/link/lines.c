#include "link/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"

enum { CHUNK_BYTES = 64 << 10 };

static void on_idle(uv_idle_t *idle);

static void turn_again(struct lines *lines) {
  if (!lines->closing) uv_idle_start(&lines->idle, on_idle);
}

static void rest(struct lines *lines) {
  uv_idle_stop(&lines->idle);
  if (lines->in.pollable) uv_poll_stop(&lines->poll);
}

/* One line that ends at `len`, unless it is the rest of one that was too long. */
static void deliver_one(struct lines *lines, const char *text, size_t len) {
  if (lines->skipping)
    lines->skipping = false;
  else if (len > lines->limit)
    lines->too_long(lines);
  else
    lines->line(lines, text, len);
}

/* What is left has no newline in it: it waits for one, if it may still become a line. */
static void keep_rest(struct lines *lines) {
  lines->scanned = lines->held.len;
  if (!lines->skipping && lines->held.len > lines->limit) {
    lines->skipping = true;
    lines->too_long(lines);
  }
  if (!lines->skipping) return;
  lines->held.len = lines->scanned = 0;
}

static void deliver(struct lines *lines) {
  size_t at = 0, from = lines->scanned;
  while (!lines->paused && !lines->closing) {
    const char *newline =
        from < lines->held.len ? memchr(lines->held.data + from, '\n', lines->held.len - from) : NULL;
    if (!newline) break;
    size_t end = (size_t)(newline - lines->held.data);
    deliver_one(lines, lines->held.data + at, end - at);
    at = from = end + 1;
  }
  buf_drop(&lines->held, at);
  lines->scanned = 0;
  if (lines->paused || lines->closing) return;
  keep_rest(lines);
  if (!lines->over || lines->held.len == 0) return;
  deliver_one(lines, lines->held.data, lines->held.len);
  lines->held.len = lines->scanned = 0;
}

static void finish(struct lines *lines) {
  rest(lines);
  if (lines->ended) return;
  lines->ended = true;
  lines->end(lines, lines->error);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Reads one chunk, or, so that nothing of the next line is taken, one byte. False: there is nothing to read
 * now, and the loop will say when there is. */
static bool pull(struct lines *lines) {
  if (lines->stopping && lines->held.len == 0 && !lines->skipping) return lines->over = true;
  size_t most = lines->stopping ? 1 : CHUNK_BYTES;
  char *room = buf_reserve(&lines->held, most);
  ssize_t n = room ? read(lines->in.fd, room, most) : -1;
  if (n > 0) {
    if (lines->noted) note_read(room, (size_t)n);
    lines->held.len += (size_t)n;
    return true;
  }
  if (n < 0 && room && errno == EINTR) return true;
  if (n < 0 && room && (errno == EAGAIN || errno == EWOULDBLOCK) && lines->in.pollable) {
    uv_idle_stop(&lines->idle);
    uv_poll_start(&lines->poll, UV_READABLE, on_ready);
    return false;
  }
  lines->over = true;
  lines->error = n == 0 ? 0 : room ? errno : ENOMEM;
  return true;
}

/* One turn: what is held goes out first. After a chunk it reads again before it asks to be woken: a FIFO
 * whose writer has gone before we opened it says so only to a reader, never to a poll. */
static void turn(struct lines *lines) {
  deliver(lines);
  if (!lines->paused && !lines->closing && !lines->over && pull(lines)) {
    deliver(lines);
    if (!lines->paused) turn_again(lines);
  }
  if (lines->paused) rest(lines);
  if (lines->over && lines->held.len == 0 && !lines->paused && !lines->closing) finish(lines);
}

static void on_idle(uv_idle_t *idle) {
  turn(idle->data);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  struct lines *lines = poll->data;
  uv_poll_stop(poll);
  turn(lines);
}

int lines_open(struct lines *lines, uv_loop_t *loop, int fd) {
  stdfd_open(&lines->in, fd, O_RDONLY);
  uv_idle_init(loop, &lines->idle);
  lines->idle.data = lines->poll.data = lines;
  lines->open_handles = 1;
  if (lines->in.pollable) {
    int status = uv_poll_init(loop, &lines->poll, lines->in.fd);
    if (status == 0)
      lines->open_handles++;
    else
      lines->in.pollable = false; /* it is read as a file is */
  }
  turn_again(lines);
  return 0;
}

void lines_pause(struct lines *lines) {
  lines->paused = true;
}

void lines_resume(struct lines *lines) {
  if (!lines->paused) return;
  lines->paused = false;
  if (!lines->ended) turn_again(lines);
}

void lines_stop(struct lines *lines) {
  lines->stopping = true;
  if (!lines->ended) turn_again(lines);
}

static void on_closed(uv_handle_t *handle) {
  struct lines *lines = handle->data;
  if (--lines->open_handles > 0) return;
  stdfd_close(&lines->in);
  buf_deinit(&lines->held);
}

void lines_close(struct lines *lines) {
  if (lines->closing) return;
  lines->closing = true;
  rest(lines);
  uv_close((uv_handle_t *)&lines->idle, on_closed);
  if (lines->in.pollable) uv_close((uv_handle_t *)&lines->poll, on_closed);
}

bool lines_closed(const struct lines *lines) {
  return lines->open_handles == 0;
}

bool line_is_blank(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
  return true;
}
