#include "helpers/served.h"

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
#include "link/logbook.h"
#include "link/ndjson.h"
#include "link/socket.h"

enum { PATIENCE_MS = 60000 };

/* ---- the host ---- */

static void log_nowhere(void *ctx, enum log_level level, const char *source, const char *text) {
  (void)ctx, (void)level, (void)source, (void)text;
}

static _Noreturn void be_host(const char *data, const char *scripts, int in_fd, int ready_fd) {
  static const volatile int never = 0;
  static struct logbook book;
  struct err err;
  struct host *host;
  struct control *control;
  struct ndjson *ndjson;
  logbook_init(&book, &(struct log){.write = log_nowhere, .level = LOG_INFO});
  struct host_options options = {
      .store = {.dir = data, .owner = "a test"}, .scripts_dir = scripts, .grace_ms = 1000, .log = &book.log};
  signal(SIGPIPE, SIG_IGN);
  if (ndjson_new(&ndjson, &book.log, &err)) _exit(1);
  options.listener = ndjson_listener(ndjson);
  if (host_open(&host, &options, &err)) goto fail;
  struct control_options with = {.host = host, .dir = data, .log = &book.log, .book = &book};
  if (!logbook_watch(&book, host_loop(host)) || control_open(&control, &with, &err)) goto fail;
  ndjson_open(ndjson, host, in_fd, open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (write(ready_fd, "!", 1) != 1) _exit(1);
  host_run(host);
  ndjson_close(ndjson);
  control_close(control);
  logbook_unwatch(&book);
  enum moonkeep_code code = host_close(host, &err);
  ndjson_finish(ndjson, 0, &never);
  logbook_deinit(&book);
  _exit(code ? 1 : 0);
fail:
  fprintf(stderr, "%s\n", err.message);
  _exit(1);
}

static void write_script(const char *folder, const char *script) {
  char path[128];
  CHECK(mkdir(folder, 0700) == 0);
  snprintf(path, sizeof path, "%s/bot.lua", folder);
  FILE *file = fopen(path, "w");
  CHECK(file != NULL);
  fputs(script, file);
  fclose(file);
}

struct served serve(const char *script) {
  struct served served = {.dir = "/tmp/moonkeep-control-XXXXXX"};
  int in[2], ready[2];
  char c, scripts[80];
  CHECK(mkdtemp(served.dir) != NULL);
  snprintf(served.data, sizeof served.data, "%s/data", served.dir);
  snprintf(scripts, sizeof scripts, "%s/bots", served.dir);
  if (script) write_script(scripts, script);
  CHECK(pipe(in) == 0 && pipe(ready) == 0);
  served.pid = fork();
  if (served.pid == 0) {
    close(in[1]);
    close(ready[0]);
    be_host(served.data, script ? scripts : NULL, in[0], ready[1]);
  }
  close(in[0]);
  close(ready[1]);
  served.input = in[1];
  fcntl(served.input, F_SETFD, FD_CLOEXEC);
  CHECK(read(ready[0], &c, 1) == 1);
  close(ready[0]);
  return served;
}

int served_wait(struct served *served) {
  int status;
  CHECK(waitpid(served->pid, &status, 0) == served->pid);
  char command[160];
  snprintf(command, sizeof command, "rm -rf '%s'", served->dir);
  CHECK(system(command) == 0);
  return status;
}

int served_end(struct served *served) {
  close(served->input);
  return served_wait(served);
}

/* ---- a client ---- */

int dial(const struct served *served) {
  int fd = socket_connect(served->data);
  CHECK(fd >= 0);
  return fd;
}

void say(int fd, const char *text, size_t len) {
  while (len > 0) {
    ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
    if (n < 0) return; /* the host has closed: what it said is what counts */
    text += n;
    len -= (size_t)n;
  }
}

/* The next line without its newline; "" at the end of the connection. Valid until the next call. */
const char *hear(int fd) {
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

const char *ask(int fd, const char *line) {
  say(fd, line, strlen(line));
  say(fd, "\n", 1);
  return hear(fd);
}

void check_begins(const char *text, const char *with) {
  if (strncmp(text, with, strlen(with)) != 0) FAIL("'%.300s' does not begin with '%s'", text, with);
}

void check_holds(const char *text, const char *part) {
  if (!strstr(text, part)) FAIL("'%.300s' does not hold '%s'", text, part);
}
