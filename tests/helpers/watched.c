#include "helpers/watched.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "script/look.h"

void watched_open(struct rig *rig) {
  rig->watch = true;
  rig_open(rig);
  rig_advance(rig, LOOK_EVERY_MS); /* the first look lies behind */
}

void watched_look(struct rig *rig, int64_t ms) {
  scripts_look(rig->scripts);
  rig_advance(rig, ms);
}

void watched_save(struct rig *rig, const char *name, const char *source) {
  rig_replace(rig, name, source);
  watched_look(rig, LOOK_GATHER_MS + LOOK_WHOLE_MS);
}

void watched_save_in_place(struct rig *rig, const char *name, const char *source) {
  rig_write(rig, name, source);
  watched_look(rig, LOOK_GATHER_MS + LOOK_STILL_MS);
}

char *watched_path(struct rig *rig, const char *name) {
  static char path[2][1024];
  static int turn;
  char *to = path[turn++ % 2];
  snprintf(to, sizeof path[0], "%s/%s", rig->scripts_dir, name);
  return to;
}

void watched_message(struct rig *rig) {
  rig_emit(rig, "m", "{\"event\":\"m\"}");
}

const char *watched_says(const char *what) {
  static char source[2][256];
  static int turn;
  char *to = source[turn++ % 2];
  snprintf(to, sizeof source[0], "bot.on('m', function() print '%s' end)", what);
  return to;
}

void watched_expect(struct rig *rig, const char *log) {
  rig_log(rig);
  watched_message(rig);
  CHECK_STR(rig_log(rig), log);
  CHECK_STR(rig_answers(rig), "ok\n");
}

unsigned watched_count(const char *text, const char *word) {
  unsigned count = 0;
  for (; (text = strstr(text, word)); text += strlen(word)) count++;
  return count;
}

void watched_load(struct rig *rig, const char *name, const char *source) {
  rig_replace(rig, name, source);
  scripts_look(rig->scripts);
  for (int i = 0; i < 3; i++) {
    rig->steady_ms += LOOK_WHOLE_MS;
    timers_run(&rig->timers, rig->steady_ms);
  }
}

void watched_number(struct rig *rig, int n) {
  char json[64];
  struct err err;
  snprintf(json, sizeof json, "{\"event\":\"m\",\"n\":%d}", n);
  CHECK(scripts_emit(rig->scripts, "m", 1, json, strlen(json), NULL, NULL, &err) == MOONKEEP_OK);
  scripts_run(rig->scripts);
}
