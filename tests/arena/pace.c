#include "pace.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "world.h"

static const int64_t TICK_US = 1000000 / TICKS_PER_SECOND;

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note(struct times *times, int64_t us) {
  times->count++;
  times->of[us < TIMES_MOST_US ? us : TIMES_MOST_US]++;
  if (us > times->worst_us) times->worst_us = us;
}

/* What this share of all times was below, in milliseconds. */
static double percentile(const struct times *times, double share) {
  long left = (long)((double)times->count * share);
  int us = 0;
  while (us < TIMES_MOST_US && left >= times->of[us]) left -= times->of[us++];
  return us / 1000.0;
}

void pace_start(struct pace *pace) {
  *pace = (struct pace){.due_us = now_us() + TICK_US};
}

static void sleep_until_moonkeep(const struct moonkeep_host *host, int64_t left_us) {
  struct pollfd fd = {.fd = moonkeep_fd(host), .events = POLLIN};
  int64_t timeout_us = (int64_t)moonkeep_timeout_ms(host) * 1000;
  if (timeout_us < 0 || timeout_us > left_us) timeout_us = left_us;
  ppoll(&fd, 1, &(struct timespec){.tv_nsec = timeout_us * 1000}, NULL);
}

void pace_wait(struct pace *pace, struct moonkeep_host *host) {
  int64_t now;
  while ((now = now_us()) < pace->due_us) {
    int64_t left_us = pace->due_us - now;
    sleep_until_moonkeep(host, left_us);
    left_us = pace->due_us - now_us();
    if (left_us > 0) moonkeep_tick(host, left_us < BUDGET_US ? left_us : BUDGET_US);
  }
  if (now > pace->due_us + TICK_US) pace->late++;
  pace->began_us = now;
  pace->due_us += TICK_US;
}

int pace_moonkeep(struct pace *pace, struct moonkeep_host *host) {
  int64_t began = now_us();
  int going_on = moonkeep_tick(host, BUDGET_US);
  note(&pace->moonkeep, now_us() - began);
  return going_on;
}

void pace_end(struct pace *pace) {
  note(&pace->whole, now_us() - pace->began_us);
}

static void print(const char *what, const struct times *times) {
  printf("%-9s p50 %6.3f ms  p99 %6.3f ms  p99.9 %6.3f ms  worst %6.3f ms\n", what, percentile(times, 0.5),
         percentile(times, 0.99), percentile(times, 0.999), (double)times->worst_us / 1000);
}

void pace_print(const struct pace *pace) {
  printf("%ld ticks, %ld began late\n", pace->whole.count, pace->late);
  print("tick", &pace->whole);
  print("moonkeep", &pace->moonkeep);
}
