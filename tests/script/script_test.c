/* Scripts from the host's side: loading, events, faults, the end. What scripts see from within is in specs/.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "helpers/rig.h"
#include "script/script.h"

#define HAS(text, part)                                                                                      \
  do {                                                                                                       \
    const char *has = text;                                                                                  \
    if (!strstr(has, part)) FAIL("no %s in:\n%s", part, has);                                                \
  } while (0)

/* ---- the folder ---- */

TEST(a_missing_folder_is_refused_and_says_how_to_make_one) {
  struct rig rig;
  struct err err;
  rig_init(&rig);
  CHECK(rmdir(rig.scripts_dir) == 0);
  CHECK_INT(rig_try_open(&rig, &err), MOONKEEP_INVALID);
  HAS(err.message, "does not exist (make it with: mkdir ");
  rig_deinit(&rig);
}

TEST(a_file_in_place_of_the_folder_is_refused) {
  struct rig rig;
  struct err err;
  rig_init(&rig);
  rig_write(&rig, "file.lua", "");
  strcat(rig.scripts_dir, "/file.lua");
  CHECK_INT(rig_try_open(&rig, &err), MOONKEEP_INVALID);
  HAS(err.message, "is not a folder");
  rig_deinit(&rig);
}

TEST(an_empty_folder_runs_and_says_so) {
  struct rig rig;
  rig_init(&rig);
  rig_open(&rig);
  CHECK_INT(scripts_count(rig.scripts), 0);
  HAS(rig_log(&rig), "warn scripts: no scripts in ");
  rig_emit(&rig, "message", "{\"event\":\"message\"}");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_deinit(&rig);
}

TEST(scripts_are_files_and_folders_with_init_in_order_of_name) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "b.lua", "print(bot.name)");
  rig_write(&rig, "a/init.lua", "print(bot.name)");
  rig_write(&rig, "c.lua", "print 'the file'");
  rig_write(&rig, "c/init.lua", "print 'the folder'");
  rig_write(&rig, "lib/text.lua", "print 'no bot'");
  rig_write(&rig, "_hidden.lua", "print 'no bot'");
  rig_write(&rig, ".hidden.lua", "print 'no bot'");
  rig_write(&rig, "b_test.lua", "print 'no bot'");
  rig_write(&rig, "notes.txt", "print 'no bot'");
  rig_open(&rig);
  CHECK_STR(rig_log(&rig), "warn c: left out c/init.lua: c.lua has the same name\n"
                           "info a: a\ninfo b: b\ninfo c: the file\n");
  CHECK_INT(scripts_count(rig.scripts), 3);
  rig_deinit(&rig);
}

TEST(a_script_that_fails_to_load_is_left_out_and_the_others_run) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "broken.lua", "local x = 1\nlocal = 2");
  rig_write(&rig, "bytes.lua", "\33Lua");
  rig_write(&rig, "raises.lua", "local function f() error('on purpose') end\nf()");
  rig_write(&rig, "stores.lua", "bot.spawn(print, 'never')\nappData:set('', 1)");
  rig_write(&rig, "works.lua", "print 'works'");
  rig_open(&rig);
  const char *log = rig_log(&rig);
  HAS(log, "error broken: not loaded: broken.lua:2: ");
  HAS(log, "error bytes: not loaded: attempt to load a binary chunk");
  HAS(log, "error raises: not loaded: raises.lua:1: on purpose\n    1 | local function f() error('on "
           "purpose') end\nstack traceback:\n");
  HAS(log, "raises.lua:2: in main chunk\n");
  HAS(log, "error stores: not loaded: stores.lua:2: appData:set: the key is empty (invalid_key)\n");
  HAS(log, "info works: works\n");
  CHECK(!strstr(log, "never"));
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}

