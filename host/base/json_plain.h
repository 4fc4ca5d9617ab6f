/* What can stand in a JSON string as it is, found eight bytes at a time: for json.c, which reads, and
 * json_put.c, which writes. Inline, since most strings are a few bytes. */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Marks, in its highest bit, the first of the eight bytes that is a control character, a quote or a
 * backslash. The borrow of a subtraction can only mark bytes behind that one. */
static inline uint64_t json_mark_special(uint64_t word) {
  uint64_t quote = word ^ JSON_EACH_BYTE('"'), backslash = word ^ JSON_EACH_BYTE('\\');
  uint64_t marks = ((word - JSON_EACH_BYTE(0x20)) & ~word) | ((quote - JSON_EACH_BYTE(1)) & ~quote) |
                   ((backslash - JSON_EACH_BYTE(1)) & ~backslash);
  return marks & JSON_EACH_BYTE(0x80);
}

static inline bool json_is_special(unsigned char c) {
  return c < 0x20 || c == '"' || c == '\\';
}

/* Skips what can stand in a string as it is; with `ascii` stops at the first byte beyond ASCII, too. */
static inline const char *json_skip_plain(const char *at, const char *end, bool ascii) {
  uint64_t word, wide = ascii ? JSON_EACH_BYTE(0x80) : 0;
  for (; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
    memcpy(&word, at, sizeof word);
    word = le64toh(word); /* the first byte is the lowest */
    uint64_t marks = json_mark_special(word) | (word & wide);
    if (marks) return at + __builtin_ctzll(marks) / 8;
  }
  while (at < end && !json_is_special((unsigned char)*at) && !((unsigned char)*at & wide)) at++;
  return at;
}

/* The same for a whole string: whether all of it is plain ASCII. The last bytes are looked at in one word,
 * which has some of those before them too; their order makes no difference. */
static inline bool json_is_plain(const char *at, size_t len) {
  uint64_t word;
  const char *end = at + len;
  if (len >= sizeof word) {
    for (; end - at > (ptrdiff_t)sizeof word; at += sizeof word) {
      memcpy(&word, at, sizeof word);
      if ((json_mark_special(word) | word) & JSON_EACH_BYTE(0x80)) return false;
    }
    memcpy(&word, end - sizeof word, sizeof word);
  } else if (len >= 4) {
    uint32_t first, last;
    memcpy(&first, at, sizeof first);
    memcpy(&last, end - sizeof last, sizeof last);
    word = (uint64_t)first << 32 | last;
  } else if (len > 0) {
    word = JSON_EACH_BYTE(' ') << 24 | (uint64_t)(unsigned char)at[0] << 16 |
           (uint64_t)(unsigned char)at[len / 2] << 8 | (unsigned char)at[len - 1];
  } else {
    return true;
  }
  return ((json_mark_special(word) | word) & JSON_EACH_BYTE(0x80)) == 0;
}

#endif
