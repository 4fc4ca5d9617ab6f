/* The control socket, asked by clients of every kind. Each test has a host of its own, in a child process;
 * its input is a pipe, and closing that ends it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"
#include "helpers/served.h"
#include "link/control.h"
#include "link/socket.h"

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

/* ---- requests and answers ---- */

TEST(every_method_answers) {
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}

TEST(an_id_comes_back_as_it_came) {
  struct served served = serve(NULL);
  int fd = dial(&served);
  CHECK_STR(ask(fd, REQUEST("\"\\u0041\"", "count", "{}")), RESULT("\"\\u0041\"", "0"));
  CHECK_STR(ask(fd, REQUEST("1.50", "count", "{}")), RESULT("1.50", "0"));
  CHECK_STR(ask(fd, REQUEST("null", "count", "{}")), RESULT("null", "0"));
  CHECK_STR(ask(fd, REQUEST("-9007199254740993", "count", "{}")), RESULT("-9007199254740993", "0"));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

TEST(a_notification_is_obeyed_and_not_answered) {
  struct served served = serve(NULL);
  int fd = dial(&served);
  const char *set =
      "{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"key\":\"n\",\"value\":1}}\r\n \n\n";
  say(fd, set, strlen(set));
  CHECK_STR(ask(fd, REQUEST("1", "get", "{\"key\":\"n\"}")), RESULT("1", "{\"found\":true,\"value\":1}"));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

TEST(what_is_no_request_is_answered_with_the_standard_codes) {
  struct served served = serve(NULL);
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
      {REQUEST("1", "update", "{\"key\":5,\"function\":\"print\"}"), "\"code\":\"invalid_key\""},
      {REQUEST("1", "update", "{\"key\":\"a\",\"store\":5,\"function\":\"print\"}"),
       "\"code\":\"invalid_key\""},
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
  CHECK_INT(served_end(&served), 0);
}

TEST(a_value_of_four_megabytes_passes_however_it_is_escaped) {
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}

/* ---- clients of every kind ---- */

TEST(the_socket_is_for_its_owner_alone_and_goes_with_the_host) {
  struct served served = serve(NULL);
  struct stat st;
  char path[128];
  snprintf(path, sizeof path, "%s/" SOCKET_NAME, served.data);
  CHECK(stat(path, &st) == 0);
  CHECK(S_ISSOCK(st.st_mode));
  CHECK_INT(st.st_mode & 0777, 0600);
  int copy = open(served.data, O_PATH | O_DIRECTORY), fd = dial(&served);
  close(served.input);
  served.input = -1;
  CHECK_STR(hear(fd), "");
  close(fd);
  CHECK_INT(served_wait(&served), 0);
  CHECK(fstatat(copy, SOCKET_NAME, &st, 0) != 0);
  close(copy);
}

TEST(a_thousand_requests_in_one_piece_are_all_answered) {
  struct served served = serve(NULL);
  int fd = dial(&served);
  struct buf lines = {0};
  for (int i = 0; i < 1000; i++)
    buf_printf(&lines, REQUEST("%d", "set", "{\"key\":\"k%d\",\"value\":%d}") "\n", i, i, i);
  say(fd, lines.data, lines.len);
  buf_deinit(&lines);
  for (int i = 0; i < 1000; i++) check_holds(hear(fd), "\"result\":true");
  CHECK_STR(ask(fd, REQUEST("\"n\"", "count", "{}")), RESULT("\"n\"", "1000"));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

TEST(half_a_line_at_the_end_is_nothing) {
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}

TEST(a_line_without_end_is_refused_and_the_client_closed) {
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}

TEST(one_client_too_many_is_told_so) {
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}

TEST(thousands_of_connections_cost_themselves_only) {
  struct served served = serve(NULL);
  enum { KEPT = 400, ALL = 3000 };
  int other = dial(&served), fds[KEPT];
  CHECK_STR(ask(other, REQUEST("1", "count", "{}")), RESULT("1", "0"));
  for (int i = 0; i < ALL; i++) {
    if (i >= KEPT) close(fds[i % KEPT]);
    fds[i % KEPT] = dial(&served);
    if (i % 3 == 0) say(fds[i % KEPT], "{\"half a", 8);
    if (i % 500 == 0) CHECK_STR(ask(other, REQUEST("2", "count", "{}")), RESULT("2", "0"));
  }
  for (int i = 0; i < KEPT; i++) close(fds[i]);
  CHECK_STR(ask(other, REQUEST("3", "count", "{}")), RESULT("3", "0"));
  CHECK_STR(ask_when_admitted(&served, REQUEST("4", "count", "{}")), RESULT("4", "0"));
  close(other);
  CHECK_INT(served_end(&served), 0);
}

/* Any bytes: each line of them is answered, and nobody else notices. */
TEST(garbage_costs_itself_only) {
  struct served served = serve(NULL);
  int fd = dial(&served), other = dial(&served), lines = 0;
  unsigned random = 12345;
  char bytes[20000];
  for (size_t i = 0; i < sizeof bytes; i++) {
    random = random * 1103515245 + 12345;
    bytes[i] = (char)(random >> 16);
    if (bytes[i] == '\n' && i > 0 && !strchr(" \t\r\n", bytes[i - 1])) lines++;
  }
  bytes[sizeof bytes - 1] = '\n';
  say(fd, bytes, sizeof bytes);
  for (int i = 0; i < lines; i++) check_holds(hear(fd), "\"error\":");
  CHECK_STR(ask(other, REQUEST("1", "count", "{}")), RESULT("1", "0"));
  close(fd);
  close(other);
  CHECK_INT(served_end(&served), 0);
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
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}

TEST(a_client_that_goes_in_the_middle_leaves_nothing_behind) {
  struct served served = serve(NULL);
  for (int i = 0; i < 200; i++) {
    int fd = dial(&served);
    const char *set =
        REQUEST("1", "set", "{\"key\":\"k\",\"value\":1}") "\n" REQUEST("1", "select", "{}") "\n";
    say(fd, set, strlen(set));
    close(fd);
  }
  CHECK_STR(ask_when_admitted(&served, REQUEST("1", "count", "{}")), RESULT("1", "1"));
  CHECK_INT(served_end(&served), 0);
}

TEST(requests_at_the_end_of_the_host_are_answered_or_cut_off_whole) {
  struct served served = serve(NULL);
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
  CHECK_INT(served_end(&served), 0);
}
