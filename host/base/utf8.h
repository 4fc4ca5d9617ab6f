/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many of the bytes are valid UTF-8 from the start: len when all are. */
size_t utf8_valid(const char *bytes, size_t len);

/* How many bytes the character at `at` has, 1 to 4; at < end, and the text is valid. */
size_t utf8_len(const char *at);

/* How many bytes the character at `at` has, 1 to 4, in a text not yet known to be valid: 0 when what begins
 * there is not UTF-8 or is cut off by `end`. at < end. */
size_t utf8_check(const char *at, const char *end);

/* Writes the character as UTF-8 (1 to 4 bytes) and says how many bytes it took. */
size_t utf8_put(char out[4], unsigned codepoint);

#endif
