/* A small host for tests of scripts: a store and a scripts folder in a temporary folder, a clock that the
 * test moves, and all that comes out kept as text (with RIG_ECHO in the environment, actions are shown as
 * they come). */
#ifndef TESTS_SCRIPT_RIG_H
#define TESTS_SCRIPT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/timers.h"
#include "script/scripts.h"
#include "store/store.h"

struct rig {
  char dir[64]; /* the temporary folder: scripts/ and data/ are in it */
  char scripts_dir[512];
  _Atomic int64_t wall_ms, steady_ms; /* the store's threads read them too */
  struct clock clock;
  struct log log;
  struct timers timers;
  bool watch; /* for rig_open: reload what is saved, and how long what runs may go on */
  int64_t grace_ms;
  const struct scripts_left_out *left_out;
  size_t left_out_count;
  struct store *store;
  struct scripts *scripts;
  int budget_signal;     /* -1 with COUNT_STEPS in the environment: as in a program around the library */
  int64_t cpu_budget_ms; /* of the scripts; rig_init makes it a minute: slow machines are not their fault */
  size_t memory_bytes;   /* 0: the usual */
  bool trust;
  struct buf actions; /* one line each */
  struct buf lines;   /* of the log: "error leveling: …" */
  struct buf answers; /* of events: "ok" or the errors, one line each */
};

void rig_init(struct rig *rig);                                          /* a folder and a store */
void rig_write(struct rig *rig, const char *name, const char *source);   /* a file in the scripts folder */
void rig_replace(struct rig *rig, const char *name, const char *source); /* the same, renamed into place */
enum moonkeep_code rig_try_open(struct rig *rig, struct err *err);       /* loads the scripts */
void rig_open(struct rig *rig);                /* the same, starts them and settles */
void rig_settle(struct rig *rig);              /* runs until only timers are left */
void rig_advance(struct rig *rig, int64_t ms); /* moves the clock, timer by timer */
void rig_emit(struct rig *rig, const char *name, const char *json);
void rig_close(struct rig *rig);  /* scripts and store */
void rig_deinit(struct rig *rig); /* and the folder */

/* One script called "bot", opened and settled. */
void rig_run(struct rig *rig, const char *source);

const char *rig_actions(struct rig *rig); /* what came out since the last time */
const char *rig_log(struct rig *rig);
const char *rig_answers(struct rig *rig);

#endif
