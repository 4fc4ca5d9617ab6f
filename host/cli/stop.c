/* `moonkeep stop`: ends the host that runs on the data folder, and waits until it has. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
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

/* A program that has the host in it may go on: then its end is that of the connection. */
static bool wait_for_hangup(int fd) {
  char byte;
  for (int waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, LOOK_MS) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0) return true;
  }
  return false;
}

static enum moonkeep_code wait_for_host(int fd, const struct buf *answer, struct err *err) {
  struct field fields[] = {{.name = "pid"}, {.name = "embedded"}};
  double pid = 0;
  fields_read(answer->data, answer->len, fields, 2, false, NULL);
  if (!field_number(&fields[0], &pid)) return MOONKEEP_OK;
  if (fields[1].type == JSON_TRUE ? wait_for_hangup(fd) : wait_for_end((pid_t)pid)) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_TIMEOUT, "the host (process %d) has been asked to stop and still runs",
                 (int)pid);
}

static enum moonkeep_code stop(struct cli *cli, struct err *err) {
  struct buf line = {0}, answer = {0};
  int fd = access_connect(cli, err);
  if (fd < 0) return err->code;
  access_put_request(&line, "stop", NULL);
  enum moonkeep_code code = access_ask(fd, &line, 0, &answer, err);
  if (!code) code = wait_for_host(fd, &answer, err);
  client_close(fd);
  buf_deinit(&line);
  buf_deinit(&answer);
  return code;
}

enum exit_status command_stop(struct cli *cli) {
  struct err err;
  return stop(cli, &err) ? failed(cli, &err) : EXIT_DONE;
}
