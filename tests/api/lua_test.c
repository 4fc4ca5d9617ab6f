/* The program's own Lua: attached states and their tasks. */
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

struct server {
  struct moonkeep_host *host;
  lua_State *L;
  char failed[1024];
  int answers;
};

static void on_failed(void *ctx, const struct moonkeep_failure *failure) {
  struct server *server = ctx;
  snprintf(server->failed, sizeof server->failed, "%s: %s: %s", failure->script, failure->what,
           failure->message);
}

static void open_host(struct server *server, const char *dir, int refuse_blocking) {
  struct moonkeep_error error;
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = dir,
                                     .ctx = server,
                                     .failed = on_failed,
                                     .refuse_blocking = refuse_blocking,
                                     .backup_every_ms = -1};
  if (moonkeep_open(&server->host, &options, &error)) FAIL("%s", error.message);
}

static void attach(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_attach(server->host, server->L, &error)) FAIL("%s", error.message);
}

static void open_server(struct server *server) {
  memset(server, 0, sizeof *server);
  open_host(server, temp_dir(), 0);
  server->L = luaL_newstate();
  luaL_openlibs(server->L);
  attach(server);
}

static void close_host(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_close(server->host, &error)) FAIL("%s", error.message);
}

static void close_server(struct server *server) {
  close_host(server);
  lua_close(server->L);
}

/* Runs Lua in the state; its result, or its error, as text. Valid until the next call. */
static const char *run(struct server *server, const char *source) {
  static char text[512];
  lua_State *L = server->L;
  bool failed = luaL_loadstring(L, source) || lua_pcall(L, 0, 1, 0);
  snprintf(text, sizeof text, "%s%s", failed ? "failed: " : "", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 2);
  return text;
}

static void spawn(struct server *server, const char *source) {
  struct moonkeep_error error;
  if (luaL_loadstring(server->L, source)) FAIL("%s", lua_tostring(server->L, -1));
  if (moonkeep_spawn(server->host, server->L, 0, &error)) FAIL("%s", error.message);
}

static void tick(struct server *server) {
  struct pollfd fd = {.fd = moonkeep_fd(server->host), .events = POLLIN};
  poll(&fd, 1, moonkeep_timeout_ms(server->host));
  CHECK(moonkeep_tick(server->host, 2000));
}

/* Until the state's global `done` is what it should be. */
static void tick_until(struct server *server, int done) {
  for (;;) {
    lua_getglobal(server->L, "done");
    int is = (int)lua_tointeger(server->L, -1);
    lua_pop(server->L, 1);
    if (is >= done) return;
    tick(server);
  }
}

TEST(an_attached_state_has_the_stores) {
  struct server server;
  open_server(&server);
  CHECK_STR(run(&server, "appData:set('k', {1, 2.0, x = nil}) return appData:get('k')[2]"), "2.0");
  CHECK_STR(run(&server,
                "local e = rootServer.dataStore.economy e:update('g', function(n) return n + 5 end, 1)"
                " return e:get('g')"),
            "6");
  CHECK_STR(run(&server, "local m = require 'moonkeep' appData:set('l', m.array{}) return m.version"),
            MOONKEEP_VERSION);
  CHECK_STR(run(&server,
                "return appData:transaction(function(tx) return tx:update('t', function() return 7 end)"
                " end)"),
            "7");
  CHECK_STR(run(&server, "local s = '' for k in appData:each('%') do s = s .. k end return s"), "klt");
  CHECK_STR(run(&server, "return select(2, pcall(appData.set, appData, '', 1)).code"), "invalid_key");
  CHECK_STR(run(&server, "return select(2, pcall(appData.close, appData)).code"), "invalid");
  struct moonkeep_result result;
  moonkeep_get_wait(server.host, NULL, "l", &result);
  CHECK_STR(result.json, "[]");
  moonkeep_result_free(&result);
  close_host(&server);
  CHECK_STR(run(&server, "return select(2, pcall(appData.get, appData, 'k')).code"), "closed");
  open_host(&server, temp_dir(), 0); /* and another host may have it then */
  attach(&server);
  CHECK_STR(run(&server, "return appData:get('k', 'new')"), "new");
  close_server(&server);
}

