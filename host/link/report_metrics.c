/* Names and units as Prometheus wants them: seconds and bytes, `_total` for what only grows. */
#include <inttypes.h>
#include <string.h>

#include "base/note.h"
#include "link/keycount.h"
#include "link/report.h"

static void put_head(struct buf *out, const char *name, const char *type, const char *help) {
  buf_printf(out, "# HELP moonkeep_%s %s\n# TYPE moonkeep_%s %s\n", name, help, name, type);
}

static void put_number(struct buf *out, double number) {
  if (number == (double)(int64_t)number)
    buf_printf(out, " %" PRId64 "\n", (int64_t)number);
  else
    buf_printf(out, " %.15g\n", number);
}

static void put(struct buf *out, const char *name, const char *type, double number, const char *help) {
  put_head(out, name, type, help);
  buf_printf(out, "moonkeep_%s", name);
  put_number(out, number);
}

static void put_label(struct buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '\\' || *text == '"') buf_putc(out, '\\');
    if (*text == '\n')
      buf_puts(out, "\\n");
    else
      buf_putc(out, *text);
  }
}

/* ---- scripts: one family after the other, each with all of them ---- */

struct family {
  struct buf *out;
  const char *name;
  double (*of)(const struct scripts_state *);
};

static void put_sample(void *ctx, const struct scripts_state *state) {
  const struct family *family = ctx;
  buf_printf(family->out, "moonkeep_%s{script=\"", family->name);
  put_label(family->out, state->name);
  buf_puts(family->out, "\"}");
  put_number(family->out, family->of(state));
}

static double up_of(const struct scripts_state *state) {
  return state->version > 0 && !state->why;
}
static double version_of(const struct scripts_state *state) {
  return state->version;
}
static double tasks_of(const struct scripts_state *state) {
  return (double)state->tasks;
}
static double errors_of(const struct scripts_state *state) {
  return (double)state->errors;
}
static double bytes_of(const struct scripts_state *state) {
  return (double)state->bytes;
}
static double cpu_of(const struct scripts_state *state) {
  return (double)state->cpu_us / 1e6;
}

static void put_scripts(const struct report *report, struct buf *out) {
  static const struct {
    const char *name, *type, *help;
    double (*of)(const struct scripts_state *);
  } families[] = {
      {"script_up", "gauge", "Whether the script runs as it was saved last.", up_of},
      {"script_version", "gauge", "Which version of the script runs; each reload counts.", version_of},
      {"script_tasks", "gauge", "Tasks of the script that are under way.", tasks_of},
      {"script_errors_total", "counter", "Tasks of the script's version that died of an error.", errors_of},
      {"script_memory_bytes", "gauge", "Memory of the script's Lua state.", bytes_of},
      {"script_cpu_seconds_total", "counter", "CPU time of the script's version, by samples.", cpu_of},
  };
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    struct family family = {out, families[i].name, families[i].of};
    put_head(out, families[i].name, families[i].type, families[i].help);
    host_each_script(report->site->host, put_sample, &family);
  }
}

/* ---- the store ---- */

static void put_keys(void *ctx, const char *name, uint64_t count) {
  buf_printf(ctx, "moonkeep_store_keys{store=\"%s\"} %" PRIu64 "\n", name, count);
}

static void put_times(const struct store_stats *store, struct buf *out) {
  uint64_t seen = 0;
  put_head(out, "store_commit_seconds", "histogram", "Time that a group takes to be written and synced.");
  for (int i = 0; i < STORE_TIMES - 1; i++) {
    seen += store->times[i];
    buf_printf(out, "moonkeep_store_commit_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
               store_time_bounds_us[i] / 1e6, seen);
  }
  buf_printf(out,
             "moonkeep_store_commit_seconds_bucket{le=\"+Inf\"} %" PRIu64
             "\nmoonkeep_store_commit_seconds_sum %.6f\nmoonkeep_store_commit_seconds_count %" PRIu64 "\n",
             store->groups, (double)store->times_us / 1e6, store->groups);
}

