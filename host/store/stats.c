#include "store/stats.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/store_parts.h"

const uint32_t store_time_bounds_us[STORE_TIMES] = {500,   1000,   2000,   5000,   10000,   20000,
                                                    50000, 100000, 200000, 500000, 1000000, UINT32_MAX};

void rate_add(struct rate *rate, int64_t now_ms, uint64_t count) {
  int64_t second = now_ms / 1000;
  if (second - rate->second >= RATE_SECONDS) memset(rate->counts, 0, sizeof rate->counts);
  for (int64_t at = rate->second + 1; at <= second && at < rate->second + RATE_SECONDS; at++)
    rate->counts[at % RATE_SECONDS] = 0;
  if (second > rate->second) rate->second = second;
  rate->counts[rate->second % RATE_SECONDS] += count;
}

double rate_per_s(struct rate *rate, int64_t now_ms) {
  uint64_t sum = 0;
  rate_add(rate, now_ms, 0);
  for (int i = 0; i < RATE_SECONDS; i++) sum += rate->counts[i];
  /* The second that runs is not over: it counts for as much of it as has passed. */
  return (double)sum / (RATE_SECONDS - 1 + (double)(now_ms % 1000) / 1000);
}

void tally_group(struct store *store, const struct group *group) {
  struct tally *tally = &store->tally;
  if (group->job.err) {
    tally->failed++;
    return;
  }
  int64_t now_ms = clock_steady_ms(store->clock), us = group->took_us > 0 ? group->took_us : 0;
  int slot = 0;
  while (slot < STORE_TIMES - 1 && us > store_time_bounds_us[slot]) slot++;
  tally->times[slot]++;
  tally->times_us += (uint64_t)us;
  tally->usual_us += ((double)us - tally->usual_us) / (tally->groups < 31 ? (double)tally->groups + 1 : 32);
  tally->groups++;
  tally->changes += group->count;
  rate_add(&tally->groups_rate, now_ms, 1);
  rate_add(&tally->changes_rate, now_ms, group->count);
}

static uint64_t size_of(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t size_of_log(const struct store *store) {
  char *path = folder_file(&store->folder, "appdata.db-wal");
  uint64_t size = path ? size_of(path) : 0;
  mem_free(path);
  return size;
}

void store_stats(struct store *store, struct store_stats *stats) {
  struct tally *tally = &store->tally;
  int64_t now_ms = clock_steady_ms(store->clock);
  uint64_t folded = atomic_load(&store->commit.folded_seq);
  *stats = (struct store_stats){
      .calls = store->turns,
      .pending = store->pending,
      .lookups = tally->lookups,
      .misses = tally->misses,
      .cache_bytes = store->cache_bytes,
      .cache_limit = store->cache_limit,
      .groups = tally->groups,
      .changes = tally->changes,
      .failed = tally->failed,
      .times_us = tally->times_us,
      .groups_per_s = rate_per_s(&tally->groups_rate, now_ms),
      .changes_per_s = rate_per_s(&tally->changes_rate, now_ms),
      .usual_us = tally->usual_us,
      .journal_groups = store->durable_seq > folded ? store->durable_seq - folded : 0,
      .journal_bytes = atomic_load(&store->commit.journal_bytes),
      .file_bytes = size_of(store->path),
      .wal_bytes = size_of_log(store),
      .broken = atomic_load(&store->commit.has_stopped),
  };
  memcpy(stats->times, tally->times, sizeof stats->times);
}

void store_each_bucket(struct store *store, void (*visit)(void *ctx, const char *name), void *ctx) {
  for (struct map_link *l = map_next(&store->buckets, NULL); l; l = map_next(&store->buckets, l)) {
    const struct bucket *bucket = list_of(l, struct bucket, link);
    if (bucket->exists && !bucket->strange) visit(ctx, bucket->name);
  }
}
