#include "cli/progress.h"

#include "base/clock.h"

enum { EVERY_MS = 200 };

void progress_init(struct progress *progress, struct console *console, const char *doing) {
  *progress = (struct progress){.console = console, .doing = doing};
  progress->next_ms = clock_steady_ms(&clock_system) + EVERY_MS;
}

static void put(struct progress *progress, struct buf *line) {
  if (!line->failed) console_write(progress->console, CONSOLE_ERR, line->data, line->len);
  buf_deinit(line);
}

void progress_show(struct progress *progress, uint64_t rows, uint64_t bytes, uint64_t total) {
  if (!progress->console->tty[CONSOLE_ERR]) return;
  int64_t now = clock_steady_ms(&clock_system);
  if (now < progress->next_ms) return;
  struct buf line = {0};
  buf_printf(&line, "\r\033[K%s %llu keys, %.1f MiB", progress->doing, (unsigned long long)rows,
             (double)bytes / (1 << 20));
  if (total) buf_printf(&line, " of %.1f (%d %%)", (double)total / (1 << 20), (int)(100 * bytes / total));
  put(progress, &line);
  progress->next_ms = now + EVERY_MS;
  progress->shown = true;
}

void progress_end(struct progress *progress) {
  struct buf line = {0};
  if (!progress->shown) return;
  buf_puts(&line, "\r\033[K");
  put(progress, &line);
  progress->shown = false;
}
