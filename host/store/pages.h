/* The pages of a database file as bytes, without SQLite, so that damage to some of them hides nothing of the
 * others. What the write-ahead log beside the file has committed counts.
 *
 * For a file that nobody has open. One thread. */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pages {
  int fd, log_fd;
  uint32_t size;    /* of a page, in bytes */
  uint32_t usable;  /* of these, without what is reserved at its end */
  uint32_t count;   /* pages are numbered from 1 to count */
  uint64_t *frames; /* owned: where in the log a page is, 0: it is in the file */
  uint64_t unreadable;
};

/* invalid: there is no such file; io; memory. pages_close in any case. */
enum moonkeep_code pages_open(struct pages *pages, const char *path, struct err *err);

/* Reads a page into `size` bytes; false: it is not there, or the disk cannot read it. */
bool pages_read(struct pages *pages, uint32_t number, unsigned char *into);
void pages_close(struct pages *pages);

static inline uint32_t pages_u16(const unsigned char *at) {
  return (uint32_t)at[0] << 8 | at[1];
}
static inline uint32_t pages_u32(const unsigned char *at) {
  return pages_u16(at) << 16 | pages_u16(at + 2);
}

#endif
