/* What the control socket is made of, for its own files alone: control.c opens, listens and closes,
 * control_connection.c serves one client. */
#ifndef LINK_CONTROL_INNER_H
#define LINK_CONTROL_INNER_H

#include <uv.h>

#include "link/control.h"
#include "link/keycount.h"
#include "link/rpc.h"

/* Sockets are polled, and written to by send: libuv's streams raise SIGPIPE, which a program around us need
 * not have switched off. */
struct listener {
  uv_poll_t poll;
  int fd; /* -1: there is none */
};

struct control {
  struct rpc_site site;
  struct host *host;
  struct keycount keys;
  char *path;                 /* owned: of the data folder */
  struct host_listener turns; /* of the host's turns */
  const struct log *log;
  int dir_fd;
  size_t line_bytes; /* the longest line */
  struct listener unix_socket, tcp;
  int spare_fd; /* given up for a moment where descriptors run out, to turn away who comes */
  char token[256];
  uv_timer_t stall_timer;
  uv_idle_t idle; /* runs when a client may have something to do */
  struct list clients;
  unsigned client_count, open_handles, under_way;
  size_t unread;    /* bytes of answers, of all clients */
  int64_t until_us; /* of clock_ticks_us: when the tick's share is used up; 0: this is none */
  bool crowded;     /* somebody who emits waits until fewer events are under way */
  bool closing;
};

struct connection {
  struct rpc_peer peer;
  struct control *control; /* NULL: the control is gone and only answers are waited for */
  struct list link;
  int fd;
  uv_poll_t poll;
  int events;     /* that it is polled for */
  struct buf in;  /* owned: lines that have not been handled */
  size_t scanned; /* so many bytes of it have no newline */
  struct buf out; /* owned: answers, of which so many bytes have been sent */
  size_t sent;
  bool moved; /* something was sent since it was last looked at */
  int stalled_ms, locked_ms;
  unsigned under_way;
  size_t under_way_bytes;
  bool ended, closing, closed;
};

/* control_connection.c. connection_new: for one who has been accepted; NULL: no memory, and fd is closed. It
 * is freed when it is closed and nothing of it is under way any more. connection_serve: whatever has happened
 * to it, this brings it forward. connection_look: for a client that reads nothing, or says no token.
 * connection_end: it is heard no more, and what it has asked is answered. */
struct connection *connection_new(struct control *control, int fd, bool locked);
void connection_serve(struct connection *client);
void connection_look(struct connection *client, int passed_ms);
void connection_end(struct connection *client);
void connection_close(struct connection *client);
bool control_is_crowded(const struct control *control, size_t part); /* with more than 1/part of the events */

/* control.c: clients may have something to do; and the tick has no time for it. */
void control_look_again(struct control *control);
bool control_is_late(const struct control *control);

#endif
