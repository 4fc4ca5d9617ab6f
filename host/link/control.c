#include "link/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "link/address.h"
#include "link/keycount.h"
#include "link/lines.h"
#include "link/rpc.h"
#include "link/socket.h"

enum { CHUNK_BYTES = 64 << 10, LOOK_MS = 5000, LAST_WORDS_MS = 1000, LAST_ANSWERS_MS = 10000 };

struct control {
  struct rpc_site site;
  struct host *host;
  struct keycount keys;
  char *path;                 /* owned: of the data folder */
  struct host_listener turns; /* of the host's turns */
  const struct log *log;
  int dir_fd;
  size_t line_bytes; /* the longest line */
  uv_pipe_t listener;
  uv_pipe_t tcp; /* a stream of any kind can be opened as a pipe; only uv_accept looks at which it is */
  bool has_tcp;
  char token[256];
  uv_timer_t stall_timer;
  uv_idle_t idle; /* runs when a client may have something to do */
  struct list clients;
  unsigned client_count, open_handles, under_way;
  size_t unread; /* bytes of answers, of all clients */
  bool crowded;  /* somebody who emits waits until fewer events are under way */
  bool closing;
};

struct client {
  struct rpc_peer peer;
  struct control *control; /* NULL: the control is gone and only answers are waited for */
  struct list link;
  uv_pipe_t pipe;
  uv_write_t write;
  struct buf in;           /* owned: lines that have not been handled */
  size_t scanned;          /* so many bytes of it have no newline */
  struct buf out, sending; /* owned: answers to be written; being written */
  size_t stall_size;       /* what was queued when it was last looked at */
  int stalled_ms, locked_ms;
  unsigned under_way;
  size_t under_way_bytes;
  bool reading, ended, closing, closed;
};

static void free_when_done(struct client *client) {
  if (!client->closed || client->under_way > 0) return;
  buf_deinit(&client->in);
  buf_deinit(&client->out);
  buf_deinit(&client->sending);
  mem_free(client);
}

static void on_idle(uv_idle_t *idle);

static void look_again(struct control *control) {
  if (!control->closing) uv_idle_start(&control->idle, on_idle);
}

static void on_client_closed(uv_handle_t *handle) {
  struct client *client = handle->data;
  struct control *control = client->control;
  list_take(&client->link);
  control->client_count--;
  control->open_handles--;
  control->under_way -= client->under_way;
  control->unread -= client->out.len + client->sending.len;
  client->control = NULL;
  client->closed = true;
  look_again(control);
  client->under_way++; /* while requests are given up, it stays */
  rpc_peer_gone(&client->peer);
  client->under_way--;
  free_when_done(client);
}

static void close_client(struct client *client) {
  if (client->closing) return;
  client->closing = true;
  uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

/* ---- answers ---- */

static void flush(struct client *client);

static void on_written(uv_write_t *write, int status) {
  struct client *client = write->data;
  if (client->closed) return;
  client->control->unread -= client->sending.len;
  buf_clear(&client->sending);
  if (status < 0) {
    close_client(client);
    return;
  }
  flush(client);
  look_again(client->control);
}

static void flush(struct client *client) {
  if (client->closing || client->sending.len > 0 || client->out.len == 0) return;
  struct buf swap = client->sending;
  client->sending = client->out;
  client->out = swap;
  client->stalled_ms = 0;
  uv_buf_t bytes = uv_buf_init(client->sending.data, (unsigned)client->sending.len);
  client->write.data = client;
  if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &bytes, 1, on_written) != 0)
    close_client(client);
}

static void put_answer(struct client *client, const char *line, size_t len) {
  size_t before = client->out.len;
  buf_add(&client->out, line, len);
  if (client->out.failed) close_client(client);
  client->control->unread += client->out.len - before;
}

static void on_answer(struct rpc_peer *peer, const char *line, size_t len, size_t cost) {
  struct client *client = list_of(peer, struct client, peer);
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
  look_again(client->control);
}

/* Somebody who listens and does not read is let go before what it has not read costs others anything. */
static void on_tell(struct rpc_peer *peer, const char *line, size_t len) {
  struct client *client = list_of(peer, struct client, peer);
  if (client->closing) return;
  put_answer(client, line, len);
  bool behind = client->out.len + client->sending.len > CONTROL_BEHIND_BYTES;
  if (behind)
    log_write(client->control->log, LOG_WARN, "control",
              "closed a client that listens and does not keep up: %d MiB were unread",
              CONTROL_BEHIND_BYTES >> 20);
  if (behind || len == 0) close_client(client);
  look_again(client->control);
}

