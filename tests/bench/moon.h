/* A store with scripts/load.lua on it, in this process: moonkeep as it is measured. moon_open, moon_run as
 * often as one likes, moon_close. */
#ifndef TESTS_BENCH_MOON_H
#define TESTS_BENCH_MOON_H

#include <stdbool.h>

#include "base/timers.h"
#include "store/store.h"

struct scripts;

struct moon {
  struct store *store;
  struct timers timers;
  struct scripts *scripts;
  struct store_backup backup;
  bool finished;
  double answer; /* a number that the script has given */
};

void moon_open(struct moon *moon, const char *data, enum store_archive archive);

/* Raises the event, JSON with this name, and goes on until the script says that it has finished; its answer.
 */
double moon_run(struct moon *moon, const char *name, const char *event);
void moon_close(struct moon *moon);

#endif