TEST(a_byte_order_mark_and_a_first_line_for_the_shell_are_skipped) {
  struct rig rig;
  rig_run(&rig, "\xEF\xBB\xBF#!/usr/bin/env lua\nprint 'here'");
  CHECK_STR(rig_log(&rig), "info bot: here\n");
  rig_deinit(&rig);
}

TEST(a_link_out_of_the_folder_is_no_module) {
  struct rig rig;
  char path[600];
  rig_init(&rig);
  snprintf(path, sizeof path, "%s/out.lua", rig.scripts_dir);
  CHECK(symlink("/etc/hostname", path) == 0);
  snprintf(path, sizeof path, "%s/_in.lua", rig.scripts_dir);
  CHECK(symlink("_real.lua", path) == 0);
  rig_write(&rig, "_real.lua", "return 'real'");
  rig_write(&rig, "a.lua", "print(require '_in', pcall(require, 'out'))");
  rig_open(&rig);
  HAS(rig_log(&rig),
      "info a: real\tfalse\trequire \"out\": out.lua is a link that leads out of the scripts folder");
  rig_deinit(&rig);
}

/* ---- events ---- */

TEST(start_runs_before_the_first_event_and_stop_may_use_the_store) {
  struct rig rig;
  rig_run(&rig, "bot.emit('early')\n"
                "bot.on('*', function(e) print('any ' .. e.event) end)\n"
                "bot.on('early', function(e) print 'early' end)\n"
                "bot.on('start', function(e) print('first ' .. e.event) end)\n"
                "rootServer.lifecycle.start(function() print 'second' end, function()\n"
                "  appData:set('stopped', true) print('stop', appData:get 'stopped') end)\n"
                "rootServer.lifecycle.start(nil, function() print 'stop too' end)\n");
  CHECK_STR(rig_log(&rig), "info bot: first start\ninfo bot: second\ninfo bot: any early\ninfo bot: early\n");
  rig_emit(&rig, "stop", "{\"event\":\"stop\"}");
  CHECK_STR(rig_log(&rig), "info bot: any stop\n");
  scripts_stop(rig.scripts);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: stop too\ninfo bot: stop\ttrue\n");
  rig_deinit(&rig);
}

TEST(an_event_is_done_when_its_handlers_are) {
  struct rig rig;
  rig_run(&rig,
          "bot.on('go', function(e) bot.spawn(function() bot.sleep(60) end) bot.sleep(1) bot.sleep(1) end)");
  rig_emit(&rig, "go", "{\"event\":\"go\"}");
  CHECK_STR(rig_answers(&rig), "");
  struct scripts_load load = scripts_load(rig.scripts);
  CHECK_INT(load.sleeping, 2);
  CHECK_INT(load.running, 0);
  CHECK_INT(load.events, 1);
  CHECK_INT(load.next_ms, rig.steady_ms + 1000);
  rig_advance(&rig, 1999);
  CHECK_STR(rig_answers(&rig), "");
  rig_advance(&rig, 1);
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_emit(&rig, "nobody", "{\"event\":\"nobody\"}");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_deinit(&rig);
}

TEST(a_long_line_of_events_is_worked_through_with_few_tasks_and_in_order) {
  struct rig rig;
  rig_run(
      &rig,
      "local n = 0 bot.on('m', function(e) n = n + 1 if e.n ~= n then bot.send('late', tostring(e.n)) end "
      "if n == 500 then bot.send('all', 'there') end end) "
      "bot.on('go', function() for i = 1, 500 do bot.emit('m', { n = i }) end end)");
  rig_emit(&rig, "go", "{\"event\":\"go\"}");
  CHECK_STR(rig_actions(&rig),
            "{\"script\":\"bot\",\"action\":\"send\",\"channel\":\"all\",\"text\":\"there\"}\n");
  const struct script *script = list_of(rig.scripts->all.next, const struct script, link);
  CHECK_INT(script->idle_count, 1);
  rig_deinit(&rig);
}

