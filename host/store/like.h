/* LIKE patterns, exactly as the contract has them: `%` any run, `_` one UTF-8 character, `\` takes the next
 * character as it is. Case-sensitive. One matcher serves scans, deletions and the barriers in the front, so
 * that they cannot disagree. */
#ifndef STORE_LIKE_H
#define STORE_LIKE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the whole key matches; the pattern does not end in a lone `\`. Time: at worst the product of the
 * lengths. */
bool like_match(const char *pattern, size_t pattern_len, const char *key, size_t key_len);

/* The literal text that every match begins with, unescaped into out (pattern_len bytes are enough); returns
 * its length. */
size_t like_prefix(const char *pattern, size_t pattern_len, char *out);

/* Whether a `\` has nothing behind it. */
bool like_is_cut(const char *pattern, size_t pattern_len);

#endif