TEST(tasks_give_way) {
  struct server server;
  open_server(&server);
  CHECK_STR(run(&server, "done = 0 order = ''"), "nil");
  for (int i = 0; i < 50; i++)
    spawn(&server,
          "order = order .. 'a' pcall(function() appData:update('n', function(n) return n + 1 end, 0) end)"
          " order = order .. 'b' done = done + 1");
  CHECK_STR(run(&server, "return order"), "");
  tick_until(&server, 50);
  CHECK_STR(run(&server, "return order:sub(1, 3)"), "aaa"); /* they have waited together */
  CHECK_STR(run(&server, "return appData:get('n')"), "50");
  spawn(&server, "appData:transaction(function(tx) tx:update('n', function(n) return n * 2 end) end)"
                 " for k, v in appData:each('%') do found = v end done = done + 1");
  tick_until(&server, 51);
  CHECK_STR(run(&server, "return found"), "100");
  spawn(&server, "local w = coroutine.wrap(function() coroutine.yield(appData:get('m', 1))"
                 " appData:set('m', 2) coroutine.yield(appData:get('m')) end)"
                 " found = w() + w() done = done + 1");
  tick_until(&server, 52);
  CHECK_STR(run(&server, "return found"), "3");
  CHECK_STR(server.failed, "");
  close_server(&server);
}

TEST(arguments_go_with_a_task) {
  struct server server;
  struct moonkeep_error error;
  open_server(&server);
  lua_State *L = server.L;
  run(&server, "done = 0");
  lua_pushliteral(L, "below");
  luaL_loadstring(L, "local a, b = ... done = a + b");
  lua_pushinteger(L, 2);
  lua_pushinteger(L, 3);
  CHECK_INT(moonkeep_spawn(server.host, L, 2, &error), MOONKEEP_OK);
  CHECK_INT(lua_gettop(L), 1);
  tick_until(&server, 5);
  CHECK_INT(moonkeep_spawn(server.host, L, 0, &error), MOONKEEP_INVALID);
  CHECK(strstr(error.message, "no function"));
  CHECK_INT(moonkeep_spawn(server.host, L, 9, &error), MOONKEEP_INVALID);
  CHECK_INT(lua_gettop(L), 1);
  close_server(&server);
}

TEST(errors_of_tasks_are_told) {
  struct server server;
  open_server(&server);
  run(&server, "done = 0");
  spawn(&server, "appData:set('k', 1) error 'lost'");
  while (!server.failed[0]) tick(&server);
  CHECK(strstr(server.failed, "the server: error in moonkeep_spawn: [string") &&
        strstr(server.failed, "lost"));
  server.failed[0] = '\0';
  spawn(&server, "coroutine.yield(1)");
  while (!server.failed[0]) tick(&server);
  CHECK(strstr(server.failed, "attempt to yield out of a task"));
  spawn(&server, "done = appData:get('k')");
  tick_until(&server, 1);
  close_server(&server);
}

/* Tasks that wait when the host, or the state, goes. */
TEST(either_may_go_first) {
  for (int host_first = 0; host_first < 2; host_first++) {
    struct server server;
    open_server(&server);
    for (int i = 0; i < 5; i++) spawn(&server, "while true do appData:set('k', 1) end");
    tick(&server);
    if (host_first) {
      close_server(&server);
    } else {
      lua_close(server.L);
      CHECK(moonkeep_tick(server.host, 2000));
      close_host(&server);
    }
  }
}

static void ask_lua(void *ctx, const struct moonkeep_answer *answer) {
  struct server *server = ctx;
  (void)answer;
  server->answers++;
  CHECK_STR(run(server, "return select(2, pcall(appData.set, appData, 'k', 1)).code"), "nested");
}

TEST(what_would_block_is_refused_where_it_may_not) {
  struct server server;
  struct moonkeep_error error;
  open_server(&server);
  CHECK_INT(moonkeep_attach(server.host, server.L, &error), MOONKEEP_INVALID);
  CHECK(strstr(error.message, "attached already"));
  moonkeep_get(server.host, NULL, "k", ask_lua, &server);
  while (server.answers == 0) tick(&server);
  close_server(&server);
  memset(&server, 0, sizeof server);
  open_host(&server, temp_dir(), 1);
  server.L = luaL_newstate();
  luaL_openlibs(server.L);
  attach(&server);
  CHECK_STR(run(&server, "appData:set('k', 1) return appData:get('k')"), "1"); /* not in a tick */
  spawn(&server, "appData:set('k', 2) inside = coroutine.wrap(function()"
                 " return select(2, pcall(appData.get, appData, 'k')).code end)() done = 1");
  tick_until(&server, 1);
  CHECK_STR(run(&server, "return inside"), "invalid");
  close_server(&server);
}

/* What a program may hand over by mistake: a state of another Lua, of which nothing can be read but its first
 * bytes. The real ones are in install_test.sh. */
