/* Which files of the archive are still of use: those that bring one of the backups forward, up to a limit of
 * bytes. Beyond it the oldest go, but none from behind the newest backup. Any thread. */
#ifndef STORE_ARCHIVE_THIN_H
#define STORE_ARCHIVE_THIN_H

#include <stdint.h>

#include "base/log.h"

#define ARCHIVE_KEEP_BYTES (1LL << 30) /* of all files together, where nobody says otherwise */

/* After a new backup; keep_bytes is the limit. What cannot be read or removed stays, and the log says so. */
void archive_thin(const char *dir, int64_t keep_bytes, const struct log *log);

#endif
