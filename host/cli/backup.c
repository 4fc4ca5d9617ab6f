/* `moonkeep backup` and `moonkeep backups`: with a running host through it, without one on the folder itself.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "link/backups.h"
#include "link/client.h"
#include "link/fields.h"

/* ---- one of them ---- */

struct shown {
  struct buf name, error;
  double at, bytes, keys, until;
};

static void read_shown(struct shown *shown, const struct field *backup) {
  struct field fields[] = {{.name = "name"}, {.name = "at"},    {.name = "bytes"},
                           {.name = "keys"}, {.name = "error"}, {.name = "until"}};
  *shown = (struct shown){0};
  fields_read(backup->at, backup->len, fields, 6, false, NULL);
  field_text(&fields[0], &shown->name);
  field_number(&fields[1], &shown->at);
  field_number(&fields[2], &shown->bytes);
  field_number(&fields[3], &shown->keys);
  field_text(&fields[4], &shown->error);
  if (!field_number(&fields[5], &shown->until)) shown->until = 0;
}

static void shown_deinit(struct shown *shown) {
  buf_deinit(&shown->name);
  buf_deinit(&shown->error);
}

static void put_size(char text[16], double bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 3; unit++) bytes /= 1024;
  snprintf(text, 16, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void put_age(char text[24], double seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 120)
    snprintf(text, 24, "%.0f s ago", seconds);
  else if (seconds < 2 * 3600)
    snprintf(text, 24, "%.0f min ago", seconds / 60);
  else if (seconds < 48 * 3600)
    snprintf(text, 24, "%.0f h ago", seconds / 3600);
  else
    snprintf(text, 24, "%.0f days ago", seconds / 86400);
}

static void put_row(struct cli *cli, struct buf *out, const struct field *backup) {
  struct shown shown;
  char size[16], age[24];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  read_shown(&shown, backup);
  put_size(size, shown.bytes);
  put_age(age, (double)now.tv_sec - shown.at);
  bool bad = shown.error.len > 0;
  buf_printf(out, "%-32s  %12s  %10s  %10.0f keys  ", buf_text(&shown.name), age, size, shown.keys);
  console_style(&cli->console, CONSOLE_OUT, out, bad ? STYLE_RED : STYLE_GREEN);
  buf_puts(out, bad ? buf_text(&shown.error) : "verified");
  console_style(&cli->console, CONSOLE_OUT, out, STYLE_NONE);
  if (shown.until > 0) {
    put_age(age, (double)now.tv_sec - shown.until);
    buf_printf(out, ", archived up to %s", age);
  }
  buf_putc(out, '\n');
  shown_deinit(&shown);
}

static enum exit_status print(struct cli *cli, struct buf *out) {
  int error = out->failed ? 1 : 0;
  if (!error && out->len > 0) error = console_write(&cli->console, CONSOLE_OUT, out->data, out->len);
  buf_deinit(out);
  return error ? EXIT_FAILED : EXIT_DONE;
}

/* ---- backup ---- */

static enum exit_status show_made(struct cli *cli, const struct buf *result) {
  struct buf out = {0};
  struct field backup = {.at = result->data, .len = result->len};
  struct shown shown;
  read_shown(&shown, &backup);
  if (cli->settings.json)
    buf_add(&out, result->data, result->len);
  else
    buf_add(&out, shown.name.data, shown.name.len);
  buf_putc(&out, '\n');
  shown_deinit(&shown);
  return print(cli, &out);
}

/* However long it takes. */
static enum moonkeep_code make_one(struct cli *cli, struct buf *result, struct err *err) {
  struct buf params = {0};
  enum moonkeep_code code = access_host(cli, "backup", NULL, -1, result, err);
  if (code != MOONKEEP_CLOSED) return code;
  buf_clear(result);
  buf_putc(&params, '{');
  code = access_call(cli, "backup", &params, result, err);
  buf_deinit(&params);
  return code;
}

enum exit_status command_backup(struct cli *cli) {
  struct buf result = {0};
  struct err err;
  struct progress progress;
  progress_begin(&progress, &cli->console, "backing up", !cli->settings.json);
  enum moonkeep_code code = make_one(cli, &result, &err);
  progress_end(&progress);
  bool nothing = !code && strcmp(buf_text(&result), "null") == 0;
  enum exit_status status = code ? failed(cli, &err) : nothing ? EXIT_FAILED : show_made(cli, &result);
  buf_deinit(&result);
  return status;
}

/* ---- backups ---- */

static void put_all(struct cli *cli, struct buf *out, const struct field *all) {
  struct array_walk walk;
  struct field backup;
  array_walk_init(&walk, all->at, all->len);
  while (array_walk_next(&walk, &backup)) {
    if (cli->console.tty[CONSOLE_OUT]) {
      put_row(cli, out, &backup);
    } else {
      buf_add(out, backup.at, backup.len);
      buf_putc(out, '\n');
    }
  }
  array_walk_deinit(&walk);
}

static enum exit_status show_all(struct cli *cli, const struct buf *result) {
  struct field fields[] = {{.name = "dir"}, {.name = "backups"}};
  struct buf out = {0}, dir = {0};
  fields_read(result->data, result->len, fields, 2, false, NULL);
  field_text(&fields[0], &dir);
  if (cli->settings.json) {
    buf_add(&out, fields[1].at, fields[1].len);
    buf_putc(&out, '\n');
  } else {
    put_all(cli, &out, &fields[1]);
    if (out.len == 0) console_complain(&cli->console, "there are no backups in %s", buf_text(&dir));
  }
  buf_deinit(&dir);
  return print(cli, &out);
}

static enum moonkeep_code list_directly(struct cli *cli, struct buf *result, struct err *err) {
  struct buf dir = {0};
  if (cli->settings.backups)
    buf_puts(&dir, cli->settings.backups);
  else
    buf_printf(&dir, "%s/backups", cli->settings.data);
  enum moonkeep_code code = dir.failed ? err_memory(err) : backups_put_all(result, buf_text(&dir), NULL, err);
  buf_deinit(&dir);
  return code;
}

enum exit_status command_backups(struct cli *cli) {
  struct buf result = {0};
  struct err err;
  enum moonkeep_code code = access_host(cli, "backups", NULL, 0, &result, &err);
  if (code == MOONKEEP_CLOSED) {
    buf_clear(&result);
    code = list_directly(cli, &result, &err);
  }
  if (!code && result.failed) code = err_memory(&err);
  enum exit_status status = code ? failed(cli, &err) : show_all(cli, &result);
  buf_deinit(&result);
  return status;
}
