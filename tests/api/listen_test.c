/* A host in a program that listens: commands, clients, metrics, all of it in the program's ticks. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

enum { TEXT_BYTES = 64 << 10 };

struct server {
  struct moonkeep_host *host;
  const char *data, *scripts;
  int64_t budget_us;
  long ticks;
  unsigned port, metrics_port;
};

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  struct server *server = ctx;
  (void)level, (void)source;
  sscanf(text, "listening on port %u of", &server->port);
  sscanf(text, "http://127.0.0.1:%u/metrics", &server->metrics_port);
}

static void make_folders(struct server *server, const char *script) {
  *server = (struct server){.data = temp_dir(), .scripts = script ? temp_dir() : NULL, .budget_us = 2000};
  if (script) temp_write(temp_path(server->scripts, "xp.lua"), script);
}

static void open_in_folders(struct server *server) {
  struct moonkeep_error error;
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = server->data,
                                     .scripts = server->scripts,
                                     .backup_every_ms = 3600 * 1000,
                                     .ctx = server,
                                     .log = on_log};
  if (moonkeep_open(&server->host, &options, &error)) FAIL("%s", error.message);
}

static void open_server(struct server *server, const char *script) {
  make_folders(server, script);
  open_in_folders(server);
}

static void listen_with(struct server *server, struct moonkeep_listen options) {
  struct moonkeep_error error;
  options.size = sizeof options;
  if (moonkeep_listen(server->host, &options, &error)) FAIL("%s", error.message);
}

static void open_listening(struct server *server, const char *script) {
  open_server(server, script);
  listen_with(server, (struct moonkeep_listen){0});
}

static void close_server(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_close(server->host, &error)) FAIL("%s", error.message);
}

/* One turn of the program's loop. False: the host has ended. */
static bool tick(struct server *server) {
  struct pollfd fd = {.fd = moonkeep_fd(server->host), .events = POLLIN};
  int timeout_ms = moonkeep_timeout_ms(server->host);
  poll(&fd, 1, timeout_ms < 0 || timeout_ms > 10 ? 10 : timeout_ms);
  server->ticks++;
  return moonkeep_tick(server->host, server->budget_us) != 0;
}

/* ---- commands ---- */

static const char *program(void) {
  static char path[512];
  const char *given = getenv("MOONKEEP");
  if (given) return given;
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
  CHECK(n > 0);
  path[n] = '\0';
  for (int i = 0; i < 3; i++) *strrchr(path, '/') = '\0';
  return strcat(path, "/moonkeep");
}

struct command {
  pid_t pid;
  const char *out;
};

static struct command begin_command(const struct server *server, const char *words) {
  static unsigned count;
  char line[1024], name[32];
  snprintf(name, sizeof name, "out%u", count++);
  struct command command = {.out = strdup(temp_path(server->data, name))};
  snprintf(line, sizeof line, "cd '%s' && exec '%s' %s --data '%s' >'%s' 2>&1", server->data, program(),
           words, server->data, command.out);
  command.pid = fork();
  if (command.pid == 0) {
    signal(SIGPIPE, SIG_DFL);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
  }
  return command;
}

static const char *output_of(struct command *command) {
  static char text[TEXT_BYTES];
  size_t len;
  char *bytes = temp_read(command->out, &len);
  CHECK(bytes && len < sizeof text);
  memcpy(text, bytes, len);
  text[len] = '\0';
  free(bytes);
  free((char *)(uintptr_t)command->out);
  return text;
}

/* What the command prints while the server ticks; it has to go well. */
static const char *command(struct server *server, const char *words) {
  struct command it = begin_command(server, words);
  int status;
  while (waitpid(it.pid, &status, WNOHANG) == 0) CHECK(tick(server));
  const char *text = output_of(&it);
  if (status != 0) FAIL("%s: status %d: %s", words, status, text);
  return text;
}

static void holds(const char *text, const char *part) {
  if (!strstr(text, part)) FAIL("\"%s\" is not in \"%.2000s\"", part, text);
}

static const char counts[] = "bot.on('hit', function(event)\n"
                             "  local n = appData:update('hits', function(n) return n + 1 end, 0)\n"
                             "  bot.act {action = 'told', hits = n}\n"
                             "end)\n"
                             "bot.on('sleep', function() bot.sleep(3600) end)\n";

