/* The journal's format on any bytes: what is read stays inside them, and what is read whole can be written
 * again to the same changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENSURE(x)                                                                                            \
  do {                                                                                                       \
    if (!(x)) {                                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                                \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

static void write_again(struct buf *out, const struct journal_change *change) {
  char name[64] = "";
  if (change->bucket_len < sizeof name) memcpy(name, change->bucket, change->bucket_len);
  journal_bucket(out, name);
  switch (change->op) {
  case 'p':
    journal_put(out, change->key, change->key_len, change->json, change->json_len, change->time_ms);
    break;
  case 'e': journal_erase(out, change->key, change->key_len); break;
  case 'l': journal_erase_like(out, change->key, change->key_len, change->time_ms); break;
  default: ENSURE(!"an operation that does not exist");
  }
}

static void same(const struct journal_change *a, const struct journal_change *b) {
  ENSURE(a->op == b->op && a->key_len == b->key_len && a->json_len == b->json_len &&
         a->time_ms == b->time_ms);
  ENSURE(memcmp(a->key, b->key, a->key_len) == 0);
  ENSURE(a->op != 'p' || memcmp(a->json, b->json, a->json_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct journal_reader first, second;
  struct journal_change a, b;
  struct buf out = {0};
  journal_read(&first, data, size);
  journal_begin(&out, first.epoch);
  while (journal_next(&first, &a)) write_again(&out, &a);
  journal_read(&first, data, size);
  journal_read(&second, out.data, out.len);
  while (journal_next(&first, &a)) {
    ENSURE(journal_next(&second, &b));
    same(&a, &b);
  }
  ENSURE(!journal_next(&second, &b) && !second.broken);
  buf_deinit(&out);
  return 0;
}
