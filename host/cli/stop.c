/* `moonkeep stop`: ends the host that runs on the data folder, and waits until it has. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "link/client.h"
#include "link/fields.h"

enum { WAIT_MS = 60000, LOOK_MS = 50 };

/* A kernel without pidfds is asked again and again. True: the process has ended. */
static bool wait_for_end(pid_t pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0 && errno == ESRCH) return true;
  for (int waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, fd >= 0, LOOK_MS) > 0 || (kill(pid, 0) != 0 && errno == ESRCH)) {
      if (fd >= 0) close(fd);
      return true;
    }
  }
  if (fd >= 0) close(fd);
  return false;
}

static enum moonkeep_code stop(struct cli *cli, struct err *err) {
  struct buf line = {0}, answer = {0};
  int fd = access_connect(cli, err);
  if (fd < 0) return err->code;
  struct field field = {.name = "pid"};
  double pid = 0;
  access_put_request(&line, "stop", NULL);
  enum moonkeep_code code = access_ask(fd, &line, 0, &answer, err);
  if (!code) fields_read(answer.data, answer.len, &field, 1, false, NULL);
  if (!code && field_number(&field, &pid) && !wait_for_end((pid_t)pid))
    code = err_set(err, MOONKEEP_TIMEOUT, "the host (process %d) has been asked to stop and still runs",
                   (int)pid);
  client_close(fd);
  buf_deinit(&line);
  buf_deinit(&answer);
  return code;
}

enum exit_status command_stop(struct cli *cli) {
  struct err err;
  return stop(cli, &err) ? failed(cli, &err) : EXIT_DONE;
}
