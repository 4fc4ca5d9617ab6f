/* Trusted scripts have all of Lua, and still answer to the budget. */
#include <string.h>

#include "check.h"
#include "helpers/rig.h"

#define HAS(text, part)                                                                                      \
  do {                                                                                                       \
    const char *has = text;                                                                                  \
    if (!strstr(has, part)) FAIL("no %s in:\n%s", part, has);                                                \
  } while (0)

static void run(struct rig *rig, const char *source) {
  rig_init(rig);
  rig->trust = true;
  rig->cpu_budget_ms = 40;
  rig_write(rig, "lib/text.lua", "return 'ours'");
  rig_write(rig, "bot.lua", source);
  rig_open(rig);
}

TEST(trusted_scripts_have_the_whole_of_lua) {
  struct rig rig;
  run(&rig, "print(type(io.open), type(os.getenv), type(debug.traceback), type(package.path), type(dofile))\n"
            "print(type(string.dump), load(string.dump(function() return 5 end))())\n"
            "print(require 'lib.text', type(require 'io'.open), require 'moonkeep'.version ~= nil)\n"
            "print(pcall(require, 'no.such.module'))\n"
            "print(collectgarbage(), os.time() > 0, os.date('!%Y', 0))");
  const char *log = rig_log(&rig);
  HAS(log, "info bot: function\tfunction\tfunction\tstring\tfunction\n");
  HAS(log, "info bot: function\t5\n");
  HAS(log, "info bot: ours\tfunction\ttrue\n");
  HAS(log, "info bot: false\tmodule 'no.such.module' not found:");
  HAS(log, "info bot: 0\ttrue\t1970\n");
  rig_deinit(&rig);
}

TEST(a_trusted_script_that_never_ends_is_stopped) {
  struct rig rig;
  run(&rig, "bot.on('m', function() while true do pcall(function() while true do end end) end end)");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  HAS(rig_answers(&rig), "stopped: ");
  rig_deinit(&rig);
}

TEST(finalisers_run_at_the_end_and_begin_nothing_new) {
  struct rig rig;
  run(&rig, "x = setmetatable({}, {__gc = function()\n"
            "  print('end', pcall(bot.spawn, print))\n"
            "  pcall(bot.emit, 'm') pcall(bot.after, 1, print) pcall(bot.every, 1, print)\n"
            "  print(pcall(appData.set, appData, 'k', 1), appData:get('k'))\n"
            "  coroutine.wrap(print)('wrapped')\nend})");
  rig_close(&rig);
  const char *log = rig_log(&rig);
  HAS(log, "info bot: end\tfalse\tthe script is over\n");
  HAS(log, "info bot: wrapped\n");
  rig_deinit(&rig);
}

TEST(others_have_none_of_it) {
  struct rig rig;
  rig_run(
      &rig,
      "print(io, debug, package, dofile, os.getenv, string.dump, pcall(setmetatable, {}, {__gc = print}))");
  HAS(rig_log(&rig), "info bot: nil\tnil\tnil\tnil\tnil\tnil\tfalse\t");
  rig_deinit(&rig);
}