TEST(each_handler_has_a_table_of_its_own_and_failures_are_told) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "a.lua",
            "bot.on('m', function(e) e.text = nil error('first') end)\n"
            "bot.on('m', function(e) bot.send(e.channel, e.text) end)\n"
            "bot.on('m', function(e) error({code = 1}) end)");
  rig_write(&rig, "b.lua", "bot.on('m', function(e) e:reply('re: ' .. e.text) appData:get('') end)\n");
  rig_open(&rig);
  rig_emit(&rig, "m", "{\"event\":\"m\",\"channel\":\"general\",\"text\":\"hi\"}");
  CHECK_STR(rig_actions(&rig),
            "{\"script\":\"a\",\"action\":\"send\",\"channel\":\"general\",\"text\":\"hi\"}\n"
            "{\"script\":\"b\",\"action\":\"send\",\"channel\":\"general\",\"text\":\"re: hi\"}\n");
  CHECK_STR(rig_answers(&rig),
            "[{\"script\":\"a\",\"message\":\"a.lua:1: first\"},"
            "{\"script\":\"a\",\"message\":\"the error is a table: {code = 1}\"},"
            "{\"script\":\"b\",\"message\":\"b.lua:1: appData:get: the key is empty (invalid_key)\"}]\n");
  HAS(rig_log(&rig), "error a: error in the event \"m\": a.lua:1: first\n    1 | bot.on('m', function(e) "
                     "e.text = nil error('first') end)\nstack traceback:\n");
  rig_emit(&rig, "m", "{\"event\":\"m\",\"text\":\"hi\"}");
  HAS(rig_answers(&rig), "this event came from no channel");
  rig_deinit(&rig);
}

TEST(an_uncaught_mistake_in_a_name_is_guessed) {
  struct rig rig;
  rig_run(&rig, "bot.on('m', function() appDta:get('x') end)\nbot.on('m', function() io.open('x') end)\n"
                "bot.on('m', function(e) e:replay('x') end)\nbot.on('m', function(e) e.reply('x') end)");
  rig_emit(&rig, "m", "{\"event\":\"m\",\"channel\":\"c\"}");
  const char *log = rig_log(&rig);
  HAS(log, "(global 'appDta') (did you mean \"appData\"?)\n    1 | ");
  HAS(log, "(global 'io') (scripts have no io)");
  HAS(log, "(method 'replay') (did you mean \"reply\"?)");
  HAS(log, "call reply with a colon: event:reply(text)");
  rig_deinit(&rig);
}

TEST(actions_begin_with_their_script) {
  struct rig rig;
  rig_run(&rig, "bot.act{action = 'ban', user = 'bob', script = 'forged'}\n"
                "bot.act{action = 'quit'}\nbot.send('general', 5)\nbot.send(17, 'x')");
  CHECK_STR(rig_actions(&rig),
            "{\"script\":\"bot\",\"action\":\"ban\",\"user\":\"bob\"}\n"
            "{\"script\":\"bot\",\"action\":\"quit\"}\n"
            "{\"script\":\"bot\",\"action\":\"send\",\"channel\":\"general\",\"text\":\"5\"}\n"
            "{\"script\":\"bot\",\"action\":\"send\",\"channel\":17,\"text\":\"x\"}\n");
  rig_deinit(&rig);
}

TEST(an_emitted_event_reaches_every_script) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "a.lua",
            "bot.on('ping', function() bot.emit('pong', {n = 1}) bot.emit('pong', {n = 2}) end)");
  rig_write(&rig, "b.lua", "bot.on('pong', function(e) print(e.n) end)");
  rig_open(&rig);
  rig_emit(&rig, "ping", "{\"event\":\"ping\"}");
  CHECK_STR(rig_log(&rig), "info b: 1\ninfo b: 2\n");
  rig_deinit(&rig);
}

