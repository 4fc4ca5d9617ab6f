/* Scripts that are saved while they run: every way to save, new files and removed ones. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "helpers/watched.h"
#include "script/look.h"

/* ---- saves ---- */

TEST(a_saved_script_takes_over_and_the_old_one_stops) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "bot.every(1, function() print 'tick' end)\nbot.on('m', function() print 'old' end)\n"
            "bot.on('stop', function() appData:set('stopped', 1) print 'stop' end)");
  watched_open(&rig);
  watched_expect(&rig, "info bot: old\n");
  watched_save(&rig, "bot.lua", watched_says("new"));
  CHECK_STR(rig_log(&rig), "info bot: reloaded\ninfo bot: stop\ndebug bot: version 1 has ended\n");
  watched_expect(&rig, "info bot: new\n");
  rig_advance(&rig, 5000);
  CHECK_STR(rig_log(&rig), "");
  CHECK_INT(scripts_load(rig.scripts).timers, 0);
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(a_rename_counts_at_once_and_a_write_when_it_has_stood_still) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  rig_write(&rig, "bot.lua", watched_says("second"));
  watched_look(&rig, LOOK_STILL_MS - 1);
  watched_expect(&rig, "info bot: one\n");
  watched_look(&rig, LOOK_GATHER_MS);
  watched_expect(&rig, "info bot: second\n");
  rig_replace(&rig, "bot.lua", watched_says("three"));
  watched_look(&rig, LOOK_WHOLE_MS + 1);
  watched_expect(&rig, "info bot: three\n");
  rig_deinit(&rig);
}

TEST(half_a_file_is_not_loaded) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  rig_log(&rig);
  FILE *file = fopen(watched_path(&rig, "bot.lua"), "w");
  CHECK(file);
  fputs("print 'half a file'\n", file);
  fflush(file);
  for (int i = 0; i < 20; i++) watched_look(&rig, LOOK_STILL_MS);
  CHECK_STR(rig_log(&rig), "");
  fputs("print 'whole'\n", file);
  fclose(file);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  HAS(rig_log(&rig), "info bot: half a file\ninfo bot: whole\ninfo bot: reloaded\n");
  rig_deinit(&rig);
}

TEST(a_file_that_stays_open_is_loaded_in_the_end) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  int fd = open(watched_path(&rig, "bot.lua"), O_WRONLY | O_TRUNC);
  CHECK(write(fd, "print 'open'", 12) == 12);
  watched_look(&rig, LOOK_WRITTEN_MS + LOOK_GATHER_MS);
  HAS(rig_log(&rig), "info bot: open\ninfo bot: reloaded\n");
  close(fd);
  rig_deinit(&rig);
}

TEST(a_burst_of_saves_is_one_reload) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  rig_write(&rig, "lib/a.lua", "return 1");
  watched_open(&rig);
  rig_log(&rig);
  for (int i = 0; i < 30; i++) {
    char source[64];
    snprintf(source, sizeof source, "require 'lib.a' --%*d\nprint 'loaded'", i, i);
    if (i % 2)
      rig_write(&rig, "bot.lua", source);
    else
      rig_replace(&rig, "bot.lua", source);
    watched_look(&rig, 10);
  }
  watched_look(&rig, 1000);
  CHECK_INT(watched_count(rig_log(&rig), "info bot: loaded\n"), 1);
  rig_deinit(&rig);
}

TEST(a_stream_of_saves_does_not_put_it_off_for_ever) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  for (int i = 1; i <= 40; i++) {
    char source[64];
    snprintf(source, sizeof source, "print 'loaded' --%*d", i, i);
    rig_write(&rig, "bot.lua", source);
    watched_look(&rig, 50);
  }
  CHECK(watched_count(rig_log(&rig), "info bot: reloaded\n") > 0);
  rig_deinit(&rig);
}

TEST(a_stream_of_renames_does_not_put_it_off_for_ever) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  for (int i = 1; i <= 150; i++) {
    rig_replace(&rig, "bot.lua", "print 'loaded'");
    watched_look(&rig, 10);
  }
  CHECK(watched_count(rig_log(&rig), "info bot: reloaded\n") > 0);
  rig_deinit(&rig);
}

/* A folder that becomes a bot, or holds other things: its files count when they have been closed. */
TEST(a_folder_that_was_there_before_becomes_a_bot) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot/notes.txt", "");
  watched_open(&rig);
  watched_save_in_place(&rig, "bot/init.lua", watched_says("one"));
  watched_expect(&rig, "info bot: one\n");
  watched_save_in_place(&rig, "bot/init.lua", watched_says("second"));
  watched_expect(&rig, "info bot: second\n");
  rig_deinit(&rig);
}

TEST(editors_that_move_the_old_file_away_first) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  CHECK(rename(watched_path(&rig, "bot.lua"), watched_path(&rig, "bot.lua~")) == 0);
  watched_look(&rig, LOOK_GATHER_MS + 10);
  watched_save_in_place(&rig, "bot.lua", watched_says("two"));
  CHECK(!strstr(rig_log(&rig), "unloaded"));
  watched_expect(&rig, "info bot: two\n");
  CHECK(unlink(watched_path(&rig, "bot.lua")) == 0); /* and those that remove it */
  watched_save_in_place(&rig, "bot.lua", watched_says("three"));
  watched_expect(&rig, "info bot: three\n");
  rig_deinit(&rig);
}

