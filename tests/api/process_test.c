/* What a host leaves alone of the process around it: signals, output; several of them in one process. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

enum { SIGNALS = 65 };

struct server { /* a host and what it has said */
  struct moonkeep_host *host;
  const char *scripts, *data;
  char *log, *errors;
  int done;
  bool stopped;
  char count[16];
};

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  struct server *server = ctx;
  (void)source;
  if (level < MOONKEEP_ERROR || server->log) return;
  server->log = strdup(text);
}

static void on_done(void *ctx, const char *errors) {
  struct server *server = ctx;
  server->done++;
  free(server->errors);
  server->errors = strdup(errors);
}

/* Its folders. */
static void prepare(struct server *server, const char *script) {
  memset(server, 0, sizeof *server);
  server->scripts = temp_dir();
  server->data = temp_dir();
  temp_write(temp_path(server->scripts, "bot.lua"), script);
}

static enum moonkeep_code try_open(struct server *server, int budget_signal, struct moonkeep_error *error) {
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = server->data,
                                     .scripts = server->scripts,
                                     .ctx = server,
                                     .cpu_budget_ms = 40,
                                     .budget_signal = budget_signal,
                                     .log = on_log,
                                     .backup_every_ms = -1};
  return moonkeep_open(&server->host, &options, error);
}

static void open_server(struct server *server, int budget_signal, const char *script) {
  struct moonkeep_error error;
  prepare(server, script);
  if (try_open(server, budget_signal, &error)) FAIL("%s", error.message);
}

static void emit(struct server *server, const char *json) {
  int done = server->done;
  if (moonkeep_emit(server->host, json, strlen(json), on_done, server)) FAIL("an event is refused");
  while (server->done == done) moonkeep_tick(server->host, 1000);
}

static void close_server(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_close(server->host, &error)) FAIL("%s", error.message);
  free(server->log);
  free(server->errors);
}

static bool is_stopped(const struct server *server) {
  return strstr(server->errors, "stopped: it has computed for over 0.04 s") && server->log;
}

/* ---- signals ---- */

struct signals {
  struct sigaction actions[SIGNALS];
  sigset_t mask;
};

static void read_signals(struct signals *signals) {
  memset(signals, 0, sizeof *signals);
  for (int number = 1; number < SIGNALS; number++) sigaction(number, NULL, &signals->actions[number]);
  pthread_sigmask(SIG_SETMASK, NULL, &signals->mask);
}

static int count_changes(const struct signals *before) {
  struct signals now;
  int changes = 0;
  read_signals(&now);
  for (int number = 1; number < SIGNALS; number++)
    changes += now.actions[number].sa_handler != before->actions[number].sa_handler ||
               sigismember(&now.mask, number) != sigismember(&before->mask, number);
  return changes;
}

static const char loops[] =
    "bot.on('loop', function() while true do end end)\n"
    "bot.on('calls', function() while true do ('x'):rep(10):find('(x*)y') end end)\n"
    "bot.on('wraps', function() while true do coroutine.wrap(function() end)() end end)\n"
    "bot.on('count', function() appData:update('n', function(n) return n + 1 end, 0) end)";

TEST(no_signal_is_touched_and_what_loops_is_stopped) {
  struct signals before;
  struct server server;
  read_signals(&before);
  open_server(&server, 0, loops);
  CHECK_INT(count_changes(&before), 0);
  static const char *const events[] = {"{\"event\":\"loop\"}", "{\"event\":\"calls\"}",
                                       "{\"event\":\"wraps\"}"};
  for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
    emit(&server, events[i]);
    if (!is_stopped(&server)) FAIL("%s is not stopped: %s", events[i], server.errors);
  }
  emit(&server, "{\"event\":\"count\"}");
  CHECK_STR(server.errors, "[]");
  CHECK_INT(count_changes(&before), 0);
  close_server(&server);
  CHECK_INT(count_changes(&before), 0);
}

TEST(a_signal_that_is_given_is_given_back) {
  struct signals before;
  struct server server, other;
  int number = SIGRTMIN + 3;
  read_signals(&before);
  open_server(&server, number, loops);
  open_server(&other, MOONKEEP_ANY_SIGNAL, loops);
#ifndef __SANITIZE_THREAD__
  CHECK_INT(count_changes(&before), 2);
#endif
  emit(&server, "{\"event\":\"loop\"}");
  CHECK(is_stopped(&server));
  emit(&other, "{\"event\":\"loop\"}");
  CHECK(is_stopped(&other));
  close_server(&server);
  close_server(&other);
  CHECK_INT(count_changes(&before), 0);
}

/* ---- several hosts ---- */

/* The whole life of one, on its own thread, where no check may fail. */
static void *run_host(void *ctx) {
  struct server *server = ctx;
  struct moonkeep_error error;
  struct moonkeep_result result;
  if (try_open(server, 0, &error)) return NULL;
  emit(server, "{\"event\":\"loop\"}");
  server->stopped = is_stopped(server);
  for (int i = 0; i < 20; i++) emit(server, "{\"event\":\"count\"}");
  if (moonkeep_get_wait(server->host, NULL, "n", &result) == MOONKEEP_OK && result.json)
    snprintf(server->count, sizeof server->count, "%s", result.json);
  moonkeep_result_free(&result);
  moonkeep_close(server->host, &error);
  return NULL;
}

TEST(hosts_run_on_threads_of_their_own) {
  enum { HOSTS = 3 };
  struct server servers[HOSTS];
  pthread_t threads[HOSTS];
  for (int i = 0; i < HOSTS; i++) prepare(&servers[i], loops);
  for (int i = 0; i < HOSTS; i++) pthread_create(&threads[i], NULL, run_host, &servers[i]);
  for (int i = 0; i < HOSTS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < HOSTS; i++) {
    CHECK(servers[i].stopped);
    CHECK_STR(servers[i].count, "20");
    free(servers[i].log);
    free(servers[i].errors);
  }
}

/* ---- output ---- */

/* Scripts print, fail and do not compile; without a log none of it goes anywhere. */
TEST(it_writes_nothing_of_its_own) {
  struct moonkeep_error error;
  struct moonkeep_host *host;
  const char *scripts = temp_dir();
  temp_write(temp_path(scripts, "bot.lua"), "print 'hello' bot.on('go', function() error 'no' end)");
  temp_write(temp_path(scripts, "broken.lua"), "not Lua");
  const char *path = temp_path(temp_dir(), "output");
  fflush(NULL);
  FILE *output = fopen(path, "w");
  int out = dup(1), err = dup(2);
  dup2(fileno(output), 1);
  dup2(fileno(output), 2);
  struct moonkeep_options options = {.size = sizeof options, .data = temp_dir(), .scripts = scripts};
  enum moonkeep_code code = moonkeep_open(&host, &options, &error);
  struct server server = {.host = host};
  if (!code) emit(&server, "{\"event\":\"go\"}");
  if (!code) code = moonkeep_close(host, &error);
  fflush(NULL);
  dup2(out, 1);
  dup2(err, 2);
  close(out);
  close(err);
  struct stat stat;
  CHECK_INT(code, MOONKEEP_OK);
  CHECK(fstat(fileno(output), &stat) == 0);
  CHECK_INT(stat.st_size, 0);
  fclose(output);
  free(server.errors);
}
