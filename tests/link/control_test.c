/* The control socket, asked by clients of every kind. Each test has a host of its own, in a child process;
 * its input is a pipe, and closing that ends it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"
#include "host.h"
#include "link/control.h"
#include "link/ndjson.h"
#include "link/socket.h"

enum { PATIENCE_MS = 20000 };

struct served {
  char dir[64], data[80];
  pid_t pid;
  int input; /* of the host */
};

/* ---- the host ---- */

static _Noreturn void be_host(const char *data, int in_fd, int ready_fd) {
  static const volatile int never = 0;
  struct err err;
  struct host *host;
  struct control *control;
  struct ndjson *ndjson;
  struct host_options options = {.store = {.dir = data, .owner = "a test"}, .grace_ms = 1000};
  signal(SIGPIPE, SIG_IGN);
  if (ndjson_new(&ndjson, NULL, &err)) _exit(1);
  options.listener = ndjson_listener(ndjson);
  if (host_open(&host, &options, &err) || control_open(&control, host, data, NULL, &err)) {
    fprintf(stderr, "%s\n", err.message);
    _exit(1);
  }
  ndjson_open(ndjson, host, in_fd, STDOUT_FILENO);
  if (write(ready_fd, "!", 1) != 1) _exit(1);
  host_run(host);
  ndjson_close(ndjson);
  control_close(control);
  enum moonkeep_code code = host_close(host, &err);
  ndjson_finish(ndjson, 0, &never);
  _exit(code ? 1 : 0);
}

static struct served serve(void) {
  struct served served = {.dir = "/tmp/moonkeep-control-XXXXXX"};
  int in[2], ready[2];
  char c;
  CHECK(mkdtemp(served.dir) != NULL);
  snprintf(served.data, sizeof served.data, "%s/data", served.dir);
  CHECK(pipe(in) == 0 && pipe(ready) == 0);
  served.pid = fork();
  if (served.pid == 0) {
    close(in[1]);
    close(ready[0]);
    be_host(served.data, in[0], ready[1]);
  }
  close(in[0]);
  close(ready[1]);
  served.input = in[1];
  fcntl(served.input, F_SETFD, FD_CLOEXEC);
  CHECK(read(ready[0], &c, 1) == 1);
  close(ready[0]);
  return served;
}

static int end(struct served *served) {
  int status;
  close(served->input);
  CHECK(waitpid(served->pid, &status, 0) == served->pid);
  char command[160];
  snprintf(command, sizeof command, "rm -rf '%s'", served->dir);
  CHECK(system(command) == 0);
  return status;
}

/* ---- a client ---- */

static int dial(const struct served *served) {
  int fd = socket_connect(served->data);
  CHECK(fd >= 0);
  return fd;
}

static void say(int fd, const char *text, size_t len) {
  while (len > 0) {
    ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
    if (n < 0) return; /* the host has closed: what it said is what counts */
    text += n;
    len -= (size_t)n;
  }
}

/* The next line without its newline; "" at the end of the connection. Valid until the next call. */
static const char *hear(int fd) {
  static struct buf line;
  buf_clear(&line);
  for (;;) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char c;
    if (poll(&wait, 1, PATIENCE_MS) != 1) FAIL("no answer");
    ssize_t n = recv(fd, &c, 1, 0);
    if (n <= 0 || c == '\n') break;
    buf_putc(&line, c);
  }
  return buf_text(&line);
}

static const char *ask(int fd, const char *line) {
  say(fd, line, strlen(line));
  say(fd, "\n", 1);
  return hear(fd);
}

/* The host sees that clients have gone in its own time; until then it may have too many. */
static const char *ask_when_admitted(const struct served *served, const char *line) {
  const char *answer = "";
  for (int i = 0; i < 500 && !strstr(answer, "result"); i++) {
    int fd = dial(served);
    answer = ask(fd, line);
    if (!strstr(answer, "result")) usleep(10000);
    close(fd);
  }
  return answer;
}

#define REQUEST(id, method, params)                                                                          \
  "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"

static void check_begins(const char *text, const char *with) {
  if (strncmp(text, with, strlen(with)) != 0) FAIL("'%.300s' does not begin with '%s'", text, with);
}

static void check_holds(const char *text, const char *part) {
  if (!strstr(text, part)) FAIL("'%.300s' does not hold '%s'", text, part);
}

/* ---- requests and answers ---- */

