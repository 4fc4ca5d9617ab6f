/* Reloads many times, at random, and without memory. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "check.h"
#include "helpers/watched.h"
#include "script/look.h"

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
  watched_open(&rig);
  for (long i = 1; i <= rounds; i++) {
    struct err err;
    snprintf(text, sizeof text, source, (int)i, i % 10 == 0 ? "error 'no'" : "");
    rig_replace(&rig, "bot.lua", text);
    scripts_emit(rig.scripts, "m", 1, "{\"event\":\"m\"}", 13, NULL, NULL, &err);
    watched_look(&rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
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
    unlink(watched_path(&chaos->rig, name));
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
  watched_open(&chaos.rig);
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
  watched_open(&rig);
  bool failed = true;
  for (long n = 1; failed; n += n < 300 ? 1 : 7) {
    snprintf(text, sizeof text, source, n);
    rig_replace(&rig, "bot.lua", text);
    check_fail_alloc(n);
    send_number_quietly(&rig);
    watched_look(&rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    rig_advance(&rig, LOOK_EVERY_MS + LOOK_STILL_MS);
    rig_actions(&rig);
    rig_answers(&rig);
    rig_log(&rig);
    watched_message(&rig);
    rig_advance(&rig, 1000);
    CHECK_STR(rig_actions(&rig),
              "{\"script\":\"bot\",\"action\":\"send\",\"channel\":\"c\",\"text\":\"1\"}\n");
    CHECK_STR(rig_answers(&rig), "ok\n");
  }
  rig_deinit(&rig);
}
