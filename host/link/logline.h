/* What a log line looks like on its way out of the process, to standard error: for a person, for a program,
 * or for the journal of systemd. */
#ifndef LINK_LOGLINE_H
#define LINK_LOGLINE_H

#include "base/buf.h"
#include "base/log.h"
#include "link/console.h"

enum log_format { LOG_TEXT, LOG_JSON };

/* A log that writes to the console's standard error. Text goes with priorities, and without the time, where
 * standard error is the journal. */
struct log logline_log(struct console *console, enum log_format format);

/* Appends {"time":1795425633.25,"level":"info","source":"xp","text":"…"}, with the clock's time. Of a text
 * over most_bytes the rest is cut off. */
void logline_put_json(struct buf *out, enum log_level level, const char *source, const char *text,
                      size_t most_bytes);

#endif