TEST(every_method_answers) {
  struct served served = serve();
  int fd = dial(&served);
  CHECK_STR(ask(fd, REQUEST("1", "get", "{\"key\":\"a\"}")), RESULT("1", "{\"found\":false}"));
  CHECK_STR(ask(fd, REQUEST("2", "set", "{\"key\":\"a\",\"value\": [1, 2.50, null] }")), RESULT("2", "true"));
  CHECK_STR(ask(fd, REQUEST("3", "get", "{\"key\":\"a\",\"store\":\"appData\"}")),
            RESULT("3", "{\"found\":true,\"value\":[1,2.5,null]}"));
  CHECK_STR(ask(fd, REQUEST("4", "set", "{\"key\":\"b\",\"value\":1,\"expires_at\":4000000000.5}")),
            RESULT("4", "true"));
  CHECK_STR(ask(fd, REQUEST("5", "select", "{\"pattern\":\"b\"}")),
            RESULT("5", "[{\"key\":\"b\",\"value\":1,\"expires_at\":4000000000.5}]"));
  CHECK_STR(ask(fd, REQUEST("6", "keys", "{}")), RESULT("6", "[\"a\",\"b\"]"));
  CHECK_STR(ask(fd, REQUEST("7", "keys", "{\"limit\":1,\"after\":\"a\"}")), RESULT("7", "[\"b\"]"));
  CHECK_STR(ask(fd, "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"count\"}"), RESULT("8", "2"));
  CHECK_STR(ask(fd, REQUEST("9", "count", "{\"store\":\"other\"}")), RESULT("9", "0"));
  CHECK_STR(ask(fd, REQUEST("10", "delete", "{\"key\":\"a\"}")), RESULT("10", "true"));
  CHECK_STR(ask(fd, REQUEST("11", "delete", "{\"key\":\"a\"}")), RESULT("11", "false"));
  CHECK_STR(ask(fd, REQUEST("12", "deleteLike", "{\"pattern\":\"%\"}")), RESULT("12", "1"));
  close(fd);
  CHECK_INT(end(&served), 0);
}

TEST(an_id_comes_back_as_it_came) {
  struct served served = serve();
  int fd = dial(&served);
  CHECK_STR(ask(fd, REQUEST("\"\\u0041\"", "count", "{}")), RESULT("\"\\u0041\"", "0"));
  CHECK_STR(ask(fd, REQUEST("1.50", "count", "{}")), RESULT("1.50", "0"));
  CHECK_STR(ask(fd, REQUEST("null", "count", "{}")), RESULT("null", "0"));
  CHECK_STR(ask(fd, REQUEST("-9007199254740993", "count", "{}")), RESULT("-9007199254740993", "0"));
  close(fd);
  CHECK_INT(end(&served), 0);
}

TEST(a_notification_is_obeyed_and_not_answered) {
  struct served served = serve();
  int fd = dial(&served);
  const char *set =
      "{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"key\":\"n\",\"value\":1}}\r\n \n\n";
  say(fd, set, strlen(set));
  CHECK_STR(ask(fd, REQUEST("1", "get", "{\"key\":\"n\"}")), RESULT("1", "{\"found\":true,\"value\":1}"));
  close(fd);
  CHECK_INT(end(&served), 0);
}

