#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"debug", "info", "warn", "error"};

const char *log_level_name(enum log_level level) {
  return names[level];
}

bool log_level_parse(const char *name, enum log_level *level) {
  for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
    if (strcmp(names[i], name) != 0) continue;
    *level = (enum log_level)i;
    return true;
  }
  return false;
}

void log_text(const struct log *log, enum log_level level, const char *source, const char *text) {
  if (log && log->write && level >= log->level) log->write(log->ctx, level, source, text);
}

void log_write(const struct log *log, enum log_level level, const char *source, const char *format, ...) {
  if (!log || !log->write || level < log->level) return;
  char text[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  log->write(log->ctx, level, source, text);
}
