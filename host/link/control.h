/* The control socket: commands and other programs at a running host.
 *
 * A Unix socket in the data folder, for its owner alone; one request of methods.h a line. Everything is
 * bounded: the number of clients, the length of a line, the requests under way and the answers unread, for
 * each of them.
 *
 * control_open after host_open, control_close after host_run and before host_close. Host thread. */
#ifndef LINK_CONTROL_H
#define LINK_CONTROL_H

#include "base/log.h"
#include "host.h"

enum {
  CONTROL_CLIENTS = 256,
  CONTROL_LOCKED = 16,           /* of these, at most, that have not said the token yet */
  CONTROL_LOCKED_BYTES = 4096,   /* the longest line of such a one */
  CONTROL_LOCKED_MS = 10000,     /* and how long it may take to say it */
  CONTROL_LINE_BYTES = 16 << 20, /* a value of the usual limit, escaped; more where values may be larger */
  CONTROL_UNDER_WAY = 1024,      /* requests of one client; the next ones wait in its socket */
  CONTROL_UNDER_WAY_BYTES = 8 << 20, /* the same, by the length of their lines */
  CONTROL_UNREAD_BYTES = 1 << 20,    /* answers of one client above which none of its requests is begun */
  CONTROL_TOTAL_BYTES = 256 << 20,   /* the same for all clients together */
  CONTROL_BEHIND_BYTES = 8 << 20,    /* of what it listens to; a client that has more unread is closed */
  CONTROL_EVENTS = 4096,             /* events under way above which those who emit are not read */
  CONTROL_SLOWED = 16384,            /* the same of tasks in line for the store */
  CONTROL_STALL_MS = 30000,          /* a client that reads nothing of its answers for so long is closed */
};

struct control;
struct logbook;
struct rpc_site;

struct control_options {
  struct host *host;
  const char *dir;       /* the data folder */
  const struct log *log; /* borrowed until control_close, as is the book */
  struct logbook *book;  /* NULL: none */
  bool embedded;         /* the process is another program's, and goes on when the host ends */
};

enum moonkeep_code control_open(struct control **out, const struct control_options *options, struct err *err);

/* Listens on TCP too, at an address of this machine alone. Whoever comes there says the token first, which is
 * the only line of the file, of at least 16 characters; nobody else may be able to read that. */
enum moonkeep_code control_listen(struct control *control, const char *address, const char *token_file,
                                  struct err *err);

/* What its requests are about; valid until control_close. */
const struct rpc_site *control_site(const struct control *control);

/* Takes the socket away, answers what is under way, and closes. NULL is fine. */
void control_close(struct control *control);

#endif
