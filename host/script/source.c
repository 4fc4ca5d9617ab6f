#include "script/source.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "script/file.h"

struct stamp stamp_of(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) return (struct stamp){.kind = STAMP_ABSENT};
  return (struct stamp){.kind = STAMP_FILE,
                        .device = st.st_dev,
                        .inode = st.st_ino,
                        .mode = st.st_mode,
                        .size = st.st_size,
                        .changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
}

bool stamp_same(const struct stamp *a, const struct stamp *b) {
  if (a->kind != STAMP_FILE || b->kind != STAMP_FILE) return a->kind == b->kind;
  return a->device == b->device && a->inode == b->inode && a->mode == b->mode && a->size == b->size &&
         a->changed_ns == b->changed_ns;
}

static struct stamp stamp_below(const char *dir, const char *file) {
  char *path = file_path(dir, file);
  struct stamp stamp = path ? stamp_of(path) : (struct stamp){.kind = STAMP_NEVER};
  mem_free(path);
  return stamp;
}

struct source *source_find(const struct list *sources, const char *path) {
  for (struct list *node = sources->next; node != sources; node = node->next) {
    struct source *source = list_of(node, struct source, link);
    if (strcmp(source->path, path) == 0) return source;
  }
  return NULL;
}

size_t sources_count(const struct list *sources) {
  size_t count = 0;
  for (struct list *node = sources->next; node != sources; node = node->next) count++;
  return count;
}

static struct source *add(struct list *sources, const char *path) {
  size_t size = strlen(path) + 1;
  struct source *source = mem_alloc(sizeof *source + size);
  if (!source) return NULL;
  *source = (struct source){.since_ms = 0};
  memcpy(source->path, path, size);
  list_add(sources, &source->link);
  return source;
}

struct source *source_note(struct list *sources, const char *dir, const char *path) {
  struct source *source = source_find(sources, path);
  if (!source) source = add(sources, path);
  if (source) source->loaded = source->seen = stamp_below(dir, path);
  return source;
}

bool source_is_fresh(const struct source *source, const char *dir) {
  struct stamp now = stamp_below(dir, source->path);
  return stamp_same(&source->loaded, &now);
}

bool source_is_there(const struct source *source, const char *dir) {
  return stamp_below(dir, source->path).kind == STAMP_FILE;
}

bool sources_fresh(const struct list *sources, const char *dir) {
  for (struct list *node = sources->next; node != sources; node = node->next)
    if (!source_is_fresh(list_of(node, struct source, link), dir)) return false;
  return true;
}

void sources_free(struct list *sources) {
  for (struct list *node; (node = list_pop(sources));) mem_free(list_of(node, struct source, link));
}
