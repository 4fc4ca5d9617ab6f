/* The log, for those who were not there.
 *
 *     logs        [lines, follow]  the last `lines` (default: 100) that the host remembers, oldest first:
 *                                  [{"time":…,"level":…,"source":…,"text":…}, …]; with "follow":true the new
 *                                  ones are told too: {"jsonrpc":"2.0","method":"log","params":{"time":…}},
 * or, where lines came faster than they could be told, "params":{"missed":17} */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "link/logbook.h"
#include "link/methods.h"

enum { USUAL_LINES = 100 };

struct listener {
  struct hearing hearing;
  struct logbook_follower follower;
  struct logbook *book;
};

static void on_line(struct logbook_follower *follower, const char *json, size_t len, uint64_t missed) {
  struct listener *it = list_of(follower, struct listener, follower);
  char gap[48];
  int gap_len = snprintf(gap, sizeof gap, "{\"missed\":%" PRIu64 "}", missed);
  if (missed > 0) hearing_tell(&it->hearing, "log", gap, (size_t)gap_len);
  hearing_tell(&it->hearing, "log", json, len);
}

static void on_end(struct hearing *hearing) {
  struct listener *it = list_of(hearing, struct listener, hearing);
  logbook_unfollow(it->book, &it->follower);
  mem_free(it);
}

static enum moonkeep_code follow(struct request *request, struct err *err) {
  if (!request->peer->tell) return err_set(err, MOONKEEP_INVALID, "logs: this connection hears nothing");
  struct listener *it = mem_zero(sizeof *it);
  if (!it) return err_memory(err);
  it->book = request->site->book;
  it->follower.line = on_line;
  logbook_follow(it->book, &it->follower);
  hearing_begin(&it->hearing, request->peer, on_end);
  return MOONKEEP_OK;
}

static void put_lines(struct logbook *book, uint64_t count, struct buf *out) {
  uint64_t end = logbook_next(book), at = end > count ? end - count : 0;
  bool first = true;
  buf_putc(out, '[');
  for (; at < end; at++, first = false) {
    size_t len = out->len;
    if (!first) buf_putc(out, ',');
    if (logbook_read(book, &at, out)) continue;
    out->len = len;
    break;
  }
  buf_putc(out, ']');
}

void method_logs(struct request *request) {
  struct err err;
  uint64_t lines = USUAL_LINES;
  bool follows = false;
  enum moonkeep_code code = request_count(request, "lines", &lines, &err);
  if (!code) code = request_flag(request, "follow", &follows, &err);
  if (!code && !request->site->book) code = err_set(&err, MOONKEEP_INVALID, "this host keeps no log");
  if (code) {
    request_refuse(request, &err);
    return;
  }
  struct buf result = {0};
  put_lines(request->site->book, lines, &result);
  if (follows && (code = follow(request, &err))) {
    buf_deinit(&result);
    request_fail(request, &err);
    return;
  }
  request_result_buf(request, &result);
}
