/* Looking after a host from C: reload, backup, status; and what options say of it. */
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "helpers/sync.h"
#include "helpers/temp.h"
#include "moonkeep.h"

struct server {
  struct moonkeep_host *host;
  const char *data, *scripts;
  int told;
  char results[2048]; /* of a reload */
  struct moonkeep_answer answer;
  char text[2048];
};

static void open_server(struct server *server, struct moonkeep_options options) {
  struct moonkeep_error error;
  options.size = sizeof options;
  options.data = server->data;
  options.scripts = server->scripts;
  options.ctx = server;
  if (moonkeep_open(&server->host, &options, &error)) FAIL("%s", error.message);
}

static void open_new(struct server *server, struct moonkeep_options options) {
  *server = (struct server){.data = temp_dir()};
  open_server(server, options);
}

/* With a script `xp`, which says of what it is made. */
static const char counts[] =
    "bot.on('hit', function() appData:update('hits', function(n) return n + 1 end, 0) end)";

static void open_scripted(struct server *server, struct moonkeep_options options) {
  *server = (struct server){.data = temp_dir(), .scripts = temp_dir()};
  temp_write(temp_path(server->scripts, "xp.lua"), counts);
  open_server(server, options);
}

static void close_server(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_close(server->host, &error)) FAIL("%s", error.message);
}

static void tick(struct server *server) {
  struct pollfd fd = {.fd = moonkeep_fd(server->host), .events = POLLIN};
  poll(&fd, 1, moonkeep_timeout_ms(server->host));
  CHECK(moonkeep_tick(server->host, 2000));
}

static void on_reloaded(void *ctx, const char *results) {
  struct server *server = ctx;
  server->told++;
  snprintf(server->results, sizeof server->results, "%s", results);
}

static const char *reload(struct server *server, const char *script) {
  struct moonkeep_error error;
  int told = server->told;
  if (moonkeep_reload(server->host, script, on_reloaded, server, &error)) FAIL("%s", error.message);
  CHECK_INT(server->told, told);
  while (server->told == told) tick(server);
  return server->results;
}

static void on_answer(void *ctx, const struct moonkeep_answer *answer) {
  struct server *server = ctx;
  server->told++;
  server->answer = *answer;
  snprintf(server->text, sizeof server->text, "%s", answer->code ? answer->message : answer->json);
}

static void on_emitted(void *ctx, const char *errors) {
  struct server *server = ctx;
  server->told++;
  snprintf(server->text, sizeof server->text, "%s", errors);
}

static const char *hit(struct server *server) {
  static const char json[] = "{\"event\":\"hit\"}";
  int told = server->told;
  CHECK_INT(moonkeep_emit(server->host, json, sizeof json - 1, on_emitted, server), MOONKEEP_OK);
  while (server->told == told) tick(server);
  return server->text;
}

static struct moonkeep_status status_of(const struct server *server) {
  struct moonkeep_status status = {.size = sizeof status};
  CHECK_INT(moonkeep_status(server->host, &status), MOONKEEP_OK);
  return status;
}

/* ---- reload ---- */

TEST(scripts_are_loaded_anew) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_STR(reload(&server, "xp"), "[{\"script\":\"xp\",\"result\":\"reloaded\"}]");
  temp_write(temp_path(server.scripts, "shop.lua"), "");
  CHECK_STR(reload(&server, NULL), "[{\"script\":\"shop\",\"result\":\"loaded\"},"
                                   "{\"script\":\"xp\",\"result\":\"reloaded\"}]");
  unlink(temp_path(server.scripts, "shop.lua"));
  CHECK(strstr(reload(&server, NULL), "{\"script\":\"shop\",\"result\":\"unloaded\"}"));
  struct moonkeep_error error;
  CHECK_INT(moonkeep_reload(server.host, "xp", NULL, NULL, &error), MOONKEEP_OK);
  close_server(&server);
}