TEST(a_handler_that_is_off_is_not_called_any_more) {
  struct rig rig;
  rig_run(&rig, "local second\n"
                "bot.on('m', function() print 'first' second:off() end)\n"
                "second = bot.on('m', function() print 'second' end)\n"
                "bot.on('m', function() print 'third' end)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK_STR(rig_log(&rig), "info bot: first\ninfo bot: third\n");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_deinit(&rig);
}

TEST(scripts_share_nothing_but_the_store) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "a.lua", "x = 1 string.upper = nil bot.on('m', function() appData:set('x', 1) end)");
  rig_write(&rig, "b.lua", "bot.on('m', function() print(x, string.upper 'b', appData:get 'x') end)");
  rig_open(&rig);
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  HAS(rig_log(&rig), "info b: nil\tB\t1\n");
  rig_deinit(&rig);
}

/* ---- waiting ---- */

TEST(update_functions_of_others_run_while_a_script_blocks) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "a.lua",
            "local function block() appData:set('a', 1) return 'done' end\n"
            "bot.on('m', function() print((string.gsub('x', '.', block))) end)\n"
            "bot.on('m', function() appData:update('a2', function() error 'mine' end) end)");
  rig_write(
      &rig, "b.lua",
      "local function update() appData:update('b', function(n) print 'b runs' return n + 1 end, 0) end\n"
      "bot.on('m', update)\n"
      "bot.on('m', function() appData:update('b2', function() error {code = 1} end) end)\n"
      "bot.on('m', function() coroutine.wrap(update)() print(appData:get 'b') end)");
  rig_open(&rig);
  for (int i = 0; i < 3; i++) {
    rig_emit(&rig, "m", "{\"event\":\"m\"}");
    const char *log = rig_log(&rig);
    HAS(log, "info a: done\n");
    HAS(log, i == 0 ? "info b: 2\n" : i == 1 ? "info b: 4\n" : "info b: 6\n");
    HAS(log, "a.lua:3: mine");
    HAS(rig_answers(&rig), "[{\"script\":\"");
  }
  rig_deinit(&rig);
}

TEST(an_error_in_an_update_function_names_its_line_and_the_callers) {
  struct rig rig;
  rig_run(&rig,
          "bot.on('m', function()\n  appData:update('k', function(v)\n    return v.xp + 1\n  end)\nend)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK_STR(rig_log(&rig),
            "error bot: error in the event \"m\": bot.lua:3: attempt to index a nil value (local 'v')\n"
            "    3 | return v.xp + 1\nstack traceback:\n\t[C]: in method 'update'\n\tbot.lua:2: in function "
            "<bot.lua:1>\n");
  rig_deinit(&rig);
}

/* ---- faults ---- */

TEST(hostile_errors_are_safe_in_the_hosts_hands) {
  struct rig rig;
  rig_run(&rig, "local function raise(mt) bot.spawn(error, setmetatable({}, mt)) end\n"
                "raise{__tostring = function() error 'again' end}\n"
                "raise{__tostring = function() return 5 end}\n"
                "raise{__name = 'Named'}\n"
                "raise{__tostring = function() return 'fine' end}\n"
                "raise{__tostring = function() coroutine.yield() end}\n"
                "bot.spawn(error, nil)\nbot.spawn(error, '\\xff\\0x')\n"
                "bot.spawn(function() local t = setmetatable({}, {__index = function(t, k) return t[k] end}) "
                "return t.x end)\n"
                "bot.spawn(function() local function f() return 1 + f() end f() end)\n"
                "bot.spawn(print, 'alive')\n");
  const char *log = rig_log(&rig);
  HAS(log, "error in bot.spawn: (an error that could not be turned into text)");
  HAS(log, "error in bot.spawn: fine\n");
  HAS(log, "C stack overflow");
  HAS(log, "stack overflow");
  HAS(log, "info bot: alive\n");
  rig_deinit(&rig);
}

