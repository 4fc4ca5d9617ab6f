/* The write-ahead log that is found beside the store file. SQLite plays any log back that is whole, also one
 * of another database or of an earlier time: so it is looked at before SQLite does. */
#ifndef STORE_START_LOG_H
#define STORE_START_LOG_H

#include "store/start.h"

/* Where the mark is gone, what the files say of themselves stands for it. *alone: the file was copied without
 * its log while a host was at work, and may be of different moments. Before anybody opens the file. */
void start_do_without_mark(const struct folder *folder, const char *path, struct mark *mark, bool *alone);

/* Sets a log that does not belong to the file aside. *doubtful: it was not the log of the last stop, whatever
 * has become of it; *older: because the file is an older copy of the one that it goes with. Before anybody
 * opens the file. Errors: those of a disk, memory. */
enum moonkeep_code start_look_at_log(const struct start *start, const struct mark *mark, bool *doubtful,
                                     bool *older, struct err *err);

/* Whether there is a log beside it that is another file's, so that the two must not be opened together. */
bool start_log_is_strange(const struct folder *folder, const char *path, const struct mark *mark);

/* Whether the file at this path, taken alone, is an older copy of the one that the mark is about. */
bool start_is_older(const char *path, const struct mark *mark);

#endif
