/* What a program gives a host: its clock, its memory; and what the host tells it: failures, reloads. */
#include <dirent.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "helpers/temp.h"
#include "moonkeep.h"

enum { HEAD = 16 }; /* bytes before each block, which hold its size */

struct server {
  struct moonkeep_host *host;
  const char *data, *scripts;
  char said[4096];
  int done;
  _Atomic int64_t now_ms;
  atomic_long blocks, bytes; /* that are in use */
  atomic_long most_bytes;    /* above which there is none; 0: no limit */
};

static void say(struct server *server, const char *text) {
  size_t used = strlen(server->said);
  snprintf(server->said + used, sizeof server->said - used, "%s\n", text);
}

static void on_failed(void *ctx, const struct moonkeep_failure *failure) {
  char text[1024];
  snprintf(text, sizeof text, "%s: %s: %s%s", failure->script, failure->what, failure->message,
           strstr(failure->trace, "traceback") ? " (traced)" : "");
  say(ctx, text);
}

static void on_changed(void *ctx, const char *script, const char *what) {
  char text[128];
  snprintf(text, sizeof text, "%s %s", script, what);
  say(ctx, text);
}

static void on_action(void *ctx, const char *json, size_t len) {
  (void)len;
  say(ctx, json);
}

static int64_t now_ms(void *ctx) {
  return atomic_load(&((struct server *)ctx)->now_ms);
}

static void *resize(void *ctx, void *block, size_t size) {
  struct server *server = ctx;
  size_t *old = block ? (size_t *)(void *)((char *)block - HEAD) : NULL;
  long grows = (long)size - (old ? (long)*old : 0);
  if (size == 0) {
    if (old) atomic_fetch_sub(&server->bytes, (long)*old), atomic_fetch_sub(&server->blocks, 1);
    free(old);
    return NULL;
  }
  long most = atomic_load(&server->most_bytes);
  if (most && grows > 0 && atomic_load(&server->bytes) + grows > most) return NULL;
  size_t *made = realloc(old, HEAD + size);
  if (!made) return NULL;
  *made = size;
  atomic_fetch_add(&server->bytes, grows);
  atomic_fetch_add(&server->blocks, old ? 0 : 1);
  return (char *)made + HEAD;
}

/* `options` says what is beside the usual. */
static void open_server(struct server *server, struct moonkeep_options options, const char *script) {
  struct moonkeep_error error;
  server->data = temp_dir();
  server->scripts = temp_dir();
  temp_write(temp_path(server->scripts, "bot.lua"), script);
  options.size = sizeof options;
  options.data = server->data;
  options.scripts = server->scripts;
  options.ctx = server;
  options.action = on_action;
  if (options.backup_every_ms == 0) options.backup_every_ms = -1;
  if (moonkeep_open(&server->host, &options, &error)) FAIL("%s", error.message);
}

static void close_server(struct server *server) {
  struct moonkeep_error error;
  if (moonkeep_close(server->host, &error)) FAIL("%s", error.message);
}

static void on_done(void *ctx, const char *errors) {
  struct server *server = ctx;
  (void)errors;
  server->done++;
}

static void tick(struct server *server) {
  struct pollfd fd = {.fd = moonkeep_fd(server->host), .events = POLLIN};
  int timeout_ms = moonkeep_timeout_ms(server->host);
  poll(&fd, 1, timeout_ms < 0 || timeout_ms > 20 ? 20 : timeout_ms);
  CHECK(moonkeep_tick(server->host, 2000));
}

static void emit(struct server *server) {
  static const char json[] = "{\"event\":\"go\"}";
  int done = server->done;
  CHECK_INT(moonkeep_emit(server->host, json, sizeof json - 1, on_done, server), MOONKEEP_OK);
  while (server->done == done) tick(server);
}

/* ---- the clock ----
 *
 * First, and the only one with backups: ThreadSanitizer does not see libuv close a descriptor, and would take
 * one that the keeper has opened since for the same. */

static int count_backups(const struct server *server) {
  int count = 0;
  DIR *dir = opendir(temp_path(server->data, "backups"));
  for (const struct dirent *entry; dir && (entry = readdir(dir));)
    count += strncmp(entry->d_name, "appdata-", 8) == 0 && strstr(entry->d_name, ".db") != NULL;
  if (dir) closedir(dir);
  return count;
}

