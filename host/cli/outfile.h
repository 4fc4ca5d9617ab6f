/* A file that appears whole or not at all: written beside its place, synced, and renamed into it.
 *
 * outfile_open, outfile_write as often as you like, then outfile_commit or outfile_abandon. What is no
 * regular file (a pipe, a device) is written to directly. A signal that ends the program takes the half-made
 * file away. One at a time in a process. */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct outfile {
  int fd;
  char *path, *half; /* owned: where it will be; where it is until then, NULL: it is written directly */
};

enum moonkeep_code outfile_open(struct outfile *file, const char *path, struct err *err);
enum moonkeep_code outfile_write(struct outfile *file, const char *bytes, size_t len, struct err *err);
enum moonkeep_code outfile_commit(struct outfile *file, struct err *err); /* it is on the disk, or gone */
void outfile_abandon(struct outfile *file);

#endif
