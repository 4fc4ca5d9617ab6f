/* Mending: a row that was found not to match its checksum is written anew from backup and archive.
 *
 * The front asks when a read has failed; the mender's own thread looks for what the key holds, and the commit
 * thread writes it, if the row is still damaged and nothing newer can have been there. The same thread checks
 * the whole file, once a day and after a stop that was not clean. */
#ifndef STORE_MEND_H
#define STORE_MEND_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/engine.h"
#include "store/job.h"
#include "store/receipt.h"
#include "store/truth.h"

struct mend_job {
  struct job job;
  char bucket[STORE_NAME_BYTES + 1];
  char key[STORE_KEY_BYTES];
  size_t key_len;
  uint64_t asked_seq; /* what backup and archive have to know of */
  bool past_edit;     /* other programs have been at work since then: only rows that are not theirs count */
  struct truth truth;
  bool found, mended;
  struct receipt receipt; /* when it was mended */
};

struct mender {
  struct inbox inbox;
  struct inbox *commit; /* borrowed, as is all that points */
  struct outbox *outbox;
  const char *dir;   /* of the backups */
  struct deed *deed; /* whose they are */
  const char *path;  /* of the store file */
  const struct clock *clock;
  const struct log *log;
  bool check_now;              /* the last stop was not clean, and the file has not been looked at */
  const _Atomic uint64_t *seq; /* of the last durable group */
  uint64_t edit_seq; /* the number that stands for what other programs did before the start; 0: nothing */

  pthread_mutex_t file_lock; /* held while the file is checked */
  atomic_bool hurry_up, stopping;
  atomic_bool faulty;     /* damage was found that no row can be written over: the next start restores */
  atomic_bool check_soon; /* SQLite has met damage: the whole file is to be looked at */
  struct job stop;

  pthread_t thread; /* from here on the thread's own */
  bool running;
  int64_t check_ms;   /* steady: when the next check is due, */
  int64_t soonest_ms; /*   and when the soonest may be */
};

bool mender_init(struct mender *mender);
bool mender_start(struct mender *mender);
void mender_stop(struct mender *mender); /* what it has been asked goes on to the commit thread first */
void mender_deinit(struct mender *mender);

/* Host thread: mend this key, soon. */
void mender_ask(struct mender *mender, const char *bucket, const char *key, size_t key_len, uint64_t seq);

/* Host thread: SQLite says that the file is damaged, without naming a key. */
void mender_ask_check(struct mender *mender);

/* Whoever has to have the file to himself; any thread. */
void mender_hold(struct mender *mender);
void mender_let_go(struct mender *mender);

void mend_job_free(struct mend_job *mend);

/* Commit thread: writes what the key holds, everything before being folded. */
enum moonkeep_code engine_mend(struct engine *engine, struct mend_job *mend, const struct clock *clock,
                               struct err *err);

#endif
