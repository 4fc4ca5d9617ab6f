/* The person's side: what standard output and standard error look like, with colours where there is somebody
 * to see them, and one prompt that lines from anywhere do not run into.
 *
 * Any thread may write; each write is one piece. */
#ifndef LINK_CONSOLE_H
#define LINK_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"

enum console_stream { CONSOLE_OUT, CONSOLE_ERR };

enum style {
  STYLE_NONE,
  STYLE_BOLD,
  STYLE_DIM,
  STYLE_RED,
  STYLE_GREEN,
  STYLE_YELLOW,
  STYLE_BLUE,
  STYLE_CYAN
};

struct console {
  bool tty[2], color[2]; /* of CONSOLE_OUT and CONSOLE_ERR */
  int error[2];          /* the errno of the first write that failed */
  pthread_mutex_t lock;
  const char *prompt; /* borrowed; NULL: none */
  bool noted;         /* console_note's line stands at the end of standard error */
};

void console_init(struct console *console);
void console_deinit(struct console *console);

/* Writes it all, waiting for the reader. An errno, or 0. */
int console_write(struct console *console, enum console_stream stream, const char *bytes, size_t len);

/* The prompt stands at the bottom of the terminal until NULL takes it away. console_entered: the person has
 * ended the line on which it stood. Only on a terminal. */
void console_prompt(struct console *console, const char *prompt);
void console_entered(struct console *console);

/* A line on standard error that the next one takes the place of, and whatever else is written takes away;
 * NULL takes it away. Only on a terminal. */
void console_note(struct console *console, const char *note);

/* `moonkeep: sentence` on standard error. */
void console_complain(struct console *console, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The write of a `struct log` whose ctx is the console: `HH:MM:SS level source: text`. */
void console_log(void *console, enum log_level level, const char *source, const char *text);

/* One line of a log, as console_log writes it; with the date where that is not today's. */
void console_put_log(const struct console *console, enum console_stream stream, struct buf *out, time_t when,
                     enum log_level level, const char *source, const char *text);

/* Text from elsewhere: on a terminal control characters (and what reorders text) are made visible instead of
 * obeyed, elsewhere it is appended as it is. Newlines and tabs stay. */
void console_put(const struct console *console, enum console_stream stream, struct buf *out, const char *text,
                 size_t len);
/* The same whatever the stream is, and newlines and tabs are shown too: for one cell of a table. */
void put_visible(struct buf *out, const char *text, size_t len, bool one_line);

/* How many characters a text has: about as many columns as it takes. */
size_t text_columns(const char *text, size_t len);

void console_style(const struct console *console, enum console_stream stream, struct buf *out,
                   enum style style); /* STYLE_NONE ends what was begun */

#endif