TEST(expiry_timers_and_backups_follow_the_clock) {
  static struct server server;
  struct moonkeep_result result;
  atomic_store(&server.now_ms, INT64_C(4000000000000)); /* in the year 2096 */
  open_server(&server,
              (struct moonkeep_options){.wall_ms = now_ms, .steady_ms = now_ms, .backup_every_ms = 3600000},
              "bot.on('go', function() appData:set('k', os.time(), {ttl = 60}) end)\n"
              "bot.after(1000, function() bot.send('c', 'a thousand seconds') end)");
  emit(&server);
  CHECK_INT(moonkeep_get_wait(server.host, NULL, "k", &result), MOONKEEP_OK);
  CHECK_STR(result.json, "4000000000");
  CHECK_INT(result.expires_at_ms, INT64_C(4000000060000));
  moonkeep_result_free(&result);
  for (int i = 0; i < 3; i++) tick(&server);
  CHECK_STR(server.said, "");
  atomic_fetch_add(&server.now_ms, 60000);
  moonkeep_get_wait(server.host, NULL, "k", &result);
  CHECK(!result.json);
  atomic_fetch_add(&server.now_ms, 940000);
  while (!server.said[0]) tick(&server);
  CHECK(strstr(server.said, "a thousand seconds"));
  int backups = count_backups(&server);
  moonkeep_set_wait(server.host, NULL, "k", "1", 0, NULL);
  atomic_fetch_add(&server.now_ms, 3600000);
  while (count_backups(&server) <= backups) tick(&server);
  close_server(&server);
}

/* ---- failures and reloads ---- */

TEST(failures_and_reloads_are_told) {
  static struct server server;
  open_server(&server, (struct moonkeep_options){.failed = on_failed, .changed = on_changed, .watch = 1},
              "bot.on('go', function()\n  error 'lost'\nend)");
  emit(&server);
  CHECK_STR(server.said, "bot: error in the event \"go\": bot.lua:2: lost\n    2 | error 'lost' (traced)\n");
  server.said[0] = '\0';
  temp_write(temp_path(server.scripts, "bot.lua"), "bot.on('go', function() bot.send('c', 'new') end)");
  while (!server.said[0]) tick(&server);
  CHECK_STR(server.said, "bot reloaded\n");
  server.said[0] = '\0';
  temp_write(temp_path(server.scripts, "bot.lua"), "bot.on('go'");
  while (!server.said[0]) tick(&server);
  CHECK(strncmp(server.said, "bot: not loaded: bot.lua:1: ", 28) == 0);
  server.said[0] = '\0';
  emit(&server);
  CHECK(strstr(server.said, "\"new\""));
  close_server(&server);
}

TEST(failures_at_the_start_are_told) {
  static struct server server;
  open_server(&server, (struct moonkeep_options){.failed = on_failed}, "error 'early'");
  CHECK(strncmp(server.said, "bot: not loaded: bot.lua:1: early", 33) == 0);
  close_server(&server);
}

/* ---- memory ---- */

TEST(scripts_live_in_the_programs_memory) {
  static struct server server;
  open_server(
      &server, (struct moonkeep_options){.resize_memory = resize, .failed = on_failed},
      "kept = {}\n"
      "bot.on('go', function() for i = 1, 1000 do kept[#kept + 1] = ('x'):rep(1000) .. #kept end end)");
  long before = atomic_load(&server.bytes);
  CHECK(before > 0);
  emit(&server);
  CHECK(atomic_load(&server.bytes) > before + 1000000);
  CHECK_STR(server.said, "");
  atomic_store(&server.most_bytes, atomic_load(&server.bytes) + 100000);
  emit(&server);
  CHECK(strstr(server.said, "not enough memory"));
  close_server(&server);
  CHECK_INT(atomic_load(&server.bytes), 0);
  CHECK_INT(atomic_load(&server.blocks), 0);
}

TEST(all_memory_can_be_the_programs) {
  static struct server server, ours;
  CHECK_INT(moonkeep_set_memory(resize, &ours), MOONKEEP_OK);
  open_server(&server, (struct moonkeep_options){0}, "bot.on('go', function() appData:set('k', {1}) end)");
  CHECK_INT(moonkeep_set_memory(NULL, NULL), MOONKEEP_BUSY);
  emit(&server);
  CHECK(atomic_load(&ours.blocks) > 0);
  close_server(&server);
  CHECK_INT(moonkeep_set_memory(NULL, NULL), MOONKEEP_OK);
  CHECK_INT(atomic_load(&ours.bytes), 0);
  CHECK_INT(atomic_load(&ours.blocks), 0);
}