TEST(what_is_no_request_is_answered_with_the_standard_codes) {
  struct served served = serve();
  int fd = dial(&served);
  static const char *const lines[][2] = {
      {"nonsense", "\"id\":null,\"error\":{\"code\":-32700,"},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"count\"", "\"code\":-32700,"},
      {"[]", "\"code\":-32600,"},
      {"{\"id\":1,\"method\":\"count\"}", "\"id\":null,\"error\":{\"code\":-32600,"},
      {"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"count\"}", "\"code\":-32600,"},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", "\"code\":-32600,"},
      {REQUEST("1", "fly", "{}"), "\"id\":1,\"error\":{\"code\":-32601,"},
      {REQUEST("1", "get", "{}"), "\"code\":-32602,\"message\":\"get needs \\\"key\\\"\""},
      {REQUEST("1", "get", "[1]"), "\"code\":-32602,"},
      {REQUEST("1", "get", "{\"key\":\"a\",\"colour\":1}"), "unknown member \\\"colour\\\""},
      {REQUEST("1", "get", "{\"key\":\"a\",\"limit\":1}"), "get: unknown member"},
      {REQUEST("1", "keys", "{\"limit\":0}"), "\"code\":-32602,"},
      {REQUEST("1", "keys", "{\"limit\":1.5}"), "\"code\":-32602,"},
      {REQUEST("1", "set", "{\"key\":\"a\",\"value\":1,\"expires_at\":1795425633118}"), "milliseconds"},
      {REQUEST("1", "set", "{\"key\":\"a\",\"value\":1,\"ttl\":-1}"), "\"code\":-32602,"},
      {REQUEST("1", "set", "{\"key\":\"a\",\"value\":1,\"ttl\":1,\"expires_at\":1}"), "not both"},
      {REQUEST("1", "get", "{\"key\":5}"), "\"code\":\"invalid_key\""},
      {REQUEST("1", "get", "{\"key\":\"\"}"), "\"code\":-32000,"},
      {REQUEST("1", "get", "{\"key\":\"a\\u0000b\"}"), "\"code\":\"invalid_key\""},
      {REQUEST("1", "get", "{\"key\":\"a\",\"store\":\"no/name\"}"), "\"code\":\"invalid_key\""},
      {REQUEST("1", "count", "{\"pattern\":\"a\\\\\"}"), "\"code\":\"invalid_pattern\""},
  };
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    const char *answer = ask(fd, lines[i][0]);
    check_begins(answer, "{\"jsonrpc\":\"2.0\",\"id\":");
    check_holds(answer, lines[i][1]);
  }
  CHECK_STR(ask(fd, REQUEST("1", "count", "{}")), RESULT("1", "0"));
  close(fd);
  CHECK_INT(end(&served), 0);
}

TEST(a_value_of_four_megabytes_passes_however_it_is_escaped) {
  struct served served = serve();
  int fd = dial(&served);
  struct buf line = {0};
  buf_puts(&line,
           "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"set\",\"params\":{\"key\":\"big\",\"value\":\"");
  for (int i = 0; i < (2 << 20) - 10; i++) buf_puts(&line, "\\u00e9"); /* two bytes as they are kept */
  buf_puts(&line, "\"}}\n");
  say(fd, line.data, line.len);
  CHECK_STR(hear(fd), RESULT("1", "true"));
  buf_deinit(&line);
  CHECK_INT(strlen(ask(fd, REQUEST("2", "get", "{\"key\":\"big\"}"))) > (4 << 20) - 20, 1);
  close(fd);
  CHECK_INT(end(&served), 0);
}

/* ---- clients of every kind ---- */

TEST(the_socket_is_for_its_owner_alone_and_goes_with_the_host) {
  struct served served = serve();
  struct stat st;
  char path[128];
  snprintf(path, sizeof path, "%s/" SOCKET_NAME, served.data);
  CHECK(stat(path, &st) == 0);
  CHECK(S_ISSOCK(st.st_mode));
  CHECK_INT(st.st_mode & 0777, 0600);
  int copy = open(served.data, O_PATH | O_DIRECTORY);
  close(served.input);
  int status;
  CHECK(waitpid(served.pid, &status, 0) == served.pid);
  CHECK_INT(status, 0);
  CHECK(fstatat(copy, SOCKET_NAME, &st, 0) != 0);
  close(copy);
  snprintf(path, sizeof path, "rm -rf '%s'", served.dir);
  CHECK(system(path) == 0);
}

TEST(a_thousand_requests_in_one_piece_are_all_answered) {
  struct served served = serve();
  int fd = dial(&served);
  struct buf lines = {0};
  for (int i = 0; i < 1000; i++)
    buf_printf(&lines, REQUEST("%d", "set", "{\"key\":\"k%d\",\"value\":%d}") "\n", i, i, i);
  say(fd, lines.data, lines.len);
  buf_deinit(&lines);
  for (int i = 0; i < 1000; i++) check_holds(hear(fd), "\"result\":true");
  CHECK_STR(ask(fd, REQUEST("\"n\"", "count", "{}")), RESULT("\"n\"", "1000"));
  close(fd);
  CHECK_INT(end(&served), 0);
}

TEST(half_a_line_at_the_end_is_nothing) {
  struct served served = serve();
  int fd = dial(&served);
  const char *half = REQUEST("1", "set", "{\"key\":\"whole\",\"value\":1}") "\n" REQUEST(
      "2", "set", "{\"key\":\"half\",\"value\":1}");
  say(fd, half, strlen(half));
  shutdown(fd, SHUT_WR);
  CHECK_STR(hear(fd), RESULT("1", "true"));
  CHECK_STR(hear(fd), "");
  close(fd);
  fd = dial(&served);
  CHECK_STR(ask(fd, REQUEST("3", "keys", "{}")), RESULT("3", "[\"whole\"]"));
  close(fd);
  CHECK_INT(end(&served), 0);
}

