/* What trial.c and lib_test.c share.
 *
 * Private to host/script. The test is a script in a room of its own (`tests`), beside the room of the bots;
 * both have the one store and the one clock. What a case asks for (`wish`) is done by trial_run while its
 * task waits. */
#ifndef SCRIPT_TRIAL_PARTS_H
#define SCRIPT_TRIAL_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/timers.h"
#include "script/scripts.h"
#include "script/task.h"
#include "script/trial.h"

enum trial_wish { TRIAL_EMIT, TRIAL_ADVANCE, TRIAL_RESTART };

struct trial_room {
  struct trial *trial;
  struct scripts *scripts; /* owned; NULL: not open */
};

struct trial {
  struct trial_options options;
  char *folder; /* owned: of the store; removed at the end */
  struct clock clock;
  _Atomic int64_t moved_ms; /* by the test */
  struct timers timers;
  struct store *store;
  struct trial_room bots, tests;
  bool chosen;            /* the test has said which bots it is about */
  struct buf chosen_bots; /* their names, each with a NUL behind it */
  struct log log;
  pthread_mutex_t lock; /* of lines, which the store's threads write to as well */
  struct buf lines;     /* the log: a digit for the level, the source, NUL, the text, NUL */
  bool told;            /* the next line of the log is an error that `faults` has already */
  struct buf faults;    /* errors that the case has not asked for, each with a NUL behind it */
  struct buf actions;   /* since the last wish, one JSON object a line */
  struct buf failure;
  struct buf cases; /* their names, each with a NUL behind it */
  size_t case_count;
  struct task *caller; /* the task that waits for its wish; NULL: none */
  enum trial_wish wish;
  struct buf event;      /* TRIAL_EMIT: JSON */
  struct buf name;       /*   and the event's name */
  int64_t advance_ms;    /* TRIAL_ADVANCE */
  struct buf text, path; /* of lib_test.c: here, so that nothing leaks where Lua raises */
};

/* Below lib_test.c's key in the registry stands the list of the cases' functions. Pushes the function of case
 * i. */
void lib_push_case(lua_State *L, size_t i);

#endif
