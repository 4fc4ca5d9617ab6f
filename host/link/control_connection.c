#include <string.h>

#include "base/mem.h"
#include "link/control_inner.h"
#include "link/lines.h"

enum { CHUNK_BYTES = 64 << 10 };

static void free_when_done(struct connection *client) {
  if (!client->closed || client->under_way > 0) return;
  buf_deinit(&client->in);
  buf_deinit(&client->out);
  buf_deinit(&client->sending);
  mem_free(client);
}

static void on_client_closed(uv_handle_t *handle) {
  struct connection *client = handle->data;
  struct control *control = client->control;
  list_take(&client->link);
  control->client_count--;
  control->open_handles--;
  control->under_way -= client->under_way;
  control->unread -= client->out.len + client->sending.len;
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
  uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

/* ---- answers ---- */

static void flush(struct connection *client);

static void on_written(uv_write_t *write, int status) {
  struct connection *client = write->data;
  if (client->closed) return;
  client->control->unread -= client->sending.len;
  buf_clear(&client->sending);
  if (status < 0) {
    connection_close(client);
    return;
  }
  flush(client);
  control_look_again(client->control);
}

static void flush(struct connection *client) {
  if (client->closing || client->sending.len > 0 || client->out.len == 0) return;
  struct buf swap = client->sending;
  client->sending = client->out;
  client->out = swap;
  client->stalled_ms = 0;
  uv_buf_t bytes = uv_buf_init(client->sending.data, (unsigned)client->sending.len);
  client->write.data = client;
  if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &bytes, 1, on_written) != 0)
    connection_close(client);
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
  bool behind = client->out.len + client->sending.len > CONTROL_BEHIND_BYTES;
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
         rpc_is_large(&client->peer) || client->out.len + client->sending.len > CONTROL_UNREAD_BYTES ||
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
  while (!client->closing && !client->peer.refused && !must_wait(client) && from < client->in.len) {
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

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
  (void)suggested;
  struct connection *client = handle->data;
  *room = uv_buf_init(buf_reserve(&client->in, CHUNK_BYTES), CHUNK_BYTES);
  if (!room->base) room->len = 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *room) {
  (void)room;
  struct connection *client = stream->data;
  if (n == 0) return;
  if (n > 0)
    client->in.len += (size_t)n;
  else
    client->ended = true;
  if (n < 0 && n != UV_EOF) connection_close(client);
  control_look_again(client->control);
}

static void read_or_rest(struct connection *client) {
  bool want = !client->ended && !client->closing && !must_wait(client);
  if (want && !client->reading) uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read);
  if (!want && client->reading) uv_read_stop((uv_stream_t *)&client->pipe);
  client->reading = want;
}

/* Whatever has happened to a client, this brings it forward: lines are handled, answers sent; one that has
 * ended is closed when its last answer is out (half a line at the end is nothing). */
void connection_serve(struct connection *client) {
  if (client->closing) return;
  handle_lines(client);
  bool idle = client->scanned == client->in.len; /* no whole line waits */
  if (idle && client->in.len > line_limit(client) && !client->ended) refuse_line(client);
  flush(client);
  read_or_rest(client);
  if (client->ended && idle && client->under_way == 0 && client->out.len + client->sending.len == 0)
    connection_close(client);
}

static void look_for_stall(struct connection *client, int passed_ms) {
  size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe);
  client->stalled_ms = queued > 0 && queued == client->stall_size ? client->stalled_ms + passed_ms : 0;
  client->stall_size = queued;
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

void connection_init(struct connection *client, struct control *control, bool locked) {
  client->control = control;
  client->peer.answer = on_answer;
  client->peer.tell = on_tell;
  client->peer.locked = locked;
  rpc_peer_init(&client->peer);
  uv_pipe_init(host_loop(control->host), &client->pipe, 0);
  client->pipe.data = client;
}
