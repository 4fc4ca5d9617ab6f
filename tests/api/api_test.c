/* The C library, as a program uses it. */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

enum { WAITERS = 1500 };

struct seen {
  char text[4096];
  enum moonkeep_code code;
  unsigned long long count;
  int answers;
};

static void note(void *ctx, const struct moonkeep_answer *answer) {
  struct seen *seen = ctx;
  snprintf(seen->text, sizeof seen->text, "%s", answer->json ? answer->json : "absent");
  seen->code = answer->code;
  seen->count = answer->count;
  seen->answers++;
}

static void on_action(void *ctx, const char *json, size_t len) {
  struct seen *seen = ctx;
  snprintf(seen->text, sizeof seen->text, "%.*s", (int)len, json);
}

static void on_done(void *ctx, const char *errors) {
  struct seen *seen = ctx;
  CHECK_STR(errors, "[]");
  seen->answers++;
}

static struct moonkeep_host *open_host(const char *dir, const char *scripts, struct seen *seen) {
  struct moonkeep_error error;
  struct moonkeep_host *host;
  struct moonkeep_options options = {.size = sizeof options, .data = dir, .scripts = scripts, .ctx = seen};
  options.action = on_action;
  if (moonkeep_open(&host, &options, &error)) FAIL("%s", error.message);
  return host;
}

static void close_host(struct moonkeep_host *host) {
  struct moonkeep_error error;
  if (moonkeep_close(host, &error)) FAIL("%s", error.message);
}

/* As a loop would: sleeps until a tick is due. */
static void tick_once(struct moonkeep_host *host, int64_t budget_us) {
  struct pollfd fd = {.fd = moonkeep_fd(host), .events = POLLIN};
  poll(&fd, 1, moonkeep_timeout_ms(host));
  CHECK(moonkeep_tick(host, budget_us));
}

static void tick_until(struct moonkeep_host *host, const struct seen *seen, int answers) {
  while (seen->answers < answers) tick_once(host, 2000);
}

static const char *add_one(void *ctx, const char *json) {
  static char number[32];
  (void)ctx;
  snprintf(number, sizeof number, "%d", json ? atoi(json) + 1 : 1);
  return number;
}

TEST(store_calls_are_answered_in_ticks) {
  struct seen seen = {.answers = 0};
  struct moonkeep_host *host = open_host(temp_dir(), NULL, &seen);
  CHECK_INT(moonkeep_set(host, NULL, "a", "{\"x\": [1, 2]}", 0, note, &seen), MOONKEEP_OK);
  CHECK_INT(seen.answers, 0);
  tick_until(host, &seen, 1);
  moonkeep_get(host, NULL, "a", note, &seen);
  CHECK_INT(seen.answers, 1);
  tick_until(host, &seen, 2);
  CHECK_STR(seen.text, "{\"x\":[1,2]}");
  moonkeep_update(host, "other", "n", add_one, note, &seen);
  close_host(host);
  CHECK_INT(seen.answers, 3);
}

struct chain {
  struct moonkeep_host *host;
  int left;
};

static void get_another(void *ctx, const struct moonkeep_answer *answer) {
  struct chain *chain = ctx;
  (void)answer;
  if (--chain->left > 0)
    moonkeep_get(chain->host, NULL, "k", get_another, chain);
  else
    moonkeep_finish(chain->host);
}

/* Answers that are at hand, to calls that were made when others were answered: nothing else wakes the host.
 */
TEST(an_answer_may_be_followed_by_another_call) {
  struct seen seen = {.answers = 0};
  for (int in_ticks = 1; in_ticks >= 0; in_ticks--) {
    struct chain chain = {open_host(temp_dir(), NULL, &seen), 100};
    moonkeep_set_wait(chain.host, NULL, "k", "1", 0, NULL);
    moonkeep_get(chain.host, NULL, "k", get_another, &chain);
    for (int i = 0; i < 1000 && in_ticks && chain.left > 0; i++) moonkeep_tick(chain.host, 2000);
    if (!in_ticks) moonkeep_run(chain.host);
    CHECK_INT(chain.left, 0);
    close_host(chain.host);
  }
}

TEST(tools_wait) {
  struct seen seen = {.answers = 0};
  struct moonkeep_host *host = open_host(temp_dir(), NULL, &seen);
  for (int i = 0; i < 100; i++) moonkeep_update(host, NULL, "n", add_one, NULL, NULL);
  moonkeep_set(host, NULL, "m", "null", 0, NULL, NULL);
  moonkeep_select(host, NULL, "%", 0, note, &seen);
  moonkeep_wait(host);
  CHECK_STR(seen.text, "[{\"key\":\"m\",\"value\":null},{\"key\":\"n\",\"value\":100}]");
  moonkeep_delete(host, NULL, "n", note, &seen);
  moonkeep_wait(host);
  CHECK_INT(seen.count, 1);
  moonkeep_delete_like(host, NULL, "%", note, &seen);
  moonkeep_wait(host);
  CHECK_INT(seen.count, 1);
  CHECK_INT(moonkeep_set(host, NULL, "k", "{", 0, note, &seen), MOONKEEP_INVALID_VALUE);
  CHECK_INT(moonkeep_set(host, NULL, "k", "1", INT64_C(1795615773000000), note, &seen),
            MOONKEEP_INVALID_VALUE);
  CHECK_INT(moonkeep_get(host, "no name", "k", note, &seen), MOONKEEP_INVALID_KEY);
  moonkeep_get(host, NULL, "", note, &seen);
  moonkeep_wait(host);
  CHECK_INT(seen.code, MOONKEEP_INVALID_KEY);
  close_host(host);
}

