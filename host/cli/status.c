/* `moonkeep status`: how the host on the data folder is, once or again and again; and what can be told of a
 * folder on which none runs. */
#include "cli/status.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "link/client.h"
#include "link/fields.h"
#include "store/stats.h"
#include "store/store.h"

enum { EVERY_MS = 1000, COUNTED_MS = 100, COUNTED_TRIES = 50 };

static enum exit_status show(struct cli *cli, struct buf *text) {
  int error = text->failed ? ENOMEM : 0;
  if (!error && text->len > 0) error = console_write(&cli->console, CONSOLE_OUT, text->data, text->len);
  buf_deinit(text);
  return error ? EXIT_FAILED : EXIT_DONE;
}

/* ---- without a host ---- */

struct folder_report {
  struct store *store;
  struct buf keys; /* {"appData":3,… */
  bool failed;
};

static void on_counted(struct store_call *call) {
  *(bool *)call->ctx = true;
}

static void add_store(void *ctx, const char *name) {
  struct folder_report *report = ctx;
  struct bucket *bucket;
  struct err err;
  if (store_bucket(report->store, name, &bucket, &err)) return;
  struct store_call *call = store_call_new(STORE_SCAN, bucket, NULL, 0);
  bool made = call && store_call_pattern(call, "%", 1);
  bool counted = false;
  if (made) {
    call->want = STORE_COUNT;
    call->done = on_counted;
    call->ctx = &counted;
    counted = store_submit(report->store, call);
    while (!counted) store_wait(report->store, -1);
  }
  report->failed |= !made || call->err;
  if (made && !call->err)
    buf_printf(&report->keys, "%s\"%s\":%llu", report->keys.len > 1 ? "," : "", name,
               (unsigned long long)call->count);
  store_call_free(call);
}

/* What of a host's status can be told: {"store":{…}} and, where there was a restore, "restored":{…} in it. */
static enum moonkeep_code report_folder(struct cli *cli, struct buf *out, struct err *err) {
  struct log log = {.write = console_log, .ctx = &cli->console, .level = LOG_WARN};
  struct store_options options = {.dir = cli->settings.data, .owner = "moonkeep status", .log = &log};
  struct folder_report report = {0};
  struct store_stats stats;
  enum moonkeep_code code = store_open(&report.store, &options, err);
  if (code) return code;
  buf_putc(&report.keys, '{');
  store_each_bucket(report.store, add_store, &report);
  store_stats(report.store, &stats);
  buf_putc(&report.keys, '}');
  bool now;
  const char *receipt = store_receipt(report.store, &now);
  buf_printf(out, "{\"store\":{\"keys\":%s,\"file_bytes\":%llu}%s%s}", buf_text(&report.keys),
             (unsigned long long)stats.file_bytes, *receipt ? ",\"restored\":" : "", receipt);
  buf_deinit(&report.keys);
  code = store_close(report.store, err);
  if (!code && (report.failed || out->failed)) code = err_memory(err);
  return code;
}

static void put_folder_json(struct cli *cli, struct buf *out, const struct buf *status) {
  buf_puts(out, "{\"version\":\"" MOONKEEP_VERSION "\",\"state\":\"none\",\"data\":");
  put_any_text(out, cli->settings.data, strlen(cli->settings.data));
  if (status->len > 0) buf_putc(out, ',');
  if (status->len > 0) buf_add(out, status->data + 1, status->len - 2);
  buf_puts(out, "}\n");
}

static void put_folder_text(struct cli *cli, struct buf *out, const struct buf *status) {
  struct field store = {.name = "store"}, keys = {.name = "keys"}, size = {.name = "file_bytes"};
  double bytes = 0;
  buf_puts(out, "no host runs on ");
  console_put(&cli->console, CONSOLE_OUT, out, cli->settings.data, strlen(cli->settings.data));
  if (status->len == 0) {
    buf_puts(out, ", which does not exist\n");
    return;
  }
  fields_read(status->data, status->len, &store, 1, false, NULL);
  fields_read(store.at, store.len, &keys, 1, false, NULL);
  fields_read(store.at, store.len, &size, 1, false, NULL);
  field_number(&size, &bytes);
  buf_puts(out, "\nkeys     ");
  for (size_t i = 1; i + 1 < keys.len; i++) { /* {"appData":3,"economy":1} */
    if (keys.at[i] == ':' || keys.at[i] == ',')
      buf_puts(out, keys.at[i] == ':' ? " " : ", ");
    else if (keys.at[i] != '"')
      buf_putc(out, keys.at[i]);
  }
  if (keys.len <= 2) buf_puts(out, "none");
  buf_puts(out, "\nsize     ");
  put_bytes(out, bytes);
  buf_putc(out, '\n');
  status_put_receipt(&cli->console, out, status);
}

