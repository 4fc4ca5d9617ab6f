#include "base/timers.h"

#include "base/mem.h"

void timers_init(struct timers *timers) {
  *timers = (struct timers){0};
}

void timers_deinit(struct timers *timers) {
  mem_free(timers->heap);
  *timers = (struct timers){0};
}

static bool before(const struct timer *a, const struct timer *b) {
  return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->turn < b->turn;
}

static void put(struct timers *timers, size_t place, struct timer *timer) {
  timers->heap[place - 1] = timer;
  timer->place = place;
}

static void rise(struct timers *timers, size_t place, struct timer *timer) {
  while (place > 1 && before(timer, timers->heap[place / 2 - 1])) {
    put(timers, place, timers->heap[place / 2 - 1]);
    place /= 2;
  }
  put(timers, place, timer);
}

static void sink(struct timers *timers, size_t place, struct timer *timer) {
  for (;;) {
    size_t child = place * 2;
    if (child > timers->count) break;
    if (child < timers->count && before(timers->heap[child], timers->heap[child - 1])) child++;
    if (!before(timers->heap[child - 1], timer)) break;
    put(timers, place, timers->heap[child - 1]);
    place = child;
  }
  put(timers, place, timer);
}

bool timer_set(struct timers *timers, struct timer *timer, int64_t due_ms) {
  timer_clear(timers, timer);
  if (timers->count == timers->cap) {
    size_t cap = timers->cap ? timers->cap * 2 : 16;
    struct timer **heap = mem_resize(timers->heap, cap * sizeof *heap);
    if (!heap) return false;
    timers->heap = heap;
    timers->cap = cap;
  }
  /* Nothing is due before what has just run: a timer that sets itself again stands behind all that are due.
   */
  timer->due_ms = due_ms > timers->now_ms ? due_ms : timers->now_ms;
  timer->turn = ++timers->turns;
  rise(timers, ++timers->count, timer);
  return true;
}

void timer_clear(struct timers *timers, struct timer *timer) {
  size_t place = timer->place;
  if (place == 0) return;
  timer->place = 0;
  struct timer *last = timers->heap[--timers->count];
  if (last == timer) return;
  if (place > 1 && before(last, timers->heap[place / 2 - 1]))
    rise(timers, place, last);
  else
    sink(timers, place, last);
}

void timers_run(struct timers *timers, int64_t now_ms) {
  uint64_t newest = timers->turns;
  timers->now_ms = now_ms;
  while (timers->count > 0) {
    struct timer *timer = timers->heap[0];
    if (timer->due_ms > now_ms || timer->turn > newest) break;
    timer_clear(timers, timer);
    timer->fire(timer);
  }
}

int64_t timers_next_ms(const struct timers *timers) {
  return timers->count ? timers->heap[0]->due_ms : INT64_MAX;
}
