/* The order of a slice. Its keys are mostly alike and not in the processor's cache, so that comparing them
 * all takes longer than the rest of a slice. Instead each change gets a number: the rank of its bucket, then
 * the bytes of its key behind those that all keys begin with. Numbers are sorted digit by digit, which leaves
 * equal ones in the order in which they came; only those are compared as keys. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/slice.h"

enum {
  BUCKETS = 64,   /* with more of them every change has the same number, and all are compared */
  KEY_BYTES = 7,  /* of a key that are in a number */
  DIGITS = 8,     /* of a number, */
  DIGIT_BITS = 8, /* each of so many bits */
  VALUES = 1 << DIGIT_BITS,
};

int slice_compare(const char *a, size_t a_len, const char *b, size_t b_len) {
  int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
  return order ? order : (a_len > b_len) - (a_len < b_len);
}

/* ---- numbers ---- */

struct bucket_name { /* as it stands in the slice */
  const char *text;
  size_t len;
};

static int by_name(const void *a, const void *b) {
  const struct bucket_name *x = a, *y = b;
  return slice_compare(x->text, x->len, y->text, y->len);
}

/* Which of the buckets the change is of; `count`: of none. Changes of one group borrow one name, so that
 * `last` tells most. */
static size_t find_bucket(const struct bucket_name *names, size_t count,
                          const struct journal_change *change) {
  size_t i = 0;
  while (i < count && (names[i].len != change->bucket_len ||
                       memcmp(names[i].text, change->bucket, change->bucket_len) != 0))
    i++;
  return i;
}

/* Finds all buckets, in byte order; how many there are, 0: too many. */
static size_t list_buckets(const struct slice *slice, struct bucket_name names[BUCKETS]) {
  const char *last = NULL;
  size_t count = 0;
  for (size_t i = 0; i < slice->changes_count; i++) {
    const struct journal_change *change = &slice->changes[i];
    if (change->bucket == last) continue;
    last = change->bucket;
    if (find_bucket(names, count, change) < count) continue;
    if (count == BUCKETS) return 0;
    names[count++] = (struct bucket_name){change->bucket, change->bucket_len};
  }
  qsort(names, count, sizeof *names, by_name);
  return count;
}

/* How many bytes all keys begin with. */
static size_t common(const struct slice *slice) {
  const struct journal_change *first = slice->changes;
  size_t same = first->key_len;
  for (size_t i = 1; i < slice->changes_count && same > 0; i++) {
    const struct journal_change *change = &slice->changes[i];
    if (change->key_len < same) same = change->key_len;
    if (memcmp(first->key, change->key, same) == 0) continue;
    for (same = 0; first->key[same] == change->key[same];) same++;
  }
  return same;
}

static uint64_t number_of(const struct journal_change *change, size_t same, size_t rank) {
  uint64_t number = rank;
  for (size_t i = same; i < same + KEY_BYTES; i++)
    number = number << 8 | (i < change->key_len ? (unsigned char)change->key[i] : 0);
  return number;
}

static void number_all(struct slice *slice) {
  struct bucket_name names[BUCKETS] = {0};
  size_t buckets = list_buckets(slice, names), same = common(slice), rank = 0;
  const char *last = NULL;
  for (size_t i = 0; i < slice->changes_count; i++) {
    struct journal_change *change = &slice->changes[i];
    if (change->bucket != last) rank = find_bucket(names, buckets, change);
    last = change->bucket;
    slice->order[i] = (struct spot){buckets > 0 ? number_of(change, same, rank) : 0, change};
  }
}

/* ---- sorting ---- */

static unsigned digit_of(const struct spot *spot, int digit) {
  return spot->number >> (digit * DIGIT_BITS) & (VALUES - 1);
}

/* Moves all to where they belong by this digit; false: it is the same for all. */
static bool sort_by(int digit, const struct spot *from, struct spot *to, size_t count) {
  size_t places[VALUES] = {0}, place = 0;
  for (size_t i = 0; i < count; i++) places[digit_of(&from[i], digit)]++;
  if (places[digit_of(from, digit)] == count) return false;
  for (int value = 0; value < VALUES; value++) {
    size_t so_many = places[value];
    places[value] = place;
    place += so_many;
  }
  for (size_t i = 0; i < count; i++) to[places[digit_of(&from[i], digit)]++] = from[i];
  return true;
}

static int by_key(const struct journal_change *a, const struct journal_change *b) {
  int order = slice_compare(a->bucket, a->bucket_len, b->bucket, b->bucket_len);
  return order ? order : slice_compare(a->key, a->key_len, b->key, b->key_len);
}

/* What came earlier stands in front of what came later. */
static int by_key_and_turn(const void *a, const void *b) {
  const struct journal_change *x = ((const struct spot *)a)->change, *y = ((const struct spot *)b)->change;
  int order = by_key(x, y);
  return order ? order : (x > y) - (x < y);
}

/* The last change to a key is the one that counts. */
static void keep_last(struct slice *slice, size_t first, size_t end) {
  for (size_t i = first; i < end; i++)
    if (i + 1 == end || by_key(slice->order[i].change, slice->order[i + 1].change) != 0)
      slice->order[slice->count++] = slice->order[i];
}

static void settle_equals(struct slice *slice) {
  slice->count = 0;
  for (size_t first = 0, end; first < slice->changes_count; first = end) {
    for (end = first + 1; end < slice->changes_count; end++)
      if (slice->order[end].number != slice->order[first].number) break;
    if (end > first + 1) qsort(&slice->order[first], end - first, sizeof *slice->order, by_key_and_turn);
    keep_last(slice, first, end);
  }
}

bool slice_sort(struct slice *slice) {
  if (slice->changes_count == 0) return true;
  slice->order = mem_alloc(slice->changes_count * sizeof *slice->order);
  struct spot *other = mem_alloc(slice->changes_count * sizeof *other);
  if (slice->order && other) {
    number_all(slice);
    for (int digit = 0; digit < DIGITS; digit++) {
      if (!sort_by(digit, slice->order, other, slice->changes_count)) continue;
      struct spot *sorted = other;
      other = slice->order;
      slice->order = sorted;
    }
    settle_equals(slice);
  }
  bool done = slice->order && other;
  mem_free(other);
  return done;
}
