/* The keeper thread: takes backups, when they are due and when somebody asks, and thins them out.
 *
 * A backup is due when so much time has gone by since the last one and something has changed. It is copied
 * from the store file by connections of the keeper's own, beside everything else that goes on (snapshot.h).
 * One that fails is told in the log, takes nothing away, and is tried again, at first after half a minute.
 *
 * keeper_open before the store's threads run and keeper_start with them; keeper_stop before they end. The
 * host thread, but for keeper_hold. */
#ifndef STORE_KEEPER_H
#define STORE_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/deed.h"
#include "store/job.h"
#include "store/pins.h"
#include "store/snapshot.h"
#include "store/store.h"

struct archiver;
struct commit;

struct backup_job {
  struct job job;
  struct store_backup *request; /* borrowed: whom to tell */
  struct snapshot snapshot;
};

struct keeper {
  struct inbox inbox;
  struct outbox *outbox;       /* borrowed, as are the next five */
  const struct commit *commit; /* what there is to keep, and whether it has work */
  struct archiver *archiver;   /* begins another file with each backup, and may ask for one */
  const char *data;
  const struct clock *clock;
  const struct log *log;
  struct deed *deed; /* borrowed: whose the folder of the backups is */
  const char *dir;   /* borrowed: that folder */
  int64_t every_ms;  /* 0: only when somebody asks */

  pthread_mutex_t file_lock; /* held while the keeper reads the store file */
  atomic_bool hurry_up;      /* it is to let go of the file */
  atomic_bool stopping;

  pthread_mutex_t state_lock; /* guards the next one */
  struct store_backup_state state;

  /* The thread's own. */
  pthread_t thread;
  bool running;
  struct snapshot last; /* the newest; no name: there is none */
  bool last_is_known;   /* whether it holds all that the store held when it was opened */
  int64_t opened_ms;    /* wall: when the store was */
  int64_t due_ms;       /* steady */
  int most_wal_pages;   /* in the write-ahead log, above which the backup under way makes haste */
  char *path;           /* owned: of the store file */
  struct pins pins;     /* while a backup is under way */
  uint64_t seen_seq;    /* of the store, when the backup under way last looked */
  unsigned failures;    /* in a row */
  uint64_t epoch;       /* of the store */
  uint64_t opened_seq;  /* its last group when it was opened */
  bool reach_known;     /* whether backup and archive together hold what was there then has been looked at */
};

/* Looks at the backups that are there, as far as the deed allows it. False: no memory. */
bool keeper_open(struct keeper *keeper, const char *data, struct deed *deed, int64_t every_ms,
                 const struct clock *clock, const struct log *log);
bool keeper_start(struct keeper *keeper);
void keeper_stop(
    struct keeper *keeper); /* breaks off what it is at; what was asked for comes back as closed */
void keeper_close(struct keeper *keeper);

/* Whoever has to have the store file to himself: breaks the backup off, which is tried again, and keeps the
 * keeper from the file until keeper_let_go. Any thread. */
void keeper_hold(struct keeper *keeper);
void keeper_let_go(struct keeper *keeper);

#endif
