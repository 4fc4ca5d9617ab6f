#include "link/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/note.h"

enum { FLUSH_BYTES = 64 << 10, POLL_MS = 100 };

static size_t unsent(const struct output *output) {
  return output->pending.len - output->sent;
}

static void fail(struct output *output, int error) {
  if (output->error) return;
  output->error = error;
  buf_clear(&output->pending);
  output->sent = 0;
  if (output->failed) output->failed(output, error);
}

/* Writes what the reader takes now. False: it takes no more for the moment. */
static bool write_some(struct output *output) {
  while (unsent(output) > 0 && !output->error) {
    ssize_t n = write(output->to.fd, output->pending.data + output->sent, unsent(output));
    if (n >= 0) {
      if (output->noted) note_written(output->pending.data + output->sent, (size_t)n);
      output->sent += (size_t)n;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return false;
    } else if (errno != EINTR) {
      fail(output, errno);
    }
  }
  buf_clear(&output->pending);
  output->sent = 0;
  return true;
}

/* Gives written bytes back when they are the better part: each byte is moved at most once on average. */
static void compact(struct output *output) {
  if (output->sent < FLUSH_BYTES || output->sent < output->pending.len / 2) return;
  buf_drop(&output->pending, output->sent);
  output->sent = 0;
}

static void on_writable(uv_poll_t *poll, int status, int events);

static void flush(struct output *output) {
  bool all = write_some(output);
  compact(output);
  if (output->closing || !output->to.pollable) return;
  if (!all && !output->polling) uv_poll_start(&output->poll, UV_WRITABLE, on_writable);
  if (all && output->polling) uv_poll_stop(&output->poll);
  output->polling = !all;
  if (!output->much || unsent(output) > OUTPUT_MUCH / 2) return;
  output->much = false;
  if (output->drained) output->drained(output);
}

static void on_writable(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  flush(poll->data);
}

static void on_idle(uv_idle_t *idle) {
  uv_idle_stop(idle);
  flush(idle->data);
}

void output_init(struct output *output) {
  *output = (struct output){.to = {.fd = -1, .flags = -1}};
}

void output_open(struct output *output, uv_loop_t *loop, int fd) {
  stdfd_open(&output->to, fd, O_WRONLY);
  uv_idle_init(loop, &output->idle);
  output->idle.data = output->poll.data = output;
  output->open_handles = 1;
  if (output->pending.len > 0) uv_idle_start(&output->idle, on_idle);
  if (output->to.pollable && uv_poll_init(loop, &output->poll, output->to.fd) == 0)
    output->open_handles++;
  else
    output->to.pollable = false;
}

void output_added(struct output *output) {
  if (output->error) {
    buf_clear(&output->pending);
    return;
  }
  if (output->pending.failed) {
    fail(output, ENOMEM);
  } else if (unsent(output) > OUTPUT_LIMIT) {
    fail(output, ENOBUFS);
  } else if (output->open_handles > 0 && !output->closing && !output->polling) {
    if (unsent(output) >= FLUSH_BYTES)
      flush(output);
    else
      uv_idle_start(&output->idle, on_idle);
  }
}

bool output_is_much(struct output *output) {
  if (unsent(output) > OUTPUT_MUCH) output->much = true;
  return output->much;
}

static void on_closed(uv_handle_t *handle) {
  struct output *output = handle->data;
  output->open_handles--;
}

void output_close(struct output *output) {
  if (output->closing) return;
  write_some(output);
  output->closing = true;
  uv_close((uv_handle_t *)&output->idle, on_closed);
  if (output->to.pollable) uv_close((uv_handle_t *)&output->poll, on_closed);
}

bool output_closed(const struct output *output) {
  return output->open_handles == 0;
}

int output_finish(struct output *output, int timeout_ms, const volatile int *stop) {
  int64_t until = clock_steady_ms(&clock_system) + timeout_ms;
  if (output->to.fd < 0) buf_clear(&output->pending); /* it was never opened */
  while (!write_some(output)) {
    if (*stop || (timeout_ms >= 0 && clock_steady_ms(&clock_system) >= until)) {
      fail(output, ETIMEDOUT);
      break;
    }
    poll(&(struct pollfd){.fd = output->to.fd, .events = POLLOUT}, 1, POLL_MS);
  }
  int error = output->error;
  stdfd_close(&output->to);
  buf_deinit(&output->pending);
  return error;
}
