#include "cli/sink.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/access.h"
#include "link/client.h"
#include "link/control.h"
#include "link/fields.h"
#include "store/bulk.h"

struct sink {
  struct cli *cli;
  struct log log;
  bool batches;
  struct store *store; /* owned; NULL: a host runs */
  struct bulk *bulk;   /* owned; NULL: nothing was put since the last save */
  struct buf request;  /* owned: what the host is to be asked; empty: nothing */
  struct buf lines;    /* owned: of its rows, a uint64_t each */
  uint64_t fault_line;
};

/* ---- opening ---- */

static enum moonkeep_code try_open(struct sink *sink, struct err *err) {
  int fd = client_open(sink->cli->settings.data);
  if (fd < 0) return access_open(sink->cli, &sink->log, &sink->store, err);
  client_close(fd);
  return MOONKEEP_OK;
}

enum moonkeep_code sink_open(struct sink **out, struct cli *cli, bool batches, struct err *err) {
  struct sink *sink = *out = mem_zero(sizeof *sink);
  if (!sink) return err_memory(err);
  sink->cli = cli;
  sink->batches = batches;
  int64_t since_ms = 0;
  enum moonkeep_code code;
  do code = try_open(sink, err);
  while (access_try_again(code, err, &since_ms));
  return code;
}

void sink_close(struct sink *sink) {
  struct err err;
  if (!sink) return;
  store_bulk_abandon(sink->bulk);
  if (sink->store && store_close(sink->store, &err)) /* what was saved is on disk all the same */
    log_write(&sink->log, LOG_WARN, "store", "%s", err.message);
  buf_deinit(&sink->request);
  buf_deinit(&sink->lines);
  mem_free(sink);
}

/* ---- directly ---- */

static enum moonkeep_code put_directly(struct sink *sink, const char *store, const struct row *row,
                                       struct err *err) {
  struct bucket *bucket;
  enum moonkeep_code code = store_bucket(sink->store, store, &bucket, err);
  if (!code && !sink->bulk) code = store_bulk_begin(sink->store, &sink->bulk, err);
  if (code) return code;
  return store_bulk_put(sink->bulk, bucket, row->key, row->key_len, row->json, row->json_len,
                        row->expires_at_ms, err);
}

static enum moonkeep_code save_directly(struct sink *sink, struct err *err) {
  struct bulk *bulk = sink->bulk;
  sink->bulk = NULL;
  return bulk ? store_bulk_commit(bulk, err) : MOONKEEP_OK;
}

/* ---- through a host ---- */

static enum moonkeep_code put_to_host(struct sink *sink, const char *store, const struct row *row,
                                      struct err *err) {
  struct buf *request = &sink->request;
  if (request->len == 0)
    buf_puts(request, "{\"rows\":[");
  else
    buf_putc(request, ',');
  put_store_row(request, store, row->key, row->key_len, row->json, row->json_len, row->expires_at_ms);
  buf_putc(request, '}');
  buf_add(&sink->lines, &row->line, sizeof row->line);
  if (request->failed || sink->lines.failed) return err_memory(err);
  if (request->len < STORE_LIST_BYTES - 1024) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_TOO_LARGE, "a host runs on %s, and takes at most %d MiB at once: %s",
                 sink->cli->settings.data, STORE_LIST_BYTES >> 20,
                 sink->batches ? "make the batches smaller, or stop it meanwhile"
                               : "import with --batch 1000, a thousand keys at a time, or stop it meanwhile");
}

/* The host speaks of rows of the request; people know lines of a file. */
static void find_fault(struct sink *sink, struct err *err) {
  unsigned long long row;
  int behind = 0;
  struct err why = *err;
  if (sscanf(why.message, "setAll: row %llu: %n", &row, &behind) != 1 || behind == 0) return;
  if (row == 0 || row > sink->lines.len / sizeof sink->fault_line) return;
  memcpy(&sink->fault_line, sink->lines.data + (row - 1) * sizeof sink->fault_line, sizeof sink->fault_line);
  err_key(err, why.code, why.key, strlen(why.key), "%s", why.message + behind);
}

uint64_t sink_fault_line(const struct sink *sink) {
  return sink->fault_line;
}

static enum moonkeep_code save_to_host(struct sink *sink, struct err *err) {
  struct buf *request = &sink->request, result = {0};
  if (request->len == 0) return MOONKEEP_OK;
  buf_puts(request, "]");
  enum moonkeep_code code = access_call(sink->cli, "setAll", request, &result, err);
  if (code) find_fault(sink, err);
  buf_clear(request);
  buf_clear(&sink->lines);
  buf_deinit(&result);
  return code;
}

/* ---- */

enum moonkeep_code sink_put(struct sink *sink, const char *store, const struct row *row, struct err *err) {
  return sink->store ? put_directly(sink, store, row, err) : put_to_host(sink, store, row, err);
}

enum moonkeep_code sink_save(struct sink *sink, struct err *err) {
  return sink->store ? save_directly(sink, err) : save_to_host(sink, err);
}
