/* Building a store file anew: from a backup that verifies and what the archive has from after it.
 *
 * The file is made where replace_path says, checked as a whole, and closed; putting it into use is the
 * caller's. Nothing else is changed. Whoever builds owns the data folder. */
#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/receipt.h"
#include "store/snapshot.h"

struct rebuild {
  const struct folder *folder;
  const char *backups; /* the folder of the backups */
  const char *name;    /* this one; NULL: the newest that verifies */
  int64_t until_ms;    /* nothing that came later; INT64_MAX: all that there is */
  bool archive;        /* go on from the backup with what is archived */
  bool unasked;      /* nobody has asked for it: backups that are all bad are no reason to begin with less */
  uint64_t epoch;    /* the newest that was ever used: the file gets one above it */
  const char *why;   /* for the receipt */
  const char *aside; /* the same: the folder for the old files, "" where there are none */
  uint64_t promised; /* the same: the group up to which all was acknowledged; 0: not known */
  uint64_t promised_epoch;
  const char *tail; /* NULL, or a store file that is not trusted, whose journal may go on from the archive */
  int64_t tail_id;  /* the database that it has to be */
  bool *damaged;    /* set where the archive is, so that it leads less far than it did; NULL: nobody asks */
  const struct clock *clock; /* borrowed, as is the log */
  const struct log *log;
};

/* Whether there is anything to build from: backups by name, or an archive. */
bool rebuild_is_possible(const char *backups);

/* What would be taken: the newest backup that verifies and is not too young. corrupt: there is none; the
 * sentence says why. */
enum moonkeep_code rebuild_choose(const struct rebuild *rebuild, struct snapshot *chosen, struct err *err);

/* Makes the file at `path`. Errors: corrupt (nothing verifies), full, io, memory. What is half-made then is
 * left for the next try to remove. */
enum moonkeep_code rebuild_make(const struct rebuild *rebuild, const char *path, struct receipt *receipt,
                                struct err *err);

#endif
