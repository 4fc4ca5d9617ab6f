/* One version of a script takes over from another: nothing is lost, doubled or reordered in between. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "helpers/watched.h"
#include "script/look.h"

/* ---- versions that fail ---- */

TEST(a_version_that_fails_leaves_the_old_one_running) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("old"));
  watched_open(&rig);
  watched_save(&rig, "bot.lua", "local x = 1\n  local y = = 2");
  CHECK_STR(rig_log(&rig), "error bot: not reloaded: bot.lua:2: unexpected symbol near '='\n"
                           "    2 | local y = = 2\nthe old version is still running\n");
  watched_expect(&rig, "info bot: old\n");
  watched_save(&rig, "bot.lua", "bot.every(1, print)\nbot.spawn(print, 'never')\nerror 'on purpose'");
  CHECK_STR(rig_log(&rig), "error bot: not reloaded: bot.lua:3: on purpose\n    3 | error 'on purpose'\n"
                           "stack traceback:\n\t[C]: in function 'error'\n\tbot.lua:3: in main chunk\n"
                           "the old version is still running\n");
  watched_expect(&rig, "info bot: old\n");
  watched_save(
      &rig, "bot.lua",
      "bot.on('start', function()\n  appData:get 'x'\n  error 'at start'\nend)\n"
      "bot.on('start', function() bot.sleep(1) print 'never' end) bot.on('m', function() print 'no' end)");
  CHECK_STR(rig_log(&rig), "error bot: not reloaded: bot.lua:3: at start\n    3 | error 'at start'\n"
                           "stack traceback:\n\t[C]: in function 'error'\n\tbot.lua:3: in function "
                           "<bot.lua:1>\nthe old version is still running\n");
  watched_expect(&rig, "info bot: old\n");
  watched_save(&rig, "bot.lua", watched_says("new"));
  watched_expect(&rig, "info bot: new\n");
  rig_advance(&rig, 5000);
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

TEST(a_script_that_failed_at_the_start_comes_in_when_it_is_saved_well) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "x = = 1");
  watched_open(&rig);
  HAS(rig_log(&rig), "error bot: not loaded: bot.lua:1: ");
  watched_save(&rig, "bot.lua", "y = = 1");
  HAS(rig_log(&rig), "error bot: not loaded: bot.lua:1: ");
  watched_save(&rig, "bot.lua", watched_says("well"));
  watched_expect(&rig, "info bot: well\n");
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
  watched_open(&rig);
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
  CHECK(watched_count(rig_log(&rig), ": reloaded\n") >= 50);
  rig_emit(&rig, "check", "{\"event\":\"check\"}");
  CHECK_STR(rig_answers(&rig), "ok\n");
  snprintf(text, sizeof text, "info bot: %d\ninfo other: %d\n", n, n);
  CHECK_STR(rig_log(&rig), text);
  rig_deinit(&rig);
}

TEST(the_old_version_goes_on_while_the_start_of_the_new_one_waits) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.on('m', function(e) print('old', e.n) end)");
  watched_open(&rig);
  watched_load(&rig, "bot.lua",
               "bot.on('start', function() appData:set('x', 1) print 'start' end)\n"
               "bot.on('m', function(e) print('new', e.n) end)");
  watched_number(&rig, 1);
  watched_number(&rig, 2);
  CHECK_STR(rig_log(&rig), "info bot: old\t1\ninfo bot: old\t2\n");
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: start\ninfo bot: reloaded\ndebug bot: version 1 has ended\n");
  watched_number(&rig, 3);
  CHECK_STR(rig_log(&rig), "info bot: new\t3\n");
  rig_deinit(&rig);
}

TEST(a_start_that_sleeps_holds_nothing_up) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("old"));
  watched_open(&rig);
  watched_save(&rig, "bot.lua",
               "bot.on('start', function() bot.sleep(60) error 'late' end)\n"
               "bot.on('m', function() print 'new' end)");
  watched_expect(&rig, "info bot: new\n");
  rig_advance(&rig, 60000);
  HAS(rig_log(&rig), "error bot: error in the event \"start\": bot.lua:1: late");
  watched_expect(&rig, "info bot: new\n");
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
  watched_number(&rig, 1); /* held: the first start is not over */
  watched_load(&rig, "bot.lua", "bot.on('m', function(e) print('new', e.n) end)");
  scripts_run(rig.scripts);
  watched_number(&rig, 2);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig),
            "info bot: reloaded\ninfo bot: new\t1\ninfo bot: new\t2\ndebug bot: version 1 has ended\n");
  rig_deinit(&rig);
}

TEST(a_version_that_was_saved_meanwhile_is_passed_over) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", watched_says("one"));
  watched_open(&rig);
  watched_load(&rig, "bot.lua", "bot.on('start', function() appData:set('x', 1) print 'two' end)");
  scripts_run(rig.scripts);
  watched_load(&rig, "bot.lua", watched_says("three"));
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: reloaded\ndebug bot: version 1 has ended\n");
  watched_expect(&rig, "info bot: three\n");
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
  watched_open(&rig);
  watched_message(&rig);
  watched_save(&rig, "bot.lua", watched_says("new"));
  HAS(rig_log(&rig), "info bot: reloaded\n");
  watched_expect(&rig, "info bot: new\n");
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
  watched_open(&rig);
  watched_message(&rig);
  watched_save(&rig, "bot.lua", watched_says("new"));
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
  watched_expect(&rig, "info bot: new\n");
  rig_deinit(&rig);
}

