/* What the files of the front share among themselves: the store, its buckets, and the entries of its cache.
 * All of it is the host thread's. */
#ifndef STORE_PARTS_H
#define STORE_PARTS_H

#include "base/map.h"
#include "store/archiver.h"
#include "store/commit.h"
#include "store/deed.h"
#include "store/job.h"
#include "store/keeper.h"
#include "store/mend.h"
#include "store/reader.h"
#include "store/stats.h"
#include "store/store.h"

enum { CALL_NEW, CALL_SUBMITTING, CALL_WAITING, CALL_DONE }; /* store_call.state */

/* What the front knows of one key. It stays as long as the tables do not say the same, somebody waits for it,
 * or the cache has room. */
struct entry {
  struct map_link link; /* in its bucket */
  struct list age;      /* in store->ages */
  struct bucket *bucket;
  struct value *durable; /* reference: what is on the disk, NULL: absent; only when `known` */
  struct value *newest;  /* reference: what the newest change made of it, NULL: erased; only when `group` */
  struct group *group;  /* the newest group that changes it and is not durable; NULL: durable is the newest */
  size_t place;         /* of its change in that group */
  uint64_t journal_seq; /* the newest durable group that changed it: until that is folded, the tables lag */
  struct list waiting;  /* calls that wait for the load */
  const struct err *load_err; /* borrowed: why it failed, while those that waited for it are told */
  unsigned pins;              /* groups that hold it */
  bool known, loading;
  bool stale;   /* the load under way may bring what is out of date: ask again */
  bool touched; /* used since the cache last looked at it */
  char key[];
};

struct bucket {
  struct map_link link; /* in store->buckets */
  struct map entries;
  bool exists;    /* it has been written, durably */
  bool strange;   /* the name is taken by what another program has made in the file: nobody gets it */
  size_t pending; /* changes on their way to it */
  char name[STORE_NAME_BYTES + 1];
};

/* A call that later calls on its keys must not overtake: a deleteLike from its submission until it is done,
 * and a list of rows while it waits for one of its keys. */
struct barrier {
  struct list link;        /* in store->barriers, in the order of their calls */
  struct store_call *call; /* borrowed: the call owns the barrier */
  struct list waiting;     /* calls that wait for it */
};

/* How much happens in a second, over the last ones. */
enum { RATE_SECONDS = 10 };
struct rate {
  int64_t second; /* the newest of them */
  uint64_t counts[RATE_SECONDS];
};

/* What store_stats tells, as it gathers. */
struct tally {
  uint64_t lookups, misses, groups, changes, failed;
  uint64_t times[STORE_TIMES], times_us;
  double usual_us;
  struct rate groups_rate, changes_rate;
};

struct store {
  const struct clock *clock;
  const struct log *log;
  size_t value_bytes;
  size_t cache_limit; /* of the entries */
  size_t page_bytes;  /* of SQLite's pages, for the writer */
  struct folder folder;
  struct deed deed;   /* whose the folder of the backups is */
  char *path;         /* owned: of the store file */
  struct buf receipt; /* the last one, as JSON */
  bool receipt_now;   /* nobody has been told of it */

  struct map buckets;
  struct list ages; /* all entries, the one looked at longest ago first */
  size_t cache_bytes;
  size_t cache_new; /* entries made since the cache was trimmed */

  struct group *open;  /* gathers changes; NULL: there are none */
  struct group *spare; /* one for use again, or NULL */
  size_t inflight;     /* groups that the commit thread has */
  int64_t took_us;     /* how long the last one took there */
  int64_t free_us;     /* since when it has had none, on the clock of clock_ticks_us */
  uint64_t next_seq;
  uint64_t durable_seq; /* of the newest group that is known to be on the disk */
  uint64_t epoch;       /* raised by each failure: groups of an older one built on what is not there */
  struct list barriers;
  struct list gates; /* scans and deleteLikes that wait until every older call has run */
  uint64_t turns;
  size_t parked;        /* calls that wait at an entry or a barrier and have not run */
  uint64_t parked_turn; /* of the call that was parked last */
  size_t pending;       /* calls not answered */
  size_t pending_bytes; /* what they carry */
  bool closing;
  bool wants_reopening; /* see store_wants_reopening */
  bool backs_up_edits;  /* other programs have changed something, and it is to be in a backup at the end */
  struct tally tally;

