#include "link/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static struct sockaddr_un address(int dir_fd) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, dir_fd);
  return at;
}

static int open_dir(const char *dir) {
  return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static enum moonkeep_code clear_name(int dir_fd, const char *dir, struct err *err) {
  struct stat st;
  if (fstatat(dir_fd, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0) return MOONKEEP_OK;
  if (!S_ISSOCK(st.st_mode))
    return err_set(err, MOONKEEP_INVALID, "%s/" SOCKET_NAME " is not a socket: move it away", dir);
  unlinkat(dir_fd, SOCKET_NAME, 0);
  return MOONKEEP_OK;
}

/* The mode that the file gets is the socket's own at the moment of bind, less the umask: so it is set before.
 */
static bool bind_and_listen(int fd, int dir_fd) {
  struct sockaddr_un at = address(dir_fd);
  return fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
         chmod(at.sun_path, 0600) == 0 && listen(fd, BACKLOG) == 0;
}

enum moonkeep_code socket_listen(const char *dir, int *fd, int *dir_fd, struct err *err) {
  *dir_fd = open_dir(dir);
  if (*dir_fd < 0)
    return err_set(err, MOONKEEP_IO, "control socket: cannot open %s: %s", dir, strerror(errno));
  *fd = -1;
  enum moonkeep_code code = clear_name(*dir_fd, dir, err);
  if (code) goto fail;
  *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*fd >= 0 && bind_and_listen(*fd, *dir_fd)) return MOONKEEP_OK;
  code =
      err_set(err, MOONKEEP_IO, "control socket: cannot make %s/" SOCKET_NAME ": %s", dir, strerror(errno));
fail:
  if (*fd >= 0) close(*fd);
  close(*dir_fd);
  *fd = *dir_fd = -1;
  return code;
}

void socket_remove(int dir_fd) {
  unlinkat(dir_fd, SOCKET_NAME, 0);
  close(dir_fd);
}

int socket_connect(const char *dir) {
  int dir_fd = open_dir(dir);
  if (dir_fd < 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un at = address(dir_fd);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
    int why = errno;
    close(fd);
    fd = -1;
    errno = why;
  }
  int why = errno;
  close(dir_fd);
  errno = why;
  return fd;
}

bool socket_peer_allowed(int fd) {
  struct ucred peer;
  socklen_t len = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}
