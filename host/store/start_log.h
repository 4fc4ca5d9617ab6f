/* The write-ahead log that is found beside the store file. SQLite plays any log back that is whole, also one
 * of another database or of an earlier time: so it is looked at before SQLite does. */
#ifndef STORE_START_LOG_H
#define STORE_START_LOG_H

#include "store/start.h"

/* Sets a log that does not belong to the file aside. *doubtful: it was not the log of the last stop, whatever
 * has become of it. Before anybody opens the file. Errors: those of a disk, memory. */
enum moonkeep_code start_look_at_log(const struct start *start, const struct mark *mark, bool *doubtful,
                                     struct err *err);

#endif
