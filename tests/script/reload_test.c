/* Scripts that are reloaded while they run: what is saved takes over, and nothing is lost. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "helpers/rig.h"
#include "script/look.h"

#define HAS(text, part)                                                                                      \
  do {                                                                                                       \
    const char *has = text;                                                                                  \
    if (!strstr(has, part)) FAIL("no %s in:\n%s", part, has);                                                \
  } while (0)

/* ---- inotify, which fails when a test says so ---- */

static int no_inotify, no_watches; /* errno, or 0 */

int inotify_init1(int flags) {
  errno = no_inotify;
  return no_inotify ? -1 : (int)syscall(SYS_inotify_init1, flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask) {
  errno = no_watches;
  return no_watches ? -1 : (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

/* ---- helpers ---- */

static void open_watched(struct rig *rig) {
  rig->watch = true;
  rig_open(rig);
  rig_advance(rig, LOOK_EVERY_MS); /* the first look lies behind */
}

static void look(struct rig *rig, int64_t ms) {
  scripts_look(rig->scripts);
  rig_advance(rig, ms);
}

/* Saves by a rename and lets it be seen. */
static void save(struct rig *rig, const char *name, const char *source) {
  rig_replace(rig, name, source);
  look(rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
}

/* Saves by writing into the file that is there. */
static void save_in_place(struct rig *rig, const char *name, const char *source) {
  rig_write(rig, name, source);
  look(rig, LOOK_GATHER_MS + LOOK_STILL_MS);
}

static char *path_of(struct rig *rig, const char *name) {
  static char path[2][1024];
  static int turn;
  char *to = path[turn++ % 2];
  snprintf(to, sizeof path[0], "%s/%s", rig->scripts_dir, name);
  return to;
}

static void message(struct rig *rig) {
  rig_emit(rig, "m", "{\"event\":\"m\"}");
}

/* A bot that says its version when it is asked. */
static const char *says(const char *what) {
  static char source[2][256];
  static int turn;
  char *to = source[turn++ % 2];
  snprintf(to, sizeof source[0], "bot.on('m', function() print '%s' end)", what);
  return to;
}

static void expect(struct rig *rig, const char *log) {
  rig_log(rig);
  message(rig);
  CHECK_STR(rig_log(rig), log);
  CHECK_STR(rig_answers(rig), "ok\n");
}

static unsigned count_of(const char *text, const char *word) {
  unsigned count = 0;
  for (; (text = strstr(text, word)); text += strlen(word)) count++;
  return count;
}

/* ---- saves ---- */

TEST(a_saved_script_takes_over_and_the_old_one_stops) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "bot.every(1, function() print 'tick' end)\nbot.on('m', function() print 'old' end)\n"
            "bot.on('stop', function() appData:set('stopped', 1) print 'stop' end)");
  open_watched(&rig);
  expect(&rig, "info bot: old\n");
  save(&rig, "bot.lua", says("new"));
  CHECK_STR(rig_log(&rig), "info bot: reloaded\ninfo bot: stop\ndebug bot: version 1 has ended\n");
  expect(&rig, "info bot: new\n");
  rig_advance(&rig, 5000);
  CHECK_STR(rig_log(&rig), "");
  CHECK_INT(scripts_load(rig.scripts).timers, 0);
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(a_rename_counts_at_once_and_a_write_when_it_has_stood_still) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  rig_write(&rig, "bot.lua", says("second"));
  look(&rig, LOOK_STILL_MS - 1);
  expect(&rig, "info bot: one\n");
  look(&rig, LOOK_GATHER_MS);
  expect(&rig, "info bot: second\n");
  rig_replace(&rig, "bot.lua", says("three"));
  look(&rig, LOOK_WHOLE_MS + 1);
  expect(&rig, "info bot: three\n");
  rig_deinit(&rig);
}

TEST(half_a_file_is_not_loaded) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  rig_log(&rig);
  FILE *file = fopen(path_of(&rig, "bot.lua"), "w");
  CHECK(file);
  fputs("print 'half a file'\n", file);
  fflush(file);
  for (int i = 0; i < 20; i++) look(&rig, LOOK_STILL_MS);
  CHECK_STR(rig_log(&rig), "");
  fputs("print 'whole'\n", file);
  fclose(file);
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  HAS(rig_log(&rig), "info bot: half a file\ninfo bot: whole\ninfo bot: reloaded\n");
  rig_deinit(&rig);
}

TEST(a_file_that_stays_open_is_loaded_in_the_end) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  int fd = open(path_of(&rig, "bot.lua"), O_WRONLY | O_TRUNC);
  CHECK(write(fd, "print 'open'", 12) == 12);
  look(&rig, LOOK_WRITTEN_MS + LOOK_GATHER_MS);
  HAS(rig_log(&rig), "info bot: open\ninfo bot: reloaded\n");
  close(fd);
  rig_deinit(&rig);
}

TEST(a_burst_of_saves_is_one_reload) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  rig_write(&rig, "lib/a.lua", "return 1");
  open_watched(&rig);
  rig_log(&rig);
  for (int i = 0; i < 30; i++) {
    char source[64];
    snprintf(source, sizeof source, "require 'lib.a' --%*d\nprint 'loaded'", i, i);
    if (i % 2)
      rig_write(&rig, "bot.lua", source);
    else
      rig_replace(&rig, "bot.lua", source);
    look(&rig, 10);
  }
  look(&rig, 1000);
  CHECK_INT(count_of(rig_log(&rig), "info bot: loaded\n"), 1);
  rig_deinit(&rig);
}

TEST(a_stream_of_saves_does_not_put_it_off_for_ever) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  for (int i = 1; i <= 40; i++) {
    char source[64];
    snprintf(source, sizeof source, "print 'loaded' --%*d", i, i);
    rig_write(&rig, "bot.lua", source);
    look(&rig, 50);
  }
  CHECK(count_of(rig_log(&rig), "info bot: reloaded\n") > 0);
  rig_deinit(&rig);
}

TEST(a_stream_of_renames_does_not_put_it_off_for_ever) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  for (int i = 1; i <= 150; i++) {
    rig_replace(&rig, "bot.lua", "print 'loaded'");
    look(&rig, 10);
  }
  CHECK(count_of(rig_log(&rig), "info bot: reloaded\n") > 0);
  rig_deinit(&rig);
}

