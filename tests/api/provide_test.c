/* The server's own functions, as its scripts call them: answered at once, later, from another thread. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

#define CHECK_CONTAINS(text, part)                                                                           \
  do {                                                                                                       \
    if (!strstr(text, part)) FAIL("%s has no \"%s\": %s", #text, part, text);                                \
  } while (0)

struct server {
  struct moonkeep_host *host;
  const char *scripts;
  struct moonkeep_call *kept[4]; /* calls to be answered later */
  int kept_count;
  pthread_t threads[4];
  int thread_count;
  enum moonkeep_code code; /* of a store call that was tried */
  char said[1024];         /* what the scripts have sent, a line each */
  char log[4096];
  int done;
};

static void on_action(void *ctx, const char *json, size_t len) {
  struct server *server = ctx;
  static const char mark[] = "\"text\":\"";
  const char *text = strstr(json, mark);
  (void)len;
  CHECK(text);
  text += sizeof mark - 1;
  size_t used = strlen(server->said);
  snprintf(server->said + used, sizeof server->said - used, "%.*s\n", (int)strcspn(text, "\""), text);
}

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  struct server *server = ctx;
  size_t used = strlen(server->log);
  if (level > MOONKEEP_DEBUG)
    snprintf(server->log + used, sizeof server->log - used, "%s: %s\n", source, text);
}

static void echo(void *ctx, struct moonkeep_call *call, const char *args) {
  (void)ctx;
  moonkeep_return(call, args);
}

static void nothing(void *ctx, struct moonkeep_call *call, const char *args) {
  (void)ctx, (void)args;
  moonkeep_return(call, NULL);
}

static void who(void *ctx, struct moonkeep_call *call, const char *args) {
  char name[64];
  (void)ctx, (void)args;
  snprintf(name, sizeof name, "\"%s\"", moonkeep_caller(call));
  moonkeep_return(call, name);
}

static void refuse(void *ctx, struct moonkeep_call *call, const char *args) {
  (void)ctx, (void)args;
  moonkeep_raise(call, MOONKEEP_BUSY, "the door is closed");
}

static void mumble(void *ctx, struct moonkeep_call *call, const char *args) {
  (void)ctx, (void)args;
  moonkeep_return(call, "{mumble");
}

static void keep(void *ctx, struct moonkeep_call *call, const char *args) {
  struct server *server = ctx;
  (void)args;
  server->kept[server->kept_count++] = call;
}

static void store(void *ctx, struct moonkeep_call *call, const char *args) {
  struct server *server = ctx;
  (void)args;
  server->code = moonkeep_set(server->host, NULL, "seen", "1", 0, NULL, NULL);
  moonkeep_return(call, NULL);
}

static void *answer_on_thread(void *ctx) {
  moonkeep_return(ctx, "\"from a thread\"");
  return NULL;
}

static void on_thread(void *ctx, struct moonkeep_call *call, const char *args) {
  struct server *server = ctx;
  (void)args;
  pthread_create(&server->threads[server->thread_count++], NULL, answer_on_thread, call);
}

static void join(struct server *server) {
  while (server->thread_count > 0) pthread_join(server->threads[--server->thread_count], NULL);
}

static void prepare(void *ctx, struct moonkeep_host *host) {
  static const struct moonkeep_entry functions[] = {{"echo", echo},     {"nothing", nothing}, {"who", who},
                                                    {"refuse", refuse}, {"mumble", mumble},   {"keep", keep},
                                                    {"store", store},   {"thread", on_thread}};
  struct server *server = ctx;
  server->host = host;
  CHECK_INT(
      moonkeep_provide_module(host, "arena", functions, sizeof functions / sizeof *functions, ctx, NULL),
      MOONKEEP_OK);
  CHECK_INT(moonkeep_provide(host, "tools.echo", NULL, echo, ctx, NULL), MOONKEEP_OK);
}

/* A host with one script, bot.lua, which has `said` to say what came of it. */
static void open_server(struct server *server, const char *script) {
  struct moonkeep_error error;
  memset(server, 0, sizeof *server);
  server->scripts = temp_dir();
  temp_write(temp_path(server->scripts, "bot.lua"), script);
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = temp_dir(),
                                     .scripts = server->scripts,
                                     .ctx = server,
                                     .log = on_log,
                                     .action = on_action,
                                     .prepare = prepare,
                                     .backup_every_ms = -1};
  if (moonkeep_open(&server->host, &options, &error)) FAIL("%s", error.message);
}

static void close_server(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_close(server->host, &error)) FAIL("%s", error.message);
}

static void on_done(void *ctx, const char *errors) {
  struct server *server = ctx;
  CHECK_STR(errors, "[]");
  server->done++;
}

