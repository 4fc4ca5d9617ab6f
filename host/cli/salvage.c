/* `moonkeep salvage`: what can be read in a damaged store file, in the form that `import` takes. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/outfile.h"
#include "link/fields.h"
#include "store/salvage.h"

enum { BLOCK_BYTES = 64 << 10 };

struct writer {
  struct cli *cli;
  struct outfile file;
  bool to_file;
  struct buf block;
  uint64_t rows;
  struct progress progress;
};

/* An error of standard output is said by cli_main; then err->message is empty. */
static enum moonkeep_code flush(struct writer *writer, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  struct buf *block = &writer->block;
  if (block->failed) return err_memory(err);
  if (writer->to_file)
    code = outfile_write(&writer->file, block->data, block->len, err);
  else if (block->len > 0 && console_write(&writer->cli->console, CONSOLE_OUT, block->data, block->len) != 0)
    code = err_set(err, MOONKEEP_IO, "%s", "");
  buf_clear(block);
  return code;
}

static enum moonkeep_code on_row(void *ctx, const struct salvage_row *row, struct err *err) {
  struct writer *writer = ctx;
  struct buf *out = &writer->block;
  if (++writer->rows % 1000 == 0) {
    char count[32];
    snprintf(count, sizeof count, "%llu keys", (unsigned long long)writer->rows);
    progress_at(&writer->progress, count);
  }
  put_store_row(out, row->store, row->key, row->key_len, row->json, row->json_len, row->expires_at_ms);
  if (!row->checked) buf_puts(out, ",\"unchecked\":true");
  buf_puts(out, "}\n");
  return out->len >= BLOCK_BYTES ? flush(writer, err) : MOONKEEP_OK;
}

static void sum_up(struct cli *cli, const struct salvage *salvage) {
  console_complain(
      &cli->console,
      "%llu keys could be read (%llu of them have no checksum, nothing vouches for them), %llu rows "
      "or cells could not; %llu pages",
      (unsigned long long)salvage->rows, (unsigned long long)salvage->unchecked,
      (unsigned long long)salvage->damaged, (unsigned long long)salvage->pages);
}

static enum moonkeep_code run(struct writer *writer, struct salvage *salvage, const char *path,
                              struct err *err) {
  struct stat from, to;
  writer->to_file = path && strcmp(path, "-") != 0;
  if (writer->to_file && stat(salvage->path, &from) == 0 && stat(path, &to) == 0 &&
      from.st_dev == to.st_dev && from.st_ino == to.st_ino)
    return err_set(err, MOONKEEP_INVALID, "cannot write to %s: it is the file that is read", path);
  enum moonkeep_code code = writer->to_file ? outfile_open(&writer->file, path, err) : MOONKEEP_OK;
  if (code) return code;
  code = salvage_run(salvage, err);
  if (!code) code = flush(writer, err);
  if (!writer->to_file) return code;
  if (!code) return outfile_commit(&writer->file, err);
  outfile_abandon(&writer->file);
  return code;
}

enum exit_status command_salvage(struct cli *cli) {
  struct writer writer = {.cli = cli};
  struct salvage salvage = {.path = cli->settings.arguments[0], .row = on_row, .ctx = &writer};
  struct err err = {0};
  const char *out = cli->settings.argument_count > 1 ? cli->settings.arguments[1] : NULL;
  progress_begin(&writer.progress, &cli->console, "reading", !cli->settings.json);
  enum moonkeep_code code = run(&writer, &salvage, out, &err);
  progress_end(&writer.progress);
  buf_deinit(&writer.block);
  if (code && !err.message[0]) return EXIT_FAILED;
  if (code) return failed(cli, &err);
  sum_up(cli, &salvage);
  return EXIT_DONE;
}
