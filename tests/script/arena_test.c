/* The arena of a Lua state's memory: blocks that keep their bytes, and do not run out for lack of care. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "script/arena.h"

enum { BLOCKS = 500 };

struct block {
  unsigned char *bytes;
  size_t size;
  unsigned char mark;
};

static bool is_whole(const struct block *block) {
  for (size_t i = 0; i < block->size; i++)
    if (block->bytes[i] != block->mark) return false;
  return true;
}

static void fill(struct block *block) {
  memset(block->bytes, block->mark, block->size);
}

static void change(struct arena *arena, struct block *block) {
  size_t size = 1 + check_below(check_below(4) ? 300 : 5000);
  CHECK(is_whole(block));
  if (!block->bytes) {
    block->bytes = arena_alloc(arena, size);
  } else if (check_below(2)) {
    arena_free(arena, block->bytes, block->size);
    *block = (struct block){0};
    return;
  } else {
    size_t kept = size < block->size ? size : block->size;
    block->bytes = arena_resize(arena, block->bytes, block->size, size);
    block->size = kept;
    CHECK(is_whole(block));
  }
  CHECK(block->bytes && (uintptr_t)block->bytes % sizeof(void *) == 0);
  block->size = size;
  block->mark = (unsigned char)check_random();
  fill(block);
}

TEST(blocks_keep_their_bytes_whatever_happens_to_others) {
  struct arena arena;
  static struct block blocks[BLOCKS];
  memset(blocks, 0, sizeof blocks);
  arena_init(&arena, NULL);
  for (long i = 0; i < check_rounds(200000); i++) change(&arena, &blocks[check_below(BLOCKS)]);
  for (int i = 0; i < BLOCKS; i++) arena_free(&arena, blocks[i].bytes, blocks[i].size);
  arena_deinit(&arena);
}

TEST(getting_smaller_never_fails) {
  struct arena arena;
  arena_init(&arena, NULL);
  for (size_t size = 1; size < 600; size += 7) {
    unsigned char *block = arena_alloc(&arena, 600);
    CHECK(block);
    memset(block, 'x', 600);
    check_fail_alloc(1);
    unsigned char *smaller = arena_resize(&arena, block, 600, size);
    check_fail_alloc(0);
    CHECK(smaller && smaller[0] == 'x' && smaller[size - 1] == 'x');
    arena_free(&arena, smaller, size);
  }
  arena_deinit(&arena);
}

TEST(growing_without_memory_leaves_the_block_as_it_was) {
  struct arena arena;
  arena_init(&arena, NULL);
  char *block = arena_alloc(&arena, 100);
  strcpy(block, "here");
  check_fail_alloc(1);
  CHECK(!arena_resize(&arena, block, 100, 100000));
  check_fail_alloc(0);
  CHECK_STR(block, "here");
  arena_free(&arena, block, 100);
  arena_deinit(&arena);
}