/* A folder that becomes a bot, or holds other things: its files count when they have been closed. */
TEST(a_folder_that_was_there_before_becomes_a_bot) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot/notes.txt", "");
  open_watched(&rig);
  save_in_place(&rig, "bot/init.lua", says("one"));
  expect(&rig, "info bot: one\n");
  save_in_place(&rig, "bot/init.lua", says("second"));
  expect(&rig, "info bot: second\n");
  rig_deinit(&rig);
}

TEST(editors_that_move_the_old_file_away_first) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  CHECK(rename(path_of(&rig, "bot.lua"), path_of(&rig, "bot.lua~")) == 0);
  look(&rig, LOOK_GATHER_MS + 10);
  save_in_place(&rig, "bot.lua", says("two"));
  CHECK(!strstr(rig_log(&rig), "unloaded"));
  expect(&rig, "info bot: two\n");
  CHECK(unlink(path_of(&rig, "bot.lua")) == 0); /* and those that remove it */
  save_in_place(&rig, "bot.lua", says("three"));
  expect(&rig, "info bot: three\n");
  rig_deinit(&rig);
}

TEST(a_symbolic_link_that_leads_elsewhere) {
  struct rig rig;
  rig_init(&rig);
  char other[128];
  snprintf(other, sizeof other, "%s/other", rig.dir);
  CHECK(mkdir(other, 0700) == 0);
  rig_write(&rig, "_a.lua", says("a"));
  rig_write(&rig, "../other/b", says("b"));
  CHECK(symlink("_a.lua", path_of(&rig, "bot.lua")) == 0);
  open_watched(&rig);
  expect(&rig, "info bot: a\n");
  CHECK(symlink("../other/b", path_of(&rig, ".new")) == 0);
  CHECK(rename(path_of(&rig, ".new"), path_of(&rig, "bot.lua")) == 0);
  look(&rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
  expect(&rig, "info bot: b\n");
  rig_write(&rig, "../other/b", says("b again"));
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  expect(&rig, "info bot: b again\n");
  rig_deinit(&rig);
}

TEST(a_scripts_folder_behind_a_link_that_is_swapped) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "../one/bot.lua", says("one"));
  rig_write(&rig, "../two/bot.lua", says("two"));
  CHECK(rmdir(rig.scripts_dir) == 0 && symlink("one", rig.scripts_dir) == 0);
  open_watched(&rig);
  expect(&rig, "info bot: one\n");
  CHECK(symlink("two", path_of(&rig, "../new")) == 0);
  CHECK(rename(path_of(&rig, "../new"), rig.scripts_dir) == 0);
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  expect(&rig, "info bot: two\n");
  save(&rig, "bot.lua", says("three"));
  expect(&rig, "info bot: three\n");
  rig_deinit(&rig);
}

TEST(modules_count_also_through_others_and_when_they_are_required_late) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "local a = require 'lib.a' bot.on('m', function() print(a, require '_late') end)");
  rig_write(&rig, "lib/a.lua", "return 'a' .. require 'lib.deep.b'");
  rig_write(&rig, "lib/deep/b.lua", "return 'b'");
  rig_write(&rig, "_late.lua", "return 'late'");
  rig_write(&rig, "other.lua", "print 'other'");
  open_watched(&rig);
  expect(&rig, "info bot: ab\tlate\n");
  save(&rig, "lib/deep/b.lua", "return 'B'");
  expect(&rig, "info bot: aB\tlate\n");
  save(&rig, "lib/a.lua", "return 'A' .. require 'lib.deep.b'");
  expect(&rig, "info bot: AB\tlate\n");
  save_in_place(&rig, "_late.lua", "return 'later'");
  HAS(rig_log(&rig), "info bot: reloaded\n");
  expect(&rig, "info bot: AB\tlater\n");
  save(&rig, "lib/unused.lua", "return 1");
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

TEST(a_module_that_was_missing) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("old"));
  rig_write(&rig, "try.lua", "print(pcall(require, 'new.extra'))");
  open_watched(&rig);
  save(&rig, "bot.lua", "local it = require 'new.it' bot.on('m', function() print(it) end)");
  HAS(rig_log(&rig), "error bot: not reloaded: bot.lua:1: module \"new.it\" not found");
  expect(&rig, "info bot: old\n");
  rig_write(&rig, "new/it.lua", "return 'it'");
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  expect(&rig, "info bot: it\n");
  save_in_place(&rig, "new/extra.lua", "return 'extra'");
  HAS(rig_log(&rig), "info try: true\textra\n");
  rig_deinit(&rig);
}

TEST(a_file_that_cannot_be_read_and_then_can) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  rig_replace(&rig, "bot.lua", says("two"));
  CHECK(chmod(path_of(&rig, "bot.lua"), 0) == 0);
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  if (geteuid() != 0) HAS(rig_log(&rig), "not reloaded: cannot open "); /* root can */
  CHECK(chmod(path_of(&rig, "bot.lua"), 0600) == 0);
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  HAS(rig_log(&rig), "info bot: reloaded\n");
  expect(&rig, "info bot: two\n");
  rig_deinit(&rig);
}

TEST(files_that_a_script_asks_for_in_vain_are_noted_up_to_a_limit) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.on('m', function() for i = 1, 3000 do pcall(require, 'no' .. i) end end)");
  open_watched(&rig);
  message(&rig);
  message(&rig);
  const struct script *script = list_of(rig.scripts->all.next, struct script, link);
  CHECK_INT(sources_count(&script->sources), SOURCES);
  CHECK_STR(rig_answers(&rig), "ok\nok\n");
  save(&rig, "bot.lua", says("new"));
  expect(&rig, "info bot: new\n");
  rig_deinit(&rig);
}

