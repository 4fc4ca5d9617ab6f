/* The other end of the control socket: one request to a running host, and its answer. Blocking; for commands.
 */
#ifndef LINK_CLIENT_H
#define LINK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { CLIENT_SILENCE_MS = 30000 }; /* how long a host may say nothing before it is given up */

/* Connected, or -1 with errno; see socket_connect. */
int client_open(const char *dir);
void client_close(int fd);

/* Sends the line (with its newline) and appends the answer's line without its newline. The host may be silent
 * for silence_ms (0: as above, -1: for ever). Errors: closed (the
 * host went before it had the request, or before it answered a read: ask again), timeout (a read that was not
 * answered), unknown (a change that was sent and not answered), memory. */
enum moonkeep_code client_call(int fd, const char *line, size_t len, bool change, int silence_ms,
                               struct buf *answer, struct err *err);

/* The same in parts, for a conversation. client_send fails as above; client_next gives the next line without
 * its newline, valid until the next call. */
struct client_lines {
  int fd;
  struct buf held; /* owned */
  size_t used;     /* so many of its bytes have been handed out */
};
enum moonkeep_code client_send(int fd, const char *line, size_t len, struct err *err);
enum moonkeep_code client_next(struct client_lines *lines, int silence_ms, const char **line, size_t *len,
                               struct err *err);
void client_lines_close(struct client_lines *lines); /* the connection too */

#endif
