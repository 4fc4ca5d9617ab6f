/* Watches folders for changes with inotify, and knows of files in them which are being written and which came
 * whole, by a rename.
 *
 * What it says are hints: somebody has to look at the files themselves. Embedded: watch_open, then for each
 * look watch_begin, watch_path and watch_folder for all that counts, watch_end; watch_read when the
 * descriptor is readable; watch_close. Host thread. */
#ifndef SCRIPT_WATCH_H
#define SCRIPT_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "script/source.h"

enum { WATCH_FILES = 64 }; /* how many files it remembers of either kind */

enum watch_depth {
  WATCH_NAMES,   /* what appears in a folder and goes */
  WATCH_CLOSED,  /* and files that were written and closed */
  WATCH_CONTENT, /* and that are being written */
};

struct watch {
  int fd;              /* of inotify; -1: there is none */
  struct watched *all; /* owned; the folders */
  size_t count, cap;
  unsigned turn; /* of looks */
  int error;     /* errno with which watching has failed; 0: it works, or was not asked for */
  struct stamp whole[WATCH_FILES];   /* renamed into place; a ring */
  struct stamp written[WATCH_FILES]; /* open and changed; STAMP_ABSENT: a free place */
  size_t whole_at, written_at;
};

void watch_init(struct watch *watch);
void watch_open(struct watch *watch); /* a failure is in `error` */
void watch_close(struct watch *watch);

/* What is not named between these two is watched no longer. */
void watch_begin(struct watch *watch);
void watch_folder(struct watch *watch, const char *path, enum watch_depth depth); /* it need not exist */
/* What changes where this path leads: its file, and every link on the way, but for its first `known` bytes.
 */
void watch_path(struct watch *watch, const char *path, size_t known);
void watch_end(struct watch *watch);

/* Takes what has happened; true: it is worth a look. */
bool watch_read(struct watch *watch);

/* Whether a file that looks so was renamed into place; whether it is open and being written. */
bool watch_is_whole(const struct watch *watch, const struct stamp *stamp);
bool watch_is_written(const struct watch *watch, const struct stamp *stamp);

#endif
