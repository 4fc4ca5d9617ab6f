/* The one clock. Everything that asks for the time is given a `struct clock`, so that a test can move it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

struct clock {
  int64_t (*wall_ms)(void *ctx);   /* milliseconds since 1970: expiry, `os.time` */
  int64_t (*steady_ms)(void *ctx); /* milliseconds since some start, never backwards: timers */
  void *ctx;
};

/* The system's clock; any thread. */
extern const struct clock clock_system;

/* Microseconds since some start, of the machine's own clock: to measure how long something takes. */
int64_t clock_ticks_us(void);

/* The moment so many ms from now, of CLOCK_MONOTONIC: a deadline for waits on a condition. */
struct timespec clock_in_ms(int ms);

static inline int64_t clock_wall_ms(const struct clock *clock) {
  return clock->wall_ms(clock->ctx);
}

static inline int64_t clock_steady_ms(const struct clock *clock) {
  return clock->steady_ms(clock->ctx);
}

#endif
