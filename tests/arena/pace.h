/* The pace: sixty ticks a second, none left out, and how long they took. */
#ifndef ARENA_PACE_H
#define ARENA_PACE_H

#include <moonkeep.h>
#include <stdint.h>

enum { BUDGET_US = 2000, TIMES_MOST_US = 20000 };

struct times { /* how often something took so many microseconds */
  long count;
  long of[TIMES_MOST_US + 1]; /* the last: or more */
  int64_t worst_us;
};

struct pace {
  int64_t due_us;   /* when the next tick begins */
  int64_t began_us; /* when this one did */
  long late;        /* ticks that began more than a tick too late */
  struct times whole, moonkeep;
};

void pace_start(struct pace *pace);

/* Returns when the next tick is due. Until then moonkeep has the time that is left: answers of the disk do
 * not have to wait for the next tick. */
void pace_wait(struct pace *pace, struct moonkeep_host *host);

/* Moonkeep's share of a tick: what is ready, within the budget. 0: the host has ended. */
int pace_moonkeep(struct pace *pace, struct moonkeep_host *host);

void pace_end(struct pace *pace); /* of a tick */
void pace_print(const struct pace *pace);

#endif
