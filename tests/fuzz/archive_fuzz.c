/* The archive's reader on any bytes of a file: it stays inside them, hands groups out in order, and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *folder(void) {
  static char dir[] = "/tmp/archive-fuzz-XXXXXX";
  static bool made;
  if (!made && !mkdtemp(dir)) abort();
  made = true;
  return dir;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct archive_reader reader;
  struct archive_group group;
  struct err err;
  bool end = false;
  uint64_t last = 0;
  char path[128];
  snprintf(path, sizeof path, "%s/appdata-00000001-0000000000000000.archive", folder());
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
  if (archive_open(&reader, folder(), 1, 0, &err)) abort();
  while (!archive_next(&reader, &group, &end, &err) && !end) {
    if (group.seq <= last || group.before > last || group.len > size) abort();
    last = group.seq;
  }
  archive_end(&reader);
  unlink(path);
  return 0;
}
