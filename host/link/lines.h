/* Lines from a file descriptor, on the loop, as fast as they are wanted.
 *
 * lines_open, then `line` for each one until lines_pause; lines_resume goes on from the next turn of the
 * loop; `end` once, when the input is over; lines_close, and the memory is the caller's again after `closed`.
 * Memory is bounded by `limit` and one chunk. */
#ifndef LINK_LINES_H
#define LINK_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/buf.h"
#include "link/stdfd.h"

struct lines {
  /* Filled in before lines_open. */
  size_t limit;                                               /* bytes in a line, without its newline */
  void (*line)(struct lines *, const char *text, size_t len); /* text is valid until it returns */
  void (*too_long)(struct lines *);                           /* a line over the limit: it is skipped */
  void (*end)(struct lines *, int error);                     /* 0: the end of the input; else an errno */
  bool noted;                                                 /* it is the stream of events: see note_read */

  struct stdfd in;
  uv_poll_t poll;
  uv_idle_t idle;
  struct buf held; /* owned: read and not yet delivered */
  size_t scanned;  /* so many bytes of it have no newline */
  unsigned open_handles;
  bool paused, skipping, stopping, over, ended, closing;
  int error;
};

/* An errno, or 0. */
int lines_open(struct lines *lines, uv_loop_t *loop, int fd);
void lines_pause(struct lines *lines);
void lines_resume(struct lines *lines);

/* Reads on to the end of the line that has begun, and then ends as if the input were over: whoever reads the
 * descriptor next begins with a line. */
void lines_stop(struct lines *lines);

/* Gives the descriptor back. The loop has to turn until lines_closed. */
void lines_close(struct lines *lines);
bool lines_closed(const struct lines *lines);

/* Nothing but spaces, tabs and carriage returns. */
bool line_is_blank(const char *text, size_t len);

#endif