TEST(messages_in_answers_are_utf8) {
  struct rig rig;
  rig_run(&rig, "bot.on('m', function() error('a\\xff\\xfeb', 0) end)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK_STR(rig_answers(&rig), "[{\"script\":\"bot\",\"message\":\"a\xEF\xBF\xBD\xEF\xBF\xBD"
                               "b\"}]\n");
  rig_deinit(&rig);
}

/* ---- the end ---- */

TEST(sleepers_and_timers_can_be_ended) {
  struct rig rig;
  rig_run(&rig, "bot.on('m', function() bot.sleep(60) print 'never' end)\n"
                "bot.every(1, function() print 'tick' end)\nbot.after(5, print)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  rig_advance(&rig, 1000);
  CHECK_STR(rig_log(&rig), "info bot: tick\n");
  CHECK_INT(scripts_load(rig.scripts).timers, 2);
  CHECK_INT(scripts_load(rig.scripts).next_ms, rig.steady_ms + 1000);
  scripts_end_waits(rig.scripts);
  CHECK_STR(rig_answers(&rig), "[{\"script\":\"bot\",\"message\":\"the host stopped\"}]\n");
  CHECK_INT(scripts_load(rig.scripts).timers, 0);
  CHECK_INT(scripts_load(rig.scripts).sleeping, 0);
  rig_advance(&rig, 100000);
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

TEST(a_late_beat_does_not_move_the_next_and_missed_ones_are_left_out) {
  struct rig rig;
  rig_run(&rig, "local start = os.clock()\nlocal n = 0\nbot.every(1, function() n = n + 1 print(n) end)");
  rig.steady_ms += 3500; /* the host was busy */
  timers_run(&rig.timers, rig.steady_ms);
  rig_settle(&rig);
  CHECK_STR(rig_log(&rig), "info bot: 1\n");
  rig_advance(&rig, 499);
  CHECK_STR(rig_log(&rig), "");
  rig_advance(&rig, 1);
  CHECK_STR(rig_log(&rig), "info bot: 2\n");
  rig_deinit(&rig);
}

/* Scripts that are loaded and told to start, but have not run yet. */
static void begin(struct rig *rig) {
  struct err err;
  if (rig_try_open(rig, &err)) FAIL("%s", err.message);
  scripts_start(rig->scripts);
}

TEST(events_wait_until_a_script_has_started_and_no_other_waits_with_it) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "slow.lua",
            "bot.on('start', function() for i = 1, 3 do appData:set('k' .. i, i) end print 'started' end)\n"
            "bot.on('message', function(event) print(event.text) end)");
  rig_write(&rig, "quick.lua", "bot.on('message', function(event) print(event.text) end)");
  begin(&rig);
  rig_emit(&rig, "message", "{\"event\":\"message\",\"text\":\"one\"}");
  rig_emit(&rig, "message", "{\"event\":\"message\",\"text\":\"two\"}");
  CHECK_STR(rig_log(&rig),
            "info quick: one\ninfo slow: started\ninfo slow: one\ninfo quick: two\ninfo slow: two\n");
  CHECK_STR(rig_answers(&rig), "ok\nok\n");
  rig_deinit(&rig);
}

TEST(a_start_handler_that_sleeps_or_fails_holds_up_no_event) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "sleeps.lua",
            "bot.on('start', function() while true do bot.sleep(60) end end)\n"
            "bot.on('message', function(event) print(event.text) end)");
  rig_write(&rig, "fails.lua",
            "bot.on('start', function() appData:get('k') error('oh') end)\n"
            "bot.on('message', function(event) print(event.text) end)");
  begin(&rig);
  rig_emit(&rig, "message", "{\"event\":\"message\",\"text\":\"one\"}");
  const char *log = rig_log(&rig);
  HAS(log, "info sleeps: one");
  HAS(log, "info fails: one");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_deinit(&rig);
}