TEST(without_a_grace_period_what_runs_still_has_a_second) {
  struct rig rig;
  rig_init(&rig);
  rig.grace_ms = 0;
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() bot.sleep(60) end)\n"
            "bot.on('m', function() appData:set('x', 1) print 'set' end)");
  watched_open(&rig);
  watched_number(&rig, 1);
  watched_load(&rig, "bot.lua", watched_says("new"));
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
  watched_open(&rig);
  for (int i = 1; i < 40; i++) {
    watched_message(&rig);
    snprintf(text, sizeof text, source, i);
    watched_save(&rig, "bot.lua", text);
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
  watched_open(&rig);
  watched_message(&rig);
  CHECK(unlink(watched_path(&rig, "bot.lua")) == 0);
  watched_look(&rig, 1000);
  CHECK_STR(rig_log(&rig), "info bot: unloaded: its file is gone\n");
  watched_expect(&rig, "");
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
  watched_open(&rig);
  watched_number(&rig, 1);
  watched_load(&rig, "bot.lua", "bot.on('start', function() appData:set('z', 1) end)");
  scripts_run(rig.scripts);
  watched_load(&rig, "bot.lua", watched_says("new")); /* this throws the one away that waits */
  scripts_run(rig.scripts);
  rig.steady_ms += 2000;
  timers_run(&rig.timers, rig.steady_ms); /* and this stops the tasks of the first */
  rig_settle(&rig);
  HAS(rig_log(&rig), "version 1 has ended");
  watched_expect(&rig, "info bot: new\n");
  rig_deinit(&rig);
}

/* ---- handover ---- */

TEST(what_is_handed_over_comes_exactly) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "print(bot.inherited)\nbot.handover(function() return {big = math.maxinteger, "
            "f = 1.0, list = require 'moonkeep'.array{}} end)");
  watched_open(&rig);
  CHECK_STR(rig_log(&rig), "info bot: nil\n");
  watched_save(&rig, "bot.lua",
               "local got = bot.inherited\nprint(got.big, got.f) appData:set('list', got.list)");
  HAS(rig_log(&rig), "info bot: 9223372036854775807\t1.0\n");
  watched_save(&rig, "bot.lua", "print(bot.inherited)\nbot.handover(function() end)");
  HAS(rig_log(&rig), "info bot: nil\n");
  watched_save(
      &rig, "bot.lua",
      "print(bot.inherited, pcall(function() bot.handover(5) end))\nbot.handover(print) bot.handover(nil)");
  HAS(rig_log(&rig),
      "info bot: nil\tfalse\tbot.lua:1: bad argument #1 to 'handover' (function expected, got number)");
  rig_deinit(&rig);
}

TEST(a_handover_that_fails_is_told_and_nothing_is_inherited) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", "bot.handover(function() error 'no' end)");
  watched_open(&rig);
  watched_save(&rig, "bot.lua", "print(bot.inherited)\nbot.handover(function() return {f = print} end)");
  HAS(rig_log(&rig), "error bot: error in bot.handover: bot.lua:1: no\nstack traceback:\n");
  watched_save(&rig, "bot.lua", "print(bot.inherited)\nbot.handover(function() bot.sleep(1) end)");
  HAS(rig_log(&rig), "error bot: error in bot.handover: the value.f is a function");
  watched_save(&rig, "bot.lua",
               "print(bot.inherited) bot.handover(function() return appData:get('x', 5) end)");
  HAS(rig_log(&rig), "bot.sleep cannot wait here");
  watched_save(&rig, "bot.lua", "print('got', bot.inherited)");
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
  watched_open(&rig);
  watched_number(&rig, 1);
  snprintf(text, sizeof text, "%sbot.on('start', function() appData:set('x', 1) error 'no' end)", counts);
  watched_load(&rig, "bot.lua", text);
  watched_number(&rig, 2);
  watched_number(&rig, 3);
  CHECK_STR(rig_log(&rig), "info bot: 1\t1\n");
  rig_settle(&rig); /* the start fails: the old version gets them */
  HAS(rig_log(&rig), "the old version is still running\ninfo bot: 2\t2\ninfo bot: 3\t3\n");
  snprintf(text, sizeof text, "%sbot.on('start', function() appData:set('x', 1) end)", counts);
  watched_load(&rig, "bot.lua", text);
  watched_number(&rig, 4);
  watched_number(&rig, 5);
  rig_settle(&rig);
  HAS(rig_log(&rig), "info bot: reloaded\ndebug bot: version 1 has ended\ninfo bot: 4\t4\ninfo bot: 5\t5\n");
  rig_deinit(&rig);
}
