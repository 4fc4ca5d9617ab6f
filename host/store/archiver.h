/* The archiver thread: carries each group that has become durable into the archive (archive.h).
 *
 * It writes at once and syncs twice a second, or, where every change waits for it, at once. What it cannot
 * write it tries again each second; when more than ARCHIVER_LIMIT waits, or what it has written is in doubt,
 * the archive is broken: what waits is given up, the log says so, the archive goes on behind the gap, and the
 * keeper is asked for a backup, from which on everything is kept again.
 *
 * archiver_open → archiver_look (before what a crash has left is folded away) → archiver_start →
 * archiver_add by the commit thread … → archiver_stop → archiver_close. The others: any thread. */
#ifndef STORE_ARCHIVER_H
#define STORE_ARCHIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/archive.h"
#include "store/deed.h"
#include "store/engine.h"
#include "store/store.h"

#ifndef ARCHIVER_LIMIT
#define ARCHIVER_LIMIT (64 << 20) /* bytes that may wait: as much as the journal may hold */
#endif

#ifndef ARCHIVER_PATIENCE_MS
#define ARCHIVER_PATIENCE_MS 2500 /* that a change waits for an archive that has failed: two more tries */
#endif

struct archiver {
  enum store_archive mode;
  const char *dir;   /* borrowed, as is the log: the backups folder */
  struct deed *deed; /* borrowed: whose that folder is */
  const struct clock *clock;
  const struct log *log;
  bool open;
  int64_t id; /* of the database that the archive is about; 0: not known */

  pthread_mutex_t lock; /* guards the following */
  pthread_cond_t more;  /* for the thread: there is something to do */
  pthread_cond_t done;  /* for the commit thread: something was synced, or has failed */
  struct buf waiting;   /* groups that are to be written */
  uint64_t before;      /* the group before the first that waits */
  uint64_t added_seq, written_seq, synced_seq;
  int64_t synced_ms; /* wall: when what is synced was added, at the latest */
  uint64_t gap_seq;  /* the last group given up that is in no backup yet; 0: there is none */
  uint64_t kept_seq; /* up to which the backups and the archive have all: without a gap, what is synced */
  int64_t kept_ms;   /* wall: of that */
  char error[256];   /* why it is not well; "": it is */
  unsigned breaks;   /* how often it has been broken: who waited then need not wait on */
  bool broken;       /* nothing is taken until the thread has begun anew */
  bool rotate, stopping, running;

  atomic_bool wants_backup; /* there is a gap: only a new backup covers what comes behind it */

  /* The thread's own, and before it runs, the opener's. */
  pthread_t thread;
  struct archive archive;
  struct buf writing;
  uint64_t writing_seq, writing_before, epoch, branch;
  int64_t parent;                       /* this and `branch` are the engine's: where the epoch came from */
  bool unsynced, complained, has_begun; /* has_begun: a file, of its own or an earlier process's */
};

/* False: no memory. */
bool archiver_open(struct archiver *archiver, enum store_archive mode, struct deed *deed,
                   const struct clock *clock, const struct log *log);

/* Takes over what a crash has left in the journal and not yet in the archive: it is written before it is
 * folded, where the file is the one that `id` says. What fails is told in the log and leaves a gap. May be
 * called again, for another file in the first one's place. */
void archiver_look(struct archiver *archiver, const struct engine *engine);

/* The engine is as it will be used. False: no thread could be made. */
bool archiver_start(struct archiver *archiver, const struct engine *engine);

/* Hands over what the engine has committed last (engine->fresh) and empties it. Where changes wait for the
 * archive it does so, through a failure of ARCHIVER_PATIENCE_MS too: a disk that was full for a moment costs
 * nobody his answer. Then full, io: it is in the store, and not in the archive. */
enum moonkeep_code archiver_add(struct archiver *archiver, struct engine *engine, struct err *err);

/* The same for groups of long ago: seq is the last one in engine->fresh. */
enum moonkeep_code archiver_add_up_to(struct archiver *archiver, struct engine *engine, uint64_t seq,
                                      struct err *err);

/* Waits until what was added has been written, or cannot be. */
void archiver_drain(struct archiver *archiver);

/* Where changes wait for the archive: whether it can take one. */
enum moonkeep_code archiver_is_well(struct archiver *archiver, struct err *err);

/* Whether the group is in the archive's file, or never will be. */
bool archiver_has(struct archiver *archiver, uint64_t seq);

/* The newest group for which that holds; UINT64_MAX: for all. */
uint64_t archiver_reach(struct archiver *archiver);

/* What was committed is not known. */
void archiver_break(struct archiver *archiver, const char *why);

/* A backup was made, of this group and moment: the next group begins another file, and what the archive lacks
 * up to there does no harm any more. */
void archiver_rotate(struct archiver *archiver, uint64_t seq, int64_t at_ms);

void archiver_state(struct archiver *archiver, struct store_archive_state *state);
void archiver_stop(struct archiver *archiver); /* writes what waits, if it can */
void archiver_close(struct archiver *archiver);

#endif