TEST(a_script_that_does_not_compile_leaves_the_old_one) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  temp_write(temp_path(server.scripts, "xp.lua"), "\nbot.on(");
  const char *results = reload(&server, "xp.lua");
  if (!strstr(results, "\"result\":\"failed\"") || !strstr(results, "xp.lua:2:")) FAIL("%s", results);
  CHECK_STR(hit(&server), "[]");
  struct moonkeep_result result;
  CHECK_INT(moonkeep_get_wait(server.host, NULL, "hits", &result), MOONKEEP_OK);
  CHECK_STR(result.json, "1");
  moonkeep_result_free(&result);
  close_server(&server);
}

TEST(a_reload_that_cannot_begin_is_refused) {
  struct server server;
  struct moonkeep_error error;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_INT(moonkeep_reload(server.host, NULL, on_reloaded, &server, &error), MOONKEEP_INVALID);
  CHECK_STR(error.message, "this host has no scripts");
  close_server(&server);
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_INT(moonkeep_reload(server.host, "shop", on_reloaded, &server, &error), MOONKEEP_INVALID);
  if (!strstr(error.message, "no script \"shop\"") || !strstr(error.message, "there are xp"))
    FAIL("%s", error.message);
  moonkeep_finish(server.host);
  moonkeep_run(server.host);
  CHECK_INT(moonkeep_reload(server.host, NULL, on_reloaded, &server, &error), MOONKEEP_CLOSED);
  CHECK_INT(server.told, 0);
  close_server(&server);
}

TEST(a_reload_under_way_is_told_when_the_host_closes) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  temp_write(temp_path(server.scripts, "xp.lua"),
             "bot.on('start', function() while true do appData:set('k', 1) end end)");
  CHECK_INT(moonkeep_reload(server.host, NULL, on_reloaded, &server, NULL), MOONKEEP_OK);
  for (int i = 0; i < 3; i++) moonkeep_tick(server.host, 2000);
  CHECK_INT(server.told, 0);
  close_server(&server);
  CHECK_INT(server.told, 1);
  CHECK(strstr(server.results, "\"result\":\"failed\""));
}

static void reload_again(void *ctx, const char *results) {
  struct server *server = ctx;
  (void)results;
  if (++server->told < 10)
    CHECK_INT(moonkeep_reload(server->host, NULL, reload_again, server, NULL), MOONKEEP_OK);
}

TEST(a_reload_may_be_followed_by_another) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  for (int i = 0; i < 5; i++) {
    char name[24];
    snprintf(name, sizeof name, "b%d.lua", i);
    temp_write(temp_path(server.scripts, name), i % 2 ? "" : "(");
  }
  CHECK_INT(moonkeep_reload(server.host, NULL, reload_again, &server, NULL), MOONKEEP_OK);
  while (server.told < 5) tick(&server);
  for (int i = 0; i < 5; i++)
    unlink(temp_path(server.scripts, (char[]){'b', (char)('0' + i), '.', 'l', 'u', 'a', 0}));
  while (server.told < 10) tick(&server);
  close_server(&server);
}

static void call_when_closed(void *ctx, const char *results) {
  struct server *server = ctx;
  (void)results;
  server->told++;
  CHECK_INT(moonkeep_get(server->host, NULL, "k", on_answer, server), MOONKEEP_CLOSED);
  CHECK_INT(moonkeep_backup(server->host, on_answer, server), MOONKEEP_CLOSED);
  CHECK_INT(moonkeep_reload(server->host, NULL, call_when_closed, server, NULL), MOONKEEP_CLOSED);
}

TEST(what_is_told_while_a_host_closes_can_call_no_more) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  temp_write(temp_path(server.scripts, "xp.lua"),
             "bot.on('start', function() while true do appData:set('k', 1) end end)");
  CHECK_INT(moonkeep_reload(server.host, NULL, call_when_closed, &server, NULL), MOONKEEP_OK);
  for (int i = 0; i < 3; i++) moonkeep_tick(server.host, 2000);
  close_server(&server);
  CHECK_INT(server.told, 1);
}

/* ---- scripts ---- */

static void list_script(void *ctx, const struct moonkeep_script *script) {
  struct server *server = ctx;
  size_t used = strlen(server->text);
  snprintf(server->text + used, sizeof server->text - used, "%s %s %u %s\n", script->name, script->file,
           script->version, script->problem ? script->problem : "runs");
  if (script->version > 0) CHECK(script->memory_bytes > 0 && script->loaded_at_ms > 0);
}

