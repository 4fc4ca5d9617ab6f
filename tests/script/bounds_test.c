/* What a script may have at a time, and the break that it gets when it is over its budget again and again. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "helpers/rig.h"
#include "script/bounds.h"

#define HAS(text, part)                                                                                      \
  do {                                                                                                       \
    const char *has = text;                                                                                  \
    if (!strstr(has, part)) FAIL("no %s in:\n%s", part, has);                                                \
  } while (0)

static size_t count_of(const char *text, const char *word) {
  size_t count = 0;
  for (; (text = strstr(text, word)); text += strlen(word)) count++;
  return count;
}

TEST(timers_are_bounded) {
  struct rig rig;
  rig_run(&rig, "local handles = {}\n"
                "for i = 1, 10000 do handles[i] = bot.every(1000, print) end\n"
                "print(pcall(bot.after, 1, print))\n"
                "handles[1]:cancel()\n"
                "print(pcall(bot.after, 1, print) and 'fine')");
  const char *log = rig_log(&rig);
  HAS(log, "info bot: false\t10000 timers are set, and a script may have no more\n");
  HAS(log, "info bot: fine\n");
  rig_deinit(&rig);
}

TEST(events_that_a_script_raises_are_bounded_until_they_are_done) {
  struct rig rig;
  rig_run(&rig, "bot.on('m', function()\n"
                "  local n, ok, err = 0\n"
                "  repeat ok, err = pcall(bot.emit, 'x') n = n + (ok and 1 or 0) until not ok\n"
                "  print(n, err)\nend)");
  for (int i = 0; i < 2; i++) {
    rig_emit(&rig, "m", "{\"event\":\"m\"}");
    CHECK_STR(rig_log(&rig),
              "info bot: 10000\tbot.emit: 10000 events of this script are under way, and it may "
              "have no more\n");
  }
  rig_deinit(&rig);
}

TEST(events_that_wait_count_as_memory_of_who_raised_them) {
  struct rig rig;
  rig_init(&rig);
  rig.memory_bytes = 4 << 20;
  rig_write(&rig, "bad.lua",
            "bot.on('m', function()\n"
            "  local n, ok, err = 0\n"
            "  local text = ('x'):rep(100000)\n"
            "  repeat ok, err = pcall(bot.emit, 'x', {text = text}) n = n + 1 until not ok\n"
            "  print(n > 10 and n < 42, err)\nend)");
  rig_write(&rig, "good.lua",
            "bot.on('m', function() bot.emit('y', {text = ('x'):rep(100000)}) print 'fine' end)");
  rig_open(&rig);
  for (int i = 0; i < 3; i++) {
    rig_emit(&rig, "m", "{\"event\":\"m\"}");
    const char *log = rig_log(&rig);
    HAS(log, "info bad: true\tnot enough memory\n");
    HAS(log, "info good: fine\n");
  }
  rig_deinit(&rig);
}

TEST(calls_that_wait_count_as_memory) {
  struct rig rig;
  rig_init(&rig);
  rig.memory_bytes = 4 << 20;
  rig_write(&rig, "bot.lua",
            "bot.on('m', function()\n"
            "  local text, whys = ('x'):rep(200000), {}\n"
            "  for i = 1, 40 do bot.spawn(function()\n"
            "    local ok, err = pcall(appData.set, appData, 'k' .. i, text)\n"
            "    whys[ok and 'saved' or err.code] = (whys[ok and 'saved' or err.code] or 0) + 1\n"
            "  end) end\n"
            "  bot.sleep(1)\n"
            "  local full = whys.memory or 0\n"
            "  print(whys.saved + full, full > 0, pcall(appData.set, appData, 'k', text))\nend)");
  rig_open(&rig);
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  rig_advance(&rig, 1000);
  /* Where the store has less room than the script has memory, tasks stand in line before it comes to that. */
  CHECK_STR(rig_log(&rig),
            STORE_ROOM_BYTES > 4 << 20 ? "info bot: 40\ttrue\ttrue\n" : "info bot: 40\tfalse\ttrue\n");
  rig_deinit(&rig);
}

TEST(a_result_that_is_larger_than_the_script_may_be_is_refused) {
  struct rig rig;
  rig_init(&rig);
  rig.memory_bytes = 4 << 20;
  rig_write(&rig, "bot.lua",
            "for i = 1, 60 do appData:set('k' .. i, ('x'):rep(100000)) end\n"
            "local ok, err = pcall(appData.select, appData, '%')\nprint(ok, err)\n"
            "print(#appData:select('%', {limit = 3}), #appData:keys('%'))");
  rig_open(&rig);
  const char *log = rig_log(&rig);
  HAS(log,
      "info bot: false\tappData:select: there is not enough memory for all of it; use each, or limit and "
      "after (memory)\ninfo bot: 3\t60\n");
  rig_deinit(&rig);
}

