/* A test of bots: one file NAME_test.lua, run against the bots of its folder in a world of its own, with a
 * store that is thrown away and a clock that stands still until the test moves it.
 *
 * trial_open makes the world and runs the file from top to bottom, which says what cases there are; trial_run
 * starts the bots and runs one of them; trial_close throws the world away. Each case gets a world of its own,
 * so nothing leaks from one to another. trial_check, which needs no test, only loads the bots. One thread,
 * but for the log. */
#ifndef SCRIPT_TRIAL_H
#define SCRIPT_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

struct trial;

struct trial_options {   /* all borrowed until trial_close */
  const char *dir;       /* the scripts folder */
  const char *file;      /* the test, relative to it: "leveling_test.lua", "lib/text_test.lua" */
  int64_t cpu_budget_ms; /* these three as in scripts_options and store_options */
  size_t memory_bytes, value_bytes;
  /* A line of the log, as it is written, by any thread: of the test itself (`own`) or of a bot. NULL: not
   * wanted. */
  void (*log)(void *ctx, bool own, enum log_level level, const char *source, const char *text);
  void *ctx;
};

/* Where the file does not run through, there are no cases, and trial_failure says why. Errors: the folder or
 * the store could not be had. */
enum moonkeep_code trial_open(struct trial **out, const struct trial_options *options, struct err *err);
void trial_close(struct trial *trial); /* NULL is fine */

size_t trial_cases(const struct trial *trial);
const char *trial_case(const struct trial *trial, size_t i); /* its name; valid until trial_close */

/* Runs the case, once, in this trial. False: it failed, and trial_failure says how. */
bool trial_run(struct trial *trial, size_t i);
const char *trial_failure(struct trial *trial); /* "" where nothing has failed; valid until the next call */
const char *trial_log(
    struct trial *trial); /* what the bots logged, a line each, from info on; valid likewise */

/* Loads the bots of a folder without running their handlers. Each that does not load, and each name that
 * looks like a mistake, is told. The number of those that did not load, or -1 and an error. `loaded` counts
 * the others. */
struct trial_check {
  void (*problem)(void *ctx, enum log_level level, const char *script, const char *message,
                  const char *trace);
  void *ctx;
  size_t loaded;
};
int trial_check(struct trial_check *check, const struct trial_options *options, struct err *err);

#endif
