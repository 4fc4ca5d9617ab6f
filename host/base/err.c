#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [MOONKEEP_OK] = "ok",
    [MOONKEEP_INVALID_KEY] = "invalid_key",
    [MOONKEEP_INVALID_VALUE] = "invalid_value",
    [MOONKEEP_INVALID_PATTERN] = "invalid_pattern",
    [MOONKEEP_TOO_LARGE] = "too_large",
    [MOONKEEP_NESTED] = "nested",
    [MOONKEEP_FULL] = "full",
    [MOONKEEP_IO] = "io",
    [MOONKEEP_CORRUPT] = "corrupt",
    [MOONKEEP_CLOSED] = "closed",
    [MOONKEEP_TIMEOUT] = "timeout",
    [MOONKEEP_UNKNOWN] = "unknown",
    [MOONKEEP_MEMORY] = "memory",
    [MOONKEEP_BUSY] = "busy",
    [MOONKEEP_INVALID] = "invalid",
    [MOONKEEP_CONFLICT] = "conflict",
};
enum { NAMES = sizeof names / sizeof *names };

const char *moonkeep_code_name(enum moonkeep_code code) {
  return (unsigned)code < NAMES ? names[code] : "unknown";
}

enum moonkeep_code err_code(const char *name) {
  for (int i = 0; i < NAMES; i++)
    if (strcmp(names[i], name) == 0) return (enum moonkeep_code)i;
  return MOONKEEP_UNKNOWN;
}

/* Takes back the half of a UTF-8 character that a full buffer has cut off. */
static void trim_cut_character(char *text, size_t len) {
  size_t start = len;
  while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
  if (start == 0) return;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (len - start + 1 < want) text[start - 1] = '\0';
}

static enum moonkeep_code fill(struct err *err, enum moonkeep_code code, const char *format, va_list args) {
  if (!err) return code;
  err->code = code;
  err->key[0] = '\0';
  err->disk = false;
  int n = vsnprintf(err->message, sizeof err->message, format, args);
  if (n >= (int)sizeof err->message) trim_cut_character(err->message, sizeof err->message - 1);
  return code;
}

enum moonkeep_code err_set(struct err *err, enum moonkeep_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fill(err, code, format, args);
  va_end(args);
  return code;
}

void err_name_key(struct err *err, const char *key, size_t key_len) {
  size_t n = key_len < sizeof err->key - 1 ? key_len : sizeof err->key - 1;
  memcpy(err->key, key, n);
  err->key[n] = '\0';
  if (n < key_len) trim_cut_character(err->key, n);
}

enum moonkeep_code err_key(struct err *err, enum moonkeep_code code, const char *key, size_t key_len,
                           const char *format, ...) {
  va_list args;
  va_start(args, format);
  fill(err, code, format, args);
  va_end(args);
  if (err) err_name_key(err, key, key_len);
  return code;
}

enum moonkeep_code err_memory(struct err *err) {
  return err_set(err, MOONKEEP_MEMORY, "out of memory");
}
