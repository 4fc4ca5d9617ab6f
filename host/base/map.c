#include "base/map.h"

#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

/* With one item put in for each slot moved, all are moved when the table has to grow again. */
enum { FIRST_SLOTS = 16, MOVE_SLOTS = 4 };

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
  mem_free(map->old);
  *map = (struct map){0};
}

uint64_t map_hash(const struct map *map, const char *key, size_t len) {
  return XXH3_64bits_withSeed(key, len, map->seed);
}

static bool is_in_old(const struct map *map, uint64_t hash) {
  return map->old && (hash & map->old_mask) >= map->moved;
}

static struct map_link **slot_of(const struct map *map, uint64_t hash) {
  if (is_in_old(map, hash)) return &map->old[hash & map->old_mask];
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

/* Moves the items of the next old slots to where they belong now. */
static void move(struct map *map, size_t slots) {
  for (; map->old && slots > 0; slots--) {
    struct map_link *link = map->old[map->moved++];
    while (link) {
      struct map_link *next = link->next;
      push(map, link);
      link = next;
    }
    if (map->moved <= map->old_mask) continue;
    mem_free(map->old);
    map->old = NULL;
  }
}

/* Doubles the slots; without memory the chains just get longer. */
static void grow(struct map *map) {
  size_t slots = map->slots ? (map->mask + 1) * 2 : FIRST_SLOTS;
  struct map_link **fresh = mem_zero(slots * sizeof *fresh), *lone = map->lone;
  if (!fresh) return;
  move(map, SIZE_MAX); /* nothing is left, but where memory came late */
  map->old = map->slots;
  map->old_mask = map->mask;
  map->moved = 0;
  map->slots = fresh;
  map->mask = slots - 1;
  map->lone = NULL;
  while (lone) {
    struct map_link *next = lone->next;
    push(map, lone);
    lone = next;
  }
}

void map_put(struct map *map, struct map_link *link, const char *key, size_t len) {
  move(map, MOVE_SLOTS);
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

static struct map_link *first_from(struct map_link *const *slots, size_t slot, size_t mask) {
  for (; slot <= mask; slot++)
    if (slots[slot]) return slots[slot];
  return NULL;
}

/* The old slots come first, then the new ones. */
struct map_link *map_next(const struct map *map, const struct map_link *link) {
  if (link && link->next) return link->next;
  if (!map->slots) return link ? NULL : map->lone;
  bool in_old = link ? is_in_old(map, link->hash) : map->old != NULL;
  size_t slot = 0;
  if (in_old) {
    struct map_link *next =
        first_from(map->old, link ? (link->hash & map->old_mask) + 1 : map->moved, map->old_mask);
    if (next) return next;
  } else if (link) {
    slot = (link->hash & map->mask) + 1;
  }
  return first_from(map->slots, slot, map->mask);
}

void map_each(struct map *map, void (*visit)(struct map_link *, void *), void *ctx) {
  struct map_link *link = map_next(map, NULL);
  while (link) {
    struct map_link *next = map_next(map, link);
    visit(link, ctx);
    link = next;
  }
}
