/* Scripts that compute without end are stopped, whatever they try, and the others and the host go on. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "helpers/rig.h"

#define HAS(text, part)                                                                                      \
  do {                                                                                                       \
    const char *has = text;                                                                                  \
    if (!strstr(has, part)) FAIL("no %s in:\n%s", part, has);                                                \
  } while (0)

#define STOPPED "stopped: it has computed for over 0.04 s without giving way (--cpu-budget)"

static void run(struct rig *rig, const char *source) {
  rig_init(rig);
  rig->cpu_budget_ms = 40;
  rig_write(rig, "bot.lua", source);
  rig_open(rig);
}

TEST(an_endless_loop_is_stopped_and_told_with_its_place) {
  struct rig rig;
  run(&rig, "bot.on('m', function()\n  local n = 0\n  while true do\n    n = n + 1\n  end\nend)\n"
            "bot.on('m', function() bot.send('c', 'alive') end)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  const char *log = rig_log(&rig);
  HAS(log, "error bot: error in the event \"m\": bot.lua:");
  HAS(log, STOPPED "\n    ");
  HAS(log, "\nstack traceback:\n\tbot.lua:");
  HAS(log, "in function <bot.lua:1>");
  const char *answers = rig_answers(&rig);
  HAS(answers, "[{\"script\":\"bot\",\"message\":\"bot.lua:");
  HAS(answers, STOPPED "\"}]\n");
  HAS(rig_actions(&rig), "alive");
  rig_deinit(&rig);
}

/* Each gives way now and then, and uses more than the budget all in all. */
TEST(who_gives_way_is_not_stopped) {
  struct rig rig;
  run(&rig, "bot.on('m', function()\n"
            "  local began = os.clock()\n"
            "  while os.clock() - began < 0.2 do for i = 1, 1000 do end bot.sleep(0) end\n"
            "  print 'done'\nend)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK_STR(rig_log(&rig), "info bot: done\n");
  CHECK_STR(rig_answers(&rig), "ok\n");
  rig_deinit(&rig);
}

TEST(an_update_function_that_is_stopped_writes_nothing_and_its_task_ends) {
  struct rig rig;
  run(&rig, "appData:set('k', 1)\n"
            "bot.on('m', function()\n"
            "  while true do pcall(appData.update, appData, 'k', function(n)\n"
            "    while true do n = n + 1 end\n  end) end\nend)\n"
            "bot.on('n', function() print(appData:get('k'), appData:update('k', function(n) return n + 1 "
            "end)) end)");
  for (int i = 0; i < 3; i++) {
    rig_emit(&rig, "m", "{\"event\":\"m\"}");
    HAS(rig_log(&rig), "bot.lua:4: " STOPPED);
    HAS(rig_answers(&rig), STOPPED);
  }
  rig_emit(&rig, "n", "{\"event\":\"n\"}");
  CHECK_STR(rig_log(&rig), "info bot: 1\t2\n");
  rig_deinit(&rig);
}

TEST(an_update_function_that_runs_later_is_stopped_too) {
  struct rig rig;
  run(&rig, "bot.on('m', function()\n"
            "  bot.spawn(function() appData:update('other', function() return 1 end) print 'other' end)\n"
            "  while true do pcall(appData.update, appData, 'cold', function()\n"
            "    while true do end\n  end) end\nend)\n");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  const char *log = rig_log(&rig);
  HAS(log, "bot.lua:4: " STOPPED);
  HAS(log, "info bot: other\n");
  rig_deinit(&rig);
}

TEST(a_main_chunk_that_never_ends_is_not_loaded) {
  struct rig rig;
  rig_init(&rig);
  rig.cpu_budget_ms = 40;
  rig_write(&rig, "a.lua", "while true do pcall(function() while true do end end) end");
  rig_write(&rig, "b.lua", "require 'lib.text'");
  rig_write(&rig, "lib/text.lua", "while true do end");
  rig_write(&rig, "c.lua", "print 'works'");
  rig_open(&rig);
  const char *log = rig_log(&rig);
  HAS(log, "error a: not loaded: a.lua:1: " STOPPED);
  HAS(log, "error b: not loaded: lib/text.lua:1: " STOPPED);
  HAS(log, "info c: works\n");
  CHECK_INT(scripts_count(rig.scripts), 1);
  rig_deinit(&rig);
}