static const char *list(struct server *server) {
  server->text[0] = '\0';
  CHECK_INT(moonkeep_each_script(server->host, list_script, server), MOONKEEP_OK);
  return server->text;
}

TEST(a_script_that_is_left_out_waits_for_a_reload) {
  static const struct moonkeep_left_out left_out[] = {{"xp", "it crashed the server"}, {"shop", NULL}};
  struct server server = {.data = temp_dir(), .scripts = temp_dir()};
  const char *const files[] = {"xp.lua", "shop.lua", "talk.lua"};
  for (int i = 0; i < 3; i++) temp_write(temp_path(server.scripts, files[i]), counts);
  open_server(&server,
              (struct moonkeep_options){.backup_every_ms = -1, .left_out = left_out, .left_out_count = 2});
  CHECK_INT(status_of(&server).scripts, 1);
  const char *all = list(&server);
  if (!strstr(all, "xp xp.lua 0 ") || !strstr(all, "it crashed the server") ||
      !strstr(all, "the server left it out") || !strstr(all, "talk talk.lua 1 runs"))
    FAIL("%s", all);
  CHECK_STR(reload(&server, "xp"), "[{\"script\":\"xp\",\"result\":\"loaded\"}]");
  CHECK(strstr(list(&server), "xp xp.lua 1 runs"));
  CHECK_INT(status_of(&server).scripts, 2);
  close_server(&server);
}

/* ---- backups ---- */

/* Of the first string in a JSON object {"name":"…", …}; valid until the next call. */
static const char *name_in(const char *json) {
  static char name[64];
  CHECK_INT(sscanf(json, "{\"name\":\"%63[^\"]\",\"at_ms\":", name), 1);
  return name;
}

/* What a store has under "k" that begins with this file. */
static void check_value_in(const char *file, const char *want) {
  struct server server = {.data = temp_dir()};
  size_t len;
  char *bytes = temp_read(file, &len);
  CHECK(bytes);
  temp_write_bytes(temp_path(server.data, "appdata.db"), bytes, len);
  free(bytes);
  open_server(&server, (struct moonkeep_options){.backup_every_ms = -1});
  struct moonkeep_result result;
  CHECK_INT(moonkeep_get_wait(server.host, NULL, "k", &result), MOONKEEP_OK);
  CHECK_STR(result.json, want);
  moonkeep_result_free(&result);
  close_server(&server);
}

TEST(a_backup_has_what_was_saved_before) {
  struct server server;
  struct moonkeep_result result;
  const char *backups = temp_dir();
  open_new(&server, (struct moonkeep_options){.backups = backups, .archive = MOONKEEP_ARCHIVE_OFF});
  struct moonkeep_status status = status_of(&server);
  CHECK_STR(status.backup, "");
  CHECK_INT(status.backup_age_ms, -1);
  moonkeep_set_wait(server.host, NULL, "k", "[1,2]", 0, NULL);
  moonkeep_set_wait(server.host, "other", "k", "3", 0, NULL);
  CHECK_INT(moonkeep_backup_wait(server.host, &result), MOONKEEP_OK);
  CHECK_INT(result.count, 2);
  status = status_of(&server);
  CHECK_STR(status.backup, name_in(result.json));
  CHECK(status.backup_age_ms >= 0 && status.backup_at_ms > 0 && status.backup_bytes > 0);
  CHECK_INT(status.archive, MOONKEEP_ARCHIVE_OFF);
  check_value_in(temp_path(backups, name_in(result.json)), "[1,2]");
  moonkeep_result_free(&result);
  close_server(&server);
}

TEST(a_backup_is_answered_in_a_tick) {
  struct server server;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_INT(moonkeep_backup(server.host, on_answer, &server), MOONKEEP_OK);
  CHECK_INT(server.told, 0);
  while (server.told == 0) tick(&server);
  CHECK_INT(server.answer.code, MOONKEEP_OK);
  CHECK_STR(status_of(&server).backup, name_in(server.text));
  CHECK_INT(moonkeep_backup(server.host, NULL, NULL), MOONKEEP_OK);
  CHECK_INT(moonkeep_backup(server.host, on_answer, &server), MOONKEEP_OK);
  close_server(&server); /* which waits for it */
  CHECK_INT(server.told, 2);
  CHECK_INT(server.answer.code, MOONKEEP_OK);
}

