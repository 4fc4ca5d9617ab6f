#include "link/notify.h"

#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static uv_timer_t pulse;
static bool beating;

/* An abstract socket's name begins with @, which stands for a NUL. */
static bool find_address(struct sockaddr_un *at, socklen_t *len) {
  const char *path = getenv("NOTIFY_SOCKET");
  size_t path_len = path ? strlen(path) : 0;
  if (path_len < 2 || path_len >= sizeof at->sun_path || (path[0] != '/' && path[0] != '@')) return false;
  *at = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(at->sun_path, path, path_len);
  if (path[0] == '@') at->sun_path[0] = '\0';
  *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len + (path[0] == '/'));
  return true;
}

static void tell(const char *state) {
  struct sockaddr_un at;
  socklen_t len;
  if (!find_address(&at, &len)) return;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&at, len);
  close(fd);
}

static void on_pulse(uv_timer_t *timer) {
  (void)timer;
  tell("WATCHDOG=1");
}

/* Twice within the time after which we are taken for dead. WATCHDOG_PID is that of our parent where one
 * watches over us; the unit lets us speak too (NotifyAccess=all). */
static uint64_t pulse_ms(void) {
  const char *text = getenv("WATCHDOG_USEC");
  unsigned long long us = text ? strtoull(text, NULL, 10) : 0;
  return us / 2000;
}

void notify_begin(uv_loop_t *loop, const char *status) {
  char state[256];
  if (!getenv("NOTIFY_SOCKET")) return;
  snprintf(state, sizeof state, "READY=1\nSTATUS=%s", status);
  tell(state);
  if (pulse_ms() == 0 || uv_timer_init(loop, &pulse) != 0) return;
  beating = true;
  uv_timer_start(&pulse, on_pulse, 0, pulse_ms());
  uv_unref((uv_handle_t *)&pulse);
}

static void on_closed(uv_handle_t *handle) {
  (void)handle;
  beating = false;
}

void notify_end(bool for_good) {
  if (for_good) tell("STOPPING=1");
  if (!beating) return;
  uv_loop_t *loop = pulse.loop;
  uv_close((uv_handle_t *)&pulse, on_closed);
  while (beating) uv_run(loop, UV_RUN_NOWAIT);
}
