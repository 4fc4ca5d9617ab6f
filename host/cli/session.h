/* What `run` and `chat` share: a host with its signals and its control socket, from the settings to the exit
 * status. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/cli.h"
#include "host.h"
#include "link/logbook.h"

struct control;
struct http;

struct session {
  struct cli *cli;
  struct log log; /* goes through the book */
  struct logbook book;
  const char *scripts;
  struct host *host;
  struct control *control;
  struct host_listener turns;   /* and changes of scripts: what was left out may be back */
  void (*leave_off)(void *ctx); /* how the link ends so that another host can go on; NULL: it need not know */
  void *leave_ctx;
  struct http *http; /* NULL: nobody has asked for it, or it could not be opened */
};

/* The log and the names, so that a link can be made; nothing is opened. session_deinit is the last. */
void session_init(struct session *session, struct cli *cli, enum log_level level);

/* Takes the signals and opens everything; on a failure it has said why. */
enum exit_status session_open(struct session *session, struct host_listener *listener);

/* Closes what lives on the loop, when host_run has returned; the link's own goes first. */
void session_leave(struct session *session);

/* Closes the host; then nothing of it is called any more. */
enum exit_status session_close(struct session *session);

void session_deinit(struct session *session);

#endif
