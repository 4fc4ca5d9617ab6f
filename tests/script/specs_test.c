/* Runs the bots of tests/script/specs, each of which checks one side of what scripts can rely on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "helpers/rig.h"

static unsigned count_of(const char *text, const char *word) {
  unsigned count = 0;
  for (; (text = strstr(text, word)); text += strlen(word)) count++;
  return count;
}

TEST(specs_pass) {
  struct rig rig;
  const char *dir = getenv("SPECS");
  rig_init(&rig);
  snprintf(rig.scripts_dir, sizeof rig.scripts_dir, "%s", dir ? dir : "tests/script/specs");
  rig_open(&rig);
  rig_advance(&rig, 60000);
  char *actions = strdup(rig_actions(&rig));
  const char *log = rig_log(&rig);
  unsigned finished = count_of(actions, "\"action\":\"finished\"");
  if (strstr(actions, "\"action\":\"failed\"") || finished != scripts_count(rig.scripts) ||
      strstr(log, "error "))
    FAIL("%u of %zu finished\n%s\n%s", finished, scripts_count(rig.scripts), actions, log);
  CHECK(finished > 0);
  free(actions);
  rig_deinit(&rig);
}