TEST(memory_ends_in_one_script_alone) {
  struct rig rig;
  rig_init(&rig);
  rig.memory_bytes = 4 << 20;
  rig_write(&rig, "bad.lua", "bot.on('m', function() local t = {} while true do t[#t + 1] = {} end end)");
  rig_write(&rig, "good.lua",
            "bot.on('m', function() local t = {} for i = 1, 1000 do t[i] = {} end print(#t) end)");
  rig_open(&rig);
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  const char *log = rig_log(&rig);
  HAS(log, "error bad: error in the event \"m\": not enough memory");
  HAS(log, "info good: 1000\n");
  rig_deinit(&rig);
}

TEST(lines_of_the_log_that_are_too_many_are_left_out_and_counted) {
  struct rig rig;
  rig_run(&rig, "for i = 1, 10500 do print(i) end\nbot.on('m', function() print 'later' end)");
  CHECK_INT(count_of(rig_log(&rig), "info bot: "), BOUND_LINES_AT_ONCE);
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK_STR(rig_log(&rig), "");
  rig.steady_ms += 1000;
  for (int i = 0; i < 2; i++) rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK_STR(rig_log(&rig), "warn bot: 501 lines of its log were left out: it may write 1000 a second\n"
                           "info bot: later\ninfo bot: later\n");
  rig_deinit(&rig);
}

TEST(lines_that_were_left_out_are_told_at_the_end) {
  struct rig rig;
  rig_run(&rig, "for i = 1, 10003 do print(i) end");
  rig_log(&rig);
  rig_close(&rig);
  CHECK_STR(rig_log(&rig), "warn bot: 3 lines of its log were left out: it may write 1000 a second\n");
  rig_deinit(&rig);
}

TEST(a_long_line_of_the_log_is_cut_between_characters) {
  struct rig rig;
  rig_run(&rig, "print('a' .. ('\xC3\xA4'):rep(100000))");
  const char *log = rig_log(&rig);
  CHECK_INT(strlen(log), strlen("info bot: \n") + BOUND_LINE_BYTES - 1);
  CHECK_STR(log + strlen(log) - 3, "\xC3\xA4\n");
  rig_deinit(&rig);
}

static const char loops[] = "local n = 0\n"
                            "bot.on('m', function() n = n + 1 print('began', n) while true do end end)\n"
                            "bot.on('n', function() print 'fine' end)\n"
                            "bot.on('t', function() bot.after(0, function() print 'timer' end) end)";

static void run_loops(struct rig *rig) {
  rig_init(rig);
  rig->cpu_budget_ms = 20;
  rig_write(rig, "bot.lua", loops);
  rig_open(rig);
  for (int i = 0; i < BOUND_STOPS; i++) {
    rig_emit(rig, "m", "{\"event\":\"m\"}");
    HAS(rig_answers(rig), "stopped: ");
  }
  HAS(rig_log(rig),
      "warn bot: it was over its CPU budget or its memory again and again, and has a break of 1 s: ");
}

TEST(a_script_that_is_stopped_again_and_again_gets_breaks_that_grow) {
  struct rig rig;
  run_loops(&rig);
  for (int seconds = 1; seconds <= 64; seconds *= 2) {
    int64_t break_ms = seconds > 30 ? 30000 : seconds * 1000;
    rig.steady_ms += break_ms - 1;
    rig_emit(&rig, "n", "{\"event\":\"n\"}");
    HAS(rig_answers(&rig), "the script has a break");
    CHECK_STR(rig_log(&rig), "");
    rig.steady_ms += 1;
    rig_emit(&rig, "n", "{\"event\":\"n\"}");
    CHECK_STR(rig_log(&rig), "info bot: fine\n");
    rig_answers(&rig);
    rig_emit(&rig, "m", "{\"event\":\"m\"}");
    HAS(rig_answers(&rig), "stopped: ");
    HAS(rig_log(&rig), "has a break of ");
  }
  rig_deinit(&rig);
}

TEST(after_a_quiet_minute_stops_are_forgotten) {
  struct rig rig;
  run_loops(&rig);
  rig.steady_ms += BOUND_STOPS_MS + 1;
  for (int i = 0; i < BOUND_STOPS - 1; i++) {
    rig_emit(&rig, "m", "{\"event\":\"m\"}");
    HAS(rig_answers(&rig), "stopped: ");
  }
  CHECK(!strstr(rig_log(&rig), "break"));
  rig_deinit(&rig);
}

TEST(tasks_without_an_event_wait_until_the_break_is_over) {
  struct rig rig;
  rig_init(&rig);
  rig.cpu_budget_ms = 20;
  rig_write(&rig, "bot.lua",
            "bot.on('start', function() bot.after(1, function() print 'timer' end) end)\n"
            "bot.on('m', function() while true do end end)\n");
  rig_open(&rig);
  rig_advance(&rig, 500);
  for (int i = 0; i < BOUND_STOPS; i++) rig_emit(&rig, "m", "{\"event\":\"m\"}");
  rig_log(&rig);
  rig_advance(&rig, 999);
  CHECK_STR(rig_log(&rig), "");
  rig_advance(&rig, 1);
  CHECK_STR(rig_log(&rig), "info bot: timer\n");
  rig_deinit(&rig);
}