/* ---- requests ---- */

static bool is_crowded(struct control *control, size_t part) {
  return host_events(control->host) > CONTROL_EVENTS / part ||
         host_slowed(control->host) > CONTROL_SLOWED / part;
}

static bool must_wait(const struct client *client) {
  if (client->peer.emits && is_crowded(client->control, 1)) return client->control->crowded = true;
  return client->under_way >= CONTROL_UNDER_WAY || client->under_way_bytes > CONTROL_UNDER_WAY_BYTES ||
         rpc_is_large(&client->peer) || client->out.len + client->sending.len > CONTROL_UNREAD_BYTES ||
         client->control->unread > CONTROL_TOTAL_BYTES;
}

static void handle_line(struct client *client, const char *line, size_t len) {
  if (line_is_blank(line, len)) return;
  client->under_way++;
  client->under_way_bytes += len;
  client->control->under_way++;
  rpc_handle(&client->control->site, &client->peer, line, len);
}

static size_t line_limit(const struct client *client) {
  return client->peer.locked ? CONTROL_LOCKED_BYTES : client->control->line_bytes;
}

/* Tells a client that has sent too much, and hears no more of it. */
static void refuse_line(struct client *client) {
  struct err err;
  err_set(&err, MOONKEEP_TOO_LARGE, "the line is longer than %zu bytes", line_limit(client));
  size_t before = client->out.len;
  rpc_put_error(&client->out, NULL, 0, RPC_INVALID_REQUEST, &err);
  client->control->unread += client->out.len - before;
  client->ended = true;
  client->in.len = client->scanned = 0;
}

static void handle_lines(struct client *client) {
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
  struct client *client = handle->data;
  *room = uv_buf_init(buf_reserve(&client->in, CHUNK_BYTES), CHUNK_BYTES);
  if (!room->base) room->len = 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *room) {
  (void)room;
  struct client *client = stream->data;
  if (n == 0) return;
  if (n > 0)
    client->in.len += (size_t)n;
  else
    client->ended = true;
  if (n < 0 && n != UV_EOF) close_client(client);
  look_again(client->control);
}

static void read_or_rest(struct client *client) {
  bool want = !client->ended && !client->closing && !must_wait(client);
  if (want && !client->reading) uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read);
  if (!want && client->reading) uv_read_stop((uv_stream_t *)&client->pipe);
  client->reading = want;
}

/* Whatever has happened to a client, this brings it forward: lines are handled, answers sent; one that has
 * ended is closed when its last answer is out (half a line at the end is nothing). */
static void serve(struct client *client) {
  if (client->closing) return;
  handle_lines(client);
  bool idle = client->scanned == client->in.len; /* no whole line waits */
  if (idle && client->in.len > line_limit(client) && !client->ended) refuse_line(client);
  flush(client);
  read_or_rest(client);
  if (client->ended && idle && client->under_way == 0 && client->out.len + client->sending.len == 0)
    close_client(client);
}

static void serve_all(struct control *control) {
  for (struct list *at = control->clients.next, *next; at != &control->clients; at = next) {
    next = at->next;
    serve(list_of(at, struct client, link));
  }
}

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  (void)listener, (void)json, (void)len;
}

static void before_sleep(struct host_listener *listener) {
  struct control *control = list_of(listener, struct control, turns);
  if (!control->crowded || is_crowded(control, 2)) return;
  control->crowded = false;
  look_again(control);
}

static void on_idle(uv_idle_t *idle) {
  uv_idle_stop(idle);
  serve_all(idle->data);
}

static void look_for_stall(struct client *client) {
  size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe);
  client->stalled_ms = queued > 0 && queued == client->stall_size ? client->stalled_ms + LOOK_MS : 0;
  client->stall_size = queued;
  if (client->stalled_ms < CONTROL_STALL_MS) return;
  log_write(client->control->log, LOG_WARN, "control", "closed a client that reads none of its answers");
  close_client(client);
}

static void on_stall_timer(uv_timer_t *timer) {
  struct control *control = timer->data;
  for (struct list *at = control->clients.next, *next; at != &control->clients; at = next) {
    next = at->next;
    struct client *client = list_of(at, struct client, link);
    look_for_stall(client);
    if (client->peer.locked && (client->locked_ms += LOOK_MS) > CONTROL_LOCKED_MS) close_client(client);
  }
}

