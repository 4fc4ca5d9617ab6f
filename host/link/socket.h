/* The control socket's place in the file system: `control.sock` in the data folder.
 *
 * A Unix socket's path holds 107 bytes and a data folder's may be longer, so both ends go through
 * /proc/self/fd/N/ of the opened folder. */
#ifndef LINK_SOCKET_H
#define LINK_SOCKET_H

#include <stdbool.h>

#include "base/err.h"

#define SOCKET_NAME "control.sock"

/* Makes the socket, listening, mode 0600 from its first moment on. What a crashed host left is replaced: the
 * caller owns the folder's lock, so nobody else can be listening. *dir_fd is the opened folder, for
 * socket_remove. Errors: io, invalid (something that is no socket has the name). */
enum moonkeep_code socket_listen(const char *dir, int *fd, int *dir_fd, struct err *err);

/* Takes the name away and closes dir_fd. */
void socket_remove(int dir_fd);

/* A connected socket, or -1 with errno: ENOENT and ECONNREFUSED mean that no host is there. */
int socket_connect(const char *dir);

/* Whether the process at the other end is ours: the same user, or root. */
bool socket_peer_allowed(int fd);

#endif