TEST(commands_reach_a_host_in_a_program) {
  struct server server;
  char part[128];
  open_listening(&server, counts);
  snprintf(part, sizeof part, "\"pid\":%d,\"state\":\"running\"", (int)getpid());
  holds(command(&server, "status --json"), part);
  CHECK_STR(command(&server, "set gold 7"), "");
  CHECK_STR(command(&server, "get gold"), "7\n");
  CHECK_STR(command(&server, "update gold 'function(n) return n + 1 end'"), "8\n");
  holds(command(&server, "reload xp"), "reloaded");
  holds(command(&server, "logs"), "xp");
  holds(command(&server, "metrics"), "moonkeep_script_up");
  const char *name = strdup(command(&server, "backup"));
  holds(name, "appdata-");
  snprintf(part, sizeof part, "\"name\":\"%.*s\"", (int)strcspn(name, "\n"), name);
  holds(command(&server, "backups --json"), part);
  free((char *)(uintptr_t)name);
  temp_write(temp_path(server.data, "typed"), "appData:get('gold') + 1\n");
  holds(command(&server, "console <typed"), "9");
  close_server(&server);
}

TEST(a_command_that_stops_waits_until_the_program_has_closed) {
  struct server server;
  int status;
  open_listening(&server, counts);
  struct command it = begin_command(&server, "stop");
  while (tick(&server)) CHECK(waitpid(it.pid, &status, WNOHANG) == 0);
  CHECK_INT(waitpid(it.pid, &status, WNOHANG), 0); /* we are the process that it must not wait for */
  close_server(&server);
  CHECK_INT(waitpid(it.pid, &status, 0), it.pid);
  CHECK_STR(output_of(&it), "");
  CHECK_INT(status, 0);
}

TEST(a_program_without_a_loop_is_reached_too) {
  struct server server;
  int status;
  open_listening(&server, counts);
  struct command stop = begin_command(&server, "stop");
  alarm(600); /* it would go on for ever if the command failed */
  moonkeep_run(server.host);
  alarm(0);
  close_server(&server);
  CHECK_INT(waitpid(stop.pid, &status, 0), stop.pid);
  CHECK_INT(status, 0);
  CHECK_STR(output_of(&stop), "");
}

/* ---- clients ---- */

static int dial(const char *data) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  snprintf(at.sun_path, sizeof at.sun_path, "%s/control.sock", data);
  if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static int dial_port(unsigned port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
  return fd;
}

static void say(int fd, const char *text) {
  CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (long long)strlen(text));
}

/* So many lines at least, or all until the end of the connection (0), while the server ticks. */
static const char *hear(struct server *server, int fd, int lines) {
  static _Thread_local char text[TEXT_BYTES];
  size_t len = 0;
  int left = lines;
  while (lines == 0 || left > 0) {
    ssize_t n = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
      tick(server);
      continue;
    }
    if (n <= 0) break;
    for (const char *at = text + len; at < text + len + n; at++) left -= *at == '\n';
    len += (size_t)n;
  }
  text[len] = '\0';
  return text;
}

#define COUNT   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"count\"}\n"
#define COUNTED "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":0}\n"

TEST(events_go_in_and_actions_come_out) {
  struct server server;
  open_listening(&server, counts);
  int fd = dial(server.data);
  say(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n"
          "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"emit\",\"params\":{\"event\":{\"event\":\"hit\"}}}\n");
  const char *heard = hear(&server, fd, 3);
  holds(heard, "{\"jsonrpc\":\"2.0\",\"method\":\"action\",\"params\":{");
  holds(heard, "\"hits\":1");
  holds(heard, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"ok\":true}}\n");
  close(fd);
  close_server(&server);
}

static volatile sig_atomic_t broken_pipes;

static void on_broken_pipe(int number) {
  (void)number;
  broken_pipes++;
}

/* The program has not switched SIGPIPE off, and need not. */
TEST(a_client_that_has_gone_raises_no_signal) {
  struct server server;
  struct sigaction action = {.sa_handler = on_broken_pipe}, old;
  sigaction(SIGPIPE, &action, &old);
  open_listening(&server, counts);
  for (int i = 0; i < 20; i++) {
    int fd = dial(server.data);
    for (int j = 0; j < 20; j++) say(fd, COUNT);
    if (i % 2) tick(&server);
    close(fd);
  }
  int fd = dial(server.data);
  say(fd, COUNT);
  CHECK_STR(hear(&server, fd, 1), COUNTED);
  close(fd);
  close_server(&server);
  sigaction(SIGPIPE, &old, NULL);
  CHECK_INT(broken_pipes, 0);
}

