#include "link/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile int seen;
static int wake_fd = -1;
static uv_poll_t poll;
static bool watching;
static void (*stop_it)(void *);
static void *stop_ctx;

static void on_signal(int number) {
  int error = errno;
  if (seen++ > 0) {
    signal(number, SIG_DFL);
    raise(number); /* blocked while we are here: it strikes on return */
  } else if (wake_fd >= 0) {
    ssize_t n = write(wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)n;
  }
  errno = error;
}

void signals_take(void) {
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
}

const volatile int *signals_seen(void) {
  return &seen;
}

static void on_wake(uv_poll_t *handle, int status, int events) {
  (void)status, (void)events;
  uv_poll_stop(handle);
  stop_it(stop_ctx);
}

int signals_watch(uv_loop_t *loop, void (*stop)(void *ctx), void *ctx) {
  stop_it = stop;
  stop_ctx = ctx;
  int status = uv_poll_init(loop, &poll, wake_fd);
  if (status) return -status;
  watching = true;
  return -uv_poll_start(&poll, UV_READABLE, on_wake);
}

static void on_closed(uv_handle_t *handle) {
  (void)handle;
  watching = false;
}

void signals_unwatch(void) {
  if (!watching) return;
  uv_loop_t *loop = poll.loop;
  uv_close((uv_handle_t *)&poll, on_closed);
  while (watching) uv_run(loop, UV_RUN_NOWAIT);
}
