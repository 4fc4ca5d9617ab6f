/* Jobs: what the front hands to the store's threads, and gets back.
 *
 * A job travels by its link, from the front into a thread's inbox, and from there into the one outbox.
 * Whoever has it in hand may touch it, nobody else. */
#ifndef STORE_JOB_H
#define STORE_JOB_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "store/store.h"
#include "store/view.h"

enum job_kind {
  JOB_GROUP,  /* commit thread: make a group of changes durable */
  JOB_FOLD,   /* commit thread: everything before into the tables */
  JOB_ERASE,  /* commit thread: deleteLike */
  JOB_BULK,   /* commit thread: a step of a bulk */
  JOB_LOAD,   /* reader: one key */
  JOB_SCAN,   /* reader: a range */
  JOB_FORGET, /* from the commit thread, unasked: what the cache says may be old */
  JOB_MEND,   /* mender, then commit thread: write a damaged row anew */
  JOB_FAULTY, /* mender, then commit thread: note that the file is damaged */
  JOB_TOLD,   /* commit thread: scripts have been told of the receipt */
  JOB_BACKUP, /* keeper thread: take one now */
  JOB_STOP,   /* any of them: the last one */
};

struct job {
  struct list link;
  enum job_kind kind;
  struct err *err; /* owned; NULL: it went well */
};

/* Remembers why a job failed. */
void job_fail(struct job *job, const struct err *err);

/* Errors of jobs and calls, on the heap. One that finds no memory becomes job_no_memory, which is never freed
 * nor written to. */
extern struct err job_no_memory;
struct err *job_err_copy(const struct err *err);
void job_err_free(struct err *err);

struct change { /* what a group does to one key */
  struct entry *entry;
  const char *bucket; /* borrowed from the entry, which the group pins */
  const char *key;
  size_t key_len;
  struct value *value; /* reference; NULL: erased */
};

struct group {
  struct job job;
  uint64_t seq;           /* its place in the order */
  uint64_t epoch;         /* of failures: see front.c */
  struct change *changes; /* owned */
  size_t count, cap, bytes;
  int64_t took_us;   /* how long writing it took */
  struct list calls; /* that wait for it; the front's */
};

struct faulty_job {
  struct job job;
  uint64_t epoch; /* of what backup and archive have */
  bool covered;   /* they have all of it */
};

struct erase_job {
  struct job job;
  struct store_call *call; /* borrowed */
  uint64_t seq;
  int64_t now_ms;
};

enum bulk_step { BULK_BEGIN, BULK_APPEND, BULK_COMMIT, BULK_ABANDON };

struct bulk_job {
  struct job job;
  enum bulk_step step;
  uint64_t seq;              /* BULK_APPEND: of the group; BULK_COMMIT: of the last one */
  const struct buf *changes; /* borrowed: of the group, without its head */
  bool done;                 /* it has come back; the front's */
};

struct fold_job {
  struct job job;
  struct store_call *call; /* borrowed: the flush that asked, or the scan that comes next */
};

struct load_job {
  struct job job;
  struct entry *entry; /* pinned */
  const char *bucket, *key;
  size_t key_len;
  struct value *value; /* the answer: a reference, NULL: absent */
};

struct scan_job {
  struct job job;
  struct scan scan;
};

/* A thread's inbox: anybody may put jobs in, that thread alone takes them out. There is no lock in it: who
 * puts a job in, the host's thread above all, never waits for a thread that was interrupted in the middle. */
struct inbox {
  _Atomic(struct list *) newest; /* jobs that were put in, each with a link to the one before */
  struct list taken;             /* taken out together, in order; the thread's */
  atomic_int state;              /* of the thread: see job.c */
  bool stirred; /* it was woken though nothing was put in; whoever has borrowed its place says so */
  sem_t filled;
};

bool inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
void inbox_put(struct inbox *inbox, struct job *job);
/* The first job; waits up to wait_ms for one (-1: for ever, 0: not at all). NULL: none came. */
struct job *inbox_take(struct inbox *inbox, int wait_ms);

/* Another thread takes the place of one that waits at its inbox with nothing in hand, and may touch what that
 * owns until inbox_give_back. False: that has something to do. wake: it is to look at what it owns, as if its
 * wait had ended. */
bool inbox_borrow(struct inbox *inbox);
void inbox_give_back(struct inbox *inbox, bool wake);

/* The way back: what the threads have done, for the front; without a lock, too. */
struct outbox {
  _Atomic(struct list *) newest;
  int fd; /* an eventfd, readable while there are jobs: one wake-up a batch */
};

bool outbox_init(struct outbox *outbox);
void outbox_deinit(struct outbox *outbox);
void outbox_put(struct outbox *outbox, struct job *job);
void outbox_add(struct outbox *outbox,
                struct job *job); /* by the one who takes them out next: nobody is woken */
void outbox_take_all(struct outbox *outbox, struct list *jobs); /* and adds them to this list */

#endif
