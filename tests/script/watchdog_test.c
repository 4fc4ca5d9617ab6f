/* A script in a loop of C's, which no hook and no check stops: the host ends itself, and what is left behind
 * says which script it was. */
#include <lua.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/note.h"
#include "check.h"
#include "helpers/rig.h"
#include "helpers/temp.h"
#include "script/script.h"

/* Stands for a function of Lua's library that does not come to an end. */
static int spin(lua_State *L) {
  (void)L;
  for (volatile bool on = true; on;) {}
  return 0;
}

struct shared {
  struct note note;
  char dir[sizeof((struct rig *)0)->dir]; /* to be removed */
};

static void be_a_host(struct shared *shared) {
  struct rig rig;
  rig_init(&rig);
  memcpy(shared->dir, rig.dir, sizeof rig.dir);
  rig.cpu_budget_ms = 40;
  rig_write(&rig, "a.lua", "bot.on('m', function() end)");
  rig_write(&rig, "b.lua", "bot.on('m', function() print 'spinning' spin() end)");
  rig_open(&rig);
  struct script *b = list_of(rig.scripts->all.prev, struct script, link);
  lua_pushcfunction(b->L, spin);
  lua_setglobal(b->L, "spin");
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  _exit(0); /* it has come back from there */
}

TEST(a_script_that_cannot_be_stopped_ends_the_host_and_is_named) {
#if defined(__SANITIZE_THREAD__)
  return; /* signals are held back there, and with them the timer on CPU time */
#endif
  struct shared *shared =
      mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  note = &shared->note;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) be_a_host(shared);
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  CHECK(note->stuck && note->running);
  CHECK_STR(note->script, "b");
  note = NULL;
  temp_remove(shared->dir);
  munmap(shared, sizeof *shared);
}

TEST(nobody_is_named_between_two_scripts) {
  struct note mine = {0};
  struct rig rig;
  note = &mine;
  rig_init(&rig);
  rig_write(&rig, "a.lua", "bot.on('m', function() end)");
  rig_open(&rig);
  rig_emit(&rig, "m", "{\"event\":\"m\"}");
  CHECK(!mine.running && !mine.stuck);
  CHECK_STR(mine.script, "a");
  rig_deinit(&rig);
  CHECK(mine.of == NULL);
  note = NULL;
}

TEST(what_is_read_and_written_is_noted) {
  struct note mine = {0};
  note = &mine;
  note_read("one\ntwo\nthr", 11);
  CHECK_INT((int)mine.lines, 2);
  CHECK(mine.half_read);
  note_read("ee\n", 3);
  CHECK_INT((int)mine.lines, 3);
  CHECK(!mine.half_read);
  note_written("{\"do", 4);
  CHECK(mine.half_written);
  note_written("ne\"}\n", 5);
  CHECK(!mine.half_written);
  note = NULL;
}