/* A file stands where the folder should be: not even root can write there. */
TEST(a_backup_that_cannot_be_written_says_so) {
  struct server server;
  struct moonkeep_result result;
  const char *place = temp_dir();
  char backups[512];
  snprintf(backups, sizeof backups, "%s", temp_path(place, "backups"));
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1, .backups = backups});
  rmdir(backups);
  temp_write(backups, "");
  enum moonkeep_code code = moonkeep_backup_wait(server.host, &result);
  if (code != MOONKEEP_INVALID || !strstr(result.message, backups)) FAIL("%d %s", code, result.message);
  CHECK(!result.json);
  struct moonkeep_status status = status_of(&server);
  CHECK_INT(status.backup_failures, 1);
  CHECK_STR(status.backup_error, result.message);
  CHECK_STR(status.backup, "");
  moonkeep_set(server.host, NULL, "k", "1", 0, on_answer, &server); /* the store goes on */
  moonkeep_wait(server.host);
  CHECK_INT(server.answer.code, MOONKEEP_OK);
  unlink(backups);
  CHECK_INT(moonkeep_backup_wait(server.host, NULL), MOONKEEP_OK);
  status = status_of(&server);
  CHECK_INT(status.backup_failures, 0);
  CHECK_STR(status.backup_error, "");
  CHECK(status.backup[0]);
  close_server(&server);
}

static const char *back_up_inside(void *ctx, const char *json) {
  struct server *server = ctx;
  (void)json;
  CHECK_INT(moonkeep_backup(server->host, on_answer, server), MOONKEEP_NESTED);
  return NULL;
}

static void back_up_in_answer(void *ctx, const struct moonkeep_answer *answer) {
  struct server *server = ctx;
  struct moonkeep_result result;
  (void)answer;
  server->told++;
  CHECK_INT(moonkeep_backup_wait(server->host, &result), MOONKEEP_NESTED);
  CHECK(result.message[0]);
}

TEST(a_backup_is_nested_where_the_store_may_not_be_waited_for) {
  struct server server;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_INT(moonkeep_update_wait(server.host, NULL, "k", back_up_inside, &server, NULL), MOONKEEP_OK);
  moonkeep_get(server.host, NULL, "k", back_up_in_answer, &server);
  while (server.told == 0) tick(&server);
  CHECK_INT(server.told, 1);
  close_server(&server);
}

/* ---- status ---- */

TEST(a_status_tells_how_the_host_is) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1, .cache_bytes = 1 << 20});
  for (int i = 0; i < 5; i++) hit(&server);
  struct moonkeep_status status = status_of(&server);
  CHECK_INT(status.phase, MOONKEEP_RUNNING);
  CHECK_INT(status.scripts, 1);
  CHECK_INT(status.events, 0);
  CHECK_INT(status.events_done, 5);
  CHECK_INT(status.events_failed, 0);
  CHECK_INT(status.changes, 5);
  CHECK(status.commits > 0 && status.calls_made >= 5 && status.file_bytes > 0 && !status.cannot_write);
  CHECK_INT(status.calls, 0);
  CHECK(status.cache_limit_bytes > 0 && status.cache_limit_bytes <= 1 << 20);
  CHECK_STR(status.restored, "");
  moonkeep_finish(server.host);
  CHECK_INT(status_of(&server).phase, MOONKEEP_FINISHING);
  moonkeep_run(server.host);
  CHECK_INT(status_of(&server).phase, MOONKEEP_ENDED);
  close_server(&server);
}

