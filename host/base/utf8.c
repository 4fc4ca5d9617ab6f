#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool in_range(unsigned char byte, unsigned char low, unsigned char high) {
  return byte >= low && byte <= high;
}

static bool continues(unsigned char byte) {
  return in_range(byte, 0x80, 0xBF);
}

/* The second byte is where overlong forms, surrogates and characters above U+10FFFF show. */
size_t utf8_check(const char *at, const char *end) {
  const unsigned char *s = (const unsigned char *)at;
  size_t left = (size_t)(end - at);
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xC2) return 0;
  if (s[0] < 0xE0) return left >= 2 && continues(s[1]) ? 2 : 0;
  if (s[0] < 0xF0) {
    unsigned char low = s[0] == 0xE0 ? 0xA0 : 0x80, high = s[0] == 0xED ? 0x9F : 0xBF;
    return left >= 3 && in_range(s[1], low, high) && continues(s[2]) ? 3 : 0;
  }
  if (s[0] > 0xF4) return 0;
  unsigned char low = s[0] == 0xF0 ? 0x90 : 0x80, high = s[0] == 0xF4 ? 0x8F : 0xBF;
  return left >= 4 && in_range(s[1], low, high) && continues(s[2]) && continues(s[3]) ? 4 : 0;
}

/* Skips ASCII eight bytes at a time: most texts are nothing else. */
static const char *skip_ascii(const char *at, const char *end) {
  uint64_t word;
  for (; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
    memcpy(&word, at, sizeof word);
    if (word & UINT64_C(0x8080808080808080)) break;
  }
  while (at < end && (unsigned char)*at < 0x80) at++;
  return at;
}

size_t utf8_valid(const char *bytes, size_t len) {
  if (len == 0) return 0;
  const char *at = bytes, *end = bytes + len;
  while ((at = skip_ascii(at, end)) < end) {
    do {
      size_t n = utf8_check(at, end);
      if (n == 0) return (size_t)(at - bytes);
      at += n;
    } while (at < end && (unsigned char)*at >= 0x80);
  }
  return len;
}

size_t utf8_len(const char *at) {
  unsigned char lead = (unsigned char)*at;
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t utf8_put(char out[4], unsigned codepoint) {
  if (codepoint < 0x80) {
    out[0] = (char)codepoint;
    return 1;
  }
  size_t len = codepoint < 0x800 ? 2 : codepoint < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (codepoint & 0x3F));
    codepoint >>= 6;
  }
  static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
  out[0] = (char)(leads[len] | codepoint);
  return len;
}
