/* What a caller is told when the host goes away in the middle of a call: whether a change may have been made.
 */
#include "link/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* A host that takes the request, or leaves it unread, and is gone. */
static enum moonkeep_code ask_one_that_dies(bool reads, bool change, struct err *err) {
  static const char line[] = "{\"id\":1}\n";
  char taken[64];
  struct buf answer = {0};
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pid_t host = fork();
  CHECK(host >= 0);
  if (host == 0) {
    close(pair[0]);
    poll(&(struct pollfd){.fd = pair[1], .events = POLLIN}, 1, -1);
    _exit(reads && read(pair[1], taken, sizeof taken) < 0);
  }
  close(pair[1]);
  enum moonkeep_code code = client_call(pair[0], line, sizeof line - 1, change, 0, &answer, err);
  client_close(pair[0]);
  waitpid(host, NULL, 0);
  buf_deinit(&answer);
  return code;
}

TEST(a_change_that_no_host_has_read_was_not_made) {
  struct err err;
  CHECK_INT(ask_one_that_dies(false, true, &err), MOONKEEP_CLOSED);
  CHECK_INT(ask_one_that_dies(false, false, &err), MOONKEEP_CLOSED);
}

TEST(a_change_that_a_host_has_read_may_have_been_made) {
  struct err err;
  CHECK_INT(ask_one_that_dies(true, true, &err), MOONKEEP_UNKNOWN);
  CHECK_INT(ask_one_that_dies(true, false, &err), MOONKEEP_CLOSED);
}