TEST(events_that_are_held_when_the_host_ends_are_answered) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "slow.lua",
            "bot.on('start', function() appData:set('k', 1) end)\n"
            "bot.on('message', function(event) print(event.text) end)");
  begin(&rig);
  scripts_run(rig.scripts); /* the start handler waits for the disk */
  scripts_emit(rig.scripts, "message", 7, "{\"event\":\"message\"}", 19, NULL, NULL, NULL);
  scripts_run(rig.scripts); /* and the event for the script */
  CHECK_INT(scripts_load(rig.scripts).running, 2);
  rig_close(&rig);
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

TEST(closing_in_the_middle_drops_what_waits_and_runs_no_update_function) {
  struct rig rig;
  struct err err;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "bot.on('m', function() appData:set('a', 1) print 'never' end)\n"
            "bot.on('m', function() appData:update('b', function() print 'never' end) end)\n"
            "bot.on('m', function() coroutine.wrap(function() appData:count('%') end)() end)\n"
            "bot.on('m', function() bot.sleep(1) end)\nbot.emit('n') bot.every(1, print)");
  CHECK_INT(rig_try_open(&rig, &err), MOONKEEP_OK);
  scripts_start(rig.scripts);
  const char json[] = "{\"event\":\"m\"}";
  CHECK_INT(scripts_emit(rig.scripts, "m", 1, json, sizeof json - 1, NULL, NULL, &err), MOONKEEP_OK);
  scripts_run(rig.scripts);
  CHECK_INT(scripts_emit(rig.scripts, "m", 1, json, sizeof json - 1, NULL, NULL, &err), MOONKEEP_OK);
  rig_close(&rig);
  CHECK_STR(rig_log(&rig), "");
  rig_deinit(&rig);
}

/* ---- memory ---- */

static const char everything[] =
    "local moonkeep = require 'moonkeep'\n"
    "local lib = require 'lib.text'\n"
    "appData:set('a', {1, 2, x and 3})\n"
    "bot.on('start', function() bot.every(1, function() end) bot.after(1, function() bot.sleep(1) end) end)\n"
    "bot.on('m', function(e)\n"
    "  local h = bot.on('x', print) h:off()\n"
    "  pcall(e.reply, e, 'hi')\n"
    "  appData:set('k', {list = {1, 2.5, 'x'}, t = true}, {ttl = 10})\n"
    "  appData:set{{key = 'k1', value = 1}, {key = 'k2', value = {}}}\n"
    "  appData:update('k', function(v) v.n = 1 return v end, {})\n"
    "  appData:update('u', function(v) return moonkeep.unchanged end, {a = 1})\n"
    "  pcall(appData.update, appData, 'k', error)\n"
    "  for k, v in appData:each '%' do lib.use(k, v) end\n"
    "  lib.use(appData:select '%', appData:keys '%', appData:selectValue('%', {after = 'a'}), appData:count "
    "'%')\n"
    "  coroutine.wrap(function() appData:get 'k' coroutine.yield() end)()\n"
    "  string.gsub('a', '.', function() appData:delete 'k1' end)\n"
    "  appData:deleteLike 'k%'\n"
    "  bot.emit('e', {n = 1}) bot.spawn(lib.use, 1) bot.act{action = 'x', y = 1}\n"
    "  bot.log.info('done', e)\n"
    "  error(setmetatable({}, {__tostring = function() return 'end' end}))\n"
    "end)\n"
    "bot.on('e', function(e) lib.use(e.n) bot.sleep(0) end)\n";

/* One round, from loading to the end, in which the nth allocation from now on fails. */
static bool round_with_failing(struct rig *rig, long nth) {
  struct err err;
  check_fail_alloc(nth);
  enum moonkeep_code code = rig_try_open(rig, &err);
  if (code == MOONKEEP_OK) {
    const char json[] = "{\"event\":\"m\",\"channel\":\"c\",\"list\":[1,2,{}]}";
    scripts_start(rig->scripts);
    scripts_emit(rig->scripts, "m", 1, json, sizeof json - 1, NULL, NULL, &err);
    rig_settle(rig);
    rig_advance(rig, 2500);
    scripts_stop(rig->scripts);
    rig_settle(rig);
    scripts_close(rig->scripts);
    rig->scripts = NULL;
  }
  bool failed = check_alloc_failed();
  check_fail_alloc(0);
  return failed;
}