TEST(a_state_of_no_lua_is_refused) {
  struct server server;
  struct moonkeep_error error;
  static uintptr_t elsewhere[64] = {1, 2, 3}; /* where nothing points back */
  uintptr_t words[32];
  long rounds = check_rounds(500);
  open_server(&server);
  for (long round = 0; round < rounds; round++) {
    for (size_t i = 0; i < 32; i++) { /* numbers, addresses of nothing, and of something */
      uintptr_t kinds[] = {0, check_random(), (uintptr_t)&elsewhere[check_below(64)], (uintptr_t)server.L,
                           check_random() & 0x7fffffffffff};
      words[i] = kinds[check_below(4 + (round & 1))];
    }
    CHECK_INT(moonkeep_attach(server.host, (lua_State *)words, &error), MOONKEEP_INVALID);
    if (!strstr(error.message, "none of the Lua 5.4") || !strstr(error.message, "control socket"))
      FAIL("%s", error.message);
    CHECK_INT(moonkeep_spawn(server.host, (lua_State *)words, 0, &error), MOONKEEP_INVALID);
  }
  CHECK_STR(run(&server, "return appData:get('k', 1)"), "1");
  close_server(&server);
}

TEST(a_thread_of_a_state_stands_for_it) {
  struct server server;
  struct moonkeep_error error;
  memset(&server, 0, sizeof server);
  open_host(&server, temp_dir(), 0);
  server.L = luaL_newstate();
  luaL_openlibs(server.L);
  lua_State *co = lua_newthread(server.L);
  if (moonkeep_attach(server.host, co, &error)) FAIL("%s", error.message);
  CHECK_STR(run(&server, "return appData:get('k', 1)"), "1");
  CHECK_INT(moonkeep_attach(server.host, server.L, &error), MOONKEEP_INVALID); /* it is already */
  lua_State *other = luaL_newstate();
  CHECK_INT(moonkeep_spawn(server.host, other, 0, &error), MOONKEEP_INVALID);
  CHECK_STR(error.message, "moonkeep_spawn: the state is not attached to this host");
  lua_close(other);
  close_server(&server);
}

TEST(without_descriptors_a_state_is_not_attached) {
  struct server server;
  struct moonkeep_error error;
  struct rlimit had, none;
  memset(&server, 0, sizeof server);
  open_host(&server, temp_dir(), 0);
  server.L = luaL_newstate();
  getrlimit(RLIMIT_NOFILE, &had);
  none = (struct rlimit){0, had.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  enum moonkeep_code code = moonkeep_attach(server.host, server.L, &error);
  setrlimit(RLIMIT_NOFILE, &had);
  CHECK_INT(code, MOONKEEP_IO);
  CHECK(strstr(error.message, "Too many open files"));
  attach(&server);
  close_server(&server);
}

TEST(memory_of_ours_that_runs_out_while_attaching) {
  struct server server;
  bool struck = true;
  memset(&server, 0, sizeof server);
  open_host(&server, temp_dir(), 0);
  for (long nth = 1; struck; nth++) {
    struct moonkeep_error error;
    server.L = luaL_newstate();
    luaL_openlibs(server.L);
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_attach(server.host, server.L, &error);
    struck = check_alloc_failed();
    check_fail_alloc(0);
    if (code) CHECK_INT(code, MOONKEEP_MEMORY);
    if (code) attach(&server);
    CHECK_STR(run(&server, "return appData:get('k', 7)"), "7");
    lua_close(server.L);
  }
  close_host(&server);
}

/* Whichever allocation fails, the state is attached, or is as good as new. */
static long left_allocations;

static void *allocate(void *ctx, void *block, size_t old_size, size_t size) {
  (void)ctx, (void)old_size;
  if (size == 0) {
    free(block);
    return NULL;
  }
  if (left_allocations > 0 && --left_allocations == 0) return NULL;
  return realloc(block, size);
}

TEST(memory_that_runs_out_while_attaching) {
  struct server server;
  memset(&server, 0, sizeof server);
  open_host(&server, temp_dir(), 0);
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    struct moonkeep_error error;
    server.L = lua_newstate(allocate, NULL);
    luaL_openlibs(server.L);
    left_allocations = nth;
    failed = moonkeep_attach(server.host, server.L, &error) != MOONKEEP_OK;
    bool struck = left_allocations == 0;
    left_allocations = 0;
    if (failed) CHECK_INT(error.code, MOONKEEP_MEMORY);
    if (failed) attach(&server);
    CHECK_STR(run(&server, "return appData:get('k', 7)"), "7");
    lua_close(server.L);
    if (!struck) break;
  }
  close_host(&server);
}