/* What `git checkout` does: many files, one after the other. A script is not loaded with half of them. */
TEST(many_files_that_change_one_after_the_other) {
  struct rig rig;
  char name[32];
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "for i = 1, 20 do assert(require('lib.m' .. i) == 1) end print 'one'");
  for (int i = 1; i <= 20; i++) {
    snprintf(name, sizeof name, "lib/m%d.lua", i);
    rig_write(&rig, name, "return 1");
  }
  open_watched(&rig);
  rig_log(&rig);
  for (int i = 1; i <= 20; i++) {
    snprintf(name, sizeof name, "lib/m%d.lua", i);
    CHECK(unlink(path_of(&rig, name)) == 0);
    rig_write(&rig, name, "return  2");
    look(&rig, 20);
  }
  CHECK(unlink(path_of(&rig, "bot.lua")) == 0);
  rig_write(&rig, "bot.lua", "for i = 1, 20 do assert(require('lib.m' .. i) == 2) end print 'two'");
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  CHECK_STR(rig_log(&rig), "info bot: two\ninfo bot: reloaded\ndebug bot: version 1 has ended\n");
  rig_deinit(&rig);
}

/* ---- what is new, and what is gone ---- */

TEST(new_files_are_loaded_and_removed_ones_unloaded) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "b.lua", says("b"));
  open_watched(&rig);
  save(&rig, "a.lua", "bot.on('start', function() print 'start' end) bot.on('m', function() print 'a' end)");
  CHECK_STR(rig_log(&rig), "info a: loaded\ninfo a: start\n");
  rig_write(&rig, "c/init.lua", says("c"));
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  expect(&rig, "info a: a\ninfo b: b\ninfo c: c\n");
  CHECK_INT(scripts_count(rig.scripts), 3);
  save(&rig, "c/init.lua", says("C"));
  expect(&rig, "info a: a\ninfo b: b\ninfo c: C\n");
  save(&rig, "_d.lua", says("d"));
  save(&rig, ".e.lua", says("e"));
  save(&rig, "a_test.lua", says("f"));
  expect(&rig, "info a: a\ninfo b: b\ninfo c: C\n");
  CHECK(unlink(path_of(&rig, "a.lua")) == 0);
  CHECK(unlink(path_of(&rig, "c/init.lua")) == 0);
  look(&rig, LOOK_GATHER_MS + LOOK_GONE_MS);
  HAS(rig_log(&rig), "info a: unloaded: its file is gone\ninfo c: unloaded: its file is gone\n");
  expect(&rig, "info b: b\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(the_file_counts_before_the_folder_of_the_same_name) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot/init.lua", says("folder"));
  open_watched(&rig);
  save(&rig, "bot.lua", says("file"));
  expect(&rig, "info bot: file\n");
  save(&rig, "bot/init.lua", says("the folder"));
  expect(&rig, "info bot: file\n");
  CHECK(unlink(path_of(&rig, "bot.lua")) == 0);
  look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  expect(&rig, "info bot: the folder\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(a_folder_that_cannot_be_read_leaves_all_as_it_is) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  rig_write(&rig, "../other/bot.lua", says("two"));
  char away[600], other[600];
  snprintf(away, sizeof away, "%s/away", rig.dir);
  snprintf(other, sizeof other, "%s/other", rig.dir);
  CHECK(rename(rig.scripts_dir, away) == 0);
  rig_log(&rig);
  look(&rig, 5000);
  HAS(rig_log(&rig), "does not exist (make it with: mkdir ");
  struct err err;
  CHECK_INT(scripts_reload(rig.scripts, NULL, NULL, NULL, &err), MOONKEEP_INVALID);
  expect(&rig, "info bot: one\n");
  CHECK(rename(other, rig.scripts_dir) == 0);
  look(&rig, 5000);
  expect(&rig, "info bot: two\n");
  rig_deinit(&rig);
}

TEST(a_script_that_is_left_out_comes_in_when_it_is_saved) {
  static const struct scripts_left_out out[] = {{"bad", "it was running when the host crashed"}};
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bad.lua", says("bad"));
  rig_write(&rig, "good.lua", says("good"));
  rig.left_out = out;
  rig.left_out_count = 1;
  open_watched(&rig);
  CHECK_STR(rig_log(&rig),
            "warn bad: left out: it was running when the host crashed; save bad.lua to let it in again\n");
  expect(&rig, "info good: good\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  save(&rig, "bad.lua", says("better"));
  expect(&rig, "info bad: better\ninfo good: good\n");
  rig_deinit(&rig);
}

/* ---- versions that fail ---- */

TEST(a_version_that_fails_leaves_the_old_one_running) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("old"));
  open_watched(&rig);
  save(&rig, "bot.lua", "local x = 1\n  local y = = 2");
  CHECK_STR(rig_log(&rig), "error bot: not reloaded: bot.lua:2: unexpected symbol near '='\n"
                           "    2 | local y = = 2\nthe old version is still running\n");
  expect(&rig, "info bot: old\n");
  save(&rig, "bot.lua", "bot.every(1, print)\nbot.spawn(print, 'never')\nerror 'on purpose'");
  CHECK_STR(rig_log(&rig), "error bot: not reloaded: bot.lua:3: on purpose\n    3 | error 'on purpose'\n"
                           "stack traceback:\n\t[C]: in function 'error'\n\tbot.lua:3: in main chunk\n"
                           "the old version is still running\n");
  expect(&rig, "info bot: old\n");
  save(&rig, "bot.lua",
       "bot.on('start', function()\n  appData:get 'x'\n  error 'at start'\nend)\n"
       "bot.on('start', function() bot.sleep(1) print 'never' end) bot.on('m', function() print 'no' end)");
  CHECK_STR(rig_log(&rig), "error bot: not reloaded: bot.lua:3: at start\n    3 | error 'at start'\n"
                           "stack traceback:\n\t[C]: in function 'error'\n\tbot.lua:3: in function "
                           "<bot.lua:1>\nthe old version is still running\n");
  expect(&rig, "info bot: old\n");
  save(&rig, "bot.lua", says("new"));
  expect(&rig, "info bot: new\n");
  rig_advance(&rig, 5000);
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

TEST(a_script_that_failed_at_the_start_comes_in_when_it_is_saved_well) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "x = = 1");
  open_watched(&rig);
  HAS(rig_log(&rig), "error bot: not loaded: bot.lua:1: ");
  save(&rig, "bot.lua", "y = = 1");
  HAS(rig_log(&rig), "error bot: not loaded: bot.lua:1: ");
  save(&rig, "bot.lua", says("well"));
  expect(&rig, "info bot: well\n");
  rig_deinit(&rig);
}

/* ---- between two events ---- */

