/* An arena: the memory of one Lua state. Small blocks come from chunks of the arena's own, cut into sizes of
 * sixteen bytes' steps, and go back to it: Lua makes and drops millions of them, and this is several times
 * faster than malloc. Large ones are malloc's.
 *
 * An embedded struct; one thread. Everything is given back at once by arena_deinit. */
#ifndef SCRIPT_ARENA_H
#define SCRIPT_ARENA_H

#include <stddef.h>

#include "base/mem.h"

enum { ARENA_STEP = 16, ARENA_SMALL = 256, ARENA_SIZES = ARENA_SMALL / ARENA_STEP };

struct arena {
  const struct mem_source *source;      /* borrowed; NULL: memory is the host's */
  struct arena_free *free[ARENA_SIZES]; /* blocks to be used again, by size */
  struct arena_chunk *chunks;           /* owned */
  char *fresh;                          /* the newest chunk's part that has never been used */
  size_t fresh_bytes;
  size_t chunk_bytes; /* of the next chunk */
};

void arena_init(struct arena *arena, const struct mem_source *source);
void arena_deinit(struct arena *arena);

/* A block of size bytes (over 0), or NULL. */
void *arena_alloc(struct arena *arena, size_t size);

/* Gives a block back; size is what it was made with. NULL is fine. */
void arena_free(struct arena *arena, void *block, size_t size);

/* The block with its first bytes in a new size (both over 0); NULL leaves it as it was. Lua relies on it that
 * getting smaller never fails. */
void *arena_resize(struct arena *arena, void *block, size_t old_size, size_t size);

#endif