  struct outbox outbox;
  struct list arrived; /* jobs from there that have not been looked at */
  struct archiver archiver;
  struct commit commit;
  struct reader reader;
  struct keeper keeper;
  struct mender mender;
  bool mending; /* it has been asked, and has not answered */
};

/* The bucket that a row of a list goes into. */
static inline struct bucket *row_bucket(const struct store_call *call, const struct store_row *row) {
  return row->bucket ? row->bucket : call->bucket;
}

/* cache.c */
struct entry *cache_find(struct bucket *bucket, const char *key, size_t len);
struct entry *cache_get(struct store *store, struct bucket *bucket, const char *key,
                        size_t len); /* makes it; NULL: no memory */
void cache_set_durable(struct store *store, struct entry *entry,
                       struct value *value);                              /* takes the reference */
void cache_unknow(struct store *store, struct entry *entry);              /* forgets the durable value */
void cache_drop(struct store *store, struct entry *entry);                /* at once: nobody may need it */
bool cache_is_free(const struct store *store, const struct entry *entry); /* whether nobody needs it */
void cache_trim(struct store *store); /* lets go of what is over the limit */

/* front.c */
void front_charge(struct store *store, struct store_call *call, size_t bytes);
void front_answer(struct store *store, struct store_call *call);
void front_fail(struct store *store, struct store_call *call, const struct err *why);
void front_fail_memory(struct store *store, struct store_call *call);
void front_dispatch(struct store *store, struct store_call *call);
void front_dispatch_all(struct store *store, struct list *calls); /* parked ones; empties the list */
void front_take_in(struct store *store, struct job *job);         /* what a thread has done; frees the job */

/* group.c */
struct group *group_open(struct store *store,
                         size_t changes);  /* with room for so many more; NULL: no memory */
void group_hand_over(struct store *store); /* the open group goes to the commit thread */
/* The same, unless it can be committed at once, on this thread: true, and the answers are in the outbox. */
bool group_commit_here(struct store *store);
void group_close(struct store *store); /* when every call has been answered */
struct group *group_pending(const struct store *store, const struct entry *entry);
void group_put(struct store *store, struct entry *entry, struct value *value);
void group_join(struct store_call *call, struct group *group);
void group_answer_after(struct store *store, struct store_call *call, const struct entry *entry);
void group_take_in(struct store *store, struct group *group);

/* stats.c */
void rate_add(struct rate *rate, int64_t now_ms, uint64_t count);
double rate_per_s(struct rate *rate, int64_t now_ms);
void tally_group(struct store *store, const struct group *group);

/* barrier.c */
void barrier_park(struct store *store, struct store_call *call, struct list *where);
bool barrier_await(struct store *store, struct store_call *call, const struct bucket *bucket, const char *key,
                   size_t len);
bool barrier_covers(const struct store *store, const struct bucket *bucket, const char *key,
                    size_t len); /* whether one concerns the key */
bool barrier_raise(struct store *store, struct store_call *call);
void barrier_lower(struct store_call *call, struct list *waited);
void barrier_open_gates(struct store *store, uint64_t turn);

/* backup.c */
void backup_take_in(struct store *store, struct backup_job *backup);

/* keys.c */
const struct value *keys_live(const struct store *store,
                              const struct value *value); /* NULL when it has expired */
/* Whether a get has to wait for the change on its way: nothing else is known, or the durable value has
 * expired since, and the change may have seen it alive. */
bool keys_must_wait(const struct store *store, const struct entry *entry);
enum moonkeep_code keys_claim(struct store *store, const char *name,
                              struct err *err); /* may a bucket be named so? */
enum moonkeep_code keys_claim_bucket(struct store *store, const struct bucket *bucket,
                                     struct err *err); /* the same for one that somebody has named before */
void keys_run(struct store *store, struct store_call *call);
void keys_commit(struct store *store, struct store_call *call);
void keys_set(struct store *store, struct store_call *call);
void keys_take_in_load(struct store *store, struct load_job *load);

/* many.c */
void many_run(struct store *store, struct store_call *call);
void many_send(struct store *store, struct store_call *call);
void many_take_in_erase(struct store *store, struct erase_job *erase);
void many_take_in_fold(struct store *store, struct fold_job *fold);
void many_take_in_scan(struct store *store, struct scan_job *scan);
void many_forget(struct store *store); /* everything that the cache says, because it may be out of date */

#endif