/* Where memory runs out a script, a handler or an event is lost; the host and its store go on, and nothing
 * leaks (which a sanitizer sees). */
TEST(every_allocation_may_fail) {
  struct rig rig;
  rig_init(&rig);
  rig_write(&rig, "bot.lua", everything);
  rig_write(&rig, "lib/text.lua", "return {use = function() end}");
  long nth = 1;
  for (; round_with_failing(&rig, nth); nth++) {
    rig_actions(&rig);
    rig_log(&rig);
  }
  CHECK(nth > 500); /* it did come to the end */
  rig_deinit(&rig);
}

/* ---- too many at once ---- */

/* Runs until only timers are left, and says how many store calls were under way at most. The store gets its
 * turn only when nothing else can run: a slow disk. */
static size_t settle_and_count(struct rig *rig) {
  size_t most = 0;
  while (scripts_load(rig->scripts).running > 0) {
    while (scripts_run(rig->scripts)) {}
    if (store_pending(rig->store) > most) most = store_pending(rig->store);
    if (store_pending(rig->store) > 0) store_wait(rig->store, -1);
  }
  return most;
}

/* Each task makes two calls: nobody's second comes before anybody's first. */
TEST(tasks_stand_in_line_for_a_store_that_has_no_room) {
  struct rig rig;
  struct err err;
  long tasks = check_rounds(3 * STORE_ROOM_CALLS + 100);
  char source[800];
  snprintf(
      source, sizeof source,
      "local tasks, order = %ld, {}\n"
      "bot.on('start', function()\n"
      "  for i = 1, tasks do bot.spawn(function()\n"
      "    local function write() appData:update('last', function() order[#order + 1] = i return i end) end\n"
      "    if i %% 3 == 0 then coroutine.wrap(write)() else write() end\n"
      "    write()\n"
      "    if not tasks or #order < 2 * tasks then return end\n"
      "    for n = 1, tasks do assert(order[n] == n, n) end\n"
      "    bot.act{action = 'done'}\n"
      "    tasks = nil\n"
      "  end) end\n"
      "end)\n",
      tasks);
  rig_init(&rig);
  rig_write(&rig, "bot.lua", source);
  if (rig_try_open(&rig, &err)) FAIL("%s", err.message);
  scripts_start(rig.scripts);
  size_t most = settle_and_count(&rig);
  HAS(rig_actions(&rig), "\"done\"");
  CHECK_INT(scripts_slowed(rig.scripts), 0);
  if (most > STORE_ROOM_CALLS) FAIL("%zu calls were under way", most);
  rig_deinit(&rig);
}

TEST(what_tasks_write_at_once_is_bounded_in_bytes) {
  enum { VALUE_BYTES = 100000 };
  struct rig rig;
  struct err err;
  rig_init(&rig);
  rig_write(&rig, "bot.lua",
            "local big = ('x'):rep(100000)\n"
            "bot.on('start', function()\n"
            "  for i = 1, 400 do bot.spawn(function() appData:set('k' .. i, big) end) end\n"
            "end)\n");
  if (rig_try_open(&rig, &err)) FAIL("%s", err.message);
  scripts_start(rig.scripts);
  size_t most = settle_and_count(&rig);
  CHECK_STR(rig_log(&rig), "");
  if (most > STORE_ROOM_BYTES / VALUE_BYTES + 1) FAIL("%zu calls were under way", most);
  rig_deinit(&rig);
}

