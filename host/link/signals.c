#include "link/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile int seen;
static volatile pid_t watcher;
static volatile int from_watcher, from_others; /* signals that end the host */
static int wake_fd = -1;
static uv_poll_t poll;
static bool watching;
static void (*stop_it)(void *);
static void (*reload_it)(void *);
static void *watch_ctx;
static volatile sig_atomic_t reload_wanted;
static bool had_terminal; /* at the start */

static void wake(void) {
  ssize_t n = wake_fd >= 0 ? write(wake_fd, &(uint64_t){1}, sizeof(uint64_t)) : 0;
  (void)n;
}

void signals_passed_on_by(pid_t pid) {
  watcher = pid;
}

/* Whether it is one more than were seen: what the watcher passes on may have come here directly as well. */
static bool is_new(const siginfo_t *info) {
  volatile int *count =
      watcher && info->si_code <= 0 && info->si_pid == watcher ? &from_watcher : &from_others;
  return ++*count > seen;
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)context;
  int error = errno;
  if (!is_new(info)) {
    errno = error;
    return;
  }
  if (seen++ > 0) {
    signal(number, SIG_DFL);
    raise(number); /* blocked while we are here: it strikes on return */
  } else {
    wake();
  }
  errno = error;
}

static bool has_terminal(void) {
  int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

/* The kernel sends it when the terminal is gone, and so does a shell that ends with it. */
static void on_hangup(int number, siginfo_t *info, void *context) {
  int error = errno;
  if (info->si_code > 0 || (had_terminal && !has_terminal())) {
    on_signal(number, info, context);
  } else {
    reload_wanted = 1;
    wake();
  }
  errno = error;
}

void signals_take(void) {
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO}, old;
  sigset_t taken;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  had_terminal = has_terminal();
  if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
    action.sa_sigaction = on_hangup;
    sigaction(SIGHUP, &action, NULL);
  }
  sigemptyset(&taken); /* a watched process begins with them held back */
  sigaddset(&taken, SIGINT);
  sigaddset(&taken, SIGTERM);
  sigaddset(&taken, SIGHUP);
  sigprocmask(SIG_UNBLOCK, &taken, NULL);
}

const volatile int *signals_seen(void) {
  return &seen;
}

static void on_wake(uv_poll_t *handle, int status, int events) {
  (void)status, (void)events;
  uint64_t count;
  ssize_t n = read(wake_fd, &count, sizeof count);
  (void)n;
  if (reload_wanted && !seen) {
    reload_wanted = 0;
    reload_it(watch_ctx);
  }
  if (seen) {
    uv_poll_stop(handle);
    stop_it(watch_ctx);
  }
}

int signals_watch(uv_loop_t *loop, void (*stop)(void *ctx), void (*reload)(void *ctx), void *ctx) {
  stop_it = stop;
  reload_it = reload;
  watch_ctx = ctx;
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
