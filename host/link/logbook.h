/* The logbook: a log that remembers its last lines, for those who come later, and tells new ones to those who
 * listen.
 *
 * It stands between whoever writes and another log, and lets through what that one wants. Memory is bounded
 * by LOGBOOK_LINES and LOGBOOK_BYTES. Writing may happen on any thread; everything else is the host thread's:
 * logbook_init, logbook_watch once there is a loop, logbook_unwatch before it is closed, logbook_deinit. */
#ifndef LINK_LOGBOOK_H
#define LINK_LOGBOOK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"

enum {
  LOGBOOK_LINES = 1000,
  LOGBOOK_BYTES = 512 << 10,
  LOGBOOK_LINE_BYTES = 8 << 10, /* of a text; the rest of a longer one is cut off here */
};

struct logbook {
  struct log log;   /* write here */
  struct log inner; /* where lines go on to; copied */
  pthread_mutex_t lock;
  char *lines[LOGBOOK_LINES]; /* owned; as JSON; number n at n % LOGBOOK_LINES */
  uint64_t first, next;       /* the numbers of the oldest line, and of the one to come */
  size_t bytes;
  uint64_t counts[LOG_ERROR + 1]; /* lines so far, by their level */
  struct list followers;
  uv_async_t async;
  bool watched;
};

/* Who wants each new line. */
struct logbook_follower {
  /* On the loop; the text is valid until it returns. missed: lines before this one that came so fast that
   * they are gone already. */
  void (*line)(struct logbook_follower *, const char *json, size_t len, uint64_t missed);
  struct list link; /* the book's */
  uint64_t next;
};

/* Lines from `info` on are kept, also where the inner log wants fewer. */
void logbook_init(struct logbook *book, const struct log *inner);
void logbook_deinit(struct logbook *book);

/* From here on followers are told. False: no descriptors. */
bool logbook_watch(struct logbook *book, uv_loop_t *loop);
void logbook_unwatch(struct logbook *book); /* turns the loop until its handle is closed */

void logbook_follow(struct logbook *book, struct logbook_follower *follower); /* borrowed until then: */
void logbook_unfollow(struct logbook *book, struct logbook_follower *follower);

/* The number of the line to come. */
uint64_t logbook_next(struct logbook *book);

/* Appends line *number, or the oldest after it that is still there, and sets *number to its number:
 * {"time":1795425633.25,"level":"info","source":"xp","text":"…"}. False: there is none. */
bool logbook_read(struct logbook *book, uint64_t *number, struct buf *out);

uint64_t logbook_count(struct logbook *book, enum log_level level);

#endif