TEST(a_status_has_the_receipt_of_a_restore) {
  struct server server;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  moonkeep_set(server.host, NULL, "k", "7", 0, NULL, NULL);
  CHECK_INT(moonkeep_backup_wait(server.host, NULL), MOONKEEP_OK);
  close_server(&server);
  static const char *const files[] = {"appdata.db", "appdata.db-wal", "appdata.db-shm"};
  for (int i = 0; i < 3; i++) unlink(temp_path(server.data, files[i]));
  open_server(&server, (struct moonkeep_options){.backup_every_ms = -1});
  struct moonkeep_status status = status_of(&server);
  CHECK(strstr(status.restored, "\"kind\":\"restored\""));
  CHECK(status.backup[0]); /* that it came from */
  close_server(&server);
}

TEST(a_damaged_file_is_restored_by_opening_the_host_anew) {
  struct server server;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_INT(moonkeep_set_wait(server.host, NULL, "k", "7", 0, NULL), MOONKEEP_OK);
  CHECK_INT(moonkeep_backup_wait(server.host, NULL), MOONKEEP_OK);
  CHECK(!status_of(&server).wants_reopening);
  close_server(&server);
  sync_hide_rows(server.data);
  open_server(&server, (struct moonkeep_options){.backup_every_ms = -1});
  moonkeep_get(server.host, NULL, "k", on_answer, &server);
  while (!status_of(&server).wants_reopening) tick(&server);
  close_server(&server);
  open_server(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK(!status_of(&server).wants_reopening && strstr(status_of(&server).restored, "\"restored\""));
  close_server(&server);
}

/* A program that was built when the struct ended with the tasks. */
TEST(a_status_of_an_older_size_is_filled_that_far) {
  struct server server;
  struct moonkeep_status status;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  memset(&status, 0xee, sizeof status);
  status.size = offsetof(struct moonkeep_status, calls);
  CHECK_INT(moonkeep_status(server.host, &status), MOONKEEP_OK);
  CHECK_INT(status.size, offsetof(struct moonkeep_status, calls));
  CHECK_INT(status.timers, 0);
  for (size_t i = status.size; i < sizeof status; i++) CHECK_INT(((unsigned char *)&status)[i], 0xee);
  struct { /* and one of a time to come */
    struct moonkeep_status status;
    long more;
  } newer = {.status.size = sizeof newer, .more = 7};
  CHECK_INT(moonkeep_status(server.host, &newer.status), MOONKEEP_OK);
  CHECK(newer.status.file_bytes > 0);
  CHECK_INT(newer.more, 7);
  status.size = 0;
  CHECK_INT(moonkeep_status(server.host, &status), MOONKEEP_INVALID);
  close_server(&server);
}

static void list_store(void *ctx, const char *name) {
  struct server *server = ctx;
  server->told++;
  strncat(server->text, name, sizeof server->text - strlen(server->text) - 1);
}

TEST(stores_are_listed_and_their_keys_counted) {
  struct server server;
  struct moonkeep_result result;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1});
  CHECK_INT(moonkeep_count_wait(server.host, NULL, "%", &result), MOONKEEP_OK);
  CHECK_INT(result.count, 0);
  for (int i = 0; i < 30; i++) {
    char key[16];
    snprintf(key, sizeof key, "%c%d", i % 3 ? 'a' : 'b', i);
    moonkeep_set(server.host, i % 2 ? NULL : "bank", key, "1", 0, NULL, NULL);
  }
  CHECK_INT(moonkeep_count_wait(server.host, NULL, "%", &result), MOONKEEP_OK);
  CHECK_INT(result.count, 15);
  CHECK(!result.json);
  CHECK_INT(moonkeep_count_wait(server.host, "bank", "b%", &result), MOONKEEP_OK);
  CHECK_INT(result.count, 5);
  CHECK_INT(moonkeep_count_wait(server.host, NULL, "a\\", &result), MOONKEEP_INVALID_PATTERN);
  moonkeep_each_store(server.host, list_store, &server);
  CHECK_INT(server.told, 2);
  CHECK(strstr(server.text, "appData") && strstr(server.text, "bank"));
  close_server(&server);
}

/* ---- the thread ---- */