TEST(a_symbolic_link_that_leads_elsewhere) {
  struct rig rig;
  rig_init(&rig);
  char other[128];
  snprintf(other, sizeof other, "%s/other", rig.dir);
  CHECK(mkdir(other, 0700) == 0);
  rig_write(&rig, "_a.lua", watched_says("a"));
  rig_write(&rig, "../other/b", watched_says("b"));
  CHECK(symlink("_a.lua", watched_path(&rig, "bot.lua")) == 0);
  watched_open(&rig);
  watched_expect(&rig, "info bot: a\n");
  CHECK(symlink("../other/b", watched_path(&rig, ".new")) == 0);
  CHECK(rename(watched_path(&rig, ".new"), watched_path(&rig, "bot.lua")) == 0);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
  watched_expect(&rig, "info bot: b\n");
  rig_write(&rig, "../other/b", watched_says("b again"));
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  watched_expect(&rig, "info bot: b again\n");
  rig_deinit(&rig);
}

TEST(a_scripts_folder_behind_a_link_that_is_swapped) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "../one/bot.lua", watched_says("one"));
  rig_write(&rig, "../two/bot.lua", watched_says("two"));
  CHECK(rmdir(rig.scripts_dir) == 0 && symlink("one", rig.scripts_dir) == 0);
  watched_open(&rig);
  watched_expect(&rig, "info bot: one\n");
  CHECK(symlink("two", watched_path(&rig, "../new")) == 0);
  CHECK(rename(watched_path(&rig, "../new"), rig.scripts_dir) == 0);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  watched_expect(&rig, "info bot: two\n");
  watched_save(&rig, "bot.lua", watched_says("three"));
  watched_expect(&rig, "info bot: three\n");
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
  watched_open(&rig);
  watched_expect(&rig, "info bot: ab\tlate\n");
  watched_save(&rig, "lib/deep/b.lua", "return 'B'");
  watched_expect(&rig, "info bot: aB\tlate\n");
  watched_save(&rig, "lib/a.lua", "return 'A' .. require 'lib.deep.b'");
  watched_expect(&rig, "info bot: AB\tlate\n");
  watched_save_in_place(&rig, "_late.lua", "return 'later'");
  HAS(rig_log(&rig), "info bot: reloaded\n");
  watched_expect(&rig, "info bot: AB\tlater\n");
  watched_save(&rig, "lib/unused.lua", "return 1");
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

TEST(a_module_that_is_required_late_and_was_saved_with_a_mistake_in_it) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.on('m', function() print(require '_late') end)");
  rig_write(&rig, "_late.lua", "return 'late'");
  watched_open(&rig);
  watched_expect(&rig, "info bot: late\n");
  watched_save(&rig, "_late.lua", "return {");
  HAS(rig_log(&rig), "error bot: not reloaded: _late.lua:1: ");
  watched_expect(&rig, "info bot: late\n");
  watched_save(&rig, "_late.lua", "return 'later'");
  HAS(rig_log(&rig), "info bot: reloaded\n");
  watched_expect(&rig, "info bot: later\n");
  watched_save(&rig, "_late.lua", "return {");
  HAS(rig_log(&rig), "error bot: not reloaded: _late.lua:1: ");
  watched_save(&rig, "bot.lua", watched_says("without it")); /* another script may do without it */
  HAS(rig_log(&rig), "info bot: reloaded\n");
  watched_expect(&rig, "info bot: without it\n");
  rig_deinit(&rig);
}

TEST(a_module_that_was_missing) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("old"));
  rig_write(&rig, "try.lua", "print(pcall(require, 'new.extra'))");
  watched_open(&rig);
  watched_save(&rig, "bot.lua", "local it = require 'new.it' bot.on('m', function() print(it) end)");
  HAS(rig_log(&rig), "error bot: not reloaded: bot.lua:1: module \"new.it\" not found");
  watched_expect(&rig, "info bot: old\n");
  rig_write(&rig, "new/it.lua", "return 'it'");
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  watched_expect(&rig, "info bot: it\n");
  watched_save_in_place(&rig, "new/extra.lua", "return 'extra'");
  HAS(rig_log(&rig), "info try: true\textra\n");
  rig_deinit(&rig);
}

TEST(a_file_that_cannot_be_read_and_then_can) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  rig_replace(&rig, "bot.lua", watched_says("two"));
  CHECK(chmod(watched_path(&rig, "bot.lua"), 0) == 0);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  if (geteuid() != 0) HAS(rig_log(&rig), "not reloaded: cannot open "); /* root can */
  CHECK(chmod(watched_path(&rig, "bot.lua"), 0600) == 0);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  HAS(rig_log(&rig), "info bot: reloaded\n");
  watched_expect(&rig, "info bot: two\n");
  rig_deinit(&rig);
}

