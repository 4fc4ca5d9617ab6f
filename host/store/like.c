#include "store/like.h"

#include "base/utf8.h"

/* One character on, but never past the end: rows that other programs wrote may hold broken UTF-8. */
static const char *step(const char *at, const char *end) {
  size_t left = (size_t)(end - at);
  size_t len = utf8_len(at);
  return at + (len < left ? len : left);
}

bool like_match(const char *pattern, size_t pattern_len, const char *key, size_t key_len) {
  const char *p = pattern, *p_end = pattern + pattern_len;
  const char *k = key, *k_end = key + key_len;
  const char *after_run = NULL,
             *run_end = NULL; /* the last `%`: what follows it, and how far it has swallowed */
  while (k < k_end) {
    if (p < p_end && *p == '%') {
      after_run = ++p;
      run_end = k;
      continue;
    }
    if (p < p_end && *p == '_') {
      p++;
      k = step(k, k_end);
      continue;
    }
    const char *literal = p < p_end && *p == '\\' ? p + 1 : p;
    if (literal < p_end && *literal == *k) {
      p = literal + 1;
      k++;
      continue;
    }
    if (!after_run) return false;
    run_end = step(run_end, k_end);
    k = run_end;
    p = after_run;
  }
  while (p < p_end && *p == '%') p++;
  return p == p_end;
}

size_t like_prefix(const char *pattern, size_t pattern_len, char *out) {
  size_t len = 0;
  for (size_t i = 0; i < pattern_len; i++) {
    if (pattern[i] == '%' || pattern[i] == '_') break;
    if (pattern[i] == '\\' && ++i == pattern_len) break;
    out[len++] = pattern[i];
  }
  return len;
}

bool like_is_cut(const char *pattern, size_t pattern_len) {
  size_t slashes = 0;
  while (slashes < pattern_len && pattern[pattern_len - 1 - slashes] == '\\') slashes++;
  return slashes % 2 == 1;
}
