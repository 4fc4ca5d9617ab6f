/* After a disk error nobody knows what of a write is on the disk: the file is opened anew and asked.
 *
 * The commit thread's, as is everything of a struct commit. */
#ifndef STORE_SETTLE_H
#define STORE_SETTLE_H

#include "store/commit.h"

/* Opens the file anew and learns whether group seq is in it. The front is told first to forget what its cache
 * says, so that no answer made from the file can come before that. */
enum moonkeep_code settle_reopen(struct commit *commit, uint64_t seq, bool *there, struct err *err);

/* Before anything is written: where reopening has failed it is tried again, once a second. */
enum moonkeep_code settle_be_whole(struct commit *commit, struct err *err);

/* A write has failed with code. An io error, or no memory for the log's index, leaves open whether it is on
 * the disk; then the file is asked, and when it cannot answer the caller is told so: unknown. */
enum moonkeep_code settle(struct commit *commit, uint64_t seq, enum moonkeep_code code, struct err *err);

#endif
