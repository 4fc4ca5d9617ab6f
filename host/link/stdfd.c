#include "link/stdfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

static int reopen(int fd, int mode) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void stdfd_open(struct stdfd *out, int fd, int mode) {
  uv_handle_type type = uv_guess_handle(fd);
  *out = (struct stdfd){.fd = fd, .flags = -1};
  out->pollable = type == UV_NAMED_PIPE || type == UV_TCP || type == UV_TTY;
  if (!out->pollable) return;
  int again = reopen(fd, mode);
  if (again >= 0) {
    out->fd = again;
    out->own = true;
    return;
  }
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || flags & O_NONBLOCK) return; /* another of ours has done it, and puts it back */
  out->flags = flags;
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void stdfd_close(struct stdfd *stdfd) {
  if (stdfd->own)
    close(stdfd->fd);
  else if (stdfd->flags >= 0)
    fcntl(stdfd->fd, F_SETFL, stdfd->flags);
  *stdfd = (struct stdfd){.fd = -1, .flags = -1};
}

void stdfd_secure(void) {
  static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    int got = open("/dev/null", modes[fd]);
    if (got >= 0 && got != fd) close(got);
  }
}
