/* How a host is: for those who look after it. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "store/stats.h"

static enum moonkeep_phase phase_of(const char *phase) {
  static const char *const names[] = {
      [MOONKEEP_RUNNING] = "running", [MOONKEEP_FINISHING] = "finishing", [MOONKEEP_STOPPING] = "stopping"};
  for (int i = MOONKEEP_RUNNING; i < MOONKEEP_ENDED; i++)
    if (strcmp(phase, names[i]) == 0) return (enum moonkeep_phase)i;
  return MOONKEEP_ENDED;
}

static void fill_host(struct moonkeep_status *status, const struct host *host) {
  struct host_state state;
  host_state(host, &state);
  status->phase = phase_of(state.phase);
  status->scripts = host_scripts(host);
  status->events = state.load.events;
  status->events_done = state.events_done;
  status->events_failed = state.events_failed;
  status->tasks_running = state.load.running;
  status->tasks_sleeping = state.load.sleeping;
  status->timers = state.load.timers;
}

static void fill_store(struct moonkeep_status *status, struct store *store) {
  struct store_stats stats;
  store_stats(store, &stats);
  status->cannot_write = stats.broken;
  status->calls = stats.pending;
  status->calls_made = stats.calls;
  status->lookups = stats.lookups;
  status->cache_misses = stats.misses;
  status->cache_bytes = stats.cache_bytes;
  status->cache_limit_bytes = stats.cache_limit;
  status->commits = stats.groups;
  status->commits_failed = stats.failed;
  status->changes = stats.changes;
  status->commit_us = (int64_t)(stats.usual_us + 0.5);
  status->journal_bytes = stats.journal_bytes;
  status->file_bytes = stats.file_bytes;
  status->wal_bytes = stats.wal_bytes;
}

static void fill_backups(struct moonkeep_status *status, struct store *store) {
  struct store_backup_state backup;
  store_backup_state(store, &backup);
  int64_t age_ms = store_now_ms(store) - backup.at_ms;
  snprintf(status->backup, sizeof status->backup, "%s", backup.name);
  status->backup_at_ms = backup.at_ms;
  status->backup_age_ms = !backup.name[0] ? -1 : age_ms > 0 ? age_ms : 0;
  status->backup_bytes = backup.bytes;
  status->backup_failures = backup.failures;
  snprintf(status->backup_error, sizeof status->backup_error, "%s", backup.error);
}

static void fill_archive(struct moonkeep_status *status, struct store *store) {
  static const enum moonkeep_archive modes[] = {[STORE_ARCHIVE_OFF] = MOONKEEP_ARCHIVE_OFF,
                                                [STORE_ARCHIVE_ON] = MOONKEEP_ARCHIVE_ON,
                                                [STORE_ARCHIVE_SYNC] = MOONKEEP_ARCHIVE_SYNC};
  struct store_archive_state archive;
  store_archive_state(store, &archive);
  status->archive = modes[archive.mode];
  status->archive_at_ms = archive.at_ms;
  status->archive_behind_bytes = archive.behind_bytes;
  snprintf(status->archive_error, sizeof status->archive_error, "%s", archive.error);
}

enum moonkeep_code moonkeep_status(struct moonkeep_host *host, struct moonkeep_status *status) {
  struct err err;
  bool now;
  struct moonkeep_status full = {.size = status->size};
  enum moonkeep_code code = api_is_here(host, &err);
  if (!code && status->size <= sizeof status->size) code = MOONKEEP_INVALID;
  if (code) return code;
  struct store *store = host_store(host->host);
  fill_host(&full, host->host);
  fill_store(&full, store);
  fill_backups(&full, store);
  fill_archive(&full, store);
  full.restored = store_receipt(store, &now);
  full.wants_reopening = store_wants_reopening(store);
  memcpy(status, &full, status->size < sizeof full ? status->size : sizeof full);
  return MOONKEEP_OK;
}

/* ---- its scripts and its stores ---- */

struct visiting {
  void (*script)(void *ctx, const struct moonkeep_script *script);
  void *ctx;
};

static void visit_script(void *ctx, const struct scripts_state *state) {
  const struct visiting *visiting = ctx;
  const struct moonkeep_script script = {
      .name = state->name,
      .file = state->file,
      .problem = state->why,
      .version = state->version,
      .tasks = state->tasks,
      .memory_bytes = state->bytes,
      .memory_limit_bytes = state->limit_bytes,
      .loaded_at_ms = state->loaded_ms,
      .runs = state->runs,
      .errors = state->errors,
      .cpu_us = state->cpu_us,
  };
  visiting->script(visiting->ctx, &script);
}

enum moonkeep_code moonkeep_each_script(struct moonkeep_host *host,
                                        void (*visit)(void *ctx, const struct moonkeep_script *script),
                                        void *ctx) {
  struct err err;
  struct visiting visiting = {visit, ctx};
  enum moonkeep_code code = api_is_here(host, &err);
  if (!code) host_each_script(host->host, visit_script, &visiting);
  return code;
}

enum moonkeep_code moonkeep_each_store(struct moonkeep_host *host, void (*visit)(void *ctx, const char *name),
                                       void *ctx) {
  struct err err;
  enum moonkeep_code code = api_is_here(host, &err);
  if (!code) store_each_bucket(host_store(host->host), visit, ctx);
  return code;
}