static void emit(struct server *server) {
  static const char json[] = "{\"event\":\"go\"}";
  CHECK_INT(moonkeep_emit(server->host, json, sizeof json - 1, on_done, server), MOONKEEP_OK);
}

static void tick(struct server *server) {
  struct pollfd fd = {.fd = moonkeep_fd(server->host), .events = POLLIN};
  poll(&fd, 1, moonkeep_timeout_ms(server->host));
  CHECK(moonkeep_tick(server->host, 2000));
}

static void tick_until_done(struct server *server, int done) {
  while (server->done < done) tick(server);
}

#define GO(body)                                                                                             \
  "local arena, json = require 'arena', require 'cjson'\n"                                                   \
  "local function say(v) bot.send('x', tostring(v)) end\n"                                                   \
  "bot.on('go', function() " body " end)\n"

/* Runs the body in a handler of one event. */
static void run(struct server *server, const char *script) {
  open_server(server, script);
  emit(server);
  tick_until_done(server, 1);
}

TEST(arguments_and_results_travel_exactly) {
  struct server server;
  run(&server, GO("local r = arena.echo(9007199254740993, 1.0, {}, nil, 'ü', {1, {x = true}})"
                  "say(r[1]) say(r[2]) say(json.encode(r[3])) say(r[4] == json.null) say(r[5]) say(r[6][2].x)"
                  "say(select('#', arena.nothing())) say(#arena.echo()) say(arena.who())"
                  "say(require 'tools.echo'(7)[1]) say(require 'arena' == arena)"));
  CHECK_STR(server.said, "9007199254740993\n1.0\n{}\ntrue\nü\ntrue\n0\n0\nbot\n7\ntrue\n");
  close_server(&server);
}

TEST(errors_are_objects) {
  struct server server;
  run(&server, GO("local function try(fn, ...) local ok, e = pcall(fn, ...) say(not ok and e.code and"
                  " e.code .. ': ' .. e.message or e) end "
                  "try(arena.refuse) try(arena.mumble) try(arena.echo, 1, {print}) try(arena.echo, 0/0)"));
  CHECK_CONTAINS(server.said, "busy: arena.refuse: the door is closed\n");
  CHECK_CONTAINS(server.said, "invalid_value: arena.mumble: the server's answer is no value: ");
  CHECK_CONTAINS(server.said, "invalid_value: arena.echo: argument 2[1] is a function");
  CHECK_CONTAINS(server.said, "invalid_value: arena.echo: argument 1 is ");
  close_server(&server);
}

TEST(mistakes_are_named) {
  struct server server;
  run(&server, GO("say(select(2, pcall(function() arena:echo(1) end)))"
                  "say(select(2, pcall(function() return arena.ehco end)))"
                  "say(select(2, pcall(function() arena.echo = 1 end)))"));
  CHECK_CONTAINS(server.said, "call arena.echo with a dot");
  CHECK_CONTAINS(server.said, "arena has no \\");
  CHECK_CONTAINS(server.said, "arena belongs to the host");
  close_server(&server);
}

TEST(a_task_waits_until_the_server_answers) {
  struct server server;
  open_server(&server, GO("say('asked') say(coroutine.wrap(function() return arena.keep() end)())"
                          " local ok, e = pcall(arena.keep) say(e.message)"));
  emit(&server);
  while (server.kept_count < 1) tick(&server);
  CHECK_STR(server.said, "asked\n");
  moonkeep_return(server.kept[0], "[1,2]");
  while (server.kept_count < 2) tick(&server);
  moonkeep_raise(server.kept[1], MOONKEEP_OK, "no \"more\"");
  tick_until_done(&server, 1);
  CHECK_CONTAINS(server.said, "table: ");
  CHECK_CONTAINS(server.said, "arena.keep: no \\");
  close_server(&server);
}

TEST(other_threads_answer) {
  struct server server;
  open_server(&server, GO("for i = 1, 3 do say(arena.thread()) end"));
  emit(&server);
  tick_until_done(&server, 1);
  join(&server);
  CHECK_STR(server.said, "from a thread\nfrom a thread\nfrom a thread\n");
  close_server(&server);
}

TEST(where_nothing_can_wait_a_late_answer_is_an_error) {
  struct server server;
  open_server(&server,
              "local arena = require 'arena'\n"
              "local ok, e = pcall(arena.keep)\n"
              "bot.on('go', function() bot.send('x', e.code .. e.message) bot.send('x', arena.echo(3)[1])"
              " table.sort({2, 1}, function(a, b) ok, e = pcall(arena.keep) return a < b end)"
              " bot.send('x', e.code) end)");
  CHECK_INT(server.kept_count, 1);
  emit(&server);
  tick_until_done(&server, 1);
  CHECK_CONTAINS(server.said, "invalidarena.keep: the server answers later, and here nothing can wait");
  CHECK_CONTAINS(server.said, "\n3\ninvalid\n");
  while (server.kept_count > 0) moonkeep_return(server.kept[--server.kept_count], NULL);
  tick(&server); /* takes them in, for nobody */
  close_server(&server);
}

