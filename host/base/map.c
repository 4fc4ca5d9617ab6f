#include "base/map.h"

#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

enum { FIRST_SLOTS = 16 };

uint64_t map_random(void) {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) bits ^= (uintptr_t)&bits;
  return bits;
}

void map_init(struct map *map) {
  *map = (struct map){.seed = map_random()};
}

void map_deinit(struct map *map) {
  mem_free(map->slots);
  *map = (struct map){0};
}

uint64_t map_hash(const struct map *map, const char *key, size_t len) {
  return XXH3_64bits_withSeed(key, len, map->seed);
}

static struct map_link **slot_of(const struct map *map, uint64_t hash) {
  return map->slots ? &map->slots[hash & map->mask] : (struct map_link **)&map->lone;
}

struct map_link *map_find(const struct map *map, const char *key, size_t len) {
  uint64_t hash = map_hash(map, key, len);
  struct map_link *link = *slot_of(map, hash);
  while (link && (link->hash != hash || link->key_len != len || memcmp(link->key, key, len) != 0))
    link = link->next;
  return link;
}

static void push(struct map *map, struct map_link *link) {
  struct map_link **slot = slot_of(map, link->hash);
  link->next = *slot;
  *slot = link;
}

/* Doubles the slots; without memory the chains just get longer. */
static void grow(struct map *map) {
  size_t slots = map->slots ? (map->mask + 1) * 2 : FIRST_SLOTS;
  struct map_link **fresh = mem_zero(slots * sizeof *fresh);
  if (!fresh) return;
  struct map old = *map;
  map->slots = fresh;
  map->mask = slots - 1;
  map->lone = NULL;
  size_t old_slots = old.slots ? old.mask + 1 : 1;
  for (size_t i = 0; i < old_slots; i++) {
    struct map_link *link = old.slots ? old.slots[i] : old.lone;
    while (link) {
      struct map_link *next = link->next;
      push(map, link);
      link = next;
    }
  }
  mem_free(old.slots);
}

void map_put(struct map *map, struct map_link *link, const char *key, size_t len) {
  if (!map->slots || map->count > map->mask) grow(map);
  link->key = key;
  link->key_len = len;
  link->hash = map_hash(map, key, len);
  push(map, link);
  map->count++;
}

void map_take(struct map *map, struct map_link *link) {
  struct map_link **at = slot_of(map, link->hash);
  while (*at != link) at = &(*at)->next;
  *at = link->next;
  link->next = NULL;
  map->count--;
}

struct map_link *map_next(const struct map *map, const struct map_link *link) {
  if (link && link->next) return link->next;
  if (!map->slots) return link ? NULL : map->lone;
  size_t slot = link ? (link->hash & map->mask) + 1 : 0;
  for (; slot <= map->mask; slot++)
    if (map->slots[slot]) return map->slots[slot];
  return NULL;
}

void map_each(struct map *map, void (*visit)(struct map_link *, void *), void *ctx) {
  struct map_link *link = map_next(map, NULL);
  while (link) {
    struct map_link *next = map_next(map, link);
    visit(link, ctx);
    link = next;
  }
}
