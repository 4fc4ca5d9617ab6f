/* Salvage on any bytes: the first half is the file, the second its log. What it hands out is well-formed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/salvage.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum moonkeep_code on_row(void *ctx, const struct salvage_row *row, struct err *err) {
  (void)ctx;
  if (store_check_name(row->store, err) || store_check_key("salvage", row->key, row->key_len, err)) abort();
  return row->json_len == 0 ? err_set(err, MOONKEEP_CORRUPT, "an empty value") : MOONKEEP_OK;
}

static void write_file(const char *path, const uint8_t *bytes, size_t len) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(bytes, 1, len, file) != len) abort();
  fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char path[64], log[80];
  struct err err;
  if (!path[0]) {
    snprintf(path, sizeof path, "/tmp/moonkeep-salvage-%ld.db", (long)getpid());
    snprintf(log, sizeof log, "%s-wal", path);
  }
  size_t split = size > 0 && data[size - 1] % 2 ? size : size / 2;
  write_file(path, data, split);
  write_file(log, data + split, size - split);
  struct salvage salvage = {.path = path, .row = on_row};
  if (salvage_run(&salvage, &err)) abort();
  unlink(path);
  unlink(log);
  return 0;
}
