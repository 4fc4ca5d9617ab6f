#include "script/playground.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"

static const char BEGINNING[] = "moonkeep-test-";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

void playground_remove(const char *folder) {
  nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Whether the folder of this name belongs to a process that is no more. */
static bool is_left_over(const char *name) {
  size_t len = sizeof BEGINNING - 1;
  if (strncmp(name, BEGINNING, len) != 0) return false;
  char *end;
  long pid = strtol(name + len, &end, 10);
  return *end == '-' && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void sweep(const char *place) {
  char path[4096];
  DIR *dir = opendir(place);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    if (is_left_over(entry->d_name) &&
        snprintf(path, sizeof path, "%s/%s", place, entry->d_name) < (int)sizeof path)
      playground_remove(path);
  if (dir) closedir(dir);
}

char *playground_make(void) {
  const char *temp = getenv("TMPDIR");
  const char *const places[] = {"/dev/shm", temp ? temp : "/tmp", "/tmp"};
  static bool swept;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s%ld-XXXXXX", places[i], BEGINNING, (long)getpid());
    if (len >= (int)sizeof path || !mkdtemp(path)) continue;
    if (!swept) sweep(places[i]);
    swept = true;
    char *copy = mem_copy(path, (size_t)len);
    if (!copy) playground_remove(path);
    return copy;
  }
  return NULL;
}
