/* The commit thread: it alone writes. It takes groups as they come, makes each durable with one sync, and
 * between groups folds the journal, sweeps what has expired and checkpoints. While it has nothing to do, the
 * host's thread may take its place for a group: commit_here. */
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "store/engine.h"
#include "store/job.h"
#include "store/mark.h"

struct commit {
  struct engine engine; /* the thread's, once it runs */
  struct marker marker; /* the same */
  struct inbox inbox;
  struct outbox *outbox; /* borrowed, as are the next five, clock and log */
  const struct folder *folder;
  struct archiver *archiver; /* gets what has been committed */
  struct mender *mender;     /* is kept from the file when that has to be opened anew, as the next */
  struct keeper *keeper;
  struct view *view; /* closed under view_lock then */
  pthread_mutex_t *view_lock;
  size_t cache_bytes; /* the front's limit */
  const struct clock *clock;
  const struct log *log;
  _Atomic uint64_t last_seq;      /* the newest group in the file; any thread reads it, and the next one */
  atomic_int wal_pages;           /* in the write-ahead log, and how many of them are in the file, */
  atomic_int done_pages;          /*   which can go no further than somebody reads */
  _Atomic uint64_t folded_seq;    /* the tables show every group up to this one; any thread reads it */
  _Atomic uint64_t journal_bytes; /* not folded; any thread reads this and the next */
  _Atomic bool has_stopped;       /* writing, after a disk error, until the file can be opened again */

  /* The thread's own. */
  pthread_t thread;
  uint64_t min_epoch;        /* groups of an older epoch built on one that failed */
  struct err why_refused;    /* what failed then */
  bool in_bulk;              /* a bulk's transaction is open: nothing else is done */
  bool doubtful;             /* a caller was told `unknown`: the front may say less than the file */
  bool broken;               /* the last write may or may not be on the disk, and reopening has failed */
  int64_t retry_ms;          /* steady: when to try reopening again */
  int64_t unfolded_since_ms; /* steady: when the oldest unfolded group was written; 0: none is */
  int64_t fold_ms;           /* steady: when the last fold began */
  int64_t sweep_ms;          /* steady: when the last sweep was */
  bool more_to_do;           /* the last fold or sweep was only a part */
  size_t owed_rows;          /* to be folded before the next group: twice what the last one brought */
  int64_t here_us;           /* when commit_here was last done, on the clock of clock_ticks_us */
  int64_t owed_us;           /* and for how long: as long as that one took */
  bool complained;           /* upkeep has failed, and the log has it */
  struct buf changes;
};

/* The engine must be open, the inbox made. After a JOB_STOP has come back through the outbox, join. */
bool commit_start(struct commit *commit);
void commit_join(struct commit *commit);

/* Makes the group durable on the host's thread, and puts it into the outbox without waking anybody. False:
 * the thread is at work, or the group has to wait for another program; it is as it was. */
bool commit_here(struct commit *commit, struct group *group);

#endif
