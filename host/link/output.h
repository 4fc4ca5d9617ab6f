/* Bytes to a file descriptor, on the loop, never waiting for a slow reader.
 *
 * output_init, from which on bytes are taken, and output_open, from which on they are written; append to
 * output_buf and say output_added, as often as you like; output_close, and when the loop has turned until
 * output_closed, output_finish writes what is left, waiting for the reader. */
#ifndef LINK_OUTPUT_H
#define LINK_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/buf.h"
#include "link/stdfd.h"

enum {
  OUTPUT_MUCH = 1 << 20,   /* unread bytes above which the maker should make no more */
  OUTPUT_LIMIT = 256 << 20 /* and above which the reader is given up */
};

struct output {
  /* Filled in after output_init. */
  void (*drained)(struct output *); /* it was much, and is not any more */
  void (*failed)(struct output *,
                 int error); /* once, with an errno; everything from then on is thrown away */

  bool noted; /* it is the stream of actions: see note_written */
  struct stdfd to;
  uv_poll_t poll;
  uv_idle_t idle;
  struct buf pending; /* owned; the bytes from `sent` on are still to be written */
  size_t sent;
  unsigned open_handles;
  bool polling, much, closing;
  int error;
};

void output_init(struct output *output);
void output_open(struct output *output, uv_loop_t *loop, int fd);
static inline struct buf *output_buf(struct output *output) {
  return &output->pending;
}
void output_added(struct output *output);
bool output_is_much(struct output *output);

void output_close(struct output *output);
bool output_closed(const struct output *output);

/* Writes the rest, for at most timeout_ms (-1: as long as it takes) or until `*stop` is set by a signal
 * handler. An errno, or 0; frees everything. */
int output_finish(struct output *output, int timeout_ms, const volatile int *stop);

#endif
