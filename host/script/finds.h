/* Finds the bots of a scripts folder: NAME.lua and NAME/init.lua.
 *
 * An embedded struct: zero, finds_read, look at `all`, finds_deinit. */
#ifndef SCRIPT_FINDS_H
#define SCRIPT_FINDS_H

#include <stddef.h>

#include "base/err.h"
#include "base/log.h"

struct found {
  char *name, *file; /* owned; the file is relative to the folder */
};

struct finds {
  struct found *all; /* owned; by name, each name once */
  size_t count, cap;
  char **folders; /* owned; the folder's own folders, where there may be an init.lua one day */
  size_t folder_count, folder_cap;
};

/* Names that begin with `.` or `_`, or end in `_test.lua`, are left alone; of NAME.lua and NAME/init.lua the
 * file counts, and the log says so (NULL: it was told before). Errors: invalid (the folder is missing or
 * none: the message says how to make one), memory. */
enum moonkeep_code finds_read(struct finds *finds, const char *dir, const struct log *log, struct err *err);
void finds_deinit(struct finds *finds);

const struct found *finds_find(const struct finds *finds, const char *name); /* NULL: there is none */

#endif
