/* How far a long command has come: one line on standard error that renews itself, where that is a terminal.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

#include "link/console.h"

struct progress {
  struct console *console;
  const char *doing; /* "exported" */
  int64_t next_ms;
  bool shown;
};

void progress_init(struct progress *progress, struct console *console, const char *doing);

/* rows done; `total` bytes or 0 where nobody knows, of which `bytes` are behind us. */
void progress_show(struct progress *progress, uint64_t rows, uint64_t bytes, uint64_t total);
void progress_end(struct progress *progress); /* takes the line away */

#endif
