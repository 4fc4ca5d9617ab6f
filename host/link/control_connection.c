#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "link/control_inner.h"
#include "link/lines.h"

enum { CHUNK_BYTES = 64 << 10 };

static void free_when_done(struct connection *client) {
  if (!client->closed || client->under_way > 0) return;
  buf_deinit(&client->in);
  buf_deinit(&client->out);
  mem_free(client);
}

static size_t unsent(const struct connection *client) {
  return client->out.len - client->sent;
}

static void on_client_closed(uv_handle_t *handle) {
  struct connection *client = handle->data;
  struct control *control = client->control;
  list_take(&client->link);
  control->client_count--;
  control->open_handles--;
  control->under_way -= client->under_way;
  control->unread -= unsent(client);
  client->control = NULL;
  client->closed = true;
  control_look_again(control);
  client->under_way++; /* while requests are given up, it stays */
  rpc_peer_gone(&client->peer);
  client->under_way--;
  free_when_done(client);
}

void connection_close(struct connection *client) {
  if (client->closing) return;
  client->closing = true;
  uv_close((uv_handle_t *)&client->poll, on_client_closed);
  close(client->fd);
}

/* ---- answers ---- */

/* Gives sent bytes back when they are the better part: each byte is moved at most once on average. */
static void compact(struct connection *client) {
  if (unsent(client) > 0 && client->sent < client->out.len / 2) return;
  buf_drop(&client->out, client->sent);
  client->sent = 0;
}

/* Sends what the client takes now. */
static void flush(struct connection *client) {
  while (!client->closing && unsent(client) > 0) {
    ssize_t n =
        send(client->fd, client->out.data + client->sent, unsent(client), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) {
      connection_close(client);
      return;
    }
    client->sent += (size_t)n;
    client->control->unread -= (size_t)n;
    client->moved = true;
  }
  compact(client);
}

static void put_answer(struct connection *client, const char *line, size_t len) {
  size_t before = client->out.len;
  buf_add(&client->out, line, len);
  if (client->out.failed) connection_close(client);
  client->control->unread += client->out.len - before;
}

static void on_answer(struct rpc_peer *peer, const char *line, size_t len, size_t cost) {
  struct connection *client = list_of(peer, struct connection, peer);
  client->under_way--;
  client->under_way_bytes -= cost;
  if (!client->control) {
    free_when_done(client);
    return;
  }
  client->control->under_way--;
  put_answer(client, line, len);
  if (peer->refused) {
    client->ended = true;
    client->in.len = client->scanned = 0;
  }
  control_look_again(client->control);
}

/* Somebody who listens and does not read is let go before what it has not read costs others anything. */
static void on_tell(struct rpc_peer *peer, const char *line, size_t len) {
  struct connection *client = list_of(peer, struct connection, peer);
  if (client->closing) return;
  put_answer(client, line, len);
  bool behind = unsent(client) > CONTROL_BEHIND_BYTES;
  if (behind)
    log_write(client->control->log, LOG_WARN, "control",
              "closed a client that listens and does not keep up: %d MiB were unread",
              CONTROL_BEHIND_BYTES >> 20);
  if (behind || len == 0) connection_close(client);
  control_look_again(client->control);
}

/* ---- requests ---- */

bool control_is_crowded(const struct control *control, size_t part) {
  return host_events(control->host) > CONTROL_EVENTS / part ||
         host_slowed(control->host) > CONTROL_SLOWED / part;
}

static bool must_wait(const struct connection *client) {
  if (client->peer.emits && control_is_crowded(client->control, 1)) return client->control->crowded = true;
  return client->under_way >= CONTROL_UNDER_WAY || client->under_way_bytes > CONTROL_UNDER_WAY_BYTES ||
         rpc_is_large(&client->peer) || unsent(client) > CONTROL_UNREAD_BYTES ||
         client->control->unread > CONTROL_TOTAL_BYTES;
}

static void handle_line(struct connection *client, const char *line, size_t len) {
  if (line_is_blank(line, len)) return;
  client->under_way++;
  client->under_way_bytes += len;
  client->control->under_way++;
  rpc_handle(&client->control->site, &client->peer, line, len);
}

static size_t line_limit(const struct connection *client) {
  return client->peer.locked ? CONTROL_LOCKED_BYTES : client->control->line_bytes;
}

