#include "store/sum.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Each part seeds the next, so that nothing can move from one part to another unnoticed. The multiplier is
 * odd and so maps different numbers to different seeds. */
static uint64_t number(uint64_t seed, int64_t n) {
  return seed ^ ((uint64_t)n * 0x9E3779B97F4A7C15u);
}

int64_t sum_row(const char *bucket, const char *key, size_t key_len, const char *json, size_t json_len,
                int64_t expires_at_ms) {
  uint64_t sum = XXH3_64bits(bucket, strlen(bucket));
  sum = XXH3_64bits_withSeed(key, key_len, number(sum, expires_at_ms));
  return (int64_t)XXH3_64bits_withSeed(json, json_len, sum);
}

int64_t sum_group(int64_t seq, int64_t at_ms, const void *changes, size_t len) {
  return (int64_t)XXH3_64bits_withSeed(changes, len, number(number(1, seq), at_ms) + (uint64_t)seq);
}

int64_t sum_chain(int64_t before, int64_t row) {
  return (int64_t)XXH3_64bits_withSeed(&row, sizeof row, (uint64_t)before);
}
