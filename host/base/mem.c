#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

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

void *mem_zero(size_t size) {
  return mem_allowed() ? calloc(1, size ? size : 1) : NULL;
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
