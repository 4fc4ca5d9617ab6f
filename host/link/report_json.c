#include <inttypes.h>
#include <string.h>

#include "base/note.h"
#include "link/fields.h"
#include "link/keycount.h"
#include "link/report.h"

/* Members, each with the comma before it; the first of an object is put by hand. */

static void put_count(struct buf *out, const char *name, uint64_t count) {
  buf_printf(out, ",\"%s\":%" PRIu64, name, count);
}

/* Rounded to what can be meant: three digits behind the point. */
static void put_real(struct buf *out, const char *name, double number) {
  buf_printf(out, ",\"%s\":", name);
  json_put_float(out, (double)(int64_t)(number * 1000 + 0.5) / 1000);
}

static void put_text(struct buf *out, const char *name, const char *text) {
  buf_printf(out, ",\"%s\":", name);
  put_any_text(out, text, strlen(text));
}

static void put_time(struct buf *out, const char *name, int64_t ms) {
  buf_printf(out, ",\"%s\":", name);
  put_seconds(out, ms);
}

static void put_script(void *ctx, const struct scripts_state *state) {
  struct buf *out = ctx;
  if (out->failed) return;
  buf_puts(out, out->data[out->len - 1] == '[' ? "{\"name\":" : ",{\"name\":");
  put_any_text(out, state->name, strlen(state->name));
  put_text(out, "file", state->file);
  put_count(out, "version", state->version);
  if (state->version > 0) {
    put_time(out, "loaded_at", state->loaded_ms);
    put_count(out, "tasks", state->tasks);
    put_count(out, "runs", state->runs);
    put_count(out, "errors", state->errors);
    put_count(out, "memory_bytes", state->bytes);
    put_count(out, "memory_limit_bytes", state->limit_bytes);
    put_real(out, "cpu_seconds", (double)state->cpu_us / 1e6);
  }
  if (state->why) put_text(out, "problem", state->why);
  buf_putc(out, '}');
}

static void put_keys(void *ctx, const char *name, uint64_t count) {
  struct buf *out = ctx;
  if (out->failed) return;
  if (out->data[out->len - 1] != '{') buf_putc(out, ',');
  buf_printf(out, "\"%s\":%" PRIu64, name, count);
}

static void put_host(const struct report *report, struct buf *out) {
  const struct host_state *host = &report->host;
  put_count(out, "events_under_way", host->load.events);
  put_count(out, "events_done", host->events_done);
  put_count(out, "events_failed", host->events_failed);
  put_count(out, "tasks_running", host->load.running);
  put_count(out, "tasks_sleeping", host->load.sleeping);
  put_count(out, "timers", host->load.timers);
  put_count(out, "log_warnings", report->warnings);
  put_count(out, "log_errors", report->errors);
}

static void put_store(const struct report *report, struct buf *out) {
  const struct store_stats *store = &report->store;
  const struct keycount *keys = report->site->keys;
  buf_printf(out, ",\"store\":{\"writes\":%s", store->broken ? "false" : "true");
  if (keys->known_ms) {
    buf_puts(out, ",\"keys\":{");
    keycount_each(keys, put_keys, out);
    buf_puts(out, "}");
    put_time(out, "keys_counted_at", keys->known_ms);
  }
  put_count(out, "file_bytes", store->file_bytes);
  put_count(out, "wal_bytes", store->wal_bytes);
  put_count(out, "journal_groups", store->journal_groups);
  put_count(out, "journal_bytes", store->journal_bytes);
  put_count(out, "calls", store->calls);
  put_count(out, "calls_under_way", store->pending);
  put_count(out, "lookups", store->lookups);
  put_count(out, "cache_misses", store->misses);
  put_count(out, "cache_bytes", store->cache_bytes);
  put_count(out, "cache_limit_bytes", store->cache_limit);
  put_count(out, "groups", store->groups);
  put_count(out, "groups_failed", store->failed);
  put_count(out, "changes", store->changes);
  put_real(out, "groups_per_second", store->groups_per_s);
  put_real(out, "changes_per_second", store->changes_per_s);
  put_real(out, "commit_ms", store->usual_us / 1e3);
  put_real(out, "commit_p99_ms", report_percentile_ms(store, 99));
  buf_putc(out, '}');
}

static void put_backups(const struct report *report, struct buf *out) {
  const struct store_backup_state *backup = &report->backup;
  buf_puts(out, ",\"backups\":{\"dir\":");
  put_any_text(out, store_backups_dir(report->site->store), strlen(store_backups_dir(report->site->store)));
  if (backup->name[0]) {
    put_text(out, "newest", backup->name);
    put_time(out, "at", backup->at_ms);
    put_count(out, "bytes", backup->bytes);
  }
  put_count(out, "failures", backup->failures);
  if (backup->error[0]) put_text(out, "error", backup->error);
  buf_putc(out, '}');
}

static void put_archive(const struct report *report, struct buf *out) {
  static const char *const modes[] = {
      [STORE_ARCHIVE_OFF] = "off", [STORE_ARCHIVE_ON] = "on", [STORE_ARCHIVE_SYNC] = "sync"};
  const struct store_archive_state *archive = &report->archive;
  buf_puts(out, ",\"archive\":{\"mode\":");
  put_any_text(out, modes[archive->mode], strlen(modes[archive->mode]));
  if (archive->at_ms > 0) put_time(out, "until", archive->at_ms);
  put_count(out, "behind_bytes", archive->behind_bytes);
  if (archive->error[0]) put_text(out, "error", archive->error);
  buf_putc(out, '}');
}

/* The last restore or repair, whenever that was. */
static void put_receipt(const struct report *report, struct buf *out) {
  bool now;
  const char *receipt = store_receipt(report->site->store, &now);
  if (!*receipt) return;
  buf_puts(out, ",\"restored\":");
  buf_puts(out, receipt);
}

void report_put_json(const struct report *report, struct buf *out) {
  buf_puts(out, "{\"version\":\"" MOONKEEP_VERSION "\"");
  put_count(out, "pid", (uint64_t)note_pid());
  put_text(out, "state", report->host.phase);
  put_text(out, "data", report->site->dir);
  put_time(out, "started_at", report->site->started_ms);
  put_time(out, "now", report->now_ms);
  put_time(out, "uptime_seconds", report->uptime_ms);
  put_real(out, "cpu_seconds", report->cpu_s);
  put_count(out, "memory_bytes", report->memory_bytes);
  if (note && note->restarts > 0) {
    put_count(out, "crashes", note->restarts);
    put_text(out, "last_crash", note->story);
  }
  put_host(report, out);
  buf_puts(out, ",\"scripts\":[");
  host_each_script(report->site->host, put_script, out);
  buf_putc(out, ']');
  put_store(report, out);
  put_backups(report, out);
  put_archive(report, out);
  put_receipt(report, out);
  buf_putc(out, '}');
}
