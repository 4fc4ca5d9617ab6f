#include "base/note.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

struct note *note;

static void copy(char *to, size_t size, const char *text) {
  size_t len = strlen(text);
  if (len > size - 1) len = size - 1;
  memcpy(to, text, len);
  to[len] = '\0';
}

long note_pid(void) {
  return note ? note->pid : (long)getpid();
}

void note_name(const void *of, const char *name) {
  note->running = false; /* no half a name is believed */
  copy(note->script, NOTE_NAME, name);
  note->of = of;
}

void note_stuck(void) {
  if (!note) return;
  note->stuck = true;
  kill(getpid(), SIGKILL);
}

void note_let_in(const char *name) {
  for (size_t i = 0; note && i < note->left_out_count; i++)
    if (strcmp(note->left_out[i].name, name) == 0) note->left_out[i].in_force = false;
}

void note_read(const char *bytes, size_t len) {
  if (!note || len == 0) return;
  uint64_t lines = 0;
  for (const char *at = bytes, *end = bytes + len; (at = memchr(at, '\n', (size_t)(end - at))); at++) lines++;
  note->lines += lines;
  note->half_read = bytes[len - 1] != '\n';
}

void note_written(const char *bytes, size_t len) {
  if (note && len > 0) note->half_written = bytes[len - 1] != '\n';
}
