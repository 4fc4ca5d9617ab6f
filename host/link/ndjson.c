#include "link/ndjson.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/note.h"
#include "link/fields.h"
#include "link/lines.h"
#include "link/output.h"

/* One event under way. They are used again and again, so that an event costs no allocation. */
struct under_way {
  struct host_event event;
  struct ndjson *ndjson;
  struct under_way *next;
};

struct ndjson {
  struct host *host;
  const struct log *log;
  struct lines lines;
  struct output output;
  struct host_listener listener;
  struct under_way *spare; /* owned, as are those under way */
  uint64_t line_number;
  int read_error; /* an errno, 0: the input has ended */
  bool closing;   /* the host takes no more events */
};

/* ---- out ---- */

static void on_action(struct host_listener *listener, const char *json, size_t len) {
  struct ndjson *ndjson = list_of(listener, struct ndjson, listener);
  buf_add(output_buf(&ndjson->output), json, len);
  buf_putc(output_buf(&ndjson->output), '\n');
  output_added(&ndjson->output);
}

static void put_done(struct buf *out, const struct host_event *event, const struct scripts_outcome *outcome) {
  buf_puts(out, "{\"done\":");
  buf_add(out, event->id, event->id_len);
  if (outcome->ok) {
    buf_puts(out, ",\"ok\":true}\n");
    return;
  }
  buf_puts(out, ",\"ok\":false,\"errors\":");
  buf_add(out, outcome->errors, outcome->errors_len);
  buf_puts(out, "}\n");
}

static void answer_bad_line(struct ndjson *ndjson, const char *message) {
  log_write(ndjson->log, LOG_WARN, "run", "line %" PRIu64 ": %s", ndjson->line_number, message);
  struct buf *out = output_buf(&ndjson->output);
  buf_puts(out, "{\"error\":");
  put_any_text(out, message, strlen(message));
  buf_printf(out, ",\"line\":%" PRIu64 "}\n", ndjson->line_number);
  output_added(&ndjson->output);
}

static void on_output_failed(struct output *output, int error) {
  struct ndjson *ndjson = list_of(output, struct ndjson, output);
  log_write(ndjson->log, LOG_ERROR, "run", "cannot write to standard output: %s", strerror(error));
  lines_pause(&ndjson->lines);
  ndjson->closing = true;
  if (ndjson->host && !output->closing) host_stop(ndjson->host);
}

/* ---- in ---- */

/* As a part of what is allowed: 1 for all of it, 2 for half. */
static bool has_room(struct ndjson *ndjson, size_t part) {
  return host_events(ndjson->host) <= NDJSON_EVENTS / part &&
         host_slowed(ndjson->host) <= NDJSON_SLOWED / part && !output_is_much(&ndjson->output);
}

static void go_on(struct ndjson *ndjson) {
  if (ndjson->lines.paused && !ndjson->closing && !ndjson->lines.closing && has_room(ndjson, 2))
    lines_resume(&ndjson->lines);
}

static void before_sleep(struct host_listener *listener) {
  go_on(list_of(listener, struct ndjson, listener));
}

static void on_drained(struct output *output) {
  go_on(list_of(output, struct ndjson, output));
}

static void on_done(struct host_event *event, const struct scripts_outcome *outcome) {
  struct under_way *it = list_of(event, struct under_way, event);
  struct ndjson *ndjson = it->ndjson;
  if (event->id_len > 0) {
    put_done(output_buf(&ndjson->output), event, outcome);
    output_added(&ndjson->output);
  }
  it->next = ndjson->spare;
  ndjson->spare = it;
}

static struct under_way *take_spare(struct ndjson *ndjson) {
  struct under_way *it = ndjson->spare;
  if (it)
    ndjson->spare = it->next;
  else
    it = mem_zero(sizeof *it);
  if (!it) return NULL;
  it->ndjson = ndjson;
  it->event.done = on_done;
  return it;
}

static enum moonkeep_code emit(struct ndjson *ndjson, const char *text, size_t len, struct err *err) {
  struct under_way *it = take_spare(ndjson);
  if (!it) return err_memory(err);
  enum moonkeep_code code = host_emit(ndjson->host, text, len, &it->event, err);
  if (code) {
    it->next = ndjson->spare;
    ndjson->spare = it;
  }
  return code;
}

