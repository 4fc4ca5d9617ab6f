/* JSON-RPC 2.0: one request, one answer, each an object on one line. What can be asked is in link/methods.h.
 *
 *     {"jsonrpc":"2.0","id":1,"method":"get","params":{"store":"appData","key":"alice"}}
 *     {"jsonrpc":"2.0","id":1,"result":{"found":true,"value":{"xp":50}}}
 *     {"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"…","data":{"code":"invalid_key","key":"…"}}}
 *
 * An id is a string, a number or null, and comes back as it came; a request without one gets no answer. Where
 * a method goes on to tell things after its answer, each is a request of the host's own, without an id:
 *
 *     {"jsonrpc":"2.0","method":"action","params":{"script":"xp","action":"send",…}}
 *
 * The command line makes the same requests, with a host and without. Host thread. */
#ifndef LINK_RPC_H
#define LINK_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

struct host;
struct keycount;
struct log;
struct logbook;
struct store;

enum {
  RPC_PARSE_ERROR = -32700,
  RPC_INVALID_REQUEST = -32600,
  RPC_NO_METHOD = -32601,
  RPC_INVALID_PARAMS = -32602,
  RPC_FAILED = -32000, /* everything else: see data.code */
};

/* What requests are about: one for all who ask; it outlives them. */
struct rpc_site {
  struct store *store;
  struct host *host; /* NULL: there is only the store, and methods that need a host fail */
  const struct log *log;
  struct logbook *book; /* NULL: nobody remembers the log */
  const char *token;    /* what a locked peer has to say; NULL: there are none */
  const char *dir;      /* the data folder, as an absolute path */
  struct keycount *keys;
  bool embedded;             /* see control_options */
  int64_t started_ms;        /* since 1970 */
  int64_t started_steady_ms; /* the same moment by the clock that is never set */
};

/* Somebody who asks. It is embedded in what it stands for, and has to stay until its last request has been
 * answered. */
struct rpc_peer {
  /* Called once for each request, while rpc_handle runs or later from the loop or store_pump, with a line and
   * its newline; empty for a request without an id. `cost` is what rpc_handle said. */
  void (*answer)(struct rpc_peer *, const char *line, size_t len, size_t cost);
  /* A line that nobody has asked for. NULL: this peer hears none, and methods that tell things fail. */
  void (*tell)(struct rpc_peer *, const char *line, size_t len);
  bool locked;          /* it has not said the token yet: `auth` is all that it may ask */
  bool refused;         /* and has said a wrong one, or asked something else: hear no more of it */
  bool emits;           /* it has raised events: how many are under way is its business */
  struct list requests; /* not answered yet */
  struct list hearings; /* see methods.h */
};

void rpc_peer_init(struct rpc_peer *peer);

/* Handles one line. */
void rpc_handle(const struct rpc_site *site, struct rpc_peer *peer, const char *line, size_t len);

/* Whether an answer may come that is large: nothing else should be asked beside it. */
bool rpc_is_large(const struct rpc_peer *peer);

/* Nobody hears this peer's answers any more (it has gone, or the host ends): what it listened to ends, and
 * requests that can be given up are, each with its last answer. Others are still answered later. */
void rpc_peer_gone(struct rpc_peer *peer);

/* Appends an error answer; id NULL: null. */
void rpc_put_error(struct buf *out, const char *id, size_t id_len, int number, const struct err *err);

#endif
