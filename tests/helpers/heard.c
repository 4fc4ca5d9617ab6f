#include "helpers/heard.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[16384]; /* what does not fit is not kept */

static void take_line(void *ctx, enum log_level level, const char *source, const char *text) {
  (void)ctx, (void)level;
  pthread_mutex_lock(&lock);
  size_t len = strlen(lines);
  snprintf(lines + len, sizeof lines - len, "%s: %.500s\n", source, text);
  pthread_mutex_unlock(&lock);
}

const struct log heard_log = {.write = take_line, .level = LOG_WARN};

void heard_clear(void) {
  pthread_mutex_lock(&lock);
  lines[0] = '\0';
  pthread_mutex_unlock(&lock);
}

const char *heard_text(void) {
  static char text[sizeof lines];
  pthread_mutex_lock(&lock);
  memcpy(text, lines, sizeof text);
  pthread_mutex_unlock(&lock);
  return text;
}

bool heard(const char *part) {
  return strstr(heard_text(), part) != NULL;
}
