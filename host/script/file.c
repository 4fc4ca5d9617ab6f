#include "script/file.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/load.h"

char *file_path(const char *dir, const char *name) {
  size_t dir_len = strlen(dir), name_len = strlen(name);
  char *path = mem_alloc(dir_len + name_len + 2);
  if (!path) return NULL;
  memcpy(path, dir, dir_len);
  path[dir_len] = '/';
  memcpy(path + dir_len + 1, name, name_len + 1);
  return path;
}

static enum moonkeep_code read_all(int fd, const char *path, struct buf *out, struct err *err) {
  for (;;) {
    char *room = buf_reserve(out, 65536);
    if (!room) return err_memory(err);
    ssize_t n = read(fd, room, 65536);
    if (n == 0) return MOONKEEP_OK;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_set(err, MOONKEEP_INVALID, "cannot read %s: %s", path, strerror(errno));
    out->len += (size_t)n;
    if (out->len > FILE_BYTES)
      return err_set(err, MOONKEEP_INVALID, "%s is longer than %d MiB", path, FILE_BYTES >> 20);
  }
}

enum moonkeep_code file_read(const char *path, struct buf *out, struct err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return err_set(err, MOONKEEP_INVALID, "cannot open %s: %s", path, strerror(errno));
  struct stat st;
  enum moonkeep_code code;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    code = err_set(err, MOONKEEP_INVALID, "%s is not a regular file", path);
  else
    code = read_all(fd, path, out, err);
  close(fd);
  return code;
}

bool file_is_below(const char *dir, const char *path) {
  char *real_dir = realpath(dir, NULL), *real_path = realpath(path, NULL);
  size_t len = real_dir ? strlen(real_dir) : 0;
  bool below = real_dir && real_path && strncmp(real_path, real_dir, len) == 0 &&
               (real_path[len] == '/' || strcmp(real_dir, "/") == 0);
  free(real_dir);
  free(real_path);
  return below;
}

bool file_exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

/* What an editor or a shell put in front of the source: a byte order mark, a line that begins with `#`. */
static size_t preamble(const char *text, size_t len) {
  size_t at = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  if (at < len && text[at] == '#')
    while (at < len && text[at] != '\n') at++;
  return at;
}

int file_compile(lua_State *L, const struct buf *source, const char *name) {
  char chunk[1024];
  snprintf(chunk, sizeof chunk, "@%s", name);
  size_t skip = source->len ? preamble(source->data, source->len) : 0;
  return load_text(L, source->len ? source->data + skip : "", source->len - skip, chunk);
}
