/* The host itself.
 *
 *     auth        token          true; over TCP it has to be the first (--listen, --token-file)
 *     status                     how it is: see report_json.c
 *     metrics                    the same as a string, in the text format of Prometheus
 *     stop                       {"pid":…}, of the process that ends then; in order, as at SIGTERM. With
 *                                "embedded":true the host is part of another program, which may go on: it has
 *                                ended when it closes the connection */
#include <string.h>

#include "base/note.h"
#include "host.h"
#include "link/fields.h"
#include "link/methods.h"
#include "link/report.h"

/* How long it takes does not tell how much of it was right. */
static bool is_same(const char *said, size_t len, const char *token) {
  size_t token_len = strlen(token);
  unsigned char differs = len != token_len;
  for (size_t i = 0; i < len; i++) differs |= (unsigned char)(said[i] ^ token[i % (token_len + 1)]);
  return !differs;
}

void method_auth(struct request *request) {
  struct rpc_peer *peer = request->peer;
  const char *token = request->site->token;
  struct buf said = {0};
  struct err err;
  enum moonkeep_code code = request_text(request, "token", &said, &err);
  bool right = !code && (!peer->locked || (token && is_same(said.data, said.len, token)));
  buf_deinit(&said);
  peer->locked &= !right;
  peer->refused |= !right;
  if (right) {
    request_result(request, "true");
    return;
  }
  if (!code) err_set(&err, MOONKEEP_INVALID, "auth: that is not the token");
  request_fail(request, &err);
}

void method_status(struct request *request) {
  struct report report;
  struct buf result = {0};
  report_gather(&report, request->site);
  report_put_json(&report, &result);
  request_result_buf(request, &result);
}

void method_metrics(struct request *request) {
  struct report report;
  struct buf text = {0}, result = {0};
  report_gather(&report, request->site);
  report_put_metrics(&report, &text);
  put_any_text(&result, text.data ? text.data : "", text.len);
  result.failed |= text.failed;
  buf_deinit(&text);
  request_result_buf(request, &result);
}

void method_stop(struct request *request) {
  struct host *host = request->site->host;
  struct buf result = {0};
  log_write(request->site->log, LOG_INFO, "moonkeep", "stopping: a client has asked for it");
  buf_printf(&result, "{\"pid\":%ld%s}", note_pid(), request->site->embedded ? ",\"embedded\":true" : "");
  request_result_buf(request, &result);
  host_stop(host);
}
