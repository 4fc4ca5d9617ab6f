/* `moonkeep run`: events in, actions out, one JSON object a line.
 *
 * A line on the way in is an event for host_emit. On the way out go the scripts' actions and, for each event
 * that had an "id", its {"done":…}, in the order in which they came about. Reading stops while too many
 * events are under way or too much output is unread, so memory is bounded on both sides.
 *
 * ndjson_new, and its listener for host_open, so that no action is missed; ndjson_open before host_run;
 * ndjson_close after it; ndjson_finish after host_close. */
#ifndef LINK_NDJSON_H
#define LINK_NDJSON_H

#include "base/log.h"
#include "host.h"

enum {
  NDJSON_LINE_BYTES = (4 << 20) + (64 << 10), /* a value of the largest size and what is around it */
  NDJSON_EVENTS = 4096,                       /* events under way above which no more are read */
};

#ifndef NDJSON_SLOWED
#define NDJSON_SLOWED 16384 /* tasks in line for the store above which no more are read */
#endif

struct ndjson;

enum moonkeep_code ndjson_new(struct ndjson **out, const struct log *log, struct err *err);
struct host_listener *ndjson_listener(struct ndjson *ndjson); /* for host_options */
void ndjson_open(struct ndjson *ndjson, struct host *host, int in_fd, int out_fd);

/* Ends as at the end of the input, but behind the line that is being read, and without waiting for sleepers
 * and timers: a host that comes next reads on. */
void ndjson_stop(struct ndjson *ndjson);

/* Stops reading, and closes what it has on the loop. */
void ndjson_close(struct ndjson *ndjson);

/* Writes what is left (see output_finish), if it was ever opened, and frees. An errno, or 0; when standard
 * output, or reading the input, has failed earlier, that. */
int ndjson_finish(struct ndjson *ndjson, int timeout_ms, const volatile int *stop);

#endif
