/* The methods: what can be asked over the control socket, and how one is written.
 *
 * A method is a row in the table of methods.c and a function, which is given a request whose parameters have
 * been named and counted. It looks at them, does its work, and ends the request with one of request_result,
 * request_fail and request_refuse: before it returns or later, from the host thread's loop. In between it
 * keeps the request, and may hang what it needs on `ctx`.
 *
 *     static void on_told(void *ctx, …) { request_result(ctx, "true"); }
 *
 *     void method_reload(struct request *request) {
 *       struct buf name = {0};
 *       struct err err;
 *       if (!request_text(request, "script", &name, &err)) … request_refuse(request, &err)
 *
 * Host thread. */
#ifndef LINK_METHODS_H
#define LINK_METHODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "link/fields.h"
#include "link/rpc.h"

enum { METHOD_PARAMS = 8 };

struct request;

struct method {
  const char *name;
  void (*run)(struct request *);
  const char *takes[METHOD_PARAMS]; /* its parameters; those that it needs first */
  int needs;                        /* how many those are */
  unsigned flags;
};

enum {
  METHOD_HOST = 1,  /* it needs a running host: without one it fails before it is called */
  METHOD_TELLS = 2, /* it tells things later: only for peers that hear them */
  METHOD_LARGE = 4, /* its answer may be large */
};

extern const struct method methods[];
extern const size_t methods_count;

struct request {
  const struct method *method;
  const struct rpc_site *site;
  struct rpc_peer *peer;
  struct field params[METHOD_PARAMS]; /* as in `takes`; the text is valid until the method returns */
  void *ctx;                          /* the method's own */
  /* NULL, or called where nobody waits for the answer any more: the request may be ended early, and ends now
   * or later. */
  void (*gone)(struct request *);

  struct list link; /* in peer->requests */
  char *id;         /* owned; the raw JSON; NULL: none, or no memory for it */
  size_t id_len;
  bool silent; /* it had none, and gets no answer */
  size_t cost; /* bytes of its line */
};

/* ---- parameters ---- */

/* The one of this name; its type is JSON_END where it was not given. */
const struct field *request_param(const struct request *request, const char *name);

/* Each leaves *out as it is where the parameter was not given, and fails with a sentence where it is of
 * another type. A text may hold NULs: out->len counts. A count is a whole number above 0. */
enum moonkeep_code request_text(const struct request *request, const char *name, struct buf *out,
                                struct err *err);
enum moonkeep_code request_flag(const struct request *request, const char *name, bool *out, struct err *err);
enum moonkeep_code request_number(const struct request *request, const char *name, double *out,
                                  struct err *err);
enum moonkeep_code request_count(const struct request *request, const char *name, uint64_t *out,
                                 struct err *err);

/* ---- ends: each frees the request ---- */

void request_result(struct request *request, const char *json);      /* JSON as text: "true" */
void request_result_buf(struct request *request, struct buf *json);  /* frees the buffer; failed: no memory */
void request_fail(struct request *request, const struct err *err);   /* it could not be done */
void request_refuse(struct request *request, const struct err *err); /* the parameters are wrong */

/* ---- telling ---- */

/* Something that a peer listens to, embedded in the method's own struct, which it frees in `end`: called when
 * the peer goes. A method that lets go earlier takes the link out of the list. */
struct hearing {
  struct list link; /* in peer->hearings */
  struct rpc_peer *peer;
  void (*end)(struct hearing *);
};
void hearing_begin(struct hearing *hearing, struct rpc_peer *peer, void (*end)(struct hearing *));

/* Tells the peer {"jsonrpc":"2.0","method":NAME,"params":…} with the JSON of params. */
void hearing_tell(struct hearing *hearing, const char *name, const char *params, size_t len);

/* ---- the methods ---- */

void method_auth(struct request *request);  /* method_host.c */
void method_store(struct request *request); /* all of them, see method_store.c */
void method_reload(struct request *request);
void method_backup(struct request *request);
void method_backups(struct request *request);
void method_update(struct request *request);
void method_emit(struct request *request); /* method_events.c */
void method_subscribe(struct request *request);
void method_unsubscribe(struct request *request);
void method_logs(struct request *request); /* method_logs.c */
void method_eval(struct request *request); /* method_console.c */
void method_complete(struct request *request);
void method_status(struct request *request);
void method_metrics(struct request *request);
void method_stop(struct request *request); /* method_host.c */

#endif
