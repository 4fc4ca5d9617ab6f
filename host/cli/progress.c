#include "cli/progress.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"

enum { EVERY_MS = 200, TICK_MS = 500 };

void progress_init(struct progress *progress, struct console *console, const char *doing) {
  *progress = (struct progress){.console = console, .doing = doing};
  progress->next_ms = clock_steady_ms(&clock_system) + EVERY_MS;
}

void progress_show(struct progress *progress, uint64_t rows, uint64_t bytes, uint64_t total) {
  if (!progress->console->tty[CONSOLE_ERR]) return;
  int64_t now = clock_steady_ms(&clock_system);
  if (now < progress->next_ms) return;
  struct buf line = {0};
  buf_printf(&line, "%s %llu keys, %.1f MiB", progress->doing, (unsigned long long)rows,
             (double)bytes / (1 << 20));
  if (total) buf_printf(&line, " of %.1f (%d %%)", (double)total / (1 << 20), (int)(100 * bytes / total));
  const char *text = buf_text(&line);
  console_note(progress->console, line.failed ? NULL : text);
  buf_deinit(&line);
  progress->next_ms = now + EVERY_MS;
}

/* ---- the thread ---- */

static void show_time(struct progress *progress) {
  char text[160];
  long long seconds = (clock_steady_ms(&clock_system) - progress->began_ms) / 1000;
  snprintf(text, sizeof text, "%s%s%s, %lld s", progress->doing, progress->at[0] ? " " : "", progress->at,
           seconds);
  console_note(progress->console, text);
}

static void *progress_main(void *arg) {
  struct progress *progress = arg;
  pthread_mutex_lock(&progress->lock);
  while (!progress->ended) {
    struct timespec until = clock_in_ms(TICK_MS);
    pthread_cond_timedwait(&progress->change, &progress->lock, &until);
    if (!progress->ended) show_time(progress);
  }
  pthread_mutex_unlock(&progress->lock);
  return NULL;
}

static bool make_waits(struct progress *progress) {
  pthread_condattr_t steady;
  if (pthread_condattr_init(&steady) != 0) return false;
  pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
  bool ok = pthread_cond_init(&progress->change, &steady) == 0;
  pthread_condattr_destroy(&steady);
  if (!ok) return false;
  if (pthread_mutex_init(&progress->lock, NULL) == 0) return true;
  pthread_cond_destroy(&progress->change);
  return false;
}

static void free_waits(struct progress *progress) {
  pthread_cond_destroy(&progress->change);
  pthread_mutex_destroy(&progress->lock);
}

void progress_begin(struct progress *progress, struct console *console, const char *doing, bool wanted) {
  progress_init(progress, console, doing);
  progress->began_ms = clock_steady_ms(&clock_system);
  if (!wanted || !console->tty[CONSOLE_ERR] || !make_waits(progress)) return;
  progress->running = thread_start(&progress->thread, "progress", progress_main, progress);
  if (!progress->running) free_waits(progress);
}

void progress_at(struct progress *progress, const char *what) {
  if (!progress->running) return;
  pthread_mutex_lock(&progress->lock);
  snprintf(progress->at, sizeof progress->at, "%s", what);
  pthread_mutex_unlock(&progress->lock);
}

void progress_end(struct progress *progress) {
  if (progress->running) {
    pthread_mutex_lock(&progress->lock);
    progress->ended = true;
    pthread_cond_signal(&progress->change);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    free_waits(progress);
    progress->running = false;
  }
  if (progress->console) console_note(progress->console, NULL);
}