/* Both scripts keep a list of what they get, through all versions. */
TEST(a_hundred_reloads_lose_double_and_reorder_nothing) {
  static const char source[] =
      "bot.on('start', function() appData:get 'x' end)\n"
      "bot.on('n', function(e) appData:update(bot.name, function(s) s[#s + 1] = e.n return s end,\n"
      "  require 'moonkeep'.array{}) end)\n"
      "bot.on('check', function() local seen = appData:get(bot.name)\n"
      "  for i, n in ipairs(seen) do assert(i == n, i .. ' is ' .. n) end print(#seen) end) --%d";
  struct rig rig;
  char text[512], json[64];
  struct err err;
  int n = 0;
  rig_init(&rig);
  snprintf(text, sizeof text, source, 0);
  rig_write(&rig, "bot.lua", text);
  rig_write(&rig, "other.lua", text);
  open_watched(&rig);
  for (int i = 1; i <= 100; i++) {
    snprintf(text, sizeof text, source, i);
    rig_replace(&rig, i % 3 ? "bot.lua" : "other.lua", text);
    scripts_look(rig.scripts);
    for (int step = 0; step < 10; step++) {
      rig.steady_ms += 1 + (int64_t)check_below(12);
      timers_run(&rig.timers, rig.steady_ms);
      for (uint64_t more = check_below(3); more > 0; more--) {
        snprintf(json, sizeof json, "{\"event\":\"n\",\"n\":%d}", ++n);
        CHECK(scripts_emit(rig.scripts, "n", 1, json, strlen(json), NULL, NULL, &err) == MOONKEEP_OK);
      }
      if (check_below(2)) scripts_run(rig.scripts);
      store_kick(rig.store, false);
      if (check_below(2)) store_pump(rig.store);
    }
  }
  rig_advance(&rig, 1000);
  CHECK(count_of(rig_log(&rig), ": reloaded\n") >= 50);
  rig_emit(&rig, "check", "{\"event\":\"check\"}");
  CHECK_STR(rig_answers(&rig), "ok\n");
  snprintf(text, sizeof text, "info bot: %d\ninfo other: %d\n", n, n);
  CHECK_STR(rig_log(&rig), text);
  rig_deinit(&rig);
}

/* Lets the next version be loaded, and does not run it. */
static void load_only(struct rig *rig, const char *name, const char *source) {
  rig_replace(rig, name, source);
  scripts_look(rig->scripts);
  for (int i = 0; i < 3; i++) {
    rig->steady_ms += LOOK_WHOLE_MS;
    timers_run(&rig->timers, rig->steady_ms);
  }
}

static void send_number(struct rig *rig, int n) {
  char json[64];
  struct err err;
  snprintf(json, sizeof json, "{\"event\":\"m\",\"n\":%d}", n);
  CHECK(scripts_emit(rig->scripts, "m", 1, json, strlen(json), NULL, NULL, &err) == MOONKEEP_OK);
  scripts_run(rig->scripts);
}

TEST(the_old_version_goes_on_while_the_start_of_the_new_one_waits) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.on('m', function(e) print('old', e.n) end)");
  open_watched(&rig);
  load_only(&rig, "bot.lua",
            "bot.on('start', function() appData:set('x', 1) print 'start' end)\n"
            "bot.on('m', function(e) print('new', e.n) end)");
  send_number(&rig, 1);
  send_number(&rig, 2);
  CHECK_STR(rig_log(&rig), "info bot: old\t1\ninfo bot: old\t2\n");
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: start\ninfo bot: reloaded\ndebug bot: version 1 has ended\n");
  send_number(&rig, 3);
  CHECK_STR(rig_log(&rig), "info bot: new\t3\n");
  rig_deinit(&rig);
}

TEST(a_start_that_sleeps_holds_nothing_up) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("old"));
  open_watched(&rig);
  save(&rig, "bot.lua",
       "bot.on('start', function() bot.sleep(60) error 'late' end)\n"
       "bot.on('m', function() print 'new' end)");
  expect(&rig, "info bot: new\n");
  rig_advance(&rig, 60000);
  HAS(rig_log(&rig), "error bot: error in the event \"start\": bot.lua:1: late");
  expect(&rig, "info bot: new\n");
  rig_deinit(&rig);
}

TEST(events_that_the_old_version_still_held_go_to_the_new_one) {
  struct rig rig;
  rig_init(&rig);
  rig.watch = true;
  rig_write(&rig, "bot.lua",
            "bot.on('start', function() appData:set('x', 1) end)\n"
            "bot.on('m', function(e) print('old', e.n) end)");
  struct err err;
  CHECK(rig_try_open(&rig, &err) == MOONKEEP_OK);
  scripts_start(rig.scripts);
  scripts_run(rig.scripts);
  send_number(&rig, 1); /* held: the first start is not over */
  load_only(&rig, "bot.lua", "bot.on('m', function(e) print('new', e.n) end)");
  scripts_run(rig.scripts);
  send_number(&rig, 2);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig),
            "info bot: reloaded\ninfo bot: new\t1\ninfo bot: new\t2\ndebug bot: version 1 has ended\n");
  rig_deinit(&rig);
}

TEST(a_version_that_was_saved_meanwhile_is_passed_over) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  load_only(&rig, "bot.lua", "bot.on('start', function() appData:set('x', 1) print 'two' end)");
  scripts_run(rig.scripts);
  load_only(&rig, "bot.lua", says("three"));
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: reloaded\ndebug bot: version 1 has ended\n");
  expect(&rig, "info bot: three\n");
  rig_deinit(&rig);
}

/* ---- what the old version does until its end ---- */

TEST(what_runs_finishes_in_the_old_version) {
  struct rig rig;
  rig_init(&rig);
  rig_write(
      &rig, "bot.lua",
      "local v = 'old'\n"
      "bot.on('m', function() bot.sleep(5) appData:set('v', v) bot.after(1, print) bot.spawn(function()\n"
      "  bot.sleep(1) print('spawned by ' .. v) end) print(v) end)\n"
      "bot.on('stop', function() appData:get 'v' bot.sleep(1) print('stop ' .. v) end)");
  open_watched(&rig);
  message(&rig);
  save(&rig, "bot.lua", says("new"));
  HAS(rig_log(&rig), "info bot: reloaded\n");
  expect(&rig, "info bot: new\n");
  rig_advance(&rig, 5000);
  CHECK_STR(rig_log(&rig), "info bot: old\n");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_advance(&rig, 1000);
  CHECK_STR(rig_log(&rig), "info bot: spawned by old\n");
  rig_advance(&rig, 1000);
  CHECK_STR(rig_log(&rig), "info bot: stop old\ndebug bot: version 1 has ended\n");
  rig_deinit(&rig);
}

