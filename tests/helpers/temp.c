#include "helpers/temp.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { MOST = 10000 };
static char *made[MOST];
static size_t count;
static pid_t owner; /* a forked child leaves the folders to its parent */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static void remove_all(void) {
  if (getpid() != owner) return;
  for (size_t i = 0; i < count; i++) {
    nftw(made[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(made[i]);
  }
}

void temp_remove(const char *dir) {
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  for (size_t i = 0; i < count; i++) {
    if (made[i] != dir) continue;
    free(made[i]);
    made[i] = made[--count];
    return;
  }
}

const char *temp_dir(void) {
  const char *base = getenv("TMPDIR");
  char path[512];
  snprintf(path, sizeof path, "%s/moonkeep-test-XXXXXX", base && *base ? base : "/tmp");
  if (count == MOST || !mkdtemp(path)) FAIL("cannot make a folder like %s", path);
  if (!owner) {
    owner = getpid();
    atexit(remove_all);
  }
  return made[count++] = strdup(path);
}

const char *temp_path(const char *dir, const char *name) {
  static char paths[8][1024];
  static unsigned turn;
  char *path = paths[turn++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", dir, name);
  return path;
}

void temp_write_bytes(const char *path, const void *bytes, size_t len) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) FAIL("cannot write %s", path);
}

void temp_write(const char *path, const char *text) {
  temp_write_bytes(path, text, strlen(text));
}

char *temp_read(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *bytes = malloc((size_t)size + 1);
  if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) FAIL("cannot read %s", path);
  bytes[size] = '\0';
  fclose(file);
  if (len) *len = (size_t)size;
  return bytes;
}
