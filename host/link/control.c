#include "link/control_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "link/address.h"
#include "link/socket.h"

enum { AT_ONCE = 16, LOOK_MS = 5000, LAST_WORDS_MS = 1000, LAST_ANSWERS_MS = 10000 };

bool control_is_late(const struct control *control) {
  return control->until_us && clock_ticks_us() >= control->until_us;
}

/* Who has been served stands behind the others: where a tick's share is used up, the next one goes on with
 * those that were not. */
static void serve_all(struct control *control) {
  control->until_us = host_share_us(control->host);
  unsigned left = control->client_count;
  bool late = false;
  for (; left > 0 && !late; left--) {
    struct list *at = list_pop(&control->clients);
    list_add(&control->clients, at);
    connection_serve(list_of(at, struct connection, link));
    late = control_is_late(control);
  }
  if (late) control_look_again(control);
  control->until_us = 0;
}

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  (void)listener, (void)json, (void)len;
}

static void before_sleep(struct host_listener *listener) {
  struct control *control = list_of(listener, struct control, turns);
  if (uv_is_active((uv_handle_t *)&control->idle)) host_stir(control->host);
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

static void turn_away(const struct connection *client) {
  struct err err;
  struct buf line = {0};
  log_write(client->control->log, LOG_DEBUG, "control", "turned away one client more than %d",
            CONTROL_CLIENTS);
  err_set(&err, MOONKEEP_BUSY, "the host has %d clients already", CONTROL_CLIENTS);
  rpc_put_error(&line, NULL, 0, RPC_FAILED, &err);
  ssize_t n = line.failed ? 0 : send(client->fd, line.data, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)n;
  buf_deinit(&line);
}

static bool admit(const struct connection *client) {
  if (client->peer.locked)
    return client->control->client_count <= CONTROL_CLIENTS &&
           count_locked(client->control) <= CONTROL_LOCKED;
  if (!socket_peer_allowed(client->fd)) return false;
  if (client->control->client_count <= CONTROL_CLIENTS) return true;
  turn_away(client);
  return false;
}

static void take_in(struct control *control, int fd, bool locked) {
  struct connection *client = connection_new(control, fd, locked);
  if (!client) return;
  list_add(&control->clients, &client->link);
  control->client_count++;
  control->open_handles++;
  if (admit(client))
    connection_serve(client);
  else
    connection_close(client);
}

/* Without a descriptor for who comes he would be announced again and again: he is let in and out. */
static void use_spare(struct control *control, int listener) {
  if (control->spare_fd < 0) return;
  close(control->spare_fd);
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0) close(fd);
  control->spare_fd = open("/", O_PATH | O_CLOEXEC);
}

static void on_incoming(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  struct control *control = poll->data;
  const struct listener *listener = list_of(poll, struct listener, poll);
  for (int i = 0; i < AT_ONCE; i++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      take_in(control, fd, listener == &control->tcp);
    } else if (errno == EMFILE || errno == ENFILE) {
      use_spare(control, listener->fd);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
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
  control->unix_socket.fd = control->tcp.fd = control->spare_fd = -1;
  control->site = (struct rpc_site){.store = store,
                                    .host = options->host,
                                    .log = options->log,
                                    .book = options->book,
                                    .dir = control->path ? control->path : options->dir,
                                    .keys = &control->keys,
                                    .embedded = options->embedded,
                                    .started_ms = store_now_ms(store),
                                    .started_steady_ms = clock_steady_ms(&clock_system)};
  control->line_bytes = for_a_value > CONTROL_LINE_BYTES ? for_a_value : CONTROL_LINE_BYTES;
  control->turns.action = on_action;
  control->turns.before_sleep = before_sleep;
  list_init(&control->clients);
  return control;
}

/* The descriptor is the listener's, whatever comes of it. An errno of libuv's, or 0. */
static int listener_open(struct listener *listener, struct control *control, int fd) {
  int status = uv_poll_init(host_loop(control->host), &listener->poll, fd);
  if (status != 0) {
    close(fd);
    return status;
  }
  listener->fd = fd;
  listener->poll.data = control;
  control->open_handles++;
  return uv_poll_start(&listener->poll, UV_READABLE, on_incoming);
}

static void listener_close(struct listener *listener) {
  if (listener->fd < 0) return;
  uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
  close(listener->fd);
  listener->fd = -1;
}

static void make_handles(struct control *control) {
  uv_loop_t *loop = host_loop(control->host);
  uv_timer_init(loop, &control->stall_timer);
  uv_idle_init(loop, &control->idle);
  control->stall_timer.data = control->idle.data = control;
  control->open_handles = 2;
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
  control->spare_fd = open("/", O_PATH | O_CLOEXEC);
  int status = listener_open(&control->unix_socket, control, fd);
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
  int status = listener_open(&control->tcp, control, fd);
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
  while (control->under_way > 0 && store_pending(store) > 0 && store_wait(store, LAST_ANSWERS_MS)) {}
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
  listener_close(&control->unix_socket);
  listener_close(&control->tcp);
  if (control->spare_fd >= 0) close(control->spare_fd);
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