TEST(what_does_not_end_is_stopped_after_the_grace_period) {
  struct rig rig;
  rig_init(&rig);
  rig.grace_ms = 3000;
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.sleep(60) end)\n"
            "bot.on('m', function() while true do bot.sleep(0.1) end end)\n"
            "bot.on('stop', function() print 'stop' bot.sleep(60) end)");
  open_watched(&rig);
  message(&rig);
  save(&rig, "bot.lua", says("new"));
  rig_log(&rig);
  rig_advance(&rig, 2900);
  CHECK_STR(rig_log(&rig), "");
  CHECK_STR(rig_answers(&rig), "");
  rig_advance(&rig, 100);
  CHECK_STR(rig_log(&rig),
            "warn bot: the old version was still at work after the grace period: 2 of its tasks stopped\n"
            "info bot: stop\n");
  HAS(rig_answers(&rig), "[{\"script\":\"bot\",\"message\":\"the script was reloaded, and this did not end");
  rig_advance(&rig, 3000);
  HAS(rig_log(&rig), "debug bot: version 1 has ended\n");
  CHECK_INT(scripts_load(rig.scripts).sleeping, 0);
  expect(&rig, "info bot: new\n");
  rig_deinit(&rig);
}

TEST(without_a_grace_period_what_runs_still_has_a_second) {
  struct rig rig;
  rig_init(&rig);
  rig.grace_ms = 0;
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.sleep(60) end)\n"
            "bot.on('m', function() appData:set('x', 1) print 'set' end)");
  open_watched(&rig);
  send_number(&rig, 1);
  load_only(&rig, "bot.lua", says("new"));
  scripts_run(rig.scripts);
  timers_run(&rig.timers, rig.steady_ms);
  rig_settle(&rig);
  HAS(rig_log(&rig), "the old version was still at work after the grace period: 1 of its tasks stopped\n"
                     "info bot: set\n");
  rig_deinit(&rig);
}

TEST(old_versions_together_hold_no_more_memory_than_a_script_may) {
  static const char source[] =
      "local t = string.rep('x', 200000) bot.on('m', function() bot.sleep(9) return t end) --%d";
  struct rig rig;
  char text[128];
  rig_init(&rig);
  rig.memory_bytes = 1 << 20;
  snprintf(text, sizeof text, source, 0);
  rig_write(&rig, "bot.lua", text);
  open_watched(&rig);
  for (int i = 1; i < 40; i++) {
    message(&rig);
    snprintf(text, sizeof text, source, i);
    save(&rig, "bot.lua", text);
  }
  size_t sleeping = scripts_load(rig.scripts).sleeping;
  if (sleeping < 3 || sleeping > 6) FAIL("%zu old versions", sleeping);
  HAS(rig_log(&rig),
      "warn bot: old versions that are still at work hold more memory than a script may: stopped");
  HAS(rig_answers(&rig), "its old versions held too much memory for this to end");
  rig_advance(&rig, 10000);
  CHECK_INT(scripts_load(rig.scripts).events, 0);
  rig_deinit(&rig);
}

TEST(a_removed_script_drains_and_stops_too) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.sleep(2) print 'handled' end)\n"
            "bot.on('stop', function() appData:set('x', 1) print 'stop' end)");
  open_watched(&rig);
  message(&rig);
  CHECK(unlink(path_of(&rig, "bot.lua")) == 0);
  look(&rig, 1000);
  CHECK_STR(rig_log(&rig), "info bot: unloaded: its file is gone\n");
  expect(&rig, "");
  rig_advance(&rig, 1000);
  CHECK_STR(rig_log(&rig), "info bot: handled\ninfo bot: stop\ndebug bot: version 1 has ended\n");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_deinit(&rig);
}

TEST(calls_of_a_version_that_is_gone_are_answered_to_nobody) {
  struct rig rig;
  rig_init(&rig);
  rig.grace_ms = 0;
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.spawn(function() appData:set('x', 1) end)\n"
            "  appData:update('y', function() print 'update' return 1 end)\n"
            "  appData:select '%' end)");
  open_watched(&rig);
  send_number(&rig, 1);
  load_only(&rig, "bot.lua", "bot.on('start', function() appData:set('z', 1) end)");
  scripts_run(rig.scripts);
  load_only(&rig, "bot.lua", says("new")); /* this throws the one away that waits */
  scripts_run(rig.scripts);
  rig.steady_ms += 2000;
  timers_run(&rig.timers, rig.steady_ms); /* and this stops the tasks of the first */
  rig_settle(&rig);
  HAS(rig_log(&rig), "version 1 has ended");
  expect(&rig, "info bot: new\n");
  rig_deinit(&rig);
}

/* ---- handover ---- */

TEST(what_is_handed_over_comes_exactly) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "print(bot.inherited)\nbot.handover(function() return {big = math.maxinteger, "
            "f = 1.0, list = require 'moonkeep'.array{}} end)");
  open_watched(&rig);
  CHECK_STR(rig_log(&rig), "info bot: nil\n");
  save(&rig, "bot.lua", "local got = bot.inherited\nprint(got.big, got.f) appData:set('list', got.list)");
  HAS(rig_log(&rig), "info bot: 9223372036854775807\t1.0\n");
  save(&rig, "bot.lua", "print(bot.inherited)\nbot.handover(function() end)");
  HAS(rig_log(&rig), "info bot: nil\n");
  save(&rig, "bot.lua",
       "print(bot.inherited, pcall(function() bot.handover(5) end))\nbot.handover(print) bot.handover(nil)");
  HAS(rig_log(&rig),
      "info bot: nil\tfalse\tbot.lua:1: bad argument #1 to 'handover' (function expected, got number)");
  rig_deinit(&rig);
}

