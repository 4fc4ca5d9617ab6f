/* A host that is told to end in the middle of a reload, by what the new version itself does. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "check.h"
#include "helpers/temp.h"
#include "host.h"

/* Ends the host at the first action, as a link does whose reader has gone. */
struct ending {
  struct host_listener listener;
  struct host *host;
  unsigned actions, changes;
};

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  struct ending *ending = list_of(listener, struct ending, listener);
  (void)json, (void)len;
  ending->actions++;
  host_stop(ending->host);
}

static void on_changed(struct host_listener *listener, const char *script, const char *what) {
  struct ending *ending = list_of(listener, struct ending, listener);
  CHECK_STR(script, "bot");
  CHECK_STR(what, "reloaded");
  ending->changes++;
}

struct test {
  struct ending ending;
  const char *scripts;
  struct buf results;
};

static void open_host(struct test *test) {
  const char *dir = temp_dir();
  struct err err;
  *test = (struct test){.scripts = temp_path(dir, "scripts")};
  test->ending.listener.action = on_action;
  test->ending.listener.changed = on_changed;
  list_init(&test->ending.listener.link);
  CHECK(mkdir(test->scripts, 0700) == 0);
  temp_write(temp_path(test->scripts, "bot.lua"), "bot.on('stop', function() appData:set('stopped', 1) end)");
  struct host_options options = {.store = {.dir = temp_path(dir, "data"), .owner = "a test"},
                                 .scripts_dir = test->scripts,
                                 .listener = &test->ending.listener,
                                 .watch = true,
                                 .grace_ms = 10000};
  if (host_open(&test->ending.host, &options, &err)) FAIL("%s", err.message);
}

static void take_results(void *ctx, const char *json, size_t len) {
  buf_add(ctx, json, len);
}

static void on_idle(uv_idle_t *idle) {
  struct test *test = idle->data;
  struct err err;
  uv_idle_stop(idle);
  if (host_reload(test->ending.host, "bot", take_results, &test->results, &err)) FAIL("%s", err.message);
}

/* Reloads when the host runs. */
static void reload_with(struct test *test, const char *source, const char *results) {
  static uv_idle_t idle;
  struct err err;
  open_host(test);
  temp_write(temp_path(test->scripts, "bot.lua"), source);
  uv_idle_init(host_loop(test->ending.host), &idle);
  idle.data = test;
  uv_idle_start(&idle, on_idle);
  host_run(test->ending.host);
  CHECK(host_close(test->ending.host, &err) == MOONKEEP_OK);
  CHECK_STR(buf_text(&test->results), results);
  buf_deinit(&test->results);
}

TEST(the_main_chunk_of_the_next_version_may_end_the_host) {
  struct test test;
  reload_with(&test, "bot.send('c', 'from the chunk')\nbot.on('start', function() appData:get 'x' end)",
              "[{\"script\":\"bot\",\"result\":\"failed\",\"error\":\"the host is ending\"}]");
  CHECK_INT(test.ending.actions, 1);
  CHECK_INT(test.ending.changes, 0);
}

TEST(a_start_handler_of_the_next_version_may_end_the_host) {
  struct test test;
  reload_with(
      &test,
      "bot.on('start', function() appData:get 'x' bot.send('c', 'from start') appData:set('x', 1) end)",
      "[{\"script\":\"bot\",\"result\":\"failed\",\"error\":\"the host is ending\"}]");
  CHECK_INT(test.ending.actions, 1);
}

TEST(a_version_that_has_taken_over_may_end_the_host) {
  struct test test;
  reload_with(&test, "bot.after(0.001, function() bot.send('c', 'from a timer') end)",
              "[{\"script\":\"bot\",\"result\":\"reloaded\"}]");
  CHECK_INT(test.ending.actions, 1);
  CHECK_INT(test.ending.changes, 1);
}
