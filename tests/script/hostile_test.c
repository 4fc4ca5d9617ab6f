/* Hostile scripts: each section of tests/script/hostile runs as a bot beside a good one, with a small budget
 * and little memory. Every one has to be stopped or refused, with an error in the log; the good one's events
 * are answered as if it were alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "helpers/rig.h"

enum {
  MEMORY_BYTES = 16 << 20,
  TURNS = 400,     /* of a bot that never comes to rest */
  PATIENCE = 60000 /* milliseconds, and turns, until the good one has been heard */
};

static const char good[] = "local moonkeep = require 'moonkeep'\n"
                           "bot.on('m', function(e)\n"
                           "  appData:update('good', function() return e.n end)\n"
                           "  bot.send('good', ('%d'):format(appData:get('good')))\n"
                           "end)\n";

static void prepare(struct rig *rig, int64_t cpu_budget_ms) {
  char path[700], target[700];
  rig_init(rig);
  rig->cpu_budget_ms = cpu_budget_ms;
  rig->memory_bytes = MEMORY_BYTES;
  rig_write(rig, "good.lua", good);
  rig_write(rig, "lib/loop.lua", "while true do end");
  snprintf(path, sizeof path, "%s/lib/out.lua", rig->scripts_dir);
  CHECK(symlink("/etc/hostname", path) == 0);
  snprintf(target, sizeof target, "%s/elsewhere", rig->dir);
  CHECK(mkdir(target, 0700) == 0);
  rig_write(rig, "../elsewhere/module.lua", "return 'outside'");
  snprintf(path, sizeof path, "%s/lib/outside", rig->scripts_dir);
  CHECK(symlink(target, path) == 0);
}

/* As rig_settle, but for scripts that never come to rest: then until this has been said. The turns of one
 * that does nothing can all be over before the disk has the good one's change. */
static void settle(struct rig *rig, const char *want) {
  for (int turn = 0; turn < TURNS + PATIENCE; turn++) {
    bool heard = !want || strstr(buf_text(&rig->actions), want);
    if (turn >= TURNS && heard) return;
    if (turn >= TURNS && store_pending(rig->store) > 0) store_wait(rig->store, 1);
    bool more = scripts_run(rig->scripts);
    store_kick(rig->store, more);
    store_pump(rig->store);
    if (more) continue;
    if (scripts_load(rig->scripts).running == 0) return;
    if (store_pending(rig->store) > 0) store_wait(rig->store, -1);
  }
}

static void emit(struct rig *rig, int n) {
  char json[64];
  struct err err;
  int len = snprintf(json, sizeof json, "{\"event\":\"m\",\"n\":%d}", n);
  CHECK_INT(scripts_emit(rig->scripts, "m", 1, json, (size_t)len, NULL, NULL, &err), MOONKEEP_OK);
}

/* Both hear of one event, and timers fire; then all ends. */
static void live(struct rig *rig, int n, const char *want) {
  struct err err;
  if (rig_try_open(rig, &err)) FAIL("%s", err.message);
  scripts_start(rig->scripts);
  emit(rig, n);
  settle(rig, want);
  rig->steady_ms += 1;
  timers_run(&rig->timers, rig->steady_ms);
  settle(rig, NULL);
  scripts_end_waits(rig->scripts);
  scripts_stop(rig->scripts);
  settle(rig, NULL);
  scripts_close(rig->scripts);
  rig->scripts = NULL;
}

static void run_section(struct rig *rig, const char *title, const char *source, int n) {
  char want[64];
  rig_write(rig, "bad.lua", source);
  if (getenv("VERBOSE")) printf("%s\n", title), fflush(stdout);
  snprintf(want, sizeof want, "\"channel\":\"good\",\"text\":\"%d\"", n);
  live(rig, n, want);
  if (!strstr(rig_actions(rig), want)) FAIL("%s: the good script was not heard", title);
  const char *log = rig_log(rig);
  if (!strstr(log, "error bad: ")) FAIL("%s: nobody stopped it:\n%.2000s", title, log);
}

static char *read_text(const char *path) {
  FILE *file = fopen(path, "r");
  CHECK(file);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *text = calloc(1, (size_t)size + 1);
  CHECK(fread(text, 1, (size_t)size, file) == (size_t)size);
  fclose(file);
  return text;
}

static void run_file(const char *path, int64_t cpu_budget_ms) {
  struct rig rig;
  char *text = read_text(path);
  const char *only = getenv("SECTION");
  int n = 0;
  prepare(&rig, cpu_budget_ms);
  for (char *at = strstr(text, "\n---- "), *next; at; at = next) {
    char *title = at + 6, *source = strchr(title, '\n');
    next = strstr(source, "\n---- ");
    if (next) *next = '\0';
    *source++ = '\0';
    if (!only || strstr(title, only)) run_section(&rig, title, source, ++n);
  }
  CHECK(n > 0 || only);
  free(text);
  rig_deinit(&rig);
}

TEST(loops_are_stopped) {
  run_file("tests/script/hostile/loops.lua", 20);
}

TEST(coroutines_are_stopped) {
  run_file("tests/script/hostile/coroutines.lua", 20);
}

/* Under ThreadSanitizer the hook counts, and these would take minutes. */
#if !defined(__SANITIZE_THREAD__)
TEST(string_functions_are_stopped) {
  run_file("tests/script/hostile/strings.lua", 40);
}

TEST(table_functions_are_stopped) {
  run_file("tests/script/hostile/tables.lua", 40);
}

TEST(memory_is_bounded) {
  run_file("tests/script/hostile/memory.lua", 40);
}
#endif

TEST(the_sandbox_holds) {
  run_file("tests/script/hostile/sandbox.lua", 20);
}