TEST(a_handover_that_fails_is_told_and_nothing_is_inherited) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.handover(function() error 'no' end)");
  open_watched(&rig);
  save(&rig, "bot.lua", "print(bot.inherited)\nbot.handover(function() return {f = print} end)");
  HAS(rig_log(&rig), "error bot: error in bot.handover: bot.lua:1: no\nstack traceback:\n");
  save(&rig, "bot.lua", "print(bot.inherited)\nbot.handover(function() bot.sleep(1) end)");
  HAS(rig_log(&rig), "error bot: error in bot.handover: the value.f is a function");
  save(&rig, "bot.lua", "print(bot.inherited) bot.handover(function() return appData:get('x', 5) end)");
  HAS(rig_log(&rig), "bot.sleep cannot wait here");
  save(&rig, "bot.lua", "print('got', bot.inherited)");
  HAS(rig_log(&rig), "info bot: got\t5\ninfo bot: reloaded\n");
  rig_deinit(&rig);
}

/* What happens between the handover and the swap would be unknown to the new version. */
TEST(events_wait_between_the_handover_and_the_swap) {
  static const char counts[] = "local n = bot.inherited or 0\nbot.handover(function() return n end)\n"
                               "bot.on('m', function(e) n = n + 1 print(n, e.n) end)\n";
  struct rig rig;
  char text[512];
  rig_init(&rig);
  rig_write(&rig, "bot.lua", counts);
  open_watched(&rig);
  send_number(&rig, 1);
  snprintf(text, sizeof text, "%sbot.on('start', function() appData:set('x', 1) error 'no' end)", counts);
  load_only(&rig, "bot.lua", text);
  send_number(&rig, 2);
  send_number(&rig, 3);
  CHECK_STR(rig_log(&rig), "info bot: 1\t1\n");
  rig_settle(&rig); /* the start fails: the old version gets them */
  HAS(rig_log(&rig), "the old version is still running\ninfo bot: 2\t2\ninfo bot: 3\t3\n");
  snprintf(text, sizeof text, "%sbot.on('start', function() appData:set('x', 1) end)", counts);
  load_only(&rig, "bot.lua", text);
  send_number(&rig, 4);
  send_number(&rig, 5);
  rig_settle(&rig);
  HAS(rig_log(&rig), "info bot: reloaded\ndebug bot: version 1 has ended\ninfo bot: 4\t4\ninfo bot: 5\t5\n");
  rig_deinit(&rig);
}

/* ---- many times ---- */

static size_t descriptors(void) {
  size_t count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) != -1;
  return count;
}

/* In a build without sanitizers, what malloc has given out and has not got back. */
static size_t heap_bytes(void) {
  return mallinfo2().uordblks;
}

