/* Sources: the files that a script was made from, and what they looked like when they were read.
 *
 * A list of them belongs to each version of a script, and to a bot whose last try has failed. A file that was
 * looked for and not found is a source too: when it appears, the script would become another. */
#ifndef SCRIPT_SOURCE_H
#define SCRIPT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

/* What is seen of a file from outside; two are of one and the same content where they are equal. */
struct stamp {
  enum { STAMP_ABSENT, STAMP_FILE, STAMP_NEVER } kind; /* never: equal to none that a file can have */
  dev_t device;
  ino_t inode;
  mode_t mode; /* a file that could not be read may be one that can */
  off_t size;
  int64_t changed_ns;
};

struct stamp stamp_of(const char *path);
bool stamp_same(const struct stamp *a, const struct stamp *b);

struct source {
  struct list link;
  struct stamp loaded; /* before it was read */
  struct stamp seen;   /* at the last look, and since when it has been so: for look.c */
  int64_t since_ms;
  char path[]; /* below the scripts folder */
};

enum {
  SOURCES = 1000
}; /* the most that are noted; a script may ask for any number of files that are missing */

struct source *source_find(const struct list *sources, const char *path); /* NULL: it is not noted */
size_t sources_count(const struct list *sources);

/* Notes a file with its present stamp; once for each path, the last stamp counts. NULL: no memory. */
struct source *source_note(struct list *sources, const char *dir, const char *path);
bool source_is_fresh(const struct source *source, const char *dir); /* is still as it was loaded */
bool source_is_there(const struct source *source, const char *dir);
bool sources_fresh(const struct list *sources, const char *dir);
void sources_free(struct list *sources);

#endif
