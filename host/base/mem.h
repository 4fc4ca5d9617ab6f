/* Memory: the one place where the host allocates, so that tests can fail every allocation in turn.
 *
 * Any thread. What these return is freed with mem_free. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* Where it comes from: as realloc, and with size 0 as free. */
struct mem_source {
  void *(*resize)(void *ctx, void *block, size_t size);
  void *ctx;
};

/* From now on all of it, in the whole process; NULL: malloc's. While nothing is allocated. */
void mem_set_source(const struct mem_source *source);

void *mem_alloc(size_t size);                  /* NULL when there is none; not cleared */
void *mem_zero(size_t size);                   /* the same, cleared */
void *mem_resize(void *block, size_t size);    /* NULL leaves the block as it was */
char *mem_copy(const char *bytes, size_t len); /* len bytes and a NUL behind them */
void mem_free(void *block);                    /* NULL is fine */

/* Tests: the gate is asked before each allocation, by any thread; false makes it fail. NULL (the start) lets
 * all through. */
void mem_set_gate(bool (*gate)(void));
bool mem_allowed(void); /* asks it, for allocators that get their memory in bulk */

#endif
