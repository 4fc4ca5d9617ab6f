/* A backup of a store file in an older version, before it is brought to today's: page by page as it is, so
 * that the older program can go on with it. Verified before it has its name, like every other (snapshot.h).
 */
#ifndef STORE_KEEPSAKE_H
#define STORE_KEEPSAKE_H

#include <sqlite3.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/deed.h"
#include "store/snapshot.h"

/* Nobody else has the file open. The errors are those of snapshot_take. */
enum moonkeep_code keepsake_take(sqlite3 *db, struct deed *deed, const struct clock *clock,
                                 struct snapshot *out, struct err *err);

#endif