struct emitter {
  struct moonkeep_host *host;
  struct seen *seen;
};

static void *emit_many(void *ctx) {
  const struct emitter *emitter = ctx;
  static const char json[] = "{\"event\":\"hit\"}";
  for (int i = 0; i < 100; i++)
    if (moonkeep_emit(emitter->host, json, sizeof json - 1, on_done, emitter->seen)) abort();
  return NULL;
}

TEST(events_come_from_any_thread) {
  struct seen seen = {.answers = 0}, total = {.answers = 0};
  const char *scripts = temp_dir();
  temp_write(temp_path(scripts, "hits.lua"),
             "bot.on('hit', function() appData:update('hits', function(n) return n + 1 end, 0) end)");
  struct moonkeep_host *host = open_host(temp_dir(), scripts, &seen);
  struct emitter emitter = {host, &seen};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, emit_many, &emitter);
  tick_until(host, &seen, 200);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  moonkeep_get(host, NULL, "hits", note, &total);
  tick_until(host, &total, 1);
  CHECK_STR(total.text, "200");
  moonkeep_finish(host);
  moonkeep_run(host);
  CHECK_INT(moonkeep_tick(host, 1000), 0);
  close_host(host);
}

/* So many events have come, each of which counts a key of its own, and none has had its turn. */
static struct moonkeep_host *open_with_hits(struct seen *seen, int events) {
  const char *scripts = temp_dir();
  temp_write(temp_path(scripts, "hits.lua"),
             "bot.on('hit', function(event) appData:update(event.key, function(n) return n + 1 end, 0) end)");
  struct moonkeep_host *host = open_host(temp_dir(), scripts, seen);
  for (int i = 0; i < events; i++) {
    char json[64];
    int len = snprintf(json, sizeof json, "{\"event\":\"hit\",\"key\":\"k%d\"}", i);
    CHECK_INT(moonkeep_emit(host, json, (size_t)len, on_done, seen), MOONKEEP_OK);
  }
  return host;
}

/* However small the budget is, each tick gets on. */
TEST(ticks_without_a_budget_get_on) {
  enum { EVENTS = 50 };
  struct seen seen = {.answers = 0}, total = {.answers = 0};
  struct moonkeep_host *host = open_with_hits(&seen, EVENTS);
  while (seen.answers < EVENTS) {
    struct pollfd fd = {.fd = moonkeep_fd(host), .events = POLLIN};
    poll(&fd, 1, moonkeep_timeout_ms(host));
    CHECK(moonkeep_tick(host, 0));
  }
  moonkeep_select(host, NULL, "k%", 0, note, &total);
  moonkeep_wait(host);
  CHECK_INT(total.count, EVENTS);
  close_host(host);
}

struct turn { /* which of the events it is, and how many have come in their turn */
  int number, *came;
};

static void on_turn(void *ctx, const char *errors) {
  const struct turn *turn = ctx;
  CHECK(strstr(errors, "message"));
  CHECK_INT(turn->number, *turn->came);
  ++*turn->came;
}

/* These are no events, which is told as soon as they are handed out. */
TEST(many_events_at_once_are_more_than_a_tick) {
  enum { EVENTS = 100 };
  struct seen seen = {.answers = 0};
  const char *scripts = temp_dir();
  temp_write(temp_path(scripts, "none.lua"), "");
  struct moonkeep_host *host = open_host(temp_dir(), scripts, &seen);
  struct turn turns[EVENTS];
  int came = 0, before = 0;
  for (int i = 0; i < EVENTS; i++) {
    turns[i] = (struct turn){i, &came};
    CHECK_INT(moonkeep_emit(host, "{}", 2, on_turn, &turns[i]), MOONKEEP_OK);
  }
  for (; came < EVENTS / 2; before = came) {
    struct pollfd fd = {.fd = moonkeep_fd(host), .events = POLLIN};
    poll(&fd, 1, moonkeep_timeout_ms(host)); /* what is left wakes the loop */
    CHECK(moonkeep_tick(host, 0));
    CHECK(came > before && came <= before + 2);
  }
  close_host(host); /* refuses the others, in their turn too */
  CHECK_INT(came, EVENTS);
}

/* What waits for the disk is bounded, however many events have come and however long a tick may take. */
TEST(events_wait_for_room_in_line) {
  enum { EVENTS = 6000, MOST = 2000 };
  struct seen seen = {.answers = 0};
  struct moonkeep_host *host = open_with_hits(&seen, EVENTS);
  while (seen.answers < EVENTS) {
    struct moonkeep_status status = {.size = sizeof status};
    tick_once(host, 1000000);
    moonkeep_status(host, &status);
    if (status.tasks_running > MOST) FAIL("%zu at once", status.tasks_running);
  }
  close_host(host);
}

