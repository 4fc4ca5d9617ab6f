/* `moonkeep import`: rows from a file into the stores, all of them or none, or a batch at a time. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/sink.h"
#include "store/store.h"

struct import {
  struct cli *cli;
  const char *name; /* of the file, for people */
  int fd;
  uint64_t size; /* of the file; 0: nobody knows */
  struct rows rows;
  struct sink *sink;
  char store[STORE_NAME_BYTES + 1]; /* where the last row went */
  char from[STORE_NAME_BYTES + 1];  /* with --store: the store that the rows name */
  struct progress progress;
  uint64_t taken, expired;    /* rows */
  uint64_t batched;           /* rows of the batch that gathers */
  uint64_t saved, saved_line; /* rows that are in, and the line of the last of them */
};

/* ---- where a row goes ---- */

/* With --store all rows go there. Rows of two stores must not be mixed so: their keys may be the same. */
static enum moonkeep_code redirect(struct import *import, const struct row *row, struct err *err) {
  if (!row->store) return MOONKEEP_OK;
  if (!import->from[0]) strcpy(import->from, row->store);
  if (strcmp(import->from, row->store) == 0) return MOONKEEP_OK;
  err_set(err, MOONKEEP_INVALID,
          "it is of the store %s, and rows before it are of %s: they do not go into one store together. "
          "Without --store each goes into its own",
          row->store, import->from);
  return rows_blame(&import->rows, row->line, err);
}

static enum moonkeep_code choose_store(struct import *import, const struct row *row, struct err *err) {
  const struct settings *settings = &import->cli->settings;
  bool given = option_origin(settings, "store") != ORIGIN_PRESET;
  enum moonkeep_code code = given ? redirect(import, row, err) : MOONKEEP_OK;
  strcpy(import->store, given || !row->store ? settings->store : row->store);
  return code;
}

/* ---- rows ---- */

static enum moonkeep_code save(struct import *import, uint64_t line, struct err *err) {
  enum moonkeep_code code = sink_save(import->sink, err);
  uint64_t fault = code ? sink_fault_line(import->sink) : 0;
  if (fault) return rows_blame(&import->rows, fault, err);
  if (code) return code;
  import->saved = import->taken;
  import->saved_line = line;
  import->batched = 0;
  return MOONKEEP_OK;
}

static enum moonkeep_code take(struct import *import, const struct row *row, struct err *err) {
  if (row->expires_at_ms && row->expires_at_ms <= clock_wall_ms(&clock_system)) {
    import->expired++;
    return MOONKEEP_OK;
  }
  enum moonkeep_code code = choose_store(import, row, err);
  if (code) return code;
  code = sink_put(import->sink, import->store, row, err);
  if (code == MOONKEEP_INVALID_KEY || code == MOONKEEP_INVALID_VALUE)
    return rows_blame(&import->rows, row->line, err);
  if (code) return code;
  import->taken++;
  uint64_t batch = import->cli->settings.batch;
  return batch && ++import->batched >= batch ? save(import, row->line, err) : MOONKEEP_OK;
}

static enum moonkeep_code take_all(struct import *import, struct err *err) {
  struct row row = {0};
  bool end = false;
  enum moonkeep_code code = MOONKEEP_OK;
  uint64_t line = 0;
  for (;;) {
    code = rows_next(&import->rows, &row, &end, err);
    if (!code && !end) code = take(import, &row, err);
    if (code || end) break;
    line = row.line;
    progress_show(&import->progress, import->taken, import->rows.bytes, import->size);
  }
  return code ? code : save(import, line, err);
}

/* ---- the file ---- */

static enum moonkeep_code open_file(struct import *import, struct err *err) {
  const struct settings *settings = &import->cli->settings;
  const char *path = settings->argument_count > 0 ? settings->arguments[0] : "-";
  bool standard = strcmp(path, "-") == 0;
  struct stat st;
  import->name = standard ? "standard input" : path;
  import->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  if (import->fd < 0) return err_set(err, MOONKEEP_IO, "cannot read %s: %s", path, strerror(errno));
  if (fstat(import->fd, &st) == 0 && S_ISREG(st.st_mode)) import->size = (uint64_t)st.st_size;
  if (fstat(import->fd, &st) == 0 && S_ISDIR(st.st_mode))
    return err_set(err, MOONKEEP_IO, "cannot read %s: it is a folder", path);
  return MOONKEEP_OK;
}

static size_t value_limit(const struct cli *cli) {
  return cli->settings.value_bytes ? cli->settings.value_bytes : STORE_VALUE_BYTES;
}

static enum moonkeep_code import_all(struct import *import, struct err *err) {
  enum moonkeep_code code = open_file(import, err);
  if (!code) code = rows_open(&import->rows, import->fd, import->name, value_limit(import->cli), err);
  if (!code) code = sink_open(&import->sink, import->cli, import->cli->settings.batch > 0, err);
  if (!code) code = take_all(import, err);
  progress_end(&import->progress);
  sink_close(import->sink);
  rows_close(&import->rows);
  if (import->fd > STDERR_FILENO) close(import->fd);
  return code;
}

/* ---- the report ---- */

static enum exit_status report(struct import *import) {
  struct console *console = &import->cli->console;
  struct buf text = {0};
  if (import->expired)
    console_complain(console, "%llu key%s had expired and %s left out", (unsigned long long)import->expired,
                     import->expired == 1 ? "" : "s", import->expired == 1 ? "was" : "were");
  buf_printf(&text, "%llu", (unsigned long long)import->saved);
  if (console->tty[CONSOLE_OUT] && !import->cli->settings.json)
    buf_puts(&text, import->saved == 1 ? " key was imported" : " keys were imported");
  buf_putc(&text, '\n');
  int error = text.failed ? ENOMEM : console_write(console, CONSOLE_OUT, text.data, text.len);
  buf_deinit(&text);
  return error ? EXIT_FAILED : EXIT_DONE;
}

/* What a failure has left behind. */
static void report_rest(struct import *import, enum moonkeep_code code) {
  struct console *console = &import->cli->console;
  if (code == MOONKEEP_UNKNOWN)
    console_complain(console, "what had been sent may or may not be in the store; importing the file again "
                              "does no harm");
  else if (import->saved == 0)
    console_complain(console, "nothing was imported");
  else
    console_complain(console,
                     "%llu keys were imported, up to line %llu; importing the file again does no harm",
                     (unsigned long long)import->saved, (unsigned long long)import->saved_line);
}

enum exit_status command_import(struct cli *cli) {
  struct import import = {.cli = cli, .fd = -1};
  struct err err;
  if (store_check_name(cli->settings.store, &err)) return failed(cli, &err);
  progress_init(&import.progress, &cli->console, "read");
  enum moonkeep_code code = import_all(&import, &err);
  if (!code) return report(&import);
  console_complain(&cli->console, "%s", err.message);
  report_rest(&import, code);
  return EXIT_FAILED;
}
