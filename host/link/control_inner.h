/* What the control socket is made of, for its own files alone: control.c opens, listens and closes,
 * control_connection.c serves one client. */
#ifndef LINK_CONTROL_INNER_H
#define LINK_CONTROL_INNER_H

#include <uv.h>

#include "link/control.h"
#include "link/keycount.h"
#include "link/rpc.h"

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

struct connection {
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

/* control_connection.c. connection_init: for one who is to be accepted; it is freed when it is closed and
 * nothing of it is under way any more. connection_serve: whatever has happened to it, this brings it forward.
 * connection_look: for a client that reads nothing, or says no token. connection_end: it is heard no more,
 * and what it has asked is answered. */
void connection_init(struct connection *client, struct control *control, bool locked);
void connection_serve(struct connection *client);
void connection_look(struct connection *client, int passed_ms);
void connection_end(struct connection *client);
void connection_close(struct connection *client);
bool control_is_crowded(const struct control *control, size_t part); /* with more than 1/part of the events */

/* control.c: clients may have something to do. */
void control_look_again(struct control *control);

#endif