/* Of a thread of this process: whether it blocks the signal. */
static bool blocks(const char *thread, int number) {
  char path[300], line[256];
  unsigned long long mask = 0;
  snprintf(path, sizeof path, "/proc/self/task/%.200s/status", thread);
  FILE *file = fopen(path, "r");
  if (!file) return true; /* it has ended meanwhile */
  while (fgets(line, sizeof line, file)) sscanf(line, "SigBlk: %llx", &mask);
  fclose(file);
  return mask >> (number - 1) & 1;
}

/* They come to the program's own threads, which may be made for them. */
TEST(no_thread_of_the_library_takes_a_signal) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE};
  struct server server;
  open_server(&server, counts);
  listen_with(&server, (struct moonkeep_listen){.metrics = "127.0.0.1:0"});
  command(&server, "backups"); /* for which libuv has threads */
  DIR *dir = opendir("/proc/self/task");
  int threads = 0;
  for (struct dirent *at; (at = readdir(dir));) {
    long id = strtol(at->d_name, NULL, 10);
    if (id == 0) continue;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
      if (blocks(at->d_name, numbers[i]) != (id != getpid())) FAIL("thread %ld, signal %d", id, numbers[i]);
    threads++;
  }
  closedir(dir);
  CHECK(threads > 6);
  close_server(&server);
}

/* A tick that has no time for more answers one of them. */
TEST(requests_wait_for_the_next_tick_where_the_budget_is_used_up) {
  enum { REQUESTS = 100 };
  struct server server;
  open_listening(&server, NULL);
  server.budget_us = 1;
  int fds[2] = {dial(server.data), dial(server.data)};
  for (int i = 0; i < REQUESTS; i++) {
    say(fds[0], COUNT);
    say(fds[1], COUNT);
  }
  CHECK_INT(strlen(hear(&server, fds[0], REQUESTS)), REQUESTS * (sizeof COUNTED - 1));
  CHECK_INT(strlen(hear(&server, fds[1], REQUESTS)), REQUESTS * (sizeof COUNTED - 1));
  if (server.ticks < REQUESTS) FAIL("%ld ticks were enough", server.ticks);
  close(fds[0]);
  close(fds[1]);
  close_server(&server);
}

TEST(a_client_that_reads_nothing_keeps_nobody_waiting) {
  struct server server;
  open_listening(&server, NULL);
  int deaf = dial(server.data), fd = dial(server.data);
  fcntl(deaf, F_SETFL, O_NONBLOCK);
  for (int i = 0; i < 20000; i++)
    if (send(deaf, COUNT, sizeof COUNT - 1, MSG_NOSIGNAL) < 0) tick(&server);
  say(fd, COUNT);
  CHECK_STR(hear(&server, fd, 1), COUNTED);
  close(deaf);
  close(fd);
  close_server(&server);
}

/* Who comes when there are no descriptors is let go, and later ones are served. */
TEST(a_lack_of_descriptors_costs_those_who_come_meanwhile) {
  struct server server;
  struct rlimit old, low;
  open_listening(&server, NULL);
  for (int i = 0; i < 3; i++) tick(&server);
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  snprintf(at.sun_path, sizeof at.sun_path, "%s/control.sock", server.data);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), next = open("/", O_PATH | O_CLOEXEC);
  close(next);
  CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
  low = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = old.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
  const char *heard = hear(&server, fd, 0);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_STR(heard, "");
  close(fd);
  fd = dial(server.data);
  say(fd, COUNT);
  CHECK_STR(hear(&server, fd, 1), COUNTED);
  close(fd);
  close_server(&server);
}

/* ---- opening and closing ---- */

static bool has_socket(const struct server *server) {
  return access(temp_path(server->data, "control.sock"), F_OK) == 0;
}

TEST(the_socket_comes_and_goes_with_the_host_and_what_was_asked_is_answered) {
  struct server server;
  struct stat st;
  open_server(&server, counts);
  CHECK(!has_socket(&server));
  listen_with(&server, (struct moonkeep_listen){0});
  CHECK(stat(temp_path(server.data, "control.sock"), &st) == 0);
  CHECK_INT(st.st_mode & 0777, 0600);
  int fd = dial(server.data);
  say(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"set\",\"params\":{\"key\":\"a\",\"value\":1}}\n"
          "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"emit\",\"params\":{\"event\":{\"event\":\"sleep\"}}}\n"
          "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"backups\"}\n");
  hear(&server, fd, 1);
  close_server(&server);
  CHECK(!has_socket(&server));
  struct server none = {0};
  const char *heard = hear(&none, fd, 0);
  holds(heard, "\"id\":2,\"error\"");
  holds(heard, "the host ended before");
  close(fd);
  CHECK(dial(server.data) < 0);
  struct moonkeep_options options = {.size = sizeof options, .data = server.data, .backup_every_ms = -1};
  CHECK_INT(moonkeep_open(&server.host, &options, NULL), MOONKEEP_OK);
  CHECK_INT(moonkeep_listen(server.host, NULL, NULL), MOONKEEP_OK);
  CHECK_STR(command(&server, "get a"), "1\n");
  close_server(&server);
}

