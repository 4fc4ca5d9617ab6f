/* A file to be imported, of any bytes: it is read to its end or to an error with a place, and what was read
 * comes back the same when it is written as `export` would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/rows.h"
#include "link/fields.h"
#include "store/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENSURE(x)                                                                                            \
  do {                                                                                                       \
    if (!(x)) {                                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                                \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

enum { VALUE_LIMIT = 4096 };

static int file_of(const char *bytes, size_t len) {
  int fd = memfd_create("rows", MFD_CLOEXEC);
  ENSURE(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0);
  return fd;
}

static void put(struct buf *out, const struct row *row) {
  put_store_row(out, row->store, row->key, row->key_len, row->json, row->json_len, row->expires_at_ms);
  buf_puts(out, "}\n");
}

/* Whether it could be read to its end; `out` gets its rows. */
static bool read_rows(const char *bytes, size_t len, struct buf *out) {
  struct rows rows;
  struct row row;
  struct err err;
  bool end = false;
  int fd = file_of(bytes, len);
  enum moonkeep_code code = rows_open(&rows, fd, "rows", VALUE_LIMIT, &err);
  while (!code && !end) {
    code = rows_next(&rows, &row, &end, &err);
    if (!code && !end) put(out, &row);
  }
  ENSURE(!code || err.message[0]);
  rows_close(&rows);
  close(fd);
  return !code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct buf first = {0}, second = {0};
  if (foreign_is_database((const char *)data, size)) return 0; /* SQLite's own fuzzers know better */
  read_rows((const char *)data, size, &first);
  ENSURE(read_rows(first.data ? first.data : "", first.len, &second));
  ENSURE(first.len == second.len && (first.len == 0 || memcmp(first.data, second.data, first.len) == 0));
  buf_deinit(&first);
  buf_deinit(&second);
  return 0;
}
