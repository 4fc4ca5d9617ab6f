#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { CACHED = 1024 }; /* bytes: blocks up to about this size stay in that cache */

static bool (*_Atomic gate)(void);

static struct mem_source source; /* resize NULL: malloc and its kind */

void mem_set_source(const struct mem_source *from) {
  source = from ? *from : (struct mem_source){NULL, NULL};
}

void mem_set_gate(bool (*asked)(void)) {
  gate = asked;
}

bool mem_allowed(void) {
  bool (*ask)(void) = gate;
  return !ask || ask();
}

void *mem_alloc(size_t size) {
  if (!mem_allowed()) return NULL;
  return source.resize ? source.resize(source.ctx, NULL, size ? size : 1) : malloc(size ? size : 1);
}

/* glibc's calloc does not look into the thread's cache of free blocks; its malloc does. */
void *mem_zero(size_t size) {
  if (size > CACHED && !source.resize) return mem_allowed() ? calloc(1, size) : NULL;
  void *block = mem_alloc(size);
  return block ? memset(block, 0, size) : NULL;
}

void *mem_resize(void *block, size_t size) {
  if (!mem_allowed()) return NULL;
  return source.resize ? source.resize(source.ctx, block, size ? size : 1) : realloc(block, size ? size : 1);
}

char *mem_copy(const char *bytes, size_t len) {
  char *copy = mem_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, bytes, len);
  copy[len] = '\0';
  return copy;
}

void mem_free(void *block) {
  if (!source.resize)
    free(block);
  else if (block)
    source.resize(source.ctx, block, 0);
}