/* ---- clients come ---- */

static unsigned count_locked(const struct control *control) {
  unsigned count = 0;
  for (struct list *at = control->clients.next; at != &control->clients; at = at->next)
    count += list_of(at, struct client, link)->peer.locked;
  return count;
}

static bool admit(struct client *client) {
  struct err err;
  uv_os_fd_t fd;
  if (uv_fileno((uv_handle_t *)&client->pipe, &fd) != 0) return false;
  if (client->peer.locked)
    return client->control->client_count <= CONTROL_CLIENTS &&
           count_locked(client->control) <= CONTROL_LOCKED;
  if (!socket_peer_allowed(fd)) return false;
  if (client->control->client_count <= CONTROL_CLIENTS) return true;
  struct buf line = {0};
  log_write(client->control->log, LOG_DEBUG, "control", "turned away one client more than %d",
            CONTROL_CLIENTS);
  err_set(&err, MOONKEEP_BUSY, "the host has %d clients already", CONTROL_CLIENTS);
  rpc_put_error(&line, NULL, 0, RPC_FAILED, &err);
  uv_buf_t bytes = uv_buf_init(line.data, line.failed ? 0 : (unsigned)line.len);
  uv_try_write((uv_stream_t *)&client->pipe, &bytes, 1);
  buf_deinit(&line);
  return false;
}

static void on_connection(uv_stream_t *listener, int status) {
  struct control *control = listener->data;
  struct client *client = status == 0 ? mem_zero(sizeof *client) : NULL;
  if (!client) return;
  client->control = control;
  client->peer.answer = on_answer;
  client->peer.tell = on_tell;
  client->peer.locked = listener == (uv_stream_t *)&control->tcp;
  rpc_peer_init(&client->peer);
  list_add(&control->clients, &client->link);
  control->client_count++;
  control->open_handles++;
  uv_pipe_init(host_loop(control->host), &client->pipe, 0);
  client->pipe.data = client;
  if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 || !admit(client))
    close_client(client);
  else
    read_or_rest(client);
}

static void on_handle_closed(uv_handle_t *handle) {
  struct control *control = handle->data;
  control->open_handles--;
}

static struct control *control_new(const struct control_options *options) {
  struct control *control = mem_zero(sizeof *control);
  if (!control) return NULL;
  struct store *store = host_store(options->host);
  size_t for_a_value = store_value_limit(store) * 4;
  control->host = options->host;
  control->path = realpath(options->dir, NULL);
  keycount_init(&control->keys, store);
  control->log = options->log;
  control->site = (struct rpc_site){.store = store,
                                    .host = options->host,
                                    .log = options->log,
                                    .book = options->book,
                                    .dir = control->path ? control->path : options->dir,
                                    .keys = &control->keys,
                                    .started_ms = clock_wall_ms(&clock_system)};
  control->line_bytes = for_a_value > CONTROL_LINE_BYTES ? for_a_value : CONTROL_LINE_BYTES;
  control->turns.action = on_action;
  control->turns.before_sleep = before_sleep;
  list_init(&control->clients);
  return control;
}

static void make_handles(struct control *control) {
  uv_loop_t *loop = host_loop(control->host);
  uv_pipe_init(loop, &control->listener, 0);
  uv_timer_init(loop, &control->stall_timer);
  uv_idle_init(loop, &control->idle);
  control->listener.data = control->stall_timer.data = control->idle.data = control;
  control->open_handles = 3;
  host_on_action(control->host, &control->turns);
}

enum moonkeep_code control_open(struct control **out, const struct control_options *options,
                                struct err *err) {
  struct control *control = control_new(options);
  if (!control) return err_memory(err);
  int fd;
  enum moonkeep_code code = socket_listen(options->dir, &fd, &control->dir_fd, err);
  if (code) {
    free(control->path);
    mem_free(control);
    return code;
  }
  make_handles(control);
  int status = uv_pipe_open(&control->listener, fd);
  if (status != 0) close(fd);
  if (status == 0) status = uv_listen((uv_stream_t *)&control->listener, CONTROL_CLIENTS, on_connection);
  if (status != 0) {
    control_close(control);
    return err_set(err, MOONKEEP_IO, "control socket: cannot listen: %s", uv_strerror(status));
  }
  uv_timer_start(&control->stall_timer, on_stall_timer, LOOK_MS, LOOK_MS);
  *out = control;
  return MOONKEEP_OK;
}

