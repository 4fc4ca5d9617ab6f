#include "link/logbook.h"

#include <string.h>

#include "base/mem.h"
#include "link/logline.h"

static void forget_oldest(struct logbook *book) {
  char **line = &book->lines[book->first++ % LOGBOOK_LINES];
  book->bytes -= strlen(*line) + 1;
  mem_free(*line);
  *line = NULL;
}

static void keep(struct logbook *book, char *line) {
  book->bytes += strlen(line) + 1;
  while (book->next > book->first &&
         (book->bytes > LOGBOOK_BYTES || book->next - book->first >= LOGBOOK_LINES))
    forget_oldest(book);
  book->lines[book->next++ % LOGBOOK_LINES] = line;
}

static void logbook_write(void *ctx, enum log_level level, const char *source, const char *text) {
  struct logbook *book = ctx;
  struct buf made = {0};
  logline_put_json(&made, level, source, text, LOGBOOK_LINE_BYTES);
  char *line = made.failed ? NULL : mem_copy(made.data, made.len);
  buf_deinit(&made);
  pthread_mutex_lock(&book->lock);
  book->counts[level]++;
  if (line) keep(book, line);
  if (book->watched && !list_empty(&book->followers)) uv_async_send(&book->async);
  pthread_mutex_unlock(&book->lock);
  log_text(&book->inner, level, source, text);
}

void logbook_init(struct logbook *book, const struct log *inner) {
  *book = (struct logbook){.inner = *inner};
  book->log = (struct log){.write = logbook_write, .ctx = book, .level = inner->level};
  if (book->log.level > LOG_INFO) book->log.level = LOG_INFO;
  list_init(&book->followers);
  pthread_mutex_init(&book->lock, NULL);
}

void logbook_deinit(struct logbook *book) {
  while (book->next > book->first) forget_oldest(book);
  pthread_mutex_destroy(&book->lock);
}

/* A line that comes while others are told (because somebody does not keep up) is told the next time. */
static void tell(struct logbook *book, struct logbook_follower *follower, uint64_t end) {
  struct buf line = {0};
  uint64_t from = follower->next;
  while (from < end && logbook_read(book, &follower->next, &line)) {
    follower->line(follower, line.data, line.failed ? 0 : line.len, follower->next - from);
    buf_clear(&line);
    from = ++follower->next;
  }
  buf_deinit(&line);
}

static void on_async(uv_async_t *async) {
  struct logbook *book = async->data;
  uint64_t end = logbook_next(book);
  for (struct list *at = book->followers.next, *next; at != &book->followers; at = next) {
    next = at->next;
    tell(book, list_of(at, struct logbook_follower, link), end);
  }
}

bool logbook_watch(struct logbook *book, uv_loop_t *loop) {
  if (uv_async_init(loop, &book->async, on_async) != 0) return false;
  book->async.data = book;
  pthread_mutex_lock(&book->lock);
  book->watched = true;
  pthread_mutex_unlock(&book->lock);
  return true;
}

static void on_closed(uv_handle_t *handle) {
  handle->data = NULL;
}

void logbook_unwatch(struct logbook *book) {
  if (!book->watched) return;
  pthread_mutex_lock(&book->lock);
  book->watched = false;
  pthread_mutex_unlock(&book->lock);
  uv_loop_t *loop = book->async.loop;
  uv_close((uv_handle_t *)&book->async, on_closed);
  while (book->async.data) uv_run(loop, UV_RUN_NOWAIT);
}

void logbook_follow(struct logbook *book, struct logbook_follower *follower) {
  pthread_mutex_lock(&book->lock);
  follower->next = book->next;
  list_add(&book->followers, &follower->link);
  pthread_mutex_unlock(&book->lock);
}

void logbook_unfollow(struct logbook *book, struct logbook_follower *follower) {
  pthread_mutex_lock(&book->lock);
  list_take(&follower->link);
  pthread_mutex_unlock(&book->lock);
}

uint64_t logbook_next(struct logbook *book) {
  pthread_mutex_lock(&book->lock);
  uint64_t next = book->next;
  pthread_mutex_unlock(&book->lock);
  return next;
}

bool logbook_read(struct logbook *book, uint64_t *number, struct buf *out) {
  pthread_mutex_lock(&book->lock);
  if (*number < book->first) *number = book->first;
  bool there = *number < book->next;
  if (there) buf_puts(out, book->lines[*number % LOGBOOK_LINES]);
  pthread_mutex_unlock(&book->lock);
  return there;
}

uint64_t logbook_count(struct logbook *book, enum log_level level) {
  pthread_mutex_lock(&book->lock);
  uint64_t count = book->counts[level];
  pthread_mutex_unlock(&book->lock);
  return count;
}
