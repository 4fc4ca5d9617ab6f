#include "link/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/socket.h"

enum { CHUNK_BYTES = 64 << 10 };

int client_open(const char *dir) {
  return socket_connect(dir);
}

void client_close(int fd) {
  close(fd);
}

static bool wait_for(int fd, short events, int silence_ms) {
  struct pollfd wait = {.fd = fd, .events = events};
  int n;
  do n = poll(&wait, 1, silence_ms);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

/* The whole line, or an errno. A host that gets half a line ignores it. */
static int send_line(int fd, const char *line, size_t len) {
  while (len > 0) {
    if (!wait_for(fd, POLLOUT, CLIENT_SILENCE_MS)) return ETIMEDOUT;
    ssize_t n = send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return errno;
    line += n;
    len -= (size_t)n;
  }
  return 0;
}

/* 0 when the answer is there, or an errno. A peer that ends without having read everything resets the
 * connection, one that has read it closes it: so ECONNABORTED says that the request was never seen whole, and
 * nothing came of it. */
static int receive_line(int fd, int silence_ms, struct buf *answer) {
  for (;;) {
    if (!wait_for(fd, POLLIN, silence_ms)) return ETIMEDOUT;
    char *room = buf_reserve(answer, CHUNK_BYTES);
    if (!room) return ENOMEM;
    ssize_t n = recv(fd, room, CHUNK_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return n == 0 ? ECONNRESET : errno == ECONNRESET ? ECONNABORTED : errno;
    const char *newline = memchr(room, '\n', (size_t)n);
    answer->len += newline ? (size_t)(newline - room) : (size_t)n;
    if (newline) return 0;
  }
}

static enum moonkeep_code no_answer(int error, bool change, int silence_ms, struct err *err) {
  if (change && error != ECONNABORTED)
    return err_set(err, MOONKEEP_UNKNOWN,
                   "the running host gave no answer (%s): the change may or may not have been made",
                   strerror(error));
  if (error == ETIMEDOUT)
    return err_set(err, MOONKEEP_TIMEOUT, "the running host has not answered for %d seconds",
                   silence_ms / 1000);
  if (error == ENOMEM) return err_memory(err);
  return err_set(err, MOONKEEP_CLOSED, "the running host went away: %s", strerror(error));
}

enum moonkeep_code client_call(int fd, const char *line, size_t len, bool change, int silence_ms,
                               struct buf *answer, struct err *err) {
  if (silence_ms == 0) silence_ms = CLIENT_SILENCE_MS;
  int error = send_line(fd, line, len);
  if (error == ETIMEDOUT)
    return err_set(err, MOONKEEP_TIMEOUT, "the running host has taken no request for %d seconds",
                   CLIENT_SILENCE_MS / 1000);
  /* A host that is full says so and closes before it reads: what it said is still there to be read. */
  bool sent = error == 0;
  error = receive_line(fd, silence_ms, answer);
  if (error == 0) return MOONKEEP_OK;
  return no_answer(error, change && sent, silence_ms, err);
}

enum moonkeep_code client_send(int fd, const char *line, size_t len, struct err *err) {
  int error = send_line(fd, line, len);
  if (error == ETIMEDOUT)
    return err_set(err, MOONKEEP_TIMEOUT, "the running host has taken no request for %d seconds",
                   CLIENT_SILENCE_MS / 1000);
  return MOONKEEP_OK; /* one that has gone may have said why: client_next tells */
}

/* 0 when there are more bytes, or an errno. */
static int receive_some(struct client_lines *lines, int silence_ms) {
  for (;;) {
    if (!wait_for(lines->fd, POLLIN, silence_ms)) return ETIMEDOUT;
    char *room = buf_reserve(&lines->held, CHUNK_BYTES);
    if (!room) return ENOMEM;
    ssize_t n = recv(lines->fd, room, CHUNK_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return n == 0 ? ECONNRESET : errno;
    lines->held.len += (size_t)n;
    return 0;
  }
}

enum moonkeep_code client_next(struct client_lines *lines, int silence_ms, const char **line, size_t *len,
                               struct err *err) {
  struct buf *held = &lines->held;
  buf_drop(held, lines->used);
  lines->used = 0;
  for (size_t from = 0;;) {
    const char *newline = from < held->len ? memchr(held->data + from, '\n', held->len - from) : NULL;
    if (newline) {
      *line = held->data;
      *len = (size_t)(newline - held->data);
      lines->used = *len + 1;
      return MOONKEEP_OK;
    }
    from = held->len;
    int error = receive_some(lines, silence_ms);
    if (error) return no_answer(error, false, silence_ms, err);
  }
}

void client_lines_close(struct client_lines *lines) {
  buf_deinit(&lines->held);
  client_close(lines->fd);
}
