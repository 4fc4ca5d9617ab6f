/* Timers on a steady clock: a heap of the structs that embed a `struct timer`. One thread. */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
  int64_t due_ms; /* on the steady clock */
  uint64_t turn;  /* timers due at the same moment fire in the order in which they were set */
  size_t place;   /* in the heap, from 1; 0 when it is not set */
  void (*fire)(struct timer *);
};

struct timers {
  struct timer **heap; /* owned; the timers are not */
  size_t count, cap;
  uint64_t turns;
  int64_t now_ms; /* of the last run */
};

void timers_init(struct timers *timers);
void timers_deinit(struct timers *timers);

/* Sets (or moves) a timer; false when there is no memory for it. `fire` is called once, by timers_run. */
bool timer_set(struct timers *timers, struct timer *timer, int64_t due_ms);
void timer_clear(struct timers *timers, struct timer *timer); /* fine on one that is not set */

/* Fires what is due at now_ms, each once: a timer set again from its own `fire` waits for the next run. */
void timers_run(struct timers *timers, int64_t now_ms);

/* When the next one is due, or INT64_MAX. */
int64_t timers_next_ms(const struct timers *timers);

#endif
