/* Events, actions and the log over the control socket. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"
#include "helpers/served.h"
#include "link/control.h"

static const char ECHO_BOT[] =
    "bot.on('say', function(e) appData:set('last', e.text); bot.send('c', e.text) end)\n"
    "bot.on('boom', function(e) error('boom') end)\n"
    "bot.on('slow', function(e) bot.sleep(1e6) end)\n"
    "bot.on('many', function(e) for i = 1, e.n do bot.act{action = 'x', text = ('x'):rep(1000)} end end)\n"
    "bot.on('log', function(e) for i = 1, e.n do print('line ' .. i) end end)\n";

#define EMIT(id, event) REQUEST(id, "emit", "{\"event\":" event "}")
#define ACTION(text)                                                                                         \
  "{\"jsonrpc\":\"2.0\",\"method\":\"action\",\"params\":{\"script\":\"bot\",\"action\":\"send\","           \
  "\"channel\":\"c\",\"text\":\"" text "\"}}"

TEST(an_event_is_answered_when_it_is_done_and_its_actions_come_first) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served), other = dial(&served);
  CHECK_STR(ask(fd, REQUEST("1", "subscribe", "{}")), RESULT("1", "true"));
  CHECK_STR(ask(fd, REQUEST("2", "subscribe", "{}")), RESULT("2", "true")); /* and each is told once */
  CHECK_STR(ask(fd, EMIT("3", "{\"event\":\"say\",\"text\":\"hi\"}")), ACTION("hi"));
  CHECK_STR(hear(fd), RESULT("3", "{\"ok\":true}"));
  CHECK_STR(ask(other, REQUEST("4", "get", "{\"key\":\"last\"}")),
            RESULT("4", "{\"found\":true,\"value\":\"hi\"}"));
  CHECK_STR(ask(other, EMIT("5", "{\"event\":\"say\",\"text\":\"ho\"}")), RESULT("5", "{\"ok\":true}"));
  CHECK_STR(hear(fd), ACTION("ho"));
  CHECK_STR(ask(fd, REQUEST("6", "unsubscribe", "{}")), RESULT("6", "true"));
  CHECK_STR(ask(fd, REQUEST("7", "unsubscribe", "{}")), RESULT("7", "false"));
  CHECK_STR(ask(fd, EMIT("8", "{\"event\":\"say\",\"text\":\"x\"}")), RESULT("8", "{\"ok\":true}"));
  close(fd);
  close(other);
  CHECK_INT(served_end(&served), 0);
}

TEST(an_event_that_fails_says_why) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served);
  CHECK_STR(ask(fd, EMIT("1", "{\"event\":\"boom\"}")),
            RESULT("1", "{\"ok\":false,\"errors\":[{\"script\":\"bot\",\"message\":\"bot.lua:2: boom\"}]}"));
  CHECK_STR(ask(fd, EMIT("2", "{\"event\":\"nobody hears\"}")), RESULT("2", "{\"ok\":true}"));
  check_holds(ask(fd, EMIT("3", "{\"text\":1}")), "\"code\":-32602,");
  check_holds(ask(fd, EMIT("4", "5")), "\"code\":-32602,");
  check_holds(ask(fd, REQUEST("5", "emit", "{}")), "emit needs \\\"event\\\"");
  check_holds(ask(fd, REQUEST("6", "emit", "{\"event\":{\"event\":\"x\"},\"wait\":1}")), "true or false");
  CHECK_STR(ask(fd, REQUEST("7", "emit", "{\"event\":{\"event\":\"slow\"},\"wait\":false}")),
            RESULT("7", "{\"queued\":true}"));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

TEST(an_event_under_way_when_the_host_ends_is_answered) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served), waiting = dial(&served), gone = dial(&served);
  say(gone, EMIT("1", "{\"event\":\"slow\"}") "\n", strlen(EMIT("1", "{\"event\":\"slow\"}")) + 1);
  say(waiting, EMIT("1", "{\"event\":\"slow\"}") "\n", strlen(EMIT("1", "{\"event\":\"slow\"}")) + 1);
  CHECK_STR(ask(waiting, REQUEST("2", "count", "{}")), RESULT("2", "0"));
  close(gone);
  check_holds(ask(fd, REQUEST("3", "stop", "{}")), "\"result\":{\"pid\":");
  check_holds(hear(waiting), "{\"jsonrpc\":\"2.0\",\"id\":1,");
  CHECK_STR(hear(waiting), "");
  close(fd);
  close(waiting);
  CHECK_INT(served_wait(&served), 0);
  close(served.input);
}

