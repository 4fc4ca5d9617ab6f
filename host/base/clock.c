#include "base/clock.h"

static int64_t read_ms(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_ms(void *ctx) {
  (void)ctx;
  return read_ms(CLOCK_REALTIME);
}

static int64_t steady_ms(void *ctx) {
  (void)ctx;
  return read_ms(CLOCK_MONOTONIC);
}

const struct clock clock_system = {.wall_ms = wall_ms, .steady_ms = steady_ms};

int64_t clock_ticks_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct timespec clock_in_ms(int ms) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += ms / 1000;
  at.tv_nsec += (long)(ms % 1000) * 1000000L;
  if (at.tv_nsec >= 1000000000L) {
    at.tv_sec++;
    at.tv_nsec -= 1000000000L;
  }
  return at;
}