static void on_line(struct lines *lines, const char *text, size_t len) {
  struct ndjson *ndjson = list_of(lines, struct ndjson, lines);
  struct err err;
  ndjson->line_number++;
  if (line_is_blank(text, len)) return;
  if (text[len - 1] == '\r') len--;
  enum moonkeep_code code = emit(ndjson, text, len, &err);
  if (code == MOONKEEP_CLOSED) {
    ndjson->closing = true;
    lines_pause(lines);
  } else if (code) {
    answer_bad_line(ndjson, err.message);
  }
  if (!has_room(ndjson, 1)) lines_pause(lines);
}

static void on_too_long(struct lines *lines) {
  struct ndjson *ndjson = list_of(lines, struct ndjson, lines);
  struct err err;
  ndjson->line_number++;
  err_set(&err, MOONKEEP_TOO_LARGE, "the line is longer than %d bytes", NDJSON_LINE_BYTES);
  answer_bad_line(ndjson, err.message);
}

static void on_end(struct lines *lines, int error) {
  struct ndjson *ndjson = list_of(lines, struct ndjson, lines);
  ndjson->read_error = error;
  if (error) log_write(ndjson->log, LOG_ERROR, "run", "cannot read standard input: %s", strerror(error));
  if (lines->stopping)
    host_stop(ndjson->host);
  else
    host_finish(ndjson->host);
}

void ndjson_stop(struct ndjson *ndjson) {
  lines_stop(&ndjson->lines);
}

/* ---- the life of it ---- */

/* The host before this one may have died in the middle of a line, on both sides: the rest of what it was
 * reading is skipped, and what it was writing is ended. What it has read and not answered is sent again, by
 * whoever sends. */
static void go_on_after_crash(struct ndjson *ndjson) {
  ndjson->lines.noted = ndjson->output.noted = true;
  if (!note) return;
  ndjson->lines.skipping = note->half_read;
  ndjson->line_number = note->lines + note->half_read;
  if (note->half_written) buf_putc(output_buf(&ndjson->output), '\n');
}

enum moonkeep_code ndjson_new(struct ndjson **out, const struct log *log, struct err *err) {
  struct ndjson *ndjson = mem_zero(sizeof *ndjson);
  if (!ndjson) return err_memory(err);
  ndjson->log = log;
  ndjson->listener.action = on_action;
  ndjson->listener.before_sleep = before_sleep;
  list_init(&ndjson->listener.link);
  output_init(&ndjson->output);
  ndjson->output.drained = on_drained;
  ndjson->output.failed = on_output_failed;
  ndjson->lines.limit = NDJSON_LINE_BYTES;
  ndjson->lines.line = on_line;
  ndjson->lines.too_long = on_too_long;
  ndjson->lines.end = on_end;
  go_on_after_crash(ndjson);
  *out = ndjson;
  return MOONKEEP_OK;
}

struct host_listener *ndjson_listener(struct ndjson *ndjson) {
  return &ndjson->listener;
}

void ndjson_open(struct ndjson *ndjson, struct host *host, int in_fd, int out_fd) {
  ndjson->host = host;
  output_open(&ndjson->output, host_loop(host), out_fd);
  lines_open(&ndjson->lines, host_loop(host), in_fd);
}

void ndjson_close(struct ndjson *ndjson) {
  host_off_action(ndjson->host, &ndjson->listener);
  lines_close(&ndjson->lines);
  output_close(&ndjson->output);
  while (!lines_closed(&ndjson->lines) || !output_closed(&ndjson->output))
    uv_run(host_loop(ndjson->host), UV_RUN_NOWAIT);
}

int ndjson_finish(struct ndjson *ndjson, int timeout_ms, const volatile int *stop) {
  int error = output_finish(&ndjson->output, timeout_ms, stop);
  if (!error) error = ndjson->read_error;
  while (ndjson->spare) {
    struct under_way *it = ndjson->spare;
    ndjson->spare = it->next;
    mem_free(it);
  }
  mem_free(ndjson);
  return error;
}
