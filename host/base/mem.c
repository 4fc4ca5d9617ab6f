#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { CACHED = 1024 }; /* bytes: blocks up to about this size stay in that cache */

static bool (*_Atomic gate)(void);

void mem_set_gate(bool (*asked)(void)) {
  gate = asked;
}

bool mem_allowed(void) {
  bool (*ask)(void) = gate;
  return !ask || ask();
}

void *mem_alloc(size_t size) {
  return mem_allowed() ? malloc(size ? size : 1) : NULL;
}

/* glibc's calloc does not look into the thread's cache of free blocks; its malloc does. */
void *mem_zero(size_t size) {
  if (size > CACHED) return mem_allowed() ? calloc(1, size) : NULL;
  void *block = mem_alloc(size);
  return block ? memset(block, 0, size) : NULL;
}

void *mem_resize(void *block, size_t size) {
  return mem_allowed() ? realloc(block, size ? size : 1) : NULL;
}

char *mem_copy(const char *bytes, size_t len) {
  char *copy = mem_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, bytes, len);
  copy[len] = '\0';
  return copy;
}

void mem_free(void *block) {
  free(block);
}
