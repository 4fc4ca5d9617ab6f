/* What a host has to do with reloads: watching that cannot be had, what it asks for, and its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "helpers/watched.h"
#include "script/look.h"

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

/* ---- watching that cannot be had ---- */

TEST(without_inotify_the_files_are_looked_at) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  no_inotify = EMFILE;
  watched_open(&rig);
  no_inotify = 0;
  CHECK_INT(scripts_watch_fd(rig.scripts), -1);
  HAS(rig_log(&rig), "warn scripts: cannot watch the scripts folder (Too many open files): looking at its "
                     "files every 100 ms instead\n");
  rig_write(&rig, "bot.lua", watched_says("second"));
  rig_write(&rig, "new.lua", watched_says("new"));
  rig_advance(&rig, 300);
  watched_expect(&rig, "info bot: second\ninfo new: new\n");
  CHECK(unlink(watched_path(&rig, "new.lua")) == 0);
  rig_advance(&rig, 500);
  watched_expect(&rig, "info bot: second\n");
  rig_deinit(&rig);
}

TEST(without_room_for_another_watch_the_files_are_looked_at) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  no_watches = ENOSPC;
  watched_save(&rig, "bot.lua", watched_says("two"));
  HAS(rig_log(&rig), "warn scripts: cannot watch the scripts folder (No space left on device): looking at");
  rig_write(&rig, "bot.lua", watched_says("third"));
  rig_advance(&rig, 300);
  no_watches = 0;
  watched_expect(&rig, "info bot: third\n");
  rig_deinit(&rig);
}

TEST(what_inotify_did_not_tell_is_found_by_the_next_look) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  rig_write(&rig, "bot.lua", watched_says("second"));
  rig_advance(&rig, LOOK_EVERY_MS + LOOK_STILL_MS);
  watched_expect(&rig, "info bot: second\n");
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
  rig_write(&rig, "out.lua", watched_says("out"));
  rig.left_out = out;
  rig.left_out_count = 1;
  watched_open(&rig);
  watched_message(&rig);
  scripts_each(rig.scripts, put_state, &text);
  CHECK_STR(buf_text(&text), "bad bad.lua 0 0 bad.lua:1: bad\n    1 | error 'bad'\nbot bot/init.lua 1 1 -\n"
                             "out out.lua 0 0 it was running when the host crashed\n");
  watched_save(&rig, "bad.lua", watched_says("good"));
  watched_save(&rig, "out.lua", watched_says("in"));
  watched_save(&rig, "bot/init.lua", watched_says("new"));
  watched_save(&rig, "bot/init.lua", "x = = 1");
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
  CHECK(unlink(watched_path(&rig, "b/init.lua")) == 0);
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
  watched_open(&rig);
  watched_message(&rig);
  watched_save(&rig, "bot.lua", "bot.on('stop', function() print 'stop new' end)");
  watched_load(&rig, "bot.lua", "bot.on('start', function() appData:get 'x' end) bot.on('stop', print)");
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
  watched_open(&rig);
  watched_message(&rig);
  watched_save(&rig, "bot.lua", "bot.on('m', function() appData:set('x', 1) end) bot.handover(print)");
  watched_number(&rig, 1);
  watched_load(&rig, "bot.lua", "bot.on('start', function() appData:get 'x' end)");
  watched_number(&rig, 2);
  rig_deinit(&rig);
}
