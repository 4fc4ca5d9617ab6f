#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/status.h"
#include "link/fields.h"

enum { NAME_COLUMNS = 20 };

/* ---- reading ---- */

static struct field member(const struct field *object, const char *name) {
  struct field field = {.name = name};
  if (object->type == JSON_OBJECT) fields_read(object->at, object->len, &field, 1, false, NULL);
  return field;
}

static double number(const struct field *object, const char *name) {
  struct field field = member(object, name);
  double value = 0;
  field_number(&field, &value);
  return value;
}

static struct field whole(const struct buf *text) {
  return (struct field){.type = JSON_OBJECT, .at = text->data, .len = text->len};
}

/* ---- pieces ---- */

void put_grouped(struct buf *out, unsigned long long value) {
  char digits[32];
  int len = snprintf(digits, sizeof digits, "%llu", value);
  for (int i = 0; i < len; i++) {
    if (i > 0 && (len - i) % 3 == 0) buf_putc(out, ',');
    buf_putc(out, digits[i]);
  }
}

void put_bytes(struct buf *out, double bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1024;
  buf_printf(out, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void put_count(struct buf *out, double count, const char *one, const char *many) {
  put_grouped(out, (unsigned long long)count);
  buf_printf(out, " %s", count == 1 ? one : many);
}

static void put_span(struct buf *out, double seconds) {
  long long s = seconds > 0 ? (long long)seconds : 0; /* the clock may have been set back */
  if (s < 60)
    buf_printf(out, "%lld s", s);
  else if (s < 3600)
    buf_printf(out, "%lld min %lld s", s / 60, s % 60);
  else if (s < 86400)
    buf_printf(out, "%lld h %lld min", s / 3600, s % 3600 / 60);
  else
    buf_printf(out, "%lld d %lld h", s / 86400, s % 86400 / 3600);
}

static void put_text(const struct console *console, struct buf *out, const struct field *object,
                     const char *name) {
  struct field field = member(object, name);
  struct buf text = {0};
  if (field_text(&field, &text)) console_put(console, CONSOLE_OUT, out, text.data, text.len);
  buf_deinit(&text);
}

static void put_label(const struct console *console, struct buf *out, const char *label) {
  console_style(console, CONSOLE_OUT, out, STYLE_BOLD);
  buf_printf(out, "%-9s", label);
  console_style(console, CONSOLE_OUT, out, STYLE_NONE);
}

static void put_bad(const struct console *console, struct buf *out, bool bad, const char *text) {
  if (bad) console_style(console, CONSOLE_OUT, out, STYLE_RED);
  buf_puts(out, text);
  if (bad) console_style(console, CONSOLE_OUT, out, STYLE_NONE);
}

/* ---- scripts ---- */

/* It may have several lines: each is indented. */
static void put_problem(const struct console *console, struct buf *out, const struct field *problem) {
  struct buf text = {0};
  field_text(problem, &text);
  const char *line = buf_text(&text);
  console_style(console, CONSOLE_OUT, out, STYLE_RED);
  while (*line) {
    size_t len = strcspn(line, "\n");
    buf_puts(out, "    ");
    console_put(console, CONSOLE_OUT, out, line, len);
    buf_putc(out, '\n');
    line += len + (line[len] == '\n');
  }
  console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  buf_deinit(&text);
}

static void put_script(const struct console *console, struct buf *out, const struct field *script,
                       double now) {
  struct field name = member(script, "name"), problem = member(script, "problem");
  struct buf text = {0}, shown = {0}, memory = {0}, age = {0};
  char errors[32];
  field_text(&name, &text);
  put_visible(&shown, text.data, text.len, true);
  size_t columns = text_columns(shown.data, shown.len);
  buf_puts(out, "  ");
  buf_add(out, shown.data, shown.len);
  buf_printf(out, "%*s", columns < NAME_COLUMNS ? (int)(NAME_COLUMNS - columns) : 0, "");
  if (number(script, "version") > 0) {
    put_bytes(&memory, number(script, "memory_bytes"));
    put_span(&age, now - number(script, "loaded_at"));
    snprintf(errors, sizeof errors, "%7.0f", number(script, "errors"));
    buf_printf(out, "%8.0f%7.0f", number(script, "version"), number(script, "tasks"));
    put_bad(console, out, number(script, "errors") > 0, errors);
    buf_printf(out, "%11s%8.2f s  %s", buf_text(&memory), number(script, "cpu_seconds"), buf_text(&age));
  } else {
    put_bad(console, out, true, " does not run");
  }
  buf_putc(out, '\n');
  if (problem.type == JSON_STRING) put_problem(console, out, &problem);
  buf_deinit(&text);
  buf_deinit(&shown);
  buf_deinit(&memory);
  buf_deinit(&age);
}

static void put_scripts(const struct console *console, struct buf *out, const struct field *status) {
  struct field scripts = member(status, "scripts"), script;
  struct array_walk walk;
  bool first = true;
  if (scripts.type != JSON_ARRAY) return;
  array_walk_init(&walk, scripts.at, scripts.len);
  while (array_walk_next(&walk, &script)) {
    if (first) {
      put_label(console, out, "scripts");
      console_style(console, CONSOLE_OUT, out, STYLE_DIM);
      buf_printf(out, "%*s%8s%7s%7s%11s%10s  %s\n", NAME_COLUMNS + 2 - 9, "", "version", "tasks", "errors",
                 "memory", "CPU", "loaded since");
      console_style(console, CONSOLE_OUT, out, STYLE_NONE);
    }
    first = false;
    put_script(console, out, &script, number(status, "now"));
  }
  array_walk_deinit(&walk);
  if (!first) return;
  put_label(console, out, "scripts");
  buf_puts(out, "none\n");
}

static void put_events(const struct console *console, struct buf *out, const struct field *status) {
  char failed[48];
  double bad = number(status, "events_failed");
  put_label(console, out, "events");
  put_grouped(out, (unsigned long long)number(status, "events_done"));
  snprintf(failed, sizeof failed, "%.0f failed", bad);
  buf_puts(out, " done, ");
  put_bad(console, out, bad > 0, failed);
  buf_printf(out, ", %.0f under way; ", number(status, "events_under_way"));
  put_count(out, number(status, "tasks_running"), "task runs", "tasks run");
  buf_printf(out, ", %.0f sleep, ", number(status, "tasks_sleeping"));
  put_count(out, number(status, "timers"), "timer", "timers");
  buf_putc(out, '\n');
}

/* ---- the store ---- */

struct keys {
  double sum;
  struct buf each;
  int stores;
};

static void add_keys(struct keys *keys, const struct json_token *name, const struct field *value) {
  double count = 0;
  field_number(value, &count);
  keys->sum += count;
  if (keys->stores++ > 0) buf_puts(&keys->each, ", ");
  buf_add(&keys->each, name->string, name->string_len);
  buf_putc(&keys->each, ' ');
  put_grouped(&keys->each, (unsigned long long)count);
}

static void read_keys(struct keys *keys, const struct field *object) {
  struct json json;
  struct json_token token;
  json_init(&json, object->at, object->len);
  json_next(&json, &token);
  while (json_next(&json, &token) == JSON_KEY) {
    struct json_token name = token, value;
    struct buf copy = {0};
    buf_add(&copy, name.string, name.string_len);
    name.string = buf_text(&copy);
    json_next(&json, &value);
    add_keys(
        keys, &name,
        &(struct field){.type = value.type, .at = value.begin, .len = (size_t)(value.end - value.begin)});
    buf_deinit(&copy);
  }
  json_deinit(&json);
}

static void put_keys(struct buf *out, const struct field *store) {
  struct field object = member(store, "keys");
  struct keys keys = {0};
  if (object.type != JSON_OBJECT) {
    buf_puts(out, "keys are being counted, ");
    return;
  }
  read_keys(&keys, &object);
  put_count(out, keys.sum, "key", "keys");
  if (keys.stores > 1) buf_printf(out, " (%s)", buf_text(&keys.each));
  buf_puts(out, ", ");
  buf_deinit(&keys.each);
}

static void put_store(const struct console *console, struct buf *out, const struct field *status) {
  struct field store = member(status, "store");
  if (store.type != JSON_OBJECT) return;
  put_label(console, out, "store");
  if (member(&store, "writes").type == JSON_FALSE) {
    put_bad(console, out, true, "NOTHING CAN BE WRITTEN (see the log)");
    buf_puts(out, "; ");
  }
  put_keys(out, &store);
  put_bytes(out, number(&store, "file_bytes"));
  buf_puts(out, " on disk and ");
  put_bytes(out, number(&store, "wal_bytes"));
  buf_puts(out, " of write-ahead log\n");
}

static void put_work(const struct console *console, struct buf *out, const struct field *status) {
  struct field store = member(status, "store");
  double lookups = number(&store, "lookups"), misses = number(&store, "cache_misses");
  put_label(console, out, "journal");
  put_count(out, number(&store, "journal_groups"), "group", "groups");
  buf_puts(out, ", ");
  put_bytes(out, number(&store, "journal_bytes"));
  buf_printf(out, "; %.1f groups/s, %.1f changes/s; a commit takes %.1f ms (99 of 100: under %.1f ms)\n",
             number(&store, "groups_per_second"), number(&store, "changes_per_second"),
             number(&store, "commit_ms"), number(&store, "commit_p99_ms"));
  put_label(console, out, "cache");
  put_bytes(out, number(&store, "cache_bytes"));
  buf_puts(out, " of ");
  put_bytes(out, number(&store, "cache_limit_bytes"));
  if (lookups > 0) buf_printf(out, ", %.1f %% hits", 100 * (1 - (misses < lookups ? misses / lookups : 1)));
  buf_putc(out, '\n');
}

static void put_backups(const struct console *console, struct buf *out, const struct field *status) {
  struct field backups = member(status, "backups"), newest = member(&backups, "newest");
  double failures = number(&backups, "failures");
  if (backups.type != JSON_OBJECT) return;
  put_label(console, out, "backups");
  if (newest.type == JSON_STRING) {
    buf_puts(out, "the newest holds the moment ");
    put_span(out, number(status, "now") - number(&backups, "at"));
    buf_puts(out, " ago, ");
    put_bytes(out, number(&backups, "bytes"));
  } else {
    buf_puts(out, "there is none yet");
  }
  if (failures > 0) {
    console_style(console, CONSOLE_OUT, out, STYLE_RED);
    buf_printf(out, "; %.0f failed since: ", failures);
    put_text(console, out, &backups, "error");
    console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  }
  buf_putc(out, '\n');
}

static void put_archive(const struct console *console, struct buf *out, const struct field *status) {
  struct field archive = member(status, "archive"), until = member(&archive, "until"),
               error = member(&archive, "error");
  if (archive.type != JSON_OBJECT) return;
  put_label(console, out, "archive");
  put_text(console, out, &archive, "mode");
  if (until.type != JSON_END) {
    buf_puts(out, ", its last change is of ");
    put_span(out, number(status, "now") - number(&archive, "until"));
    buf_puts(out, " ago");
  }
  if (number(&archive, "behind_bytes") > 0) {
    buf_puts(out, ", ");
    put_bytes(out, number(&archive, "behind_bytes"));
    buf_puts(out, " wait");
  }
  if (error.type == JSON_STRING) {
    console_style(console, CONSOLE_OUT, out, STYLE_RED);
    buf_puts(out, "; ");
    put_text(console, out, &archive, "error");
    console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  }
  buf_putc(out, '\n');
}

static void put_missing(const struct console *console, struct buf *out, double missing) {
  char text[64];
  snprintf(text, sizeof text, "%.0f commit%s MISSING", missing, missing == 1 ? "" : "s");
  buf_puts(out, "; ");
  put_bad(console, out, true, text);
}

/* The last restore or repair. */
static void put_receipt(const struct console *console, struct buf *out, const struct field *status) {
  struct field receipt = member(status, "restored");
  if (receipt.type != JSON_OBJECT) return;
  put_label(console, out, "restored");
  put_text(console, out, &receipt, "at");
  buf_puts(out, ", ");
  put_text(console, out, &receipt, "kind");
  buf_puts(out, ": ");
  put_text(console, out, &receipt, "why");
  if (member(&receipt, "backup").type == JSON_STRING) {
    buf_puts(out, "; from ");
    put_text(console, out, &receipt, "backup");
  }
  if (number(&receipt, "archived") > 0) {
    buf_puts(out, "; ");
    put_count(out, number(&receipt, "archived"), "commit", "commits");
    buf_puts(out, " of the archive");
  }
  if (number(&receipt, "missing") > 0) put_missing(console, out, number(&receipt, "missing"));
  if (member(&receipt, "damaged").type == JSON_STRING) {
    buf_puts(out, "; the files before are in ");
    put_text(console, out, &receipt, "damaged");
  }
  buf_putc(out, '\n');
}

void status_put_receipt(const struct console *console, struct buf *out, const struct buf *status) {
  struct field all = whole(status);
  put_receipt(console, out, &all);
}

/* ---- all ---- */

static void put_process(const struct console *console, struct buf *out, const struct field *status,
                        const struct field *before) {
  double span = number(status, "uptime_seconds"), cpu = number(status, "cpu_seconds"), used = cpu;
  if (before) {
    span -= number(before, "uptime_seconds");
    used = cpu - number(before, "cpu_seconds");
  }
  put_label(console, out, "process");
  put_bytes(out, number(status, "memory_bytes"));
  buf_printf(out, " of memory, %.1f s of CPU", cpu);
  if (span > 0) buf_printf(out, " (%.1f %%%s)", 100 * used / span, before ? "" : " on average");
  buf_putc(out, '\n');
  if (number(status, "crashes") > 0) {
    put_label(console, out, "crashes");
    buf_printf(out, "%.0f; the last: ", number(status, "crashes"));
    put_text(console, out, status, "last_crash");
    buf_putc(out, '\n');
  }
  put_label(console, out, "log");
  put_count(out, number(status, "log_warnings"), "warning", "warnings");
  buf_puts(out, ", ");
  put_count(out, number(status, "log_errors"), "error", "errors");
  buf_puts(out, " (`moonkeep logs`)\n");
}

void status_put(const struct console *console, struct buf *out, const struct buf *text,
                const struct buf *before) {
  struct field status = whole(text), then = before ? whole(before) : (struct field){0};
  console_style(console, CONSOLE_OUT, out, STYLE_BOLD);
  buf_puts(out, "moonkeep ");
  put_text(console, out, &status, "version");
  console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  buf_printf(out, ", process %.0f, ", number(&status, "pid"));
  put_text(console, out, &status, "state");
  buf_puts(out, " for ");
  put_span(out, number(&status, "uptime_seconds"));
  buf_puts(out, " on ");
  put_text(console, out, &status, "data");
  buf_puts(out, "\n\n");
  put_scripts(console, out, &status);
  put_events(console, out, &status);
  put_store(console, out, &status);
  put_work(console, out, &status);
  put_backups(console, out, &status);
  put_archive(console, out, &status);
  put_receipt(console, out, &status);
  put_process(console, out, &status, before ? &then : NULL);
}
