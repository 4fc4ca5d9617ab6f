/* Looking at the archive: whether each of its files is whole, whether groups are missing between them, and up
 * to which moment it brings the newest backup forward. Also while a host runs. */
#ifndef STORE_INSPECT_ARCHIVE_H
#define STORE_INSPECT_ARCHIVE_H

#include "store/inspect.h"

/* Tells of each file that is not good, then of the archive as a whole, where there is one. Adds to *bad. */
enum moonkeep_code inspect_archive(const struct inspect *inspect, const char *dir, unsigned *bad,
                                   struct err *err);

#endif
