/* `moonkeep check`: whether the store, its backups and their archive are whole, also while a host runs. */
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "link/fields.h"
#include "store/inspect.h"

struct report {
  struct cli *cli;
  struct buf out;
  bool first;
  struct progress progress;
};

static void put_archive_json(struct buf *out, const struct inspected *archive) {
  buf_printf(out, ",\"files\":%llu,\"groups\":%llu", (unsigned long long)archive->files,
             (unsigned long long)archive->groups);
  if (*archive->until) buf_printf(out, ",\"until\":\"%s\"", archive->until);
}

static void put_archive_text(struct buf *out, const struct inspected *archive) {
  buf_printf(out, ", %llu commit%s in %llu file%s", (unsigned long long)archive->groups,
             archive->groups == 1 ? "" : "s", (unsigned long long)archive->files,
             archive->files == 1 ? "" : "s");
  if (*archive->until) buf_printf(out, ", up to %s", archive->until);
}

static void put_json(struct report *report, const struct inspected *file) {
  static const char *const kinds[] = {"store", "backup", "archive", "archive file"};
  struct buf *out = &report->out;
  buf_puts(out, report->first ? "[" : ",");
  buf_printf(out, "{\"file\":\"%s\",\"kind\":\"%s\",\"ok\":%s", file->name, kinds[file->kind],
             file->good ? "true" : "false");
  if (file->counted)
    buf_printf(out, ",\"keys\":%llu,\"damaged\":%llu", (unsigned long long)file->keys,
               (unsigned long long)file->damaged);
  if (file->unusable > 0) buf_printf(out, ",\"unusable\":%llu", (unsigned long long)file->unusable);
  if (*file->left_out) {
    buf_puts(out, ",\"left_out\":");
    put_any_text(out, file->left_out, strlen(file->left_out));
  }
  if (file->kind == INSPECTED_ARCHIVE) put_archive_json(out, file);
  if (!file->good) {
    buf_puts(out, ",\"error\":");
    put_any_text(out, file->why->message, strlen(file->why->message));
  }
  buf_putc(out, '}');
}

static void put_text(struct report *report, const struct inspected *file) {
  struct buf *out = &report->out;
  struct console *console = &report->cli->console;
  buf_printf(out, "%s: ", file->name);
  console_style(console, CONSOLE_OUT, out, file->good ? STYLE_GREEN : STYLE_RED);
  buf_puts(out, file->good ? "ok" : file->unusable > 0 && file->damaged == 0 ? "faulty" : "damaged");
  console_style(console, CONSOLE_OUT, out, STYLE_NONE);
  if (file->counted)
    buf_printf(out, ", %llu key%s", (unsigned long long)file->keys, file->keys == 1 ? "" : "s");
  if (file->damaged > 0) buf_printf(out, ", %llu damaged", (unsigned long long)file->damaged);
  if (file->kind == INSPECTED_ARCHIVE) put_archive_text(out, file);
  if (file->unusable > 0)
    buf_printf(out, ", %llu row%s of another program that cannot be used", (unsigned long long)file->unusable,
               file->unusable == 1 ? "" : "s");
  if (*file->left_out) buf_printf(out, " (tables that are no stores, and in no backup: %s)", file->left_out);
  if (!file->good) {
    buf_puts(out, ": ");
    console_put(console, CONSOLE_OUT, out, file->why->message, strlen(file->why->message));
  }
  buf_putc(out, '\n');
  console_write(console, CONSOLE_OUT, out->data, out->failed ? 0 : out->len);
  buf_clear(out);
}

static void on_file(void *ctx, const struct inspected *file) {
  struct report *report = ctx;
  if (report->cli->settings.json)
    put_json(report, file);
  else
    put_text(report, file);
  report->first = false;
}

static void on_begin(void *ctx, const char *name) {
  progress_at(&((struct report *)ctx)->progress, name);
}

enum exit_status command_check(struct cli *cli) {
  struct report report = {.cli = cli, .first = true};
  struct inspect inspect = {.dir = cli->settings.data,
                            .backups = cli->settings.backups,
                            .full = cli->settings.full,
                            .told = on_file,
                            .begun = on_begin,
                            .ctx = &report};
  struct err err;
  unsigned bad;
  progress_begin(&report.progress, &cli->console, "checking", !cli->settings.json);
  enum moonkeep_code code = inspect_run(&inspect, &bad, &err);
  progress_end(&report.progress);
  if (!code && cli->settings.json) {
    buf_puts(&report.out, "]\n");
    console_write(&cli->console, CONSOLE_OUT, report.out.data, report.out.failed ? 0 : report.out.len);
  }
  buf_deinit(&report.out);
  if (code) return failed(cli, &err);
  return bad > 0 ? EXIT_FAILED : EXIT_DONE;
}