/* A Unix socket's path has 107 bytes; a data folder's may have more. */
TEST(a_long_path_is_none_too_long) {
  struct server server = {.scripts = NULL, .budget_us = 2000};
  char path[300], *end;
  snprintf(path, sizeof path, "%s/", temp_dir());
  end = path + strlen(path);
  memset(end, 'd', 150);
  end[150] = '\0';
  struct moonkeep_options options = {.size = sizeof options, .data = path, .backup_every_ms = -1};
  CHECK_INT(moonkeep_open(&server.host, &options, NULL), MOONKEEP_OK);
  CHECK_INT(moonkeep_listen(server.host, NULL, NULL), MOONKEEP_OK);
  server.data = path;
  CHECK_STR(command(&server, "count"), "0\n");
  close_server(&server);
}

/* Nothing is open then, and the host is as it was. */
static void is_refused(struct server *server, const struct moonkeep_listen *options, enum moonkeep_code code,
                       const char *why) {
  struct moonkeep_error error = {0};
  CHECK_INT(moonkeep_listen(server->host, options, &error), code);
  CHECK_INT(error.code, code);
  holds(error.message, why);
}

static void is_refused_whole(struct server *server, struct moonkeep_listen options, enum moonkeep_code code,
                             const char *why) {
  options.size = sizeof options;
  is_refused(server, &options, code, why);
  CHECK(!has_socket(server));
}

TEST(what_cannot_be_opened_is_said_and_leaves_nothing) {
  struct server server;
  char taken[32];
  open_server(&server, NULL);
  const char *token = strdup(temp_path(server.data, "token")),
             *open_token = strdup(temp_path(server.data, "open"));
  temp_write(token, "short\n");
  chmod(token, 0600);
  temp_write(open_token, "0123456789abcdef\n");
  chmod(open_token, 0644);
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(other, (struct sockaddr *)&at, sizeof at) == 0 && listen(other, 1) == 0);
  CHECK(getsockname(other, (struct sockaddr *)&at, &len) == 0);
  snprintf(taken, sizeof taken, "127.0.0.1:%u", ntohs(at.sin_port));

  is_refused(&server, &(struct moonkeep_listen){0}, MOONKEEP_INVALID, "sizeof(struct moonkeep_listen)");
  is_refused_whole(&server, (struct moonkeep_listen){.metrics = "here"}, MOONKEEP_INVALID,
                   "\"here\" is no HOST:PORT");
  is_refused_whole(&server, (struct moonkeep_listen){.metrics = taken}, MOONKEEP_IO,
                   "Address already in use");
  is_refused_whole(&server, (struct moonkeep_listen){.address = "127.0.0.1:0"}, MOONKEEP_INVALID,
                   "options.token_file");
  is_refused_whole(&server, (struct moonkeep_listen){.address = "127.0.0.1:0", .token_file = "/none"},
                   MOONKEEP_INVALID, "cannot read /none");
  is_refused_whole(&server, (struct moonkeep_listen){.address = "127.0.0.1:0", .token_file = token},
                   MOONKEEP_INVALID, "5 characters");
  is_refused_whole(&server, (struct moonkeep_listen){.address = "127.0.0.1:0", .token_file = open_token},
                   MOONKEEP_INVALID, "chmod 600");
  chmod(open_token, 0600);
  is_refused_whole(&server, (struct moonkeep_listen){.address = "0.0.0.0:0", .token_file = open_token},
                   MOONKEEP_INVALID, "not of this machine alone");
  is_refused_whole(&server, (struct moonkeep_listen){.address = taken, .token_file = open_token}, MOONKEEP_IO,
                   "Address already in use");
  close(other);

  mkdir(temp_path(server.data, "control.sock"), 0700);
  is_refused(&server, NULL, MOONKEEP_INVALID, "control.sock is not a socket: move it away");
  rmdir(temp_path(server.data, "control.sock"));
  listen_with(&server, (struct moonkeep_listen){0});
  is_refused(&server, NULL, MOONKEEP_INVALID, "listens already");
  CHECK_STR(command(&server, "count"), "0\n");
  close_server(&server);
  free((char *)(uintptr_t)token);
  free((char *)(uintptr_t)open_token);
}

