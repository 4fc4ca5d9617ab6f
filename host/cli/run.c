/* `moonkeep run`: a host between standard input and standard output. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/session.h"
#include "cli/supervise.h"
#include "link/ndjson.h"
#include "link/signals.h"

/* Output that nobody reads is waited for at the end of input, and for the grace period after a signal. */
static int finish_output(const struct session *session, struct ndjson *ndjson) {
  static const volatile int never = 0;
  int grace_ms = (int)(session->cli->settings.grace_s * 1000);
  bool signalled = *signals_seen() > 0;
  return ndjson_finish(ndjson, signalled ? grace_ms : -1, signalled ? &never : signals_seen());
}

static void leave_off(void *ctx) {
  ndjson_stop(ctx);
}

static enum exit_status run(struct session *session, struct ndjson *ndjson) {
  ndjson_open(ndjson, session->host, STDIN_FILENO, STDOUT_FILENO);
  session->leave_off = leave_off;
  session->leave_ctx = ndjson;
  host_run(session->host);
  ndjson_close(ndjson);
  session_leave(session);
  return session_close(session);
}

/* Without standard input and output, as a service: what happens comes over the control socket. */
static enum exit_status serve(struct session *session) {
  enum exit_status status = session_open(session, NULL);
  if (status) return status;
  host_run(session->host);
  session_leave(session);
  return session_close(session);
}

static enum exit_status run_host(struct cli *cli) {
  struct session session;
  struct ndjson *ndjson;
  struct err err;
  session_init(&session, cli, LOG_INFO);
  if (cli->settings.serve) {
    enum exit_status served = serve(&session);
    session_deinit(&session);
    return served;
  }
  if (ndjson_new(&ndjson, &session.log, &err)) {
    session_deinit(&session);
    return failed(cli, &err);
  }
  enum exit_status status = session_open(&session, ndjson_listener(ndjson));
  if (!status) status = run(&session, ndjson);
  if (finish_output(&session, ndjson) != 0) status = EXIT_FAILED;
  session_deinit(&session);
  return status;
}

enum exit_status command_run(struct cli *cli) {
  return cli->settings.no_supervise ? run_host(cli) : supervise(cli, run_host);
}