TEST(a_ttl_counts_from_the_call_also_where_it_stands_in_line) {
  struct rig rig;
  struct err err;
  char source[400];
  snprintf(source, sizeof source,
           "bot.on('start', function()\n"
           "  for i = 1, %d do bot.spawn(function() appData:set('k' .. i, i, {ttl = 5}) end) end\n"
           "end)\n"
           "bot.on('look', function() bot.act{action = 'done', left = appData:count('%%')} end)\n",
           STORE_ROOM_CALLS + 1);
  rig_init(&rig);
  rig_write(&rig, "bot.lua", source);
  if (rig_try_open(&rig, &err)) FAIL("%s", err.message);
  scripts_start(rig.scripts);
  while (scripts_slowed(rig.scripts) == 0) scripts_run(rig.scripts);
  rig.wall_ms += 4000;
  rig_settle(&rig);
  rig_emit(&rig, "look", "{\"event\":\"look\"}");
  rig_settle(&rig);
  snprintf(source, sizeof source, "\"left\":%d", STORE_ROOM_CALLS + 1);
  HAS(rig_actions(&rig), source);
  rig.wall_ms += 1000;
  rig_emit(&rig, "look", "{\"event\":\"look\"}");
  rig_settle(&rig);
  HAS(rig_actions(&rig), "\"left\":0");
  rig_deinit(&rig);
}

/* The get stands in line, and then the value is there without a call. */
TEST(a_place_in_line_is_for_one_call) {
  struct rig rig;
  struct err err;
  char source[500];
  snprintf(source, sizeof source,
           "bot.on('start', function()\n"
           "  for i = 1, %d do bot.spawn(function() appData:set('x', i) end) end\n"
           "  bot.spawn(function()\n"
           "    appData:get('x')\n"
           "    local now = os.time()\n"
           "    appData:set('y', 1, {ttl = 5})\n"
           "    bot.act{action = 'done', lasts = appData:select('y')[1].expires_at - now}\n"
           "  end)\n"
           "end)\n",
           STORE_ROOM_CALLS);
  rig_init(&rig);
  rig_write(&rig, "bot.lua", source);
  if (rig_try_open(&rig, &err)) FAIL("%s", err.message);
  scripts_start(rig.scripts);
  while (scripts_slowed(rig.scripts) == 0) scripts_run(rig.scripts);
  rig.wall_ms += 4000;
  rig_settle(&rig);
  HAS(rig_actions(&rig), "\"lasts\":5");
  rig_deinit(&rig);
}

TEST(where_lua_cannot_yield_a_call_waits_for_room_by_blocking) {
  struct rig rig;
  struct err err;
  char source[600];
  snprintf(source, sizeof source,
           "bot.on('start', function()\n"
           "  for i = 1, %d do bot.spawn(function() appData:set('k' .. i, i) end) end\n"
           "  bot.spawn(function()\n"
           "    table.sort({1, 2}, function(a, b) appData:set('sorted', true) return a < b end)\n"
           "    bot.act{action = 'done', sorted = appData:get('sorted')}\n"
           "  end)\n"
           "end)\n",
           STORE_ROOM_CALLS + 100);
  rig_init(&rig);
  rig_write(&rig, "bot.lua", source);
  if (rig_try_open(&rig, &err)) FAIL("%s", err.message);
  scripts_start(rig.scripts);
  size_t most = settle_and_count(&rig);
  HAS(rig_actions(&rig), "\"sorted\":true");
  if (most > STORE_ROOM_CALLS) FAIL("%zu calls were under way", most);
  rig_deinit(&rig);
}

TEST(closing_drops_what_stands_in_line) {
  struct rig rig;
  struct err err;
  char source[400];
  snprintf(
      source, sizeof source,
      "for i = 1, %d do bot.spawn(function() appData:set('k' .. i, i) appData:set('again', i) end) end\n",
      2 * STORE_ROOM_CALLS + 100);
  rig_init(&rig);
  rig_write(&rig, "bot.lua", source);
  if (rig_try_open(&rig, &err)) FAIL("%s", err.message);
  while (scripts_slowed(rig.scripts) == 0) scripts_run(rig.scripts);
  rig_deinit(&rig);
}
