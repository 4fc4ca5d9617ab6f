/* A hash table from byte strings to the structs that embed their own link.
 *
 * It grows in steps, a few items with each that is put in: to move a million at once takes longer than a game
 * has for a tick. The table allocates only its slots, and does without when it cannot grow them: putting an
 * item in never fails. Items are the caller's; a key's bytes stay valid as long as the item is in the table.
 * Hashes are seeded for each table, so that chosen keys cannot make chains long. One thread. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_link {
  struct map_link *next; /* in its slot; the table's */
  uint64_t hash;
  const char *key; /* borrowed: whoever embeds the link owns the bytes */
  size_t key_len;
};

struct map {
  struct map_link **slots; /* owned; `mask + 1` of them */
  size_t mask, count;
  uint64_t seed;
  struct map_link *lone; /* the single slot of a table that has no memory yet */
  struct map_link **old; /* owned; the slots before the last growth, while any have not been moved; or NULL */
  size_t old_mask, moved; /* how many have */
};

void map_init(struct map *map);
void map_deinit(struct map *map); /* frees the slots, not the items */

uint64_t map_hash(const struct map *map, const char *key, size_t len);

/* The item with this key, or NULL. */
struct map_link *map_find(const struct map *map, const char *key, size_t len);

/* Puts in an item whose key is not there yet. */
void map_put(struct map *map, struct map_link *link, const char *key, size_t len);

/* Takes out an item that is there. */
void map_take(struct map *map, struct map_link *link);

/* Walks all items: `for (l = map_next(map, NULL); l; l = map_next(map, l))`. Nothing may be put in or taken
 * out meanwhile; map_each allows taking out the item it is called with. */
struct map_link *map_next(const struct map *map, const struct map_link *link);
void map_each(struct map *map, void (*visit)(struct map_link *, void *), void *ctx);

/* Sixty-four random bits from the system: for seeds. */
uint64_t map_random(void);

#endif
