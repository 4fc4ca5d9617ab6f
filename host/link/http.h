/* The metrics over HTTP: /metrics, /healthz and /readyz, for Prometheus and for whoever restarts what is ill.
 *
 * libmicrohttpd answers on a thread of its own, which touches nothing of the host: it hands out the text that
 * the host thread has rendered last, once a second. The library is loaded only when this is asked for, since
 * it brings a TLS library along that would cost every host memory.
 *
 * http_open and http_close on the host thread, the latter before host_close. */
#ifndef LINK_HTTP_H
#define LINK_HTTP_H

#include <uv.h>

#include "base/err.h"
#include "link/rpc.h"

enum {
  HTTP_RENDER_MS = 1000,
  HTTP_STUCK_MS = 15000, /* when the loop has not turned for so long, /healthz says so */
  HTTP_CLIENTS = 64,
  HTTP_SILENCE_S = 15, /* a client that says nothing for so long is closed */
};

struct http;

/* address is HOST:PORT, [IPV6]:PORT or :PORT; port 0 takes any, and the log says which. site: borrowed until
 * http_close. Errors: invalid (the address), io. */
enum moonkeep_code http_open(struct http **out, const char *address, const struct rpc_site *site,
                             uv_loop_t *loop, struct err *err);
void http_close(struct http *http); /* NULL is fine */

#endif
