/* Snapshots: whole copies of a store at one moment, in files that a host can take into use and any SQLite
 * tool can read.
 *
 * A snapshot is copied row by row out of one read transaction (moment.h), so it holds everything that was
 * acknowledged before and nothing else, has all of it in its tables, and each row has passed its checksum on
 * the way. It is written under a name that no snapshot has, synced, opened again and read as a whole; only
 * when the number of keys and a checksum over all of them are those of the moment it came from does it get
 * its name. So what has such a name has been verified once, and half a one never has it.
 *
 * The name is the moment, in UTC: appdata-20261123T101500.250Z.db. Any thread. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/deed.h"

enum { SNAPSHOT_NAME_BYTES = 48 }; /* with the NUL */

struct snapshot {
  char name[SNAPSHOT_NAME_BYTES];
  int64_t at_ms;        /* since 1970, as the name says */
  uint64_t bytes;       /* of the file */
  uint64_t epoch;       /* of the store, as it was; every restore raises it */
  uint64_t seq;         /* the newest group that it holds */
  uint64_t keys;        /* also such as had expired and were still there */
  char left_out[96];    /* tables of other programs that are no stores, and not in it; "": none */
  uint64_t unusable;    /* rows of other programs that no store can use, and that are in it as they are, */
  int64_t unusable_sum; /*   and a checksum over them */
  int64_t sum;          /* over the keys of all stores in order, with their values and expiries */
};

/* The name for a moment, and back; false: no snapshot is called so. */
void snapshot_name(int64_t at_ms, char name[SNAPSHOT_NAME_BYTES]);
bool snapshot_moment(const char *name, int64_t *at_ms);

/* The snapshots of a folder, the newest first: name, at_ms and bytes, nothing of what is in them. A folder
 * that is missing has none. *out is to be freed with mem_free. */
enum moonkeep_code snapshot_list(const char *dir, struct snapshot **out, size_t *count, struct err *err);

/* Takes away what an earlier process has left half-made. */
void snapshot_clean(const char *dir);

struct snapshot_source {
  const char *data;           /* the data folder */
  const char *dir;            /* where the snapshot goes: made when it is missing */
  struct deed *deed;          /* whose that folder is; NULL: the caller knows */
  bool settled;               /* this process has the store open; otherwise nobody has */
  const struct clock *clock;  /* borrowed */
  pthread_mutex_t *file_lock; /* held while the store file is open; NULL: none */
  /* Called now and then with the rows so far: to wait, so that others get the disk, and to say how far it is.
   * False ends it (closed). NULL: never. */
  bool (*pace)(void *ctx, uint64_t rows);
  /* Called once, when the store's moment has been let go and before file_lock is. NULL: not. */
  void (*copied)(void *ctx);
  void *ctx;
};

/* Takes one. Names are never taken twice: one that exists already makes the new one a millisecond younger.
 * Errors: full, io, memory, corrupt (a row that does not match its checksum, or what was written does not
 * read back the same), closed, busy. Nothing is left of one that fails. */
enum moonkeep_code snapshot_take(const struct snapshot_source *source, struct snapshot *out, struct err *err);

/* For whoever makes one himself: a file whose name begins so is swept away by the next start; and the name,
 * once the file is verified and synced. */
#define SNAPSHOT_HALF_MADE ".half-made-"
enum moonkeep_code snapshot_take_name(const char *half, const char *dir, struct snapshot *info,
                                      struct err *err);

/* Opens the file anew and reads all of it: SQLite's own checks, then every row with its checksum. *out has
 * name and at_ms where the file is called as a snapshot. corrupt, invalid (no store), io, memory. */
enum moonkeep_code snapshot_verify(const char *path, struct snapshot *out, struct err *err);

/* Reads what the file says of itself: its place in the order and how many keys it holds. Quick, and no proof.
 */
enum moonkeep_code snapshot_describe(const char *path, struct snapshot *out, struct err *err);

#endif
