/* The data folder: made when it is missing, and owned by one process.
 *
 * The lock is a flock on a file of its own, `moonkeep.lock`, taken before anything else in the folder is
 * touched; the kernel lets go of it when the process ends, however it ends. The file says who has it. */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include <stdbool.h>

#include "base/err.h"

struct folder {
  int fd;      /* of the folder itself */
  int lock_fd; /* holds the lock as long as it is open */
  char *path;  /* owned; absolute, so that a later chdir changes nothing */
};

/* Takes the folder, waiting up to wait_ms for another process to end. owner is written into the lock file for
 * whoever comes second. Errors: busy, invalid (a file of that name, no permission), full, io, memory. */
enum moonkeep_code folder_open(struct folder *folder, const char *path, const char *owner, int wait_ms,
                               struct err *err);
void folder_close(struct folder *folder);

/* Whether this process has taken the folder, through another struct. */
bool folder_is_mine(const char *path);

/* Makes what was created or renamed in the folder survive power loss. */
enum moonkeep_code folder_sync(const struct folder *folder, struct err *err);

/* Copies a file of the folder onto itself: a new file with the same bytes, synced and renamed into place.
 * After a failed sync the old file's pages can claim to be clean and not be on the disk; the copy's are
 * written again. A file that is missing is fine. */
enum moonkeep_code folder_renew(const struct folder *folder, const char *name, struct err *err);

/* The path of a file in it, to be freed with mem_free; NULL: no memory. */
char *folder_file(const struct folder *folder, const char *name);

#endif
