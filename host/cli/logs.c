/* `moonkeep logs`: what a running host has written to its log, and with --follow what it goes on to write. */
#include <errno.h>
#include <time.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "link/client.h"
#include "link/fields.h"

/* ---- one line ---- */

static void put_line(struct cli *cli, struct buf *out, const struct field *entry) {
  struct field fields[] = {{.name = "time"}, {.name = "level"}, {.name = "source"}, {.name = "text"}};
  struct buf level = {0}, source = {0}, text = {0};
  double seconds = 0;
  enum log_level which = LOG_INFO;
  fields_read(entry->at, entry->len, fields, 4, false, NULL);
  field_number(&fields[0], &seconds);
  field_text(&fields[1], &level);
  field_text(&fields[2], &source);
  field_text(&fields[3], &text);
  log_level_parse(buf_text(&level), &which);
  console_put_log(&cli->console, CONSOLE_OUT, out, (time_t)seconds, which, buf_text(&source),
                  buf_text(&text));
  buf_deinit(&level);
  buf_deinit(&source);
  buf_deinit(&text);
}

static void put_missed(struct cli *cli, struct buf *out, const struct field *missed) {
  struct buf text = {0};
  buf_add(&text, missed->at, missed->len);
  buf_puts(&text, " lines came faster than they could be told");
  console_put_log(&cli->console, CONSOLE_OUT, out, time(NULL), LOG_WARN, "logs", buf_text(&text));
  buf_deinit(&text);
}

static void put_entry(struct cli *cli, struct buf *out, const struct field *entry) {
  struct field missed = {.name = "missed"};
  fields_read(entry->at, entry->len, &missed, 1, false, NULL);
  if (cli->settings.json) {
    buf_add(out, entry->at, entry->len);
    buf_putc(out, '\n');
  } else if (missed.type == JSON_INTEGER) {
    put_missed(cli, out, &missed);
  } else {
    put_line(cli, out, entry);
  }
}

/* EXIT_FAILED where nobody reads any more; that is said by cli_main. */
static enum exit_status flush(struct cli *cli, struct buf *out) {
  int error = out->failed ? ENOMEM : 0;
  if (!error && out->len > 0) error = console_write(&cli->console, CONSOLE_OUT, out->data, out->len);
  buf_clear(out);
  return error ? EXIT_FAILED : EXIT_DONE;
}

/* ---- the host's answer, and what it tells ---- */

static enum exit_status show_recent(struct cli *cli, const struct buf *list) {
  struct array_walk walk;
  struct field entry;
  struct buf out = {0};
  array_walk_init(&walk, list->data, list->len);
  while (array_walk_next(&walk, &entry)) put_entry(cli, &out, &entry);
  array_walk_deinit(&walk);
  enum exit_status status = flush(cli, &out);
  buf_deinit(&out);
  return status;
}

/* Until the host ends, which is how following ends well. */
static enum exit_status follow(struct cli *cli, struct client_lines *lines) {
  const char *line;
  size_t len;
  struct err err;
  struct buf out = {0};
  enum exit_status status = EXIT_DONE;
  while (!status && !client_next(lines, -1, &line, &len, &err)) {
    struct field params = {.name = "params"};
    fields_read(line, len, &params, 1, false, NULL);
    if (params.type == JSON_OBJECT) put_entry(cli, &out, &params);
    status = flush(cli, &out);
  }
  buf_deinit(&out);
  return status;
}

static enum moonkeep_code begin(struct cli *cli, struct client_lines *lines, struct buf *recent,
                                struct err *err) {
  struct buf params = {0}, line = {0};
  const char *answer;
  size_t len;
  buf_printf(&params, "{\"follow\":%s", cli->settings.follow ? "true" : "false");
  if (cli->settings.lines) buf_printf(&params, ",\"lines\":%llu", (unsigned long long)cli->settings.lines);
  buf_putc(&params, '}');
  access_put_request(&line, "logs", &params);
  enum moonkeep_code code = line.failed ? err_memory(err) : client_send(lines->fd, line.data, line.len, err);
  if (!code) code = client_next(lines, CLIENT_SILENCE_MS, &answer, &len, err);
  if (!code) code = access_read_answer(answer, len, recent, err);
  buf_deinit(&params);
  buf_deinit(&line);
  return code;
}

enum exit_status command_logs(struct cli *cli) {
  struct err err;
  struct client_lines lines = {.fd = access_connect(cli, &err)};
  struct buf recent = {0};
  if (lines.fd < 0) return failed(cli, &err);
  enum moonkeep_code code = begin(cli, &lines, &recent, &err);
  enum exit_status status = code ? failed(cli, &err) : show_recent(cli, &recent);
  if (!status && cli->settings.follow) status = follow(cli, &lines);
  buf_deinit(&recent);
  client_lines_close(&lines);
  return status;
}