TEST(files_that_a_script_asks_for_in_vain_are_noted_up_to_a_limit) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.on('m', function() for i = 1, 3000 do pcall(require, 'no' .. i) end end)");
  watched_open(&rig);
  watched_message(&rig);
  watched_message(&rig);
  const struct script *script = list_of(rig.scripts->all.next, struct script, link);
  CHECK_INT(sources_count(&script->sources), SOURCES);
  CHECK_STR(rig_answers(&rig), "ok\nok\n");
  watched_save(&rig, "bot.lua", watched_says("new"));
  watched_expect(&rig, "info bot: new\n");
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
  watched_open(&rig);
  rig_log(&rig);
  for (int i = 1; i <= 20; i++) {
    snprintf(name, sizeof name, "lib/m%d.lua", i);
    CHECK(unlink(watched_path(&rig, name)) == 0);
    rig_write(&rig, name, "return  2");
    watched_look(&rig, 20);
  }
  CHECK(unlink(watched_path(&rig, "bot.lua")) == 0);
  rig_write(&rig, "bot.lua", "for i = 1, 20 do assert(require('lib.m' .. i) == 2) end print 'two'");
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  CHECK_STR(rig_log(&rig), "info bot: two\ninfo bot: reloaded\ndebug bot: version 1 has ended\n");
  rig_deinit(&rig);
}

/* ---- what is new, and what is gone ---- */

TEST(new_files_are_loaded_and_removed_ones_unloaded) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "b.lua", watched_says("b"));
  watched_open(&rig);
  watched_save(&rig, "a.lua",
               "bot.on('start', function() print 'start' end) bot.on('m', function() print 'a' end)");
  CHECK_STR(rig_log(&rig), "info a: loaded\ninfo a: start\n");
  rig_write(&rig, "c/init.lua", watched_says("c"));
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  watched_expect(&rig, "info a: a\ninfo b: b\ninfo c: c\n");
  CHECK_INT(scripts_count(rig.scripts), 3);
  watched_save(&rig, "c/init.lua", watched_says("C"));
  watched_expect(&rig, "info a: a\ninfo b: b\ninfo c: C\n");
  watched_save(&rig, "_d.lua", watched_says("d"));
  watched_save(&rig, ".e.lua", watched_says("e"));
  watched_save(&rig, "a_test.lua", watched_says("f"));
  watched_expect(&rig, "info a: a\ninfo b: b\ninfo c: C\n");
  CHECK(unlink(watched_path(&rig, "a.lua")) == 0);
  CHECK(unlink(watched_path(&rig, "c/init.lua")) == 0);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_GONE_MS);
  HAS(rig_log(&rig), "info a: unloaded: its file is gone\ninfo c: unloaded: its file is gone\n");
  watched_expect(&rig, "info b: b\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(the_file_counts_before_the_folder_of_the_same_name) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot/init.lua", watched_says("folder"));
  watched_open(&rig);
  watched_save(&rig, "bot.lua", watched_says("file"));
  watched_expect(&rig, "info bot: file\n");
  watched_save(&rig, "bot/init.lua", watched_says("the folder"));
  watched_expect(&rig, "info bot: file\n");
  CHECK(unlink(watched_path(&rig, "bot.lua")) == 0);
  watched_look(&rig, LOOK_GATHER_MS + LOOK_STILL_MS);
  watched_expect(&rig, "info bot: the folder\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(a_folder_that_cannot_be_read_leaves_all_as_it_is) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  rig_write(&rig, "../other/bot.lua", watched_says("two"));
  char away[600], other[600];
  snprintf(away, sizeof away, "%s/away", rig.dir);
  snprintf(other, sizeof other, "%s/other", rig.dir);
  CHECK(rename(rig.scripts_dir, away) == 0);
  rig_log(&rig);
  watched_look(&rig, 5000);
  HAS(rig_log(&rig), "does not exist (make it with: mkdir ");
  struct err err;
  CHECK_INT(scripts_reload(rig.scripts, NULL, NULL, NULL, &err), MOONKEEP_INVALID);
  watched_expect(&rig, "info bot: one\n");
  CHECK(rename(other, rig.scripts_dir) == 0);
  watched_look(&rig, 5000);
  watched_expect(&rig, "info bot: two\n");
  rig_deinit(&rig);
}

TEST(a_script_that_is_left_out_comes_in_when_it_is_saved) {
  static const struct scripts_left_out out[] = {{"bad", "it was running when the host crashed"}};
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bad.lua", watched_says("bad"));
  rig_write(&rig, "good.lua", watched_says("good"));
  rig.left_out = out;
  rig.left_out_count = 1;
  watched_open(&rig);
  CHECK_STR(rig_log(&rig),
            "warn bad: left out: it was running when the host crashed; save bad.lua to let it in again\n");
  watched_expect(&rig, "info good: good\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  watched_save(&rig, "bad.lua", watched_says("better"));
  watched_expect(&rig, "info bad: better\ninfo good: good\n");
  rig_deinit(&rig);
}
