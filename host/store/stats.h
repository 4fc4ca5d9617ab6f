/* What the store can tell of itself: counted where it happens, read as often as anybody likes.
 *
 * Host thread. Counters begin at the store's opening and only grow. */
#ifndef STORE_STATS_H
#define STORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum { STORE_TIMES = 12 };
extern const uint32_t store_time_bounds_us[STORE_TIMES]; /* the last is UINT32_MAX */

struct store_stats {
  uint64_t calls, pending;            /* submitted; not answered yet */
  uint64_t lookups, misses;           /* of single keys; those that had to be read from the file */
  size_t cache_bytes, cache_limit;    /* of the front's cache */
  uint64_t groups, changes, failed;   /* groups made durable, the changes in them; groups that failed */
  uint64_t times[STORE_TIMES];        /* how many groups took up to the bound, and over the one before */
  uint64_t times_us;                  /* all of them together: writing, and syncing the disk */
  double groups_per_s, changes_per_s; /* over the last ten seconds */
  double usual_us;                    /* what a group takes nowadays: a moving average */
  uint64_t journal_groups;            /* not folded into the tables yet */
  uint64_t journal_bytes;             /* the same in bytes */
  uint64_t file_bytes, wal_bytes;     /* of appdata.db and its write-ahead log */
  bool broken;                        /* it has stopped writing after a disk error, and tries again */
};
void store_stats(struct store *store, struct store_stats *stats);

/* The names of the stores that exist, in no order. */
void store_each_bucket(struct store *store, void (*visit)(void *ctx, const char *name), void *ctx);

#endif
