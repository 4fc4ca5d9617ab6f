/* The cache: which keys the front keeps. */
#include <string.h>

#include "base/mem.h"
#include "store/store_parts.h"

/* Entries looked at for each call, and for each entry that was made since, which a list has many of: enough
 * to find one that may go, few enough not to be felt. */
enum { LOOKS = 16, LOOKS_FOR_NEW = 4 };

/* What a block costs that the system gives out: it rounds up, and keeps its size in front. */
static size_t block(size_t bytes) {
  return (bytes + sizeof(size_t) + 15) & ~(size_t)15;
}

/* With the slot in the table, of which there are twice as many as entries at worst. */
static size_t weight(const struct entry *entry) {
  return 2 * sizeof(void *) + block(sizeof *entry + entry->link.key_len + 1) +
         (entry->durable ? block(sizeof *entry->durable + entry->durable->len + 1) : 0);
}

struct entry *cache_find(struct bucket *bucket, const char *key, size_t len) {
  struct map_link *link = map_find(&bucket->entries, key, len);
  return link ? list_of(link, struct entry, link) : NULL;
}

struct entry *cache_get(struct store *store, struct bucket *bucket, const char *key, size_t len) {
  struct entry *entry = cache_find(bucket, key, len);
  if (entry) {
    entry->touched = true;
    return entry;
  }
  entry = mem_zero(sizeof *entry + len + 1);
  if (!entry) return NULL;
  memcpy(entry->key, key, len);
  entry->bucket = bucket;
  list_init(&entry->waiting);
  list_add(&store->ages, &entry->age);
  map_put(&bucket->entries, &entry->link, entry->key, len);
  store->cache_bytes += weight(entry);
  store->cache_new++;
  return entry;
}

void cache_set_durable(struct store *store, struct entry *entry, struct value *value) {
  store->cache_bytes -= weight(entry);
  value_free(entry->durable);
  entry->durable = value;
  entry->known = true;
  store->cache_bytes += weight(entry);
}

void cache_unknow(struct store *store, struct entry *entry) {
  cache_set_durable(store, entry, NULL);
  entry->known = false;
}

void cache_drop(struct store *store, struct entry *entry) {
  store->cache_bytes -= weight(entry);
  map_take(&entry->bucket->entries, &entry->link);
  list_take(&entry->age);
  value_free(entry->durable);
  if (entry->group) value_free(entry->newest);
  mem_free(entry);
}

bool cache_is_free(const struct store *store, const struct entry *entry) {
  return entry->pins == 0 && !entry->group && !entry->loading && list_empty(&entry->waiting) &&
         entry->journal_seq <= atomic_load(&store->commit.folded_seq);
}

/* A second chance for each: what has been used since the last look goes to the end once more. */
void cache_trim(struct store *store) {
  size_t looks = LOOKS + LOOKS_FOR_NEW * store->cache_new;
  store->cache_new = 0;
  for (; looks > 0 && store->cache_bytes > store->cache_limit; looks--) {
    if (list_empty(&store->ages)) return;
    struct entry *entry = list_of(store->ages.next, struct entry, age);
    if (!entry->touched && cache_is_free(store, entry)) {
      cache_drop(store, entry);
      continue;
    }
    entry->touched = false;
    list_take(&entry->age);
    list_add(&store->ages, &entry->age);
  }
}
