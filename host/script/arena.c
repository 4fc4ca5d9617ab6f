#include "script/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A small script is not to take much more than it needs, a large one is not to ask often. */
enum { FIRST_CHUNK_BYTES = 4 << 10, LAST_CHUNK_BYTES = 64 << 10 };

struct arena_free { /* a block that nobody uses */
  struct arena_free *next;
};

struct arena_chunk { /* also in front of every large block, which becomes a chunk when it has to be kept */
  struct arena_chunk *next;
  max_align_t blocks[];
};

void arena_init(struct arena *arena, const struct mem_source *source) {
  *arena = (struct arena){.chunk_bytes = FIRST_CHUNK_BYTES, .source = source};
}

static void *get(struct arena *arena, size_t size) {
  if (!arena->source) return mem_alloc(size);
  return mem_allowed() ? arena->source->resize(arena->source->ctx, NULL, size) : NULL;
}

static void *resize(struct arena *arena, void *block, size_t size) {
  if (!arena->source) return mem_resize(block, size);
  return mem_allowed() ? arena->source->resize(arena->source->ctx, block, size) : NULL;
}

static void give(struct arena *arena, void *block) {
  if (arena->source)
    arena->source->resize(arena->source->ctx, block, 0);
  else
    mem_free(block);
}

void arena_deinit(struct arena *arena) {
  while (arena->chunks) {
    struct arena_chunk *chunk = arena->chunks;
    arena->chunks = chunk->next;
    give(arena, chunk);
  }
}

/* Under AddressSanitizer every block is malloc's, so that it sees each of them. */
static size_t small_limit(void) {
#if defined(__SANITIZE_ADDRESS__)
  return 0;
#else
  return ARENA_SMALL;
#endif
}

static size_t kind_of(size_t size) {
  return (size - 1) / ARENA_STEP;
}

/* What is left of a chunk when the next is begun goes to the free blocks, so that none of it is lost. */
static void keep_rest(struct arena *arena) {
  while (arena->fresh_bytes >= ARENA_STEP) {
    size_t size = arena->fresh_bytes < ARENA_SMALL ? arena->fresh_bytes : ARENA_SMALL;
    arena->fresh_bytes -= size;
    arena_free(arena, arena->fresh, size);
    arena->fresh += size;
  }
}

static bool add_chunk(struct arena *arena) {
  struct arena_chunk *chunk = get(arena, sizeof *chunk + arena->chunk_bytes);
  if (!chunk) return false;
  keep_rest(arena);
  chunk->next = arena->chunks;
  arena->chunks = chunk;
  arena->fresh = (char *)chunk->blocks;
  arena->fresh_bytes = arena->chunk_bytes;
  if (arena->chunk_bytes < LAST_CHUNK_BYTES) arena->chunk_bytes *= 2;
  return true;
}

static void *large(struct arena_chunk *block) {
  return block ? block->blocks : NULL;
}

static struct arena_chunk *head_of(void *block) {
  return (struct arena_chunk *)(void *)((char *)block - offsetof(struct arena_chunk, blocks));
}

void *arena_alloc(struct arena *arena, size_t size) {
  if (size > small_limit()) return large(get(arena, sizeof(struct arena_chunk) + size));
  if (!mem_allowed()) return NULL;
  size_t kind = kind_of(size), bytes = (kind + 1) * ARENA_STEP;
  struct arena_free *block = arena->free[kind];
  if (block) {
    arena->free[kind] = block->next;
    return block;
  }
  if (arena->fresh_bytes < bytes && !add_chunk(arena)) return NULL;
  char *fresh = arena->fresh;
  arena->fresh += bytes;
  arena->fresh_bytes -= bytes;
  return fresh;
}

void arena_free(struct arena *arena, void *block, size_t size) {
  if (!block) return;
  if (size > small_limit()) {
    give(arena, head_of(block));
    return;
  }
  struct arena_free *unused = block;
  unused->next = arena->free[kind_of(size)];
  arena->free[kind_of(size)] = unused;
}

/* A large block for which there is no small one stays where it is until the end. */
static void *keep_large(struct arena *arena, void *block) {
  struct arena_chunk *chunk = head_of(block);
  chunk->next = arena->chunks;
  arena->chunks = chunk;
  return block;
}

void *arena_resize(struct arena *arena, void *block, size_t old_size, size_t size) {
  size_t small = small_limit();
  if (old_size > small && size > small) {
    void *moved = large(resize(arena, head_of(block), sizeof(struct arena_chunk) + size));
    return moved || size > old_size ? moved : block;
  }
  /* A small block that shrinks is simply a smaller one from now on. */
  if (size <= old_size && old_size <= small) return block;
  if (old_size <= small && size <= small && kind_of(old_size) == kind_of(size)) return block;
  void *moved = arena_alloc(arena, size);
  if (!moved) return size < old_size ? keep_large(arena, block) : NULL;
  memcpy(moved, block, old_size < size ? old_size : size);
  arena_free(arena, block, old_size);
  return moved;
}
