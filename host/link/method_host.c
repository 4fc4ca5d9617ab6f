/* The host itself.
 *
 *     status                     how it is: see report_json.c
 *     metrics                    the same as a string, in the text format of Prometheus
 *     stop                       {"pid":…}, of the process that ends then; in order, as at SIGTERM */
#include "base/note.h"
#include "host.h"
#include "link/fields.h"
#include "link/methods.h"
#include "link/report.h"

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
  buf_printf(&result, "{\"pid\":%ld}", note_pid());
  request_result_buf(request, &result);
  host_stop(host);
}