/* Tells a client that has sent too much, and hears no more of it. */
static void refuse_line(struct connection *client) {
  struct err err;
  err_set(&err, MOONKEEP_TOO_LARGE, "the line is longer than %zu bytes", line_limit(client));
  size_t before = client->out.len;
  rpc_put_error(&client->out, NULL, 0, RPC_INVALID_REQUEST, &err);
  client->control->unread += client->out.len - before;
  client->ended = true;
  client->in.len = client->scanned = 0;
}

static void handle_lines(struct connection *client) {
  size_t at = 0, from = client->scanned;
  while (!client->closing && !client->peer.refused && !must_wait(client) && from < client->in.len &&
         (at == 0 || !control_is_late(client->control))) {
    const char *newline = memchr(client->in.data + from, '\n', client->in.len - from);
    if (!newline) {
      from = client->in.len;
      break;
    }
    handle_line(client, client->in.data + at, (size_t)(newline - client->in.data) - at);
    at = from = (size_t)(newline - client->in.data) + 1;
  }
  if (client->peer.refused) return; /* nothing of it is left */
  buf_drop(&client->in, at);
  client->scanned = from - at;
}

static void read_some(struct connection *client) {
  char *room = buf_reserve(&client->in, CHUNK_BYTES);
  ssize_t n = room ? recv(client->fd, room, CHUNK_BYTES, MSG_DONTWAIT) : -1;
  if (n > 0)
    client->in.len += (size_t)n;
  else if (n == 0)
    client->ended = true;
  else if (!room || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
    connection_close(client);
}

/* An error of the socket's is told by whoever reads or sends next; the poll has ended with it. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct connection *client = poll->data;
  if (status < 0) {
    events = client->events;
    client->events = 0;
  }
  if (events & UV_READABLE && !client->ended) read_some(client);
  control_look_again(client->control); /* which sends, too */
}

/* Reads no more while lines wait for their turn. */
static void poll_or_rest(struct connection *client, bool idle) {
  if (client->closing) return;
  int want = 0;
  if (!client->ended && idle && !must_wait(client)) want |= UV_READABLE;
  if (unsent(client) > 0) want |= UV_WRITABLE;
  if (want == client->events) return;
  client->events = want;
  if (!want)
    uv_poll_stop(&client->poll);
  else if (uv_poll_start(&client->poll, want, on_poll) != 0)
    connection_close(client);
}

/* Whatever has happened to a client, this brings it forward: lines are handled, answers sent; one that has
 * ended is closed when its last answer is out (half a line at the end is nothing). */
void connection_serve(struct connection *client) {
  if (client->closing) return;
  handle_lines(client);
  bool idle = client->scanned == client->in.len; /* no whole line waits */
  if (idle && client->in.len > line_limit(client) && !client->ended) refuse_line(client);
  flush(client);
  if (client->ended && idle && client->under_way == 0 && unsent(client) == 0) connection_close(client);
  poll_or_rest(client, idle);
}

static void look_for_stall(struct connection *client, int passed_ms) {
  client->stalled_ms = unsent(client) > 0 && !client->moved ? client->stalled_ms + passed_ms : 0;
  client->moved = false;
  if (client->stalled_ms < CONTROL_STALL_MS) return;
  log_write(client->control->log, LOG_WARN, "control", "closed a client that reads none of its answers");
  connection_close(client);
}

void connection_look(struct connection *client, int passed_ms) {
  look_for_stall(client, passed_ms);
  if (client->peer.locked && (client->locked_ms += passed_ms) > CONTROL_LOCKED_MS) connection_close(client);
}

void connection_end(struct connection *client) {
  client->ended = true;
  client->in.len = client->scanned = 0;
  rpc_peer_gone(&client->peer);
}

struct connection *connection_new(struct control *control, int fd, bool locked) {
  struct connection *client = mem_zero(sizeof *client);
  if (!client || uv_poll_init(host_loop(control->host), &client->poll, fd) != 0) {
    close(fd);
    mem_free(client);
    return NULL;
  }
  client->control = control;
  client->fd = fd;
  client->peer.answer = on_answer;
  client->peer.tell = on_tell;
  client->peer.locked = locked;
  rpc_peer_init(&client->peer);
  client->poll.data = client;
  return client;
}
