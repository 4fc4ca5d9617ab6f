/* How far a long command has come: one line on standard error that renews itself, where that is a terminal.
 *
 * What is counted is shown by whoever counts: progress_init → progress_show … → progress_end.
 * What nobody counts is shown by a thread, with the time that it has taken: progress_begin → progress_end. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <pthread.h>
#include <stdint.h>

#include "link/console.h"

struct progress {
  struct console *console;
  const char *doing; /* "exported", "checking" */
  int64_t next_ms, began_ms;
  bool running; /* the thread is */
  pthread_t thread;
  pthread_mutex_t lock; /* of the next three */
  pthread_cond_t change;
  bool ended;
  char at[80];
};

void progress_init(struct progress *progress, struct console *console, const char *doing);

/* rows done; `total` bytes or 0 where nobody knows, of which `bytes` are behind us. */
void progress_show(struct progress *progress, uint64_t rows, uint64_t bytes, uint64_t total);

/* Where `wanted`, the thread begins. progress_at says what it is about now: a file, say. */
void progress_begin(struct progress *progress, struct console *console, const char *doing, bool wanted);
void progress_at(struct progress *progress, const char *what);

void progress_end(struct progress *progress); /* takes the line away */

#endif
