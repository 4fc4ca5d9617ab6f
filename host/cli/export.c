/* `moonkeep export`: every key of a data folder at one moment, one JSON object a line. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/access.h"
#include "cli/cli.h"
#include "cli/outfile.h"
#include "cli/outstream.h"
#include "cli/progress.h"
#include "link/client.h"
#include "link/fields.h"
#include "store/moment.h"
#include "store/store.h"

enum { TRY_MS = 2000, PAUSE_MS = 20, BLOCK_BYTES = 64 << 10 };

struct export {
  struct cli *cli;
  struct moment *moment; /* NULL: there is no data folder */
  struct outfile file;
  struct outstream stream;
  bool to_file;
  struct buf block;
  struct progress progress;
  uint64_t rows, bytes, unusable;
};

/* ---- the moment ---- */

/* A store that nobody has open is opened once, so that what a crash has left is taken over. */
static enum moonkeep_code settle_folder(struct cli *cli, struct err *err) {
  struct log log;
  struct store *store;
  enum moonkeep_code code = access_open(cli, &log, &store, err);
  return code ? code : store_close(store, err);
}

/* Has the host fold its journal, so that there is little of it to be read; that it does not is no harm. */
static void ask_for_fold(int fd) {
  static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"keys\",\"params\":{\"limit\":1}}\n";
  struct buf answer = {0};
  struct err ignored;
  client_call(fd, line, sizeof line - 1, false, 0, &answer, &ignored);
  buf_deinit(&answer);
  client_close(fd);
}

/* Another program's row that is no key or no value: it is named, and the others are exported. */
static enum moonkeep_code on_unusable(void *ctx, const struct unusable *row, struct err *err) {
  struct export *export = ctx;
  struct buf key = {0};
  (void)err;
  if (row->key) put_any_text(&key, row->key, row->key_len);
  progress_end(&export->progress);
  console_complain(&export->cli->console, "a row of %s is left out%s%s: %s", row->store,
                   row->key ? ", key " : "", buf_text(&key), row->why);
  buf_deinit(&key);
  export->unusable++;
  return MOONKEEP_OK;
}

static enum moonkeep_code try_open(struct export *export, struct moment **moment, struct err *err) {
  struct cli *cli = export->cli;
  struct moment_options options = {.dir = cli->settings.data, .unusable = on_unusable, .ctx = export};
  if (option_origin(&cli->settings, "store") != ORIGIN_PRESET) options.store = cli->settings.store;
  int fd = client_open(cli->settings.data);
  if (fd >= 0)
    ask_for_fold(fd);
  else {
    enum moonkeep_code code = settle_folder(cli, err);
    if (code && code != MOONKEEP_BUSY) return code;
    options.alone = !code;
  }
  options.settled = fd >= 0 || options.alone;
  return moment_open(moment, &options, err);
}

static enum moonkeep_code open_moment(struct export *export, struct err *err) {
  int64_t until = clock_steady_ms(&clock_system) + TRY_MS;
  for (;;) {
    enum moonkeep_code code = try_open(export, &export->moment, err);
    if (code != MOONKEEP_BUSY || clock_steady_ms(&clock_system) >= until) return code;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
  }
}

/* ---- the rows ---- */

/* An error of standard output is said by cli_main; then err->message is empty. */
static enum moonkeep_code flush(struct export *export, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  if (export->block.failed) return err_memory(err);
  if (export->to_file)
    code = outfile_write(&export->file, export->block.data, export->block.len, err);
  else
    code = outstream_write(&export->stream, export->block.data, export->block.len, err);
  export->bytes += export->block.len;
  buf_clear(&export->block);
  return code;
}

static enum moonkeep_code write_rows(struct export *export, struct err *err) {
  struct moment_row row;
  bool end = !export->moment;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !end) {
    code = moment_next(export->moment, &row, &end, err);
    if (code || end) break;
    put_store_row(&export->block, row.store, row.key, row.key_len, row.json, row.json_len, row.expires_at_ms);
    buf_puts(&export->block, "}\n");
    export->rows++;
    if (export->block.len >= BLOCK_BYTES) code = flush(export, err);
    progress_show(&export->progress, export->rows, export->bytes, 0);
  }
  return code ? code : flush(export, err);
}

static const char *file_of(const struct cli *cli) {
  const char *name = cli->settings.argument_count > 0 ? cli->settings.arguments[0] : "-";
  return strcmp(name, "-") == 0 ? NULL : name;
}

static void sum_up(struct export *export, const char *path) {
  if (!export->cli->console.tty[CONSOLE_ERR]) return;
  console_complain(&export->cli->console, "%llu key%s in %s", (unsigned long long)export->rows,
                   export->rows == 1 ? "" : "s", path);
}

static enum moonkeep_code export_all(struct export *export, const char *path, struct err *err) {
  export->to_file = path != NULL;
  enum moonkeep_code code = path ? outfile_open(&export->file, path, err) : MOONKEEP_OK;
  if (code) return code;
  const char *left_out = export->moment ? moment_left_out(export->moment) : "";
  if (*left_out)
    console_complain(&export->cli->console, "tables of other programs that are no stores are left out: %s",
                     left_out);
  code = write_rows(export, err);
  progress_end(&export->progress);
  moment_close(export->moment); /* before anybody is waited for */
  export->moment = NULL;
  if (!path) return code ? code : outstream_end(&export->stream, err);
  if (code)
    outfile_abandon(&export->file);
  else
    code = outfile_commit(&export->file, err);
  if (!code) sum_up(export, path);
  return code;
}

enum exit_status command_export(struct cli *cli) {
  struct export export = {.cli = cli};
  struct err err = {0};
  struct stat st;
  enum moonkeep_code code = MOONKEEP_OK;
  if (store_check_name(cli->settings.store, &err)) return failed(cli, &err);
  if (stat(cli->settings.data, &st) != 0 && errno == ENOENT)
    console_complain(&cli->console, "there is no data folder %s, so nothing is stored there",
                     cli->settings.data);
  else
    code = open_moment(&export, &err);
  progress_init(&export.progress, &cli->console, "exported");
  outstream_init(&export.stream, &cli->console);
  if (!code) code = export_all(&export, file_of(cli), &err);
  moment_close(export.moment);
  outstream_close(&export.stream);
  buf_deinit(&export.block);
  if (code && !err.message[0]) return EXIT_FAILED;
  if (code) return failed(cli, &err);
  return export.unusable > 0 ? EXIT_FAILED : EXIT_DONE; /* what is exported is not all there is */
}