static void put_store(const struct report *report, struct buf *out) {
  const struct store_stats *store = &report->store;
  const struct keycount *keys = report->site->keys;
  if (keys->known_ms) {
    put_head(out, "store_keys", "gauge", "Keys of each store, when they were counted last.");
    keycount_each(keys, put_keys, out);
  }
  put(out, "store_writes", "gauge", !store->broken, "0 while the store has stopped writing.");
  put(out, "store_file_bytes", "gauge", (double)store->file_bytes, "Size of the store file.");
  put(out, "store_wal_bytes", "gauge", (double)store->wal_bytes, "Size of its write-ahead log.");
  put(out, "store_journal_groups", "gauge", (double)store->journal_groups,
      "Groups in the journal that are not in the tables yet.");
  put(out, "store_journal_bytes", "gauge", (double)store->journal_bytes, "The same in bytes.");
  put(out, "store_calls_total", "counter", (double)store->calls, "Calls of the store.");
  put(out, "store_calls_under_way", "gauge", (double)store->pending, "Calls that are not answered yet.");
  put(out, "store_lookups_total", "counter", (double)store->lookups, "Lookups of single keys.");
  put(out, "store_cache_misses_total", "counter", (double)store->misses,
      "Lookups that had to read the file.");
  put(out, "store_cache_bytes", "gauge", (double)store->cache_bytes, "Memory of the cache.");
  put(out, "store_cache_limit_bytes", "gauge", (double)store->cache_limit, "What it may take.");
  put(out, "store_changes_total", "counter", (double)store->changes, "Changes that are on disk.");
  put(out, "store_groups_failed_total", "counter", (double)store->failed, "Groups that failed.");
  put_times(store, out);
}

static void put_backups(const struct report *report, struct buf *out) {
  const struct store_backup_state *backup = &report->backup;
  if (backup->name[0]) {
    put(out, "backup_time_seconds", "gauge", (double)backup->at_ms / 1e3,
        "The moment that the newest backup holds, in seconds since 1970.");
    put(out, "backup_bytes", "gauge", (double)backup->bytes, "Its size.");
  }
  put(out, "backup_failures", "gauge", backup->failures, "Tries since then that have failed.");
  if (report->archive.mode == STORE_ARCHIVE_OFF) return;
  put(out, "archive_behind_bytes", "gauge", (double)report->archive.behind_bytes,
      "Changes that wait to be written into the archive.");
  put(out, "archive_broken", "gauge", report->archive.error[0] != '\0', "1: the archive cannot be written.");
}

/* ---- all ---- */

void report_put_metrics(const struct report *report, struct buf *out) {
  const struct host_state *host = &report->host;
  put_head(out, "info", "gauge", "The version.");
  buf_puts(out, "moonkeep_info{version=\"" MOONKEEP_VERSION "\"} 1\n");
  put(out, "start_time_seconds", "gauge", (double)report->site->started_ms / 1e3,
      "When the host began, in seconds since 1970.");
  put(out, "restarts_total", "counter", note ? note->restarts : 0, "Restarts after a crash.");
  put(out, "cpu_seconds_total", "counter", report->cpu_s, "CPU time of the process.");
  put(out, "memory_bytes", "gauge", (double)report->memory_bytes, "Resident memory of the process.");
  put(out, "events_total", "counter", (double)host->events_done, "Events whose handlers have finished.");
  put(out, "events_failed_total", "counter", (double)host->events_failed, "Those of which one has failed.");
  put(out, "events_under_way", "gauge", (double)host->load.events, "Events that are not done yet.");
  put(out, "tasks_running", "gauge", (double)host->load.running,
      "Tasks that run or wait for the store, and events in line.");
  put(out, "tasks_sleeping", "gauge", (double)host->load.sleeping, "Tasks in bot.sleep.");
  put(out, "timers", "gauge", (double)host->load.timers, "Timers that are set.");
  put(out, "log_warnings_total", "counter", (double)report->warnings, "Warnings in the log.");
  put(out, "log_errors_total", "counter", (double)report->errors, "Errors in the log.");
  put_scripts(report, out);
  put_store(report, out);
  put_backups(report, out);
}