static void keep_waiting(void *ctx, struct moonkeep_call *call, const char *args) {
  struct moonkeep_call **kept = ctx;
  (void)args;
  for (size_t i = 0; i < WAITERS; i++) {
    if (kept[i]) continue;
    kept[i] = call;
    return;
  }
}

static void provide_wait(void *ctx, struct moonkeep_host *host) {
  CHECK_INT(moonkeep_provide(host, "game", "wait", keep_waiting, ctx, NULL), MOONKEEP_OK);
}

/* Handlers that sleep, or wait for the server, may do so for ever: others have their turn. */
TEST(handlers_that_wait_for_other_things_take_no_room) {
  static struct moonkeep_call *kept[WAITERS];
  struct seen seen = {.answers = 0}, waited = {.answers = 0};
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = temp_dir(),
                                     .scripts = temp_dir(),
                                     .ctx = kept,
                                     .prepare = provide_wait,
                                     .backup_every_ms = -1};
  struct moonkeep_host *host;
  temp_write(temp_path(options.scripts, "waits.lua"),
             "local wait = require 'game'.wait bot.on('sleep', function() bot.sleep(86400) end)"
             " bot.on('wait', function() wait() end) bot.on('hit', function() appData:set('k', 1) end)");
  CHECK_INT(moonkeep_open(&host, &options, NULL), MOONKEEP_OK);
  for (int i = 0; i < WAITERS; i++) {
    CHECK_INT(moonkeep_emit(host, "{\"event\":\"sleep\"}", 17, NULL, NULL), MOONKEEP_OK);
    CHECK_INT(moonkeep_emit(host, "{\"event\":\"wait\"}", 16, on_done, &waited), MOONKEEP_OK);
  }
  CHECK_INT(moonkeep_emit(host, "{\"event\":\"hit\"}", 15, on_done, &seen), MOONKEEP_OK);
  tick_until(host, &seen, 1);
  CHECK_INT(waited.answers, 0);
  for (int i = 0; i < WAITERS; i++) moonkeep_return(kept[i], NULL);
  tick_until(host, &waited, WAITERS);
  close_host(host);
}

TEST(events_are_made_of_values) {
  struct seen seen = {.answers = 0};
  const char *scripts = temp_dir();
  temp_write(temp_path(scripts, "hits.lua"), "bot.on('hit', function(e) bot.act {action = 'seen', list = "
                                             "{math.type(e.n), e.n, e.x, e.ok, e.who, #e.list}} end)");
  struct moonkeep_host *host = open_host(temp_dir(), scripts, &seen);
  struct moonkeep_field fields[] = {{.name = "n", .type = MOONKEEP_INTEGER, .integer = INT64_MAX},
                                    {.name = "x", .type = MOONKEEP_NUMBER, .number = 2},
                                    {.name = "ok", .type = MOONKEEP_BOOLEAN, .integer = 1},
                                    {.name = "who", .type = MOONKEEP_TEXT, .text = "\"ann\"\n"},
                                    {.name = "list", .type = MOONKEEP_JSON, .text = "[1, 2]"}};
  size_t count = sizeof fields / sizeof *fields;
  CHECK_INT(moonkeep_emit_fields(host, "hit", fields, count, on_done, &seen), MOONKEEP_OK);
  tick_until(host, &seen, 1);
  if (!strstr(seen.text, "\"integer\",9223372036854775807,2.0,true,\"\\\"ann\\\"\\n\",2"))
    FAIL("%s", seen.text);
  fields[4].text = "1,\"event\":2";
  CHECK_INT(moonkeep_emit_fields(host, "hit", fields, count, on_done, &seen), MOONKEEP_INVALID_VALUE);
  fields[3].text = "\xff";
  CHECK_INT(moonkeep_emit_fields(host, "hit", fields, 4, on_done, &seen), MOONKEEP_INVALID_VALUE);
  fields[1].number = INFINITY;
  CHECK_INT(moonkeep_emit_fields(host, "hit", fields, 2, on_done, &seen), MOONKEEP_INVALID_VALUE);
  CHECK_INT(moonkeep_emit_fields(host, "hit", NULL, 0, NULL, NULL), MOONKEEP_OK);
  close_host(host);
}

TEST(a_folder_that_is_taken_is_named) {
  struct seen seen = {.answers = 0};
  struct moonkeep_error error;
  const char *dir = temp_dir();
  struct moonkeep_host *host = open_host(dir, NULL, &seen), *second;
  struct moonkeep_options options = {.size = sizeof options, .data = dir};
  CHECK_INT(moonkeep_open(&second, &options, &error), MOONKEEP_BUSY);
  CHECK(!second && strstr(error.message, "process"));
  struct moonkeep_host *beside = open_host(temp_dir(), NULL, &seen);
  close_host(beside);
  close_host(host);
  CHECK_INT(moonkeep_close(NULL, NULL), MOONKEEP_OK);
}