/* ---- TCP ---- */

static enum moonkeep_code check_token(const struct stat *st, const char *path, const char *token,
                                      struct err *err) {
  if (st->st_mode & 077)
    return err_set(err, MOONKEEP_INVALID, "%s: others may read it: chmod 600 %s", path, path);
  if (strlen(token) < 16)
    return err_set(err, MOONKEEP_INVALID, "%s: the token has %zu characters, and has to have 16 or more",
                   path, strlen(token));
  return MOONKEEP_OK;
}

static enum moonkeep_code read_token(struct control *control, const char *path, struct err *err) {
  struct stat st = {0};
  FILE *file = fopen(path, "re");
  if (!file || fstat(fileno(file), &st) != 0 || !fgets(control->token, (int)sizeof control->token, file))
    control->token[0] = '\0';
  enum moonkeep_code code =
      file ? MOONKEEP_OK : err_set(err, MOONKEEP_INVALID, "cannot read %s: %s", path, strerror(errno));
  if (file) fclose(file);
  control->token[strcspn(control->token, "\r\n")] = '\0';
  return code ? code : check_token(&st, path, control->token, err);
}

enum moonkeep_code control_listen(struct control *control, const char *address, const char *token_file,
                                  struct err *err) {
  int fd = -1;
  unsigned port;
  if (!token_file)
    return err_set(err, MOONKEEP_INVALID,
                   "--listen needs --token-file: whoever comes has to say what is in it");
  enum moonkeep_code code = read_token(control, token_file, err);
  if (!code) code = address_listen(address, true, &fd, &port, err);
  if (code) return code;
  uv_pipe_init(host_loop(control->host), &control->tcp, 0);
  control->tcp.data = control;
  control->has_tcp = true;
  control->open_handles++;
  int status = uv_pipe_open(&control->tcp, fd);
  if (status != 0) close(fd);
  if (status == 0) status = uv_listen((uv_stream_t *)&control->tcp, CONTROL_LOCKED, on_connection);
  if (status != 0) return err_set(err, MOONKEEP_IO, "cannot listen on %s: %s", address, uv_strerror(status));
  control->site.token = control->token;
  log_write(control->log, LOG_INFO, "control", "listening on port %u of %.*s", port,
            (int)(strrchr(address, ':') - address), address);
  return MOONKEEP_OK;
}

const struct rpc_site *control_site(const struct control *control) {
  return &control->site;
}

static void on_last_words(uv_timer_t *timer) {
  (void)timer;
}

/* What has been asked is answered, if it takes no longer than a moment; a change that was made is worth
 * saying. */
static void say_last_words(struct control *control) {
  struct store *store = host_store(control->host);
  while (control->under_way > 0 && store_wait(store, LAST_ANSWERS_MS)) {}
  serve_all(control);
  uv_loop_t *loop = host_loop(control->host);
  uint64_t until = uv_now(loop) + LAST_WORDS_MS;
  uv_timer_start(&control->stall_timer, on_last_words, 10, 10);
  while (control->unread > 0 && uv_now(loop) < until) uv_run(loop, UV_RUN_ONCE);
}

void control_close(struct control *control) {
  if (!control) return;
  socket_remove(control->dir_fd);
  host_off_action(control->host, &control->turns);
  for (struct list *at = control->clients.next; at != &control->clients; at = at->next) {
    struct client *client = list_of(at, struct client, link);
    client->ended = true;
    client->in.len = client->scanned = 0;
    rpc_peer_gone(&client->peer);
  }
  uv_close((uv_handle_t *)&control->listener, on_handle_closed);
  if (control->has_tcp) uv_close((uv_handle_t *)&control->tcp, on_handle_closed);
  say_last_words(control);
  control->closing = true;
  uv_close((uv_handle_t *)&control->stall_timer, on_handle_closed);
  uv_close((uv_handle_t *)&control->idle, on_handle_closed);
  for (struct list *at = control->clients.next; at != &control->clients; at = at->next)
    close_client(list_of(at, struct client, link));
  while (control->open_handles > 0) uv_run(host_loop(control->host), UV_RUN_NOWAIT);
  keycount_deinit(&control->keys);
  free(control->path);
  mem_free(control);
}