TEST(many_reloads_leave_nothing_behind) {
  static const char source[] =
      "local m = require 'lib.m'\nlocal n = bot.inherited or 0\n"
      "bot.handover(function() return n + 1 end)\n"
      "bot.on('start', function() appData:get 'x' end)\nbot.on('stop', function() appData:get 'x' end)\n"
      "bot.every(1, print) bot.after(100, print)\n"
      "bot.on('m', function() bot.sleep(0.01) end) bot.on('q', function() print(n) end) --%d\n%s";
  long rounds = check_rounds(1000);
  struct rig rig;
  char text[1024];
  size_t fds = 0, bytes = 0;
  rig_init(&rig);
  rig_write(&rig, "lib/m.lua", "return 1");
  snprintf(text, sizeof text, source, 0, "");
  rig_write(&rig, "bot.lua", text);
  open_watched(&rig);
  for (long i = 1; i <= rounds; i++) {
    struct err err;
    snprintf(text, sizeof text, source, (int)i, i % 10 == 0 ? "error 'no'" : "");
    rig_replace(&rig, "bot.lua", text);
    scripts_emit(rig.scripts, "m", 1, "{\"event\":\"m\"}", 13, NULL, NULL, &err);
    look(&rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
    rig_log(&rig);
    if (i == 100) fds = descriptors(), bytes = heap_bytes();
  }
  rig_advance(&rig, 500);
  rig_log(&rig);
  rig_emit(&rig, "q", "{\"event\":\"q\"}");
  snprintf(text, sizeof text, "info bot: %ld\n", rounds - rounds / 10);
  CHECK_STR(rig_log(&rig), text);
  CHECK_INT(scripts_load(rig.scripts).timers, 2);
  CHECK_INT(scripts_load(rig.scripts).events, 0);
  if (rounds < 200) return;
  CHECK_INT(descriptors(), fds);
  if (bytes && heap_bytes() > bytes + (64 << 10)) FAIL("%zu bytes became %zu", bytes, heap_bytes());
  rig_deinit(&rig);
}

/* ---- at random ---- */

enum { BOTS = 3 };

/* The tails of a version: what its start does, and what becomes of it. */
static const struct {
  const char *text;
  bool good;
} tails[] = {
    {"", true},
    {"bot.on('start', function() appData:get('y' .. math.random(9)) end)", true},
    {"bot.on('start', function() bot.sleep(0.05) end) bot.spawn(function() bot.sleep(30) end)", true},
    {"bot.on('start', function() appData:set('z', 1) error 'start' end)", false},
    {"error 'chunk'", false},
    {"x = = 1", false},
    {"require 'lib.missing'", false},
    {"bot.handover(function() return {n = 1} end)", true},
    {"bot.handover(function() error 'handover' end)", true},
    {"bot.on('stop', function() appData:update('s', function(n) return n + 1 end, 0) end)", true},
};
enum { START_FAILS = 3, TAILS = sizeof tails / sizeof *tails };

struct chaos {
  struct rig rig;
  int version[BOTS]; /* that should be live; 0: none */
  int saves, sent, answered, asked, told;
};

static void count_answer(void *ctx, const struct scripts_outcome *outcome) {
  struct chaos *chaos = ctx;
  (void)outcome;
  chaos->answered++;
}

static void count_told(void *ctx, const char *json, size_t len) {
  struct chaos *chaos = ctx;
  CHECK(len > 1 && json[0] == '[' && json[len - 1] == ']');
  chaos->told++;
}

static void save_at_random(struct chaos *chaos) {
  static const char source[] =
      "require 'lib.m' local version = %d\n"
      "bot.on('n', function() if math.random(3) == 1 then bot.sleep(0.2) end\n"
      "  appData:update(bot.name, function(n) return n + 1 end, 0) end)\n"
      "bot.on('which', function() bot.act{action = 'is', version = version} end)\n%s --%*d";
  char name[16], text[1024];
  int bot = (int)check_below(BOTS), tail = (int)check_below(TAILS);
  snprintf(name, sizeof name, "b%d.lua", bot);
  int width = ++chaos->saves % 97; /* two saves within a tick of the clock differ in size */
  snprintf(text, sizeof text, source, chaos->saves, tails[tail].text, width, width);
  bool gone = check_below(8) == 0;
  if (gone)
    unlink(path_of(&chaos->rig, name));
  else if (check_below(3) == 0)
    rig_write(&chaos->rig, name, text);
  else
    rig_replace(&chaos->rig, name, text);
  /* Where no other version runs, one runs whose start has failed, as at the start of the host. */
  bool runs = tails[tail].good || (tail == START_FAILS && chaos->version[bot] == 0);
  if (gone || runs) chaos->version[bot] = gone ? 0 : chaos->saves;
  /* The save before may not have been seen, and what runs then is anything. */
  rig_advance(&chaos->rig, LOOK_EVERY_MS + LOOK_GONE_MS);
}

static void step_at_random(struct chaos *chaos) {
  struct rig *rig = &chaos->rig;
  struct err err;
  switch (check_below(8)) {
  case 0: save_at_random(chaos); break;
  case 1: rig_replace(rig, "lib/m.lua", "return 1"); break;
  case 2: rig_advance(rig, (int64_t)check_below(200)); break;
  case 3:
    if (!scripts_reload(rig->scripts, NULL, count_told, chaos, &err)) chaos->asked++;
    break;
  case 4: scripts_look(rig->scripts); break;
  case 5:
    rig->steady_ms += 30;
    timers_run(&rig->timers, rig->steady_ms);
    break;
  default:
    for (int i = 0; i < 5; i++, chaos->sent++)
      CHECK(!scripts_emit(rig->scripts, "n", 1, "{\"event\":\"n\"}", 13, count_answer, chaos, &err));
    if (check_below(2)) scripts_run(rig->scripts);
  }
}

TEST(whatever_happens_each_event_is_answered_and_the_newest_good_version_runs) {
  struct chaos chaos = {.saves = 0};
  long rounds = check_rounds(400);
  rig_init(&chaos.rig);
  rig_write(&chaos.rig, "lib/m.lua", "return 1");
  chaos.rig.grace_ms = 2000;
  open_watched(&chaos.rig);
  for (long i = 0; i < rounds; i++) {
    step_at_random(&chaos);
    rig_log(&chaos.rig);
  }
  rig_advance(&chaos.rig, 10000);
  CHECK_INT(chaos.answered, chaos.sent);
  CHECK_INT(chaos.told, chaos.asked);
  CHECK_INT(scripts_load(chaos.rig.scripts).events, 0);
  rig_actions(&chaos.rig);
  rig_emit(&chaos.rig, "which", "{\"event\":\"which\"}");
  struct buf wanted = {0};
  for (int bot = 0; bot < BOTS; bot++)
    if (chaos.version[bot])
      buf_printf(&wanted, "{\"script\":\"b%d\",\"action\":\"is\",\"version\":%d}\n", bot, chaos.version[bot]);
  CHECK_STR(rig_actions(&chaos.rig), buf_text(&wanted));
  buf_deinit(&wanted);
  rig_deinit(&chaos.rig);
}

/* ---- watching that cannot be had ---- */

TEST(without_inotify_the_files_are_looked_at) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  no_inotify = EMFILE;
  open_watched(&rig);
  no_inotify = 0;
  CHECK_INT(scripts_watch_fd(rig.scripts), -1);
  HAS(rig_log(&rig), "warn scripts: cannot watch the scripts folder (Too many open files): looking at its "
                     "files every 100 ms instead\n");
  rig_write(&rig, "bot.lua", says("second"));
  rig_write(&rig, "new.lua", says("new"));
  rig_advance(&rig, 300);
  expect(&rig, "info bot: second\ninfo new: new\n");
  CHECK(unlink(path_of(&rig, "new.lua")) == 0);
  rig_advance(&rig, 500);
  expect(&rig, "info bot: second\n");
  rig_deinit(&rig);
}

TEST(without_room_for_another_watch_the_files_are_looked_at) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  no_watches = ENOSPC;
  save(&rig, "bot.lua", says("two"));
  HAS(rig_log(&rig), "warn scripts: cannot watch the scripts folder (No space left on device): looking at");
  rig_write(&rig, "bot.lua", says("third"));
  rig_advance(&rig, 300);
  no_watches = 0;
  expect(&rig, "info bot: third\n");
  rig_deinit(&rig);
}

TEST(what_inotify_did_not_tell_is_found_by_the_next_look) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", says("one"));
  open_watched(&rig);
  rig_write(&rig, "bot.lua", says("second"));
  rig_advance(&rig, LOOK_EVERY_MS + LOOK_STILL_MS);
  expect(&rig, "info bot: second\n");
  rig_deinit(&rig);
}

/* ---- asked for ---- */

static void put_state(void *ctx, const struct scripts_state *state) {
  buf_printf(ctx, "%s %s %u %zu %s\n", state->name, state->file, state->version, state->tasks,
             state->why ? state->why : "-");
  CHECK((state->bytes > 0) == (state->version > 0));
}

TEST(the_state_of_each_script_can_be_asked_for) {
  static const struct scripts_left_out out[] = {{"out", "it was running when the host crashed"}};
  struct rig rig;
  struct buf text = {0};
  rig_init(&rig);
  rig_write(&rig, "bad.lua", "error 'bad'");
  rig_write(&rig, "bot/init.lua", "bot.on('m', function() bot.sleep(9) end)");
  rig_write(&rig, "out.lua", says("out"));
  rig.left_out = out;
  rig.left_out_count = 1;
  open_watched(&rig);
  message(&rig);
  scripts_each(rig.scripts, put_state, &text);
  CHECK_STR(buf_text(&text), "bad bad.lua 0 0 bad.lua:1: bad\n    1 | error 'bad'\nbot bot/init.lua 1 1 -\n"
                             "out out.lua 0 0 it was running when the host crashed\n");
  save(&rig, "bad.lua", says("good"));
  save(&rig, "out.lua", says("in"));
  save(&rig, "bot/init.lua", says("new"));
  save(&rig, "bot/init.lua", "x = = 1");
  buf_clear(&text);
  scripts_each(rig.scripts, put_state, &text);
  CHECK_STR(buf_text(&text), "bad bad.lua 1 0 -\nbot bot/init.lua 2 0 bot/init.lua:1: unexpected symbol near "
                             "'='\n    1 | x = = 1\nout out.lua 1 0 -\n");
  buf_deinit(&text);
  rig_deinit(&rig);
}