static void listen_too_early(void *ctx, struct moonkeep_host *host) {
  struct moonkeep_error *error = ctx;
  CHECK_INT(moonkeep_listen(host, NULL, error), MOONKEEP_INVALID);
}

TEST(a_host_that_is_not_open_yet_does_not_listen) {
  struct server server = {.data = temp_dir()};
  struct moonkeep_error error;
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = server.data,
                                     .backup_every_ms = -1,
                                     .ctx = &error,
                                     .prepare = listen_too_early};
  CHECK_INT(moonkeep_open(&server.host, &options, NULL), MOONKEEP_OK);
  holds(error.message, "when moonkeep_open has returned");
  close_server(&server);
}

TEST(a_lack_of_memory_leaves_nothing_open) {
  struct server server;
  struct moonkeep_error error;
  open_server(&server, NULL);
  for (long nth = 1;; nth++) {
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_listen(
        server.host, &(struct moonkeep_listen){.size = sizeof(struct moonkeep_listen)}, &error);
    bool failed = check_alloc_failed();
    check_fail_alloc(0);
    if (!failed) {
      CHECK_INT(code, MOONKEEP_OK);
      break;
    }
    CHECK_INT(code, MOONKEEP_MEMORY);
    CHECK(!has_socket(&server));
  }
  CHECK_STR(command(&server, "count"), "0\n");
  close_server(&server);
}

/* ---- TCP, and HTTP ---- */

TEST(who_comes_over_tcp_says_the_token) {
  struct server server;
  open_server(&server, NULL);
  const char *token = temp_path(server.data, "token");
  temp_write(token, "0123456789abcdef\n");
  chmod(token, 0600);
  listen_with(&server, (struct moonkeep_listen){.address = "127.0.0.1:0", .token_file = token});
  CHECK(server.port > 0);
  int fd = dial_port(server.port);
  say(fd, COUNT);
  holds(hear(&server, fd, 0), "say the token first");
  close(fd);
  fd = dial_port(server.port);
  say(fd, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"auth\",\"params\":{\"token\":\"0123456789abcdef\"}}"
          "\n" COUNT);
  CHECK_STR(hear(&server, fd, 2), "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":true}\n" COUNTED);
  close(fd);
  close_server(&server);
}

static const char *get(struct server *server, const char *path) {
  char request[128];
  int fd = dial_port(server->metrics_port);
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
  say(fd, request);
  const char *text = hear(server, fd, 0);
  close(fd);
  return text;
}

TEST(metrics_are_served_and_follow_the_ticks) {
  struct server server;
  open_server(&server, counts);
  listen_with(&server, (struct moonkeep_listen){.metrics = "127.0.0.1:0"});
  CHECK(server.metrics_port > 0);
  holds(get(&server, "/healthz"), "200 OK");
  holds(get(&server, "/metrics"), "moonkeep_script_up");
  CHECK_STR(command(&server, "set gold 7"), "");
  while (!strstr(get(&server, "/metrics"), "moonkeep_store_changes_total 1\n")) {}
  close_server(&server);
}

/* ---- several hosts ---- */

static void *play(void *ctx) {
  struct server *server = ctx;
  open_in_folders(server);
  listen_with(server, (struct moonkeep_listen){0});
  for (int i = 1; i <= 3; i++) {
    int fd = dial(server->data);
    say(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"emit\",\"params\":{\"event\":{\"event\":\"hit\"}}}\n"
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"backups\"}\n"
            "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"metrics\"}\n");
    hear(server, fd, 3);
    say(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get\",\"params\":{\"key\":\"hits\"}}\n");
    char want[128];
    snprintf(want, sizeof want, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"found\":true,\"value\":%d}}\n",
             i);
    CHECK_STR(hear(server, fd, 1), want);
    close(fd);
  }
  close_server(server);
  return NULL;
}

TEST(hosts_of_one_process_have_a_socket_each) {
  static struct server servers[2];
  pthread_t other;
  make_folders(&servers[0], counts);
  make_folders(&servers[1], counts);
  CHECK(pthread_create(&other, NULL, play, &servers[0]) == 0);
  play(&servers[1]);
  pthread_join(other, NULL);
}