static void *call_from_elsewhere(void *ctx) {
  struct server *server = ctx;
  struct moonkeep_error error = {MOONKEEP_OK, ""};
  struct moonkeep_status status = {.size = sizeof status};
  struct moonkeep_result result;
  struct moonkeep_host *host = server->host;
  bool refused = moonkeep_reload(host, NULL, on_reloaded, server, &error) == MOONKEEP_INVALID &&
                 strstr(error.message, "another thread") &&
                 moonkeep_backup(host, on_answer, server) == MOONKEEP_INVALID &&
                 moonkeep_backup_wait(host, &result) == MOONKEEP_INVALID &&
                 strstr(result.message, "another thread") &&
                 moonkeep_status(host, &status) == MOONKEEP_INVALID &&
                 moonkeep_each_script(host, list_script, server) == MOONKEEP_INVALID &&
                 moonkeep_each_store(host, list_store, server) == MOONKEEP_INVALID &&
                 moonkeep_set(host, NULL, "k", "1", 0, on_answer, server) == MOONKEEP_INVALID &&
                 moonkeep_provide(host, "m", "f", NULL, NULL, &error) == MOONKEEP_INVALID &&
                 moonkeep_listen(host, NULL, &error) == MOONKEEP_INVALID &&
                 moonkeep_close(host, &error) == MOONKEEP_INVALID && moonkeep_tick(host, 1000) == 1;
  moonkeep_stop(host);
  moonkeep_finish(host);
  moonkeep_run(host);
  return refused ? ctx : NULL;
}

TEST(calls_from_another_thread_are_refused) {
  struct server server;
  pthread_t thread;
  void *refused;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  pthread_create(&thread, NULL, call_from_elsewhere, &server);
  pthread_join(thread, &refused);
  CHECK(refused);
  CHECK_INT(status_of(&server).phase, MOONKEEP_RUNNING);
  moonkeep_wait(server.host);
  CHECK_INT(server.told, 0);
  close_server(&server);
}

/* ---- options ---- */

/* A program that was built when the struct ended with `prepare`: what stands behind it is not ours. */
TEST(options_of_an_older_size_are_taken_that_far) {
  struct server server = {.data = temp_dir()};
  struct moonkeep_options options;
  struct moonkeep_error error;
  memset(&options, 0xee, sizeof options);
  memset(&options, 0, offsetof(struct moonkeep_options, cache_bytes));
  options.size = offsetof(struct moonkeep_options, cache_bytes);
  options.data = server.data;
  options.backup_every_ms = -1;
  if (moonkeep_open(&server.host, &options, &error)) FAIL("%s", error.message);
  CHECK_INT(status_of(&server).archive, MOONKEEP_ARCHIVE_OFF);
  CHECK_INT(moonkeep_set_wait(server.host, NULL, "k", "\"some text\"", 0, NULL), MOONKEEP_OK);
  close_server(&server);
}

TEST(options_that_nobody_can_have_meant_are_refused) {
  struct moonkeep_error error;
  struct moonkeep_host *host;
  struct moonkeep_options options = {.data = temp_dir()};
  CHECK_INT(moonkeep_open(&host, &options, &error), MOONKEEP_INVALID);
  CHECK(!host && strstr(error.message, "options.size"));
  options.size = sizeof options;
  options.archive = (enum moonkeep_archive)9;
  CHECK_INT(moonkeep_open(&host, &options, &error), MOONKEEP_INVALID);
  CHECK(!host && strstr(error.message, "options.archive"));
}

TEST(the_archive_is_as_options_say) {
  static const struct {
    struct moonkeep_options options;
    enum moonkeep_archive archive;
  } cases[] = {
      {{.backup_every_ms = 0}, MOONKEEP_ARCHIVE_ON},
      {{.backup_every_ms = -1}, MOONKEEP_ARCHIVE_OFF},
      {{.archive_sync = 1}, MOONKEEP_ARCHIVE_SYNC},
      {{.archive_sync = 1, .archive = MOONKEEP_ARCHIVE_ON}, MOONKEEP_ARCHIVE_ON},
      {{.archive = MOONKEEP_ARCHIVE_OFF}, MOONKEEP_ARCHIVE_OFF},
      {{.backup_every_ms = -1, .archive = MOONKEEP_ARCHIVE_SYNC}, MOONKEEP_ARCHIVE_SYNC},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct server server;
    open_new(&server, cases[i].options);
    CHECK_INT(status_of(&server).archive, cases[i].archive);
    CHECK_INT(moonkeep_set_wait(server.host, NULL, "k", "1", 0, NULL), MOONKEEP_OK);
    if (cases[i].archive == MOONKEEP_ARCHIVE_SYNC) CHECK(status_of(&server).archive_at_ms > 0);
    close_server(&server);
  }
}