TEST(without_scripts_there_are_no_events_but_the_rest) {
  struct served served = serve(NULL);
  int fd = dial(&served);
  check_holds(ask(fd, EMIT("1", "{\"event\":\"say\"}")), "the host takes no events now");
  CHECK_STR(ask(fd, REQUEST("2", "subscribe", "{}")), RESULT("2", "true"));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

/* ---- those who flood and do not read ---- */

TEST(a_flood_of_events_nobody_waits_for_is_read_as_fast_as_they_are_handled) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served), other = dial(&served);
  enum { EVENTS = 20000 };
  struct buf lines = {0};
  for (int i = 0; i < EVENTS; i++)
    buf_printf(&lines,
               "{\"jsonrpc\":\"2.0\",\"method\":\"emit\",\"params\":{\"event\":{\"event\":\"say\",\"text\":"
               "\"%d\"}}}\n",
               i);
  say(fd, lines.data, lines.len);
  buf_deinit(&lines);
  check_begins(ask(other, REQUEST("1", "get", "{\"key\":\"last\"}")), "{\"jsonrpc\":\"2.0\",\"id\":1,");
  CHECK_STR(ask(fd, EMIT("2", "{\"event\":\"say\",\"text\":\"end\"}")), RESULT("2", "{\"ok\":true}"));
  CHECK_STR(ask(fd, REQUEST("3", "get", "{\"key\":\"last\"}")),
            RESULT("3", "{\"found\":true,\"value\":\"end\"}"));
  close(fd);
  close(other);
  CHECK_INT(served_end(&served), 0);
}

/* Twenty megabytes of actions to somebody who reads none of them: he is let go, the others hear all. */
TEST(a_listener_that_never_reads_is_let_go) {
  struct served served = serve(ECHO_BOT);
  int deaf = dial(&served), fd = dial(&served);
  CHECK_STR(ask(deaf, REQUEST("1", "subscribe", "{}")), RESULT("1", "true"));
  for (int i = 0; i < 20; i++)
    CHECK_STR(ask(fd, EMIT("2", "{\"event\":\"many\",\"n\":1000}")), RESULT("2", "{\"ok\":true}"));
  CHECK_STR(ask(fd, REQUEST("3", "count", "{}")), RESULT("3", "0"));
  int lines = 0;
  while (*hear(deaf)) lines++; /* what was on its way; then the end */
  CHECK(lines < 20000);
  check_holds(ask(fd, REQUEST("4", "logs", "{}")), "does not keep up");
  close(fd);
  close(deaf);
  CHECK_INT(served_end(&served), 0);
}

TEST(listeners_that_come_and_go_leave_nothing_behind) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served);
  const char *both = REQUEST("1", "subscribe", "{}") "\n" REQUEST("2", "logs", "{\"follow\":true}") "\n";
  for (int i = 0; i < 200; i++) {
    int listener = dial(&served);
    say(listener, both, strlen(both));
    if (i % 2) hear(listener);
    close(listener);
    ask(fd, EMIT("1", "{\"event\":\"many\",\"n\":1}"));
  }
  CHECK_STR(ask(fd, REQUEST("2", "count", "{}")), RESULT("2", "0"));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

/* ---- the status ---- */

TEST(the_status_counts_what_happens) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served);
  for (int i = 0; i < 10; i++) ask(fd, EMIT("1", "{\"event\":\"say\",\"text\":\"x\"}"));
  ask(fd, EMIT("2", "{\"event\":\"boom\"}"));
  for (int i = 0; i < 1000 && !strstr(ask(fd, REQUEST("3", "status", "{}")), "\"keys\":{\"appData\":1}"); i++)
    usleep(10000);
  const char *status = ask(fd, REQUEST("4", "status", "{}"));
  check_holds(status, "\"state\":\"running\"");
  check_holds(status, "\"events_done\":11,\"events_failed\":1");
  check_holds(status, "\"keys\":{\"appData\":1}");
  check_holds(status, "\"changes\":10");
  check_holds(status, "\"groups\":10");
  check_holds(status, "\"name\":\"bot\",\"file\":\"bot.lua\",\"version\":1");
  check_holds(ask(fd, REQUEST("5", "metrics", "{}")), "moonkeep_events_total 11\\n");
  close(fd);
  CHECK_INT(served_end(&served), 0);
}

/* ---- the log ---- */

TEST(the_log_is_remembered_and_told_on) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served), follower = dial(&served);
  check_begins(ask(follower, REQUEST("1", "logs", "{\"follow\":true,\"lines\":1}")),
               "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[");
  CHECK_STR(ask(fd, EMIT("2", "{\"event\":\"log\",\"n\":3}")), RESULT("2", "{\"ok\":true}"));
  for (int i = 1; i <= 3; i++) {
    char text[64];
    const char *line = hear(follower);
    snprintf(text, sizeof text, "\"level\":\"info\",\"source\":\"bot\",\"text\":\"line %d\"}}", i);
    check_begins(line, "{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"time\":");
    check_holds(line, text);
  }
  const char *last = ask(fd, REQUEST("3", "logs", "{\"lines\":1}"));
  check_holds(last, "line 3");
  CHECK(!strstr(last, "line 2"));
  check_holds(ask(fd, REQUEST("4", "logs", "{\"lines\":0}")), "\"code\":-32602,");
  close(fd);
  close(follower);
  CHECK_INT(served_end(&served), 0);
}

TEST(of_more_lines_than_it_keeps_the_last_are_there) {
  struct served served = serve(ECHO_BOT);
  int fd = dial(&served);
  CHECK_STR(ask(fd, EMIT("1", "{\"event\":\"log\",\"n\":5000}")), RESULT("1", "{\"ok\":true}"));
  const char *all = ask(fd, REQUEST("2", "logs", "{\"lines\":100000}"));
  check_holds(all, "line 5000\"");
  check_holds(all, "line 4500\"");
  CHECK(!strstr(all, "line 3000\""));
  close(fd);
  CHECK_INT(served_end(&served), 0);
}
