#include "link/http.h"

#include <dlfcn.h>
#include <microhttpd.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "link/address.h"
#include "link/report.h"

/* ---- the library, loaded when it is needed ---- */

struct library {
  struct MHD_Daemon *(*start)(unsigned, uint16_t, MHD_AcceptPolicyCallback, void *, MHD_AccessHandlerCallback,
                              void *, ...);
  void (*stop)(struct MHD_Daemon *);
  struct MHD_Response *(*response)(size_t, void *, enum MHD_ResponseMemoryMode);
  enum MHD_Result (*header)(struct MHD_Response *, const char *, const char *);
  enum MHD_Result (*queue)(struct MHD_Connection *, unsigned, struct MHD_Response *);
  void (*destroy)(struct MHD_Response *);
};

struct http {
  const struct rpc_site *site;
  struct library mhd;
  struct MHD_Daemon *daemon;
  uv_timer_t timer;
  bool closing;
  pthread_mutex_t lock; /* of what follows; the rest is the host thread's */
  struct buf text;      /* the metrics, as they were rendered last */
  int64_t rendered_ms;  /* steady */
  const char *unready;  /* static; NULL: it is ready */
};

static bool find(void *library, void *place, const char *name) {
  void *found = dlsym(library, name);
  memcpy(place, &found, sizeof found);
  return found != NULL;
}

/* It stays loaded: what it brings along cannot all be unloaded. */
static enum moonkeep_code load_library(struct library *mhd, struct err *err) {
  void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library)
    return err_set(err, MOONKEEP_IO, "libmicrohttpd is missing (Debian: libmicrohttpd12): %s", dlerror());
  bool whole = find(library, &mhd->start, "MHD_start_daemon") &&
               find(library, &mhd->stop, "MHD_stop_daemon") &&
               find(library, &mhd->response, "MHD_create_response_from_buffer") &&
               find(library, &mhd->header, "MHD_add_response_header") &&
               find(library, &mhd->queue, "MHD_queue_response") &&
               find(library, &mhd->destroy, "MHD_destroy_response");
  enum moonkeep_code code =
      whole ? MOONKEEP_OK : err_set(err, MOONKEEP_IO, "libmicrohttpd lacks a function: %s", dlerror());
  dlclose(library);
  return code;
}

/* ---- the host's side ---- */

static void on_timer(uv_timer_t *timer) {
  struct http *http = timer->data;
  struct report report;
  struct buf text = {0}, old;
  report_gather(&report, http->site);
  report_put_metrics(&report, &text);
  pthread_mutex_lock(&http->lock);
  old = http->text;
  if (text.failed) {
    old = text;
  } else {
    http->text = text;
  }
  http->rendered_ms = clock_steady_ms(&clock_system);
  http->unready = strcmp(report.host.phase, "running") != 0 ? "the host is ending\n"
                  : report.store.broken                     ? "the store has stopped writing\n"
                                                            : NULL;
  pthread_mutex_unlock(&http->lock);
  buf_deinit(&old);
}

/* ---- the server's side: its own thread ---- */

static enum MHD_Result answer(const struct library *mhd, struct MHD_Connection *connection, unsigned status,
                              const char *type, const char *text, size_t len) {
  struct MHD_Response *response = mhd->response(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
  if (!response) return MHD_NO;
  mhd->header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED) mhd->header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  enum MHD_Result result = mhd->queue(connection, status, response);
  mhd->destroy(response);
  return result;
}

static enum MHD_Result answer_text(const struct http *http, struct MHD_Connection *connection,
                                   unsigned status, const char *text) {
  return answer(&http->mhd, connection, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result answer_metrics(struct http *http, struct MHD_Connection *connection) {
  static const char type[] = "text/plain; version=0.0.4; charset=utf-8";
  return answer(&http->mhd, connection, MHD_HTTP_OK, type, http->text.data, http->text.len);
}

static enum MHD_Result answer_health(struct http *http, struct MHD_Connection *connection, bool ready) {
  bool stuck = clock_steady_ms(&clock_system) - http->rendered_ms > HTTP_STUCK_MS;
  if (stuck)
    return answer_text(http, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the host's loop does not turn\n");
  if (ready && http->unready)
    return answer_text(http, connection, MHD_HTTP_SERVICE_UNAVAILABLE, http->unready);
  return answer_text(http, connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result answer_url(struct http *http, struct MHD_Connection *connection, const char *url) {
  if (strcmp(url, "/metrics") == 0) return answer_metrics(http, connection);
  if (strcmp(url, "/healthz") == 0) return answer_health(http, connection, false);
  if (strcmp(url, "/readyz") == 0) return answer_health(http, connection, true);
  return answer_text(http, connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

/* Called once when the head of a request has come, and again with its body, which nobody wants. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body, size_t *body_len,
                                  void **state) {
  static int seen;
  (void)version, (void)body;
  struct http *http = ctx;
  if (!*state) {
    *state = &seen;
    return MHD_YES;
  }
  if (*body_len > 0) {
    *body_len = 0;
    return MHD_YES;
  }
  if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
    return answer_text(http, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD are all there is\n");
  pthread_mutex_lock(&http->lock);
  enum MHD_Result result = answer_url(http, connection, url);
  pthread_mutex_unlock(&http->lock);
  return result;
}

/* ---- its life ---- */

static enum moonkeep_code start(struct http *http, const char *address, struct err *err) {
  int fd = -1;
  unsigned port;
  enum moonkeep_code code = load_library(&http->mhd, err);
  if (!code) code = address_listen(address, false, &fd, &port, err);
  if (code) return code;
  sigset_t before;
  thread_hold_signals(&before);
  http->daemon =
      http->mhd.start(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, http,
                      MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CLIENTS,
                      MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_SILENCE_S, MHD_OPTION_END);
  thread_let_signals(&before);
  if (!http->daemon) {
    close(fd);
    return err_set(err, MOONKEEP_IO, "the HTTP server does not start");
  }
  log_write(http->site->log, LOG_INFO, "metrics", "http://%.*s:%u/metrics",
            (int)(strrchr(address, ':') - address), address, port);
  return MOONKEEP_OK;
}

static void on_closed(uv_handle_t *handle) {
  struct http *http = handle->data;
  http->closing = false;
}

void http_close(struct http *http) {
  if (!http) return;
  if (http->daemon) http->mhd.stop(http->daemon); /* and with it its socket */
  uv_loop_t *loop = http->timer.loop;
  http->closing = true;
  uv_close((uv_handle_t *)&http->timer, on_closed);
  while (http->closing) uv_run(loop, UV_RUN_NOWAIT);
  pthread_mutex_destroy(&http->lock);
  buf_deinit(&http->text);
  mem_free(http);
}

enum moonkeep_code http_open(struct http **out, const char *address, const struct rpc_site *site,
                             uv_loop_t *loop, struct err *err) {
  *out = NULL;
  struct http *http = mem_zero(sizeof *http);
  if (!http) return err_memory(err);
  http->site = site;
  pthread_mutex_init(&http->lock, NULL);
  uv_timer_init(loop, &http->timer);
  http->timer.data = http;
  on_timer(&http->timer);
  uv_timer_start(&http->timer, on_timer, HTTP_RENDER_MS, HTTP_RENDER_MS);
  enum moonkeep_code code = start(http, address, err);
  if (code)
    http_close(http);
  else
    *out = http;
  return code;
}
