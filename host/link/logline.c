#include "link/logline.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "link/fields.h"

void logline_put_json(struct buf *out, enum log_level level, const char *source, const char *text,
                      size_t most_bytes) {
  size_t len = strlen(text), cut = len < most_bytes ? len : most_bytes;
  while (cut > 0 && cut < len && ((unsigned char)text[cut] & 0xC0) == 0x80) cut--;
  buf_puts(out, "{\"time\":");
  put_seconds(out, clock_wall_ms(&clock_system));
  buf_printf(out, ",\"level\":\"%s\",\"source\":", log_level_name(level));
  put_any_text(out, source, strlen(source));
  buf_puts(out, ",\"text\":");
  put_any_text(out, text, cut);
  buf_putc(out, '}');
}

static void write_json(void *ctx, enum log_level level, const char *source, const char *text) {
  struct buf line = {0};
  logline_put_json(&line, level, source, text, SIZE_MAX);
  buf_putc(&line, '\n');
  if (!line.failed) console_write(ctx, CONSOLE_ERR, line.data, line.len);
  buf_deinit(&line);
}

/* Each line of a text is a message of its own there, and needs its priority. */
static void write_journal(void *ctx, enum log_level level, const char *source, const char *text) {
  static const int priorities[] = {7, 6, 4, 3};
  struct buf line = {0};
  bool first = true;
  do {
    size_t len = strcspn(text, "\n");
    buf_printf(&line, "<%d>%s%s", priorities[level], first ? source : "", first ? ": " : "  ");
    buf_add(&line, text, len);
    buf_putc(&line, '\n');
    text += len + (text[len] == '\n');
    first = false;
  } while (*text);
  if (!line.failed) console_write(ctx, CONSOLE_ERR, line.data, line.len);
  buf_deinit(&line);
}

/* JOURNAL_STREAM names the device and inode of what systemd has connected; a redirected standard error is
 * another one. */
static bool is_journal(void) {
  const char *stream = getenv("JOURNAL_STREAM");
  unsigned long long device, inode;
  struct stat st;
  return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
         st.st_dev == device && st.st_ino == inode;
}

struct log logline_log(struct console *console, enum log_format format) {
  struct log log = {.write = console_log, .ctx = console};
  if (format == LOG_JSON)
    log.write = write_json;
  else if (is_journal())
    log.write = write_journal;
  return log;
}