TEST(in_an_update_function_it_makes_no_store_calls) {
  struct server server;
  run(&server, GO("say(appData:update('k', function(n) arena.store() return arena.echo(5)[1] end, 0))"));
  CHECK_INT(server.code, MOONKEEP_NESTED);
  CHECK_STR(server.said, "5\n");
  close_server(&server);
  run(&server, GO("arena.store()"));
  CHECK_INT(server.code, MOONKEEP_OK);
  close_server(&server);
}

/* The host goes with tasks that wait; their calls may still be answered, before and after. */
TEST(calls_outlive_script_and_host) {
  struct server server;
  open_server(&server, GO("bot.spawn(arena.keep) bot.spawn(arena.keep) bot.spawn(arena.keep)"));
  emit(&server);
  tick_until_done(&server, 1);
  while (server.kept_count < 3) tick(&server);
  moonkeep_return(server.kept[0], "1"); /* and nobody comes to take it in */
  close_server(&server);
  moonkeep_return(server.kept[1], "2");
  moonkeep_raise(server.kept[2], MOONKEEP_IO, "late");
}

TEST(what_is_provided_is_replaced_and_withdrawn) {
  struct server server;
  open_server(&server, GO("say(pcall(arena.who)) say(select(2, pcall(arena.who)))"));
  CHECK_INT(moonkeep_provide(server.host, "arena", "who", nothing, NULL, NULL), MOONKEEP_OK);
  emit(&server);
  tick_until_done(&server, 1);
  CHECK_INT(moonkeep_provide(server.host, "arena", "who", NULL, NULL, NULL), MOONKEEP_OK);
  emit(&server);
  tick_until_done(&server, 2);
  CHECK_STR(server.said, "true\nnil\nfalse\narena.who: the server does not offer it any more (closed)\n");
  close_server(&server);
}

static void on_any_done(void *ctx, const char *errors) {
  struct server *server = ctx;
  (void)errors;
  server->done++;
}

/* Whichever allocation fails between the call and its answer, it is answered, or raises. */
TEST(memory_runs_out_in_calls) {
  static const char json[] = "{\"event\":\"go\"}";
  struct server server;
  open_server(&server, GO("pcall(arena.echo, {1, 2}) pcall(arena.refuse) pcall(arena.thread, 'x')"));
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    server.done = 0;
    check_fail_alloc(nth);
    if (moonkeep_emit(server.host, json, sizeof json - 1, on_any_done, &server) == MOONKEEP_OK)
      tick_until_done(&server, 1);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    join(&server);
  }
  close_server(&server);
}

TEST(names_are_checked) {
  struct server server;
  struct moonkeep_error error;
  open_server(&server, "");
  static const char *const bad[] = {"", "a-b", "1a", "a..b", ".a", "a.", "a b"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK_INT(moonkeep_provide(server.host, bad[i], "f", echo, NULL, &error), MOONKEEP_INVALID);
  CHECK_INT(moonkeep_provide(server.host, "cjson", "f", echo, NULL, &error), MOONKEEP_INVALID);
  CHECK_CONTAINS(error.message, "moonkeep's own");
  CHECK_INT(moonkeep_provide(server.host, "arena", "f-g", echo, NULL, &error), MOONKEEP_INVALID);
  CHECK_INT(moonkeep_provide(server.host, "arena", NULL, echo, NULL, &error), MOONKEEP_INVALID);
  CHECK_CONTAINS(error.message, "not both");
  close_server(&server);
}

TEST(the_servers_module_goes_before_a_file) {
  struct server server;
  const char *scripts = temp_dir();
  struct moonkeep_error error;
  memset(&server, 0, sizeof server);
  temp_write(temp_path(scripts, "arena.lua"), "return {who = function() return 'the file' end}");
  temp_write(temp_path(scripts, "bot.lua"), GO("say(arena.who())"));
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = temp_dir(),
                                     .scripts = scripts,
                                     .ctx = &server,
                                     .log = on_log,
                                     .action = on_action,
                                     .prepare = prepare,
                                     .backup_every_ms = -1};
  if (moonkeep_open(&server.host, &options, &error)) FAIL("%s", error.message);
  emit(&server);
  tick_until_done(&server, 1);
  CHECK_STR(server.said, "bot\n");
  CHECK_CONTAINS(server.log, "bot: require \"arena\" gives what the server provides");
  close_server(&server);
}