TEST(a_value_may_be_as_long_as_options_say) {
  struct server server;
  open_new(&server, (struct moonkeep_options){.backup_every_ms = -1, .value_bytes = 10});
  CHECK_INT(moonkeep_set_wait(server.host, NULL, "k", "\"12345678\"", 0, NULL), MOONKEEP_OK);
  CHECK_INT(moonkeep_set_wait(server.host, NULL, "k", "\"123456789\"", 0, NULL), MOONKEEP_TOO_LARGE);
  close_server(&server);
}

TEST(scripts_that_are_trusted_have_all_of_lua) {
  for (int trust = 0; trust < 2; trust++) {
    struct server server = {.data = temp_dir(), .scripts = temp_dir()};
    temp_write(temp_path(server.scripts, "xp.lua"), "bot.on('hit', function() error(type(io)) end)");
    open_server(&server, (struct moonkeep_options){.backup_every_ms = -1, .trust = trust});
    const char *errors = hit(&server);
    if (!strstr(errors, trust ? "table" : "nil")) FAIL("%s", errors);
    close_server(&server);
  }
}

/* ---- the end ---- */

TEST(a_host_that_stops_does_not_wait_for_sleepers) {
  struct server server = {.data = temp_dir(), .scripts = temp_dir()};
  temp_write(
      temp_path(server.scripts, "xp.lua"),
      "bot.on('hit', function() bot.sleep(86400) end) bot.on('stop', function() appData:set('k', 1) end)");
  open_server(&server, (struct moonkeep_options){.backup_every_ms = -1, .grace_ms = 86400000});
  static const char json[] = "{\"event\":\"hit\"}";
  moonkeep_emit(server.host, json, sizeof json - 1, on_emitted, &server);
  while (status_of(&server).tasks_sleeping == 0) tick(&server);
  moonkeep_finish(server.host); /* waits for it within the grace period */
  CHECK(moonkeep_tick(server.host, 2000));
  CHECK_INT(status_of(&server).phase, MOONKEEP_FINISHING);
  moonkeep_stop(server.host);
  moonkeep_run(server.host);
  CHECK_INT(server.told, 1);
  CHECK(strcmp(server.text, "[]") != 0);
  struct moonkeep_result result;
  CHECK_INT(moonkeep_get_wait(server.host, NULL, "k", &result), MOONKEEP_OK);
  CHECK_STR(result.json, "1");
  moonkeep_result_free(&result);
  close_server(&server);
}

/* ---- memory ---- */

/* Whichever allocation fails: it is an error, or the whole of it. */
TEST(memory_that_runs_out_is_an_error) {
  struct server server;
  open_scripted(&server, (struct moonkeep_options){.backup_every_ms = -1});
  bool struck = true;
  for (long nth = 1; struck; nth++) {
    struct moonkeep_result result;
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_backup_wait(server.host, &result);
    struck = check_alloc_failed();
    check_fail_alloc(0);
    if (code == MOONKEEP_OK) CHECK_INT(result.count, 0);
    if (!struck) CHECK_INT(code, MOONKEEP_OK);
    moonkeep_result_free(&result);
  }
  struck = true;
  for (long nth = 1; struck; nth++) {
    int told = server.told;
    check_fail_alloc(nth);
    enum moonkeep_code code = moonkeep_reload(server.host, NULL, on_reloaded, &server, NULL);
    while (!code && server.told == told) tick(&server);
    struck = check_alloc_failed();
    check_fail_alloc(0);
    if (code) CHECK_INT(server.told, told);
    if (!struck) CHECK_STR(server.results, "[{\"script\":\"xp\",\"result\":\"reloaded\"}]");
  }
  CHECK_STR(hit(&server), "[]");
  close_server(&server);
}
