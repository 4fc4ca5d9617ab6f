#include "link/control_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "link/address.h"
#include "link/socket.h"

enum { LOOK_MS = 5000, LAST_WORDS_MS = 1000, LAST_ANSWERS_MS = 10000 };

static void serve_all(struct control *control) {
  for (struct list *at = control->clients.next, *next; at != &control->clients; at = next) {
    next = at->next;
    connection_serve(list_of(at, struct connection, link));
  }
}

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  (void)listener, (void)json, (void)len;
}

static void before_sleep(struct host_listener *listener) {
  struct control *control = list_of(listener, struct control, turns);
  if (!control->crowded || control_is_crowded(control, 2)) return;
  control->crowded = false;
  control_look_again(control);
}

static void on_idle(uv_idle_t *idle) {
  uv_idle_stop(idle);
  serve_all(idle->data);
}

void control_look_again(struct control *control) {
  if (!control->closing) uv_idle_start(&control->idle, on_idle);
}

static void on_stall_timer(uv_timer_t *timer) {
  struct control *control = timer->data;
  for (struct list *at = control->clients.next, *next; at != &control->clients; at = next) {
    next = at->next;
    connection_look(list_of(at, struct connection, link), LOOK_MS);
  }
}

/* ---- clients come ---- */

static unsigned count_locked(const struct control *control) {
  unsigned count = 0;
  for (struct list *at = control->clients.next; at != &control->clients; at = at->next)
    count += list_of(at, struct connection, link)->peer.locked;
  return count;
}

static bool admit(struct connection *client) {
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
  struct connection *client = status == 0 ? mem_zero(sizeof *client) : NULL;
  if (!client) return;
  connection_init(client, control, listener == (uv_stream_t *)&control->tcp);
  list_add(&control->clients, &client->link);
  control->client_count++;
  control->open_handles++;
  if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 || !admit(client))
    connection_close(client);
  else
    connection_serve(client);
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
                                    .started_ms = clock_wall_ms(&clock_system),
                                    .started_steady_ms = clock_steady_ms(&clock_system)};
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
    connection_end(list_of(at, struct connection, link));
  }
  uv_close((uv_handle_t *)&control->listener, on_handle_closed);
  if (control->has_tcp) uv_close((uv_handle_t *)&control->tcp, on_handle_closed);
  say_last_words(control);
  control->closing = true;
  uv_close((uv_handle_t *)&control->stall_timer, on_handle_closed);
  uv_close((uv_handle_t *)&control->idle, on_handle_closed);
  for (struct list *at = control->clients.next; at != &control->clients; at = at->next)
    connection_close(list_of(at, struct connection, link));
  while (control->open_handles > 0) uv_run(host_loop(control->host), UV_RUN_NOWAIT);
  keycount_deinit(&control->keys);
  free(control->path);
  mem_free(control);
}
