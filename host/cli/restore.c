/* `moonkeep restore`: brings an earlier state of the store back, on a folder where no host runs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "store/recall.h"

enum { LOCK_WAIT_MS = 1000 };

/* Whether the person agrees to what would be done. EXIT_DONE: go on. */
static enum moonkeep_code run(struct cli *cli, struct recall *recall, struct recalled *recalled,
                              struct err *err) {
  struct progress progress;
  progress_begin(&progress, &cli->console, recall->dry_run ? "looking at the backups" : "restoring",
                 !cli->settings.json);
  enum moonkeep_code code = recall_run(recall, recalled, err);
  progress_end(&progress);
  return code;
}

static enum exit_status confirm(struct cli *cli, struct recall *recall) {
  struct recalled recalled;
  struct err err;
  struct buf question = {0};
  char answer[16] = "";
  if (!isatty(STDIN_FILENO) || !cli->console.tty[CONSOLE_ERR])
    return wrong_usage(cli,
                       "restore replaces what the store holds: where nobody can be asked it needs --yes");
  recall->dry_run = true;
  enum moonkeep_code code = run(cli, recall, &recalled, &err);
  recall->dry_run = false;
  if (!code) {
    buf_printf(&question, "%s\nReplace what the store holds by it? [y/N] ", buf_text(&recalled.text));
    console_write(&cli->console, CONSOLE_ERR, question.data, question.failed ? 0 : question.len);
  }
  buf_deinit(&question);
  recalled_deinit(&recalled);
  if (code) return failed(cli, &err);
  if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y')) return EXIT_DONE;
  console_complain(&cli->console, "nothing was changed");
  return EXIT_FAILED;
}

static void put_text(struct buf *out, struct recalled *recalled, const struct recall *recall) {
  if (recall->dry_run) buf_puts(out, "This would be done: ");
  buf_add(out, recalled->text.data, recalled->text.len);
  buf_putc(out, '\n');
  if (recalled->kept_as_backup)
    buf_printf(out, "The state before is the backup %s; this brings it back:\n  moonkeep restore %s\n",
               buf_text(&recalled->kept), buf_text(&recalled->kept));
  else if (recalled->kept.len > 0)
    buf_printf(out, "The files from before could not be read; they are in %s/%s\n", recall->dir,
               buf_text(&recalled->kept));
}

static enum exit_status show(struct cli *cli, const struct recall *recall, struct recalled *recalled) {
  struct buf out = {0};
  if (cli->settings.json) {
    recalled_put_json(&out, recalled, recall->dry_run);
    buf_putc(&out, '\n');
  } else {
    put_text(&out, recalled, recall);
  }
  int error = out.failed ? 1 : console_write(&cli->console, CONSOLE_OUT, out.data, out.len);
  buf_deinit(&out);
  return error ? EXIT_FAILED : EXIT_DONE;
}

enum exit_status command_restore(struct cli *cli) {
  const struct settings *settings = &cli->settings;
  struct log log = {.write = console_log, .ctx = &cli->console};
  struct recalled recalled;
  struct err err;
  log.level = settings->has_log_level ? settings->log_level : LOG_WARN;
  struct recall recall = {.dir = settings->data,
                          .backups = settings->backups,
                          .owner = "moonkeep restore",
                          .name = settings->argument_count > 0 ? settings->arguments[0] : NULL,
                          .until_ms = INT64_MAX,
                          .earlier = true,
                          .dry_run = settings->dry_run,
                          .lock_wait_ms = LOCK_WAIT_MS,
                          .log = &log};
  if (settings->at && !recall_moment(settings->at, &recall.until_ms))
    return wrong_usage(
        cli,
        "--at is \"%.64s\" and has to be a moment, such as 2026-11-23T10:15:00Z, 2026-11-23 10:15 "
        "or seconds since 1970",
        settings->at);
  if (settings->at && recall.name)
    return wrong_usage(cli,
                       "restore takes the name of a backup or --at, not both: --at finds the backup itself");
  enum exit_status status = settings->yes || settings->dry_run ? EXIT_DONE : confirm(cli, &recall);
  if (status) return status;
  if (run(cli, &recall, &recalled, &err))
    status = failed(cli, &err);
  else
    status = show(cli, &recall, &recalled);
  recalled_deinit(&recalled);
  return status;
}