/* Exit status 1: no host runs, which is what was asked. */
static enum exit_status without_host(struct cli *cli) {
  struct buf status = {0}, text = {0};
  struct err err;
  struct stat st;
  bool there = stat(cli->settings.data, &st) == 0;
  enum moonkeep_code code = there ? report_folder(cli, &status, &err) : MOONKEEP_OK;
  if (code) {
    buf_deinit(&status);
    return failed(cli, &err);
  }
  if (cli->settings.json)
    put_folder_json(cli, &text, &status);
  else
    put_folder_text(cli, &text, &status);
  buf_deinit(&status);
  show(cli, &text);
  return EXIT_FAILED;
}

/* ---- with one ---- */

static enum moonkeep_code ask(int fd, struct buf *status, struct err *err) {
  struct buf line = {0};
  access_put_request(&line, "status", NULL);
  enum moonkeep_code code = access_ask(fd, &line, 0, status, err);
  buf_deinit(&line);
  return code;
}

static bool has_counted(const struct buf *status) {
  struct field store = {.name = "store"}, keys = {.name = "keys"};
  fields_read(status->data, status->len, &store, 1, false, NULL);
  if (store.type == JSON_OBJECT) fields_read(store.at, store.len, &keys, 1, false, NULL);
  return keys.type == JSON_OBJECT;
}

/* The first who asks has the keys counted, which takes a moment. */
static enum moonkeep_code ask_counted(int fd, struct buf *status, struct err *err) {
  enum moonkeep_code code = ask(fd, status, err);
  for (int i = 0; !code && !has_counted(status) && i < COUNTED_TRIES; i++) {
    poll(NULL, 0, COUNTED_MS);
    buf_clear(status);
    code = ask(fd, status, err);
  }
  return code;
}

static enum exit_status show_status(struct cli *cli, struct buf *status, const struct buf *before) {
  struct buf text = {0};
  bool again = cli->settings.watch && cli->console.tty[CONSOLE_OUT] && !cli->settings.json;
  if (again) buf_puts(&text, "\033[H\033[J");
  if (cli->settings.json) {
    buf_add(&text, status->data, status->len);
    buf_putc(&text, '\n');
  } else {
    status_put(&cli->console, &text, status, before);
    if (cli->settings.watch) buf_puts(&text, again ? "\nCtrl-C ends this.\n" : "\n");
  }
  return show(cli, &text);
}

/* Until somebody ends it or the host is gone, which is said and not a success. */
static enum exit_status watch(struct cli *cli, int fd, struct buf *before) {
  struct err err;
  for (;;) {
    struct buf status = {0};
    poll(NULL, 0, EVERY_MS);
    enum moonkeep_code code = ask(fd, &status, &err);
    enum exit_status result = code ? failed(cli, &err) : show_status(cli, &status, before);
    buf_deinit(before);
    *before = status;
    if (result) return result;
  }
}

enum exit_status command_status(struct cli *cli) {
  struct buf status = {0};
  struct err err;
  int fd = access_connect(cli, &err);
  if (fd < 0) return err.code == MOONKEEP_CLOSED ? without_host(cli) : failed(cli, &err);
  enum moonkeep_code code = ask_counted(fd, &status, &err);
  enum exit_status result = code ? failed(cli, &err) : show_status(cli, &status, NULL);
  if (!result && cli->settings.watch) result = watch(cli, fd, &status);
  client_close(fd);
  buf_deinit(&status);
  return result;
}
