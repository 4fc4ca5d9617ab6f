#include "link/console.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

enum { STUCK_MS = 1000 };

static const int fds[] = {STDOUT_FILENO, STDERR_FILENO};

void console_init(struct console *console) {
  *console = (struct console){0};
  pthread_mutex_init(&console->lock, NULL);
  const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
  bool wanted = !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
  for (int i = CONSOLE_OUT; i <= CONSOLE_ERR; i++) {
    console->tty[i] = isatty(fds[i]);
    console->color[i] = console->tty[i] && wanted;
  }
}

void console_deinit(struct console *console) {
  pthread_mutex_destroy(&console->lock);
}

/* A standard error that a neighbour has made non-blocking is waited for; one that nobody reads is given up.
 */
static int write_all(struct console *console, enum console_stream stream, const char *bytes, size_t len) {
  struct pollfd wait = {.fd = fds[stream], .events = POLLOUT};
  while (len > 0) {
    ssize_t n = write(fds[stream], bytes, len);
    if (n >= 0) {
      bytes += n;
      len -= (size_t)n;
    } else if (errno == EAGAIN && (poll(&wait, 1, stream == CONSOLE_ERR ? STUCK_MS : -1) != 0)) {
      continue;
    } else if (errno != EINTR) {
      if (!console->error[stream]) console->error[stream] = errno;
      return errno;
    }
  }
  return 0;
}

static bool prompt_shown(const struct console *console) {
  return console->prompt && console->tty[CONSOLE_OUT];
}

static void show_prompt(struct console *console) {
  write_all(console, CONSOLE_OUT, console->prompt, strlen(console->prompt));
}

static void take_note_away(struct console *console) {
  if (console->noted) write_all(console, CONSOLE_ERR, "\r\033[K", 4);
  console->noted = false;
}

void console_note(struct console *console, const char *note) {
  if (!console->tty[CONSOLE_ERR]) return;
  pthread_mutex_lock(&console->lock);
  take_note_away(console);
  if (note) write_all(console, CONSOLE_ERR, note, strlen(note));
  console->noted = note != NULL;
  pthread_mutex_unlock(&console->lock);
}

int console_write(struct console *console, enum console_stream stream, const char *bytes, size_t len) {
  pthread_mutex_lock(&console->lock);
  if (console->tty[stream]) take_note_away(console);
  bool around = prompt_shown(console) && console->tty[stream];
  if (around) write_all(console, CONSOLE_OUT, "\r\033[K", 4);
  int error = write_all(console, stream, bytes, len);
  if (around) show_prompt(console);
  pthread_mutex_unlock(&console->lock);
  return error;
}

void console_prompt(struct console *console, const char *prompt) {
  pthread_mutex_lock(&console->lock);
  if (prompt_shown(console)) write_all(console, CONSOLE_OUT, "\r\033[K", 4);
  console->prompt = prompt;
  if (prompt_shown(console)) show_prompt(console);
  pthread_mutex_unlock(&console->lock);
}

void console_entered(struct console *console) {
  pthread_mutex_lock(&console->lock);
  console->prompt = NULL;
  pthread_mutex_unlock(&console->lock);
}

/* ---- text ---- */

/* Characters that a terminal obeys instead of showing: controls, and those that reorder what is around them.
 */
static bool is_obeyed(unsigned c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F || c == 0x2028 || c == 0x2029;
}

static unsigned decode(const char *at, size_t len) {
  unsigned char lead = (unsigned char)at[0];
  if (len == 1) return lead;
  unsigned c = lead & (0xFFu >> (len + 1));
  for (size_t i = 1; i < len; i++) c = c << 6 | ((unsigned char)at[i] & 0x3F);
  return c;
}

static void put_obeyed(struct buf *out, unsigned c, bool one_line) {
  if ((c == '\n' || c == '\t') && !one_line)
    buf_putc(out, (char)c);
  else if (c == '\n')
    buf_puts(out, "\\n");
  else if (c == '\t')
    buf_puts(out, "\\t");
  else if (c < 0x100)
    buf_printf(out, "\\x%02x", c);
  else
    buf_printf(out, "\\u%04x", c);
}

void put_visible(struct buf *out, const char *text, size_t len, bool one_line) {
  while (len > 0) {
    size_t valid = utf8_valid(text, len), at = 0;
    while (at < valid) {
      size_t n = utf8_len(text + at);
      unsigned c = decode(text + at, n);
      if (is_obeyed(c))
        put_obeyed(out, c, one_line);
      else
        buf_add(out, text + at, n);
      at += n;
    }
    if (at < len) buf_printf(out, "\\x%02x", (unsigned char)text[at++]);
    text += at;
    len -= at;
  }
}

void console_put(const struct console *console, enum console_stream stream, struct buf *out, const char *text,
                 size_t len) {
  if (console->tty[stream])
    put_visible(out, text, len, false);
  else
    buf_add(out, text, len);
}

size_t text_columns(const char *text, size_t len) {
  size_t columns = 0;
  for (size_t i = 0; i < len; i++) columns += ((unsigned char)text[i] & 0xC0) != 0x80;
  return columns;
}

void console_style(const struct console *console, enum console_stream stream, struct buf *out,
                   enum style style) {
  static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m",  "\033[31m",
                                      "\033[32m", "\033[33m", "\033[34m", "\033[36m"};
  if (console->color[stream]) buf_puts(out, codes[style]);
}

void console_complain(struct console *console, const char *format, ...) {
  char text[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  struct buf line = {0};
  buf_puts(&line, "moonkeep: ");
  console_put(console, CONSOLE_ERR, &line, text, strlen(text));
  buf_putc(&line, '\n');
  if (!line.failed) console_write(console, CONSOLE_ERR, line.data, line.len);
  buf_deinit(&line);
}

/* ---- the log ---- */

static void put_time(struct buf *out, time_t when) {
  time_t now = time(NULL);
  struct tm tm, today;
  char text[32] = "";
  if (!localtime_r(&when, &tm) || !localtime_r(&now, &today)) return;
  bool same = tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year;
  strftime(text, sizeof text, same ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
  buf_puts(out, text);
}

void console_put_log(const struct console *console, enum console_stream stream, struct buf *out, time_t when,
                     enum log_level level, const char *source, const char *text) {
  static const enum style styles[] = {STYLE_DIM, STYLE_GREEN, STYLE_YELLOW, STYLE_RED};
  console_style(console, stream, out, STYLE_DIM);
  put_time(out, when);
  console_style(console, stream, out, STYLE_NONE);
  buf_putc(out, ' ');
  console_style(console, stream, out, styles[level]);
  buf_puts(out, log_level_name(level));
  console_style(console, stream, out, STYLE_NONE);
  buf_putc(out, ' ');
  console_put(console, stream, out, source, strlen(source));
  buf_puts(out, ": ");
  console_put(console, stream, out, text, strlen(text));
  buf_putc(out, '\n');
}

void console_log(void *ctx, enum log_level level, const char *source, const char *text) {
  struct console *console = ctx;
  struct buf line = {0};
  console_put_log(console, CONSOLE_ERR, &line, time(NULL), level, source, text);
  if (!line.failed) console_write(console, CONSOLE_ERR, line.data, line.len);
  buf_deinit(&line);
}
