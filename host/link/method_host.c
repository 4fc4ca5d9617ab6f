/* The host itself.
 *
 *     stop        true; the host ends in order, as at SIGTERM */
#include "host.h"
#include "link/methods.h"

void method_stop(struct request *request) {
  struct host *host = request->site->host;
  log_write(request->site->log, LOG_INFO, "moonkeep", "stopping: a client has asked for it");
  request_result(request, "true");
  host_stop(host);
}