TEST(a_line_without_end_is_refused_and_the_client_closed) {
  struct served served = serve();
  int fd = dial(&served), other = dial(&served);
  static char chunk[1 << 20];
  memset(chunk, 'x', sizeof chunk);
  struct timeval patience = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  for (int i = 0; i < 18; i++) say(fd, chunk, sizeof chunk);
  check_holds(hear(fd), "the line is longer than");
  CHECK_STR(hear(fd), "");
  CHECK_STR(ask(other, REQUEST("1", "count", "{}")), RESULT("1", "0"));
  close(fd);
  close(other);
  CHECK_INT(end(&served), 0);
}

TEST(one_client_too_many_is_told_so) {
  struct served served = serve();
  int fds[CONTROL_CLIENTS];
  for (int i = 0; i < CONTROL_CLIENTS; i++) {
    fds[i] = dial(&served);
    CHECK_STR(ask(fds[i], REQUEST("1", "count", "{}")), RESULT("1", "0"));
  }
  int more = dial(&served);
  check_holds(hear(more), "\"code\":\"busy\"");
  CHECK_STR(hear(more), "");
  close(more);
  close(fds[0]);
  CHECK_STR(ask_when_admitted(&served, REQUEST("1", "count", "{}")), RESULT("1", "0"));
  for (int i = 1; i < CONTROL_CLIENTS; i++) close(fds[i]);
  CHECK_INT(end(&served), 0);
}

static long resident_kb(pid_t pid) {
  char path[64], line[128];
  long kb = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) sscanf(line, "VmHWM: %ld", &kb);
  if (file) fclose(file);
  return kb;
}

/* Asks again and again for a megabyte and reads nothing of it, until the host takes no more. */
TEST(a_client_that_never_reads_costs_itself_only) {
  struct served served = serve();
  int deaf = dial(&served), other = dial(&served);
  struct buf set = {0};
  buf_puts(&set, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"set\",\"params\":{\"key\":\"m\",\"value\":\"");
  for (int i = 0; i < 1 << 20; i++) buf_putc(&set, 'x');
  buf_puts(&set, "\"}}\n");
  say(other, set.data, set.len);
  CHECK_STR(hear(other), RESULT("1", "true"));
  buf_deinit(&set);
  const char *get = REQUEST("1", "get", "{\"key\":\"m\"}") "\n";
  long sent = 0;
  for (int idle = 0; idle < 20 && sent < 100000;) {
    if (send(deaf, get, strlen(get), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
      sent++;
      idle = 0;
    } else {
      idle++;
      usleep(10000);
    }
  }
  CHECK_STR(ask(other, REQUEST("2", "count", "{}")), RESULT("2", "1"));
  CHECK(resident_kb(served.pid) < 600 * 1024); /* sanitizers included */
  close(deaf);
  close(other);
  CHECK_INT(end(&served), 0);
}

TEST(a_client_that_goes_in_the_middle_leaves_nothing_behind) {
  struct served served = serve();
  for (int i = 0; i < 200; i++) {
    int fd = dial(&served);
    const char *set =
        REQUEST("1", "set", "{\"key\":\"k\",\"value\":1}") "\n" REQUEST("1", "select", "{}") "\n";
    say(fd, set, strlen(set));
    close(fd);
  }
  CHECK_STR(ask_when_admitted(&served, REQUEST("1", "count", "{}")), RESULT("1", "1"));
  CHECK_INT(end(&served), 0);
}

TEST(requests_at_the_end_of_the_host_are_answered_or_cut_off_whole) {
  struct served served = serve();
  int fd = dial(&served);
  struct buf lines = {0};
  for (int i = 0; i < 500; i++)
    buf_printf(&lines, REQUEST("%d", "set", "{\"key\":\"k%d\",\"value\":%d}") "\n", i, i, i);
  say(fd, lines.data, lines.len);
  buf_deinit(&lines);
  CHECK_STR(hear(fd), RESULT("0", "true"));
  close(served.input);
  served.input = -1;
  const char *line;
  while (*(line = hear(fd))) CHECK(line[strlen(line) - 1] == '}');
  close(fd);
  CHECK_INT(end(&served), 0);
}
