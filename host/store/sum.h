/* Checksums: 64 bits of XXH3 over everything that a row says. SQLite's own checks notice one flipped bit in
 * ten; these notice the rest. They guard against accidents, not against people. Any thread. */
#ifndef STORE_SUM_H
#define STORE_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Of a row: its bucket, key, value and expiry (0: none). */
int64_t sum_row(const char *bucket, const char *key, size_t key_len, const char *json, size_t json_len,
                int64_t expires_at_ms);

/* Of a journal row. */
int64_t sum_group(int64_t seq, int64_t at_ms, const void *changes, size_t len);

/* Of many rows in order: goes on from the sum of those before (0: there are none). */
int64_t sum_chain(int64_t before, int64_t row);

#endif