static void take_results(void *ctx, const char *json, size_t len) {
  struct buf *results = ctx;
  buf_add(results, json, len);
  buf_putc(results, '\n');
}

TEST(a_reload_that_was_asked_for_tells_what_came_of_it) {
  struct rig rig;
  struct buf results = {0};
  struct err err;
  rig_init(&rig);
  rig_write(&rig, "a.lua", "print 'a' bot.on('start', function() appData:get 'x' end)");
  rig_write(&rig, "b/init.lua", "print 'b'");
  rig.watch = false;
  rig_open(&rig);
  rig_log(&rig);
  CHECK(scripts_reload(rig.scripts, "a", take_results, &results, &err) == MOONKEEP_OK);
  CHECK_STR(buf_text(&results), "");
  rig_settle(&rig);
  CHECK_STR(buf_text(&results), "[{\"script\":\"a\",\"result\":\"reloaded\"}]\n");
  CHECK_STR(rig_log(&rig), "info a: a\ninfo a: reloaded\ndebug a: version 1 has ended\n");
  buf_clear(&results);
  rig_write(&rig, "a.lua", "x = = 1");
  rig_write(&rig, "c.lua", "print 'c'");
  CHECK(unlink(path_of(&rig, "b/init.lua")) == 0);
  CHECK(scripts_reload(rig.scripts, NULL, take_results, &results, &err) == MOONKEEP_OK);
  rig_settle(&rig);
  CHECK_STR(
      buf_text(&results),
      "[{\"script\":\"a\",\"result\":\"failed\",\"error\":\"a.lua:1: unexpected symbol near '='\\n    1 | "
      "x = = 1\"},{\"script\":\"b\",\"result\":\"unloaded\"},{\"script\":\"c\",\"result\":\"loaded\"}]\n");
  CHECK_INT(scripts_reload(rig.scripts, "z", take_results, &results, &err), MOONKEEP_INVALID);
  HAS(err.message, "there is no script \"z\" in ");
  HAS(err.message, "; there are a, c");
  buf_clear(&results);
  CHECK(scripts_reload(rig.scripts, "c.lua", take_results, &results, &err) == MOONKEEP_OK);
  scripts_end_reloads(rig.scripts);
  CHECK_STR(buf_text(&results),
            "[{\"script\":\"c\",\"result\":\"failed\",\"error\":\"the host is ending\"}]\n");
  CHECK_INT(scripts_reload(rig.scripts, NULL, take_results, &results, &err), MOONKEEP_CLOSED);
  buf_deinit(&results);
  rig_deinit(&rig);
}

/* ---- the end of the host ---- */

TEST(a_host_that_ends_keeps_what_runs_and_stops_each_version_once) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.sleep(5) print 'old' end)\n"
            "bot.on('stop', function() print 'stop old' end)");
  open_watched(&rig);
  message(&rig);
  save(&rig, "bot.lua", "bot.on('stop', function() print 'stop new' end)");
  load_only(&rig, "bot.lua", "bot.on('start', function() appData:get 'x' end) bot.on('stop', print)");
  rig_log(&rig);
  scripts_end_reloads(rig.scripts);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "");
  scripts_end_waits(rig.scripts);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: stop old\ndebug bot: version 1 has ended\n");
  scripts_stop(rig.scripts);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: stop new\n");
  HAS(rig_answers(&rig), "the host stopped");
  rig_deinit(&rig);
}

TEST(a_host_can_close_in_the_middle_of_a_reload) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.sleep(5) appData:set('x', 1) end) bot.handover(print)");
  open_watched(&rig);
  message(&rig);
  save(&rig, "bot.lua", "bot.on('m', function() appData:set('x', 1) end) bot.handover(print)");
  send_number(&rig, 1);
  load_only(&rig, "bot.lua", "bot.on('start', function() appData:get 'x' end)");
  send_number(&rig, 2);
  rig_deinit(&rig);
}

/* ---- without memory ---- */

static void send_number_quietly(struct rig *rig) {
  struct err err;
  scripts_emit(rig->scripts, "m", 1, "{\"event\":\"m\"}", 13, NULL, NULL, &err);
}

TEST(every_allocation_of_a_reload_fails_in_turn) {
  static const char source[] = "local m = require 'lib.m' local n = bot.inherited or {1}\n"
                               "bot.handover(function() return n end) bot.every(1, print)\n"
                               "bot.on('start', function() appData:get 'x' end)\n"
                               "bot.on('m', function() bot.sleep(1) bot.send('c', n[1]) end) --%ld";
  struct rig rig;
  char text[512];
  rig_init(&rig);
  rig_write(&rig, "lib/m.lua", "return 1");
  snprintf(text, sizeof text, source, 0L);
  rig_write(&rig, "bot.lua", text);
  open_watched(&rig);
  bool failed = true;
  for (long n = 1; failed; n += n < 300 ? 1 : 7) {
    snprintf(text, sizeof text, source, n);
    rig_replace(&rig, "bot.lua", text);
    check_fail_alloc(n);
    send_number_quietly(&rig);
    look(&rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    rig_advance(&rig, LOOK_EVERY_MS + LOOK_STILL_MS);
    rig_actions(&rig);
    rig_answers(&rig);
    rig_log(&rig);
    message(&rig);
    rig_advance(&rig, 1000);
    CHECK_STR(rig_actions(&rig),
              "{\"script\":\"bot\",\"action\":\"send\",\"channel\":\"c\",\"text\":\"1\"}\n");
    CHECK_STR(rig_answers(&rig), "ok\n");
  }
  rig_deinit(&rig);
}
