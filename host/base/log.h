/* The log: lines with a level and a source (a script's name, or the part of the host that speaks).
 *
 * The host only makes lines; where they go is the business of whoever gave it the `struct log`. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
  /* Called with lines of `level` and above, from any of the host's threads, one at a time or not: it does its
   * own locking. text has no newline at its end, but may have some inside. */
  void (*write)(void *ctx, enum log_level level, const char *source, const char *text);
  void *ctx;
  enum log_level level;
};

/* NULL as log is fine: nothing is written. */
void log_write(const struct log *log, enum log_level level, const char *source, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a text that is already made. */
void log_text(const struct log *log, enum log_level level, const char *source, const char *text);

const char *log_level_name(enum log_level level);              /* "debug", "info", "warn", "error" */
bool log_level_parse(const char *name, enum log_level *level); /* false: no such level */

#endif
