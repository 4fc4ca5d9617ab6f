/* Which backups are kept: the newest 4, then the last of each hour for a day, of each day for a week, of each
 * week for a month. So the closer to now, the finer. Hours, days and weeks are those of UTC, so that what is
 * kept today is not what was thinned out yesterday. */
#ifndef STORE_RETENTION_H
#define STORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RETENTION_NEWEST = 4 };

/* Says for each of these moments, the newest first, whether its backup is kept. Those that lie in the future,
 * because a clock was wrong, count as of now. */
void retention_choose(const int64_t *moments_ms, size_t count, int64_t now_ms, bool *keep);

#endif
