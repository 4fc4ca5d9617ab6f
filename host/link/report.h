/* What a running host tells of itself: gathered at one moment, and put as JSON or as Prometheus metrics. Host
 * thread. */
#ifndef LINK_REPORT_H
#define LINK_REPORT_H

#include "base/buf.h"
#include "host.h"
#include "link/rpc.h"
#include "store/stats.h"

struct report {
  const struct rpc_site *site;
  struct host_state host;
  struct store_stats store;
  struct store_backup_state backup;
  struct store_archive_state archive;
  int64_t now_ms; /* since 1970 */
  int64_t uptime_ms;
  double cpu_s;              /* of the process */
  uint64_t memory_bytes;     /* resident */
  uint64_t warnings, errors; /* lines of the log */
};

/* Has the keys counted, too, for the next time. */
void report_gather(struct report *report, const struct rpc_site *site);

void report_put_json(const struct report *report, struct buf *out);
void report_put_metrics(const struct report *report, struct buf *out); /* the text format, version 0.0.4 */

/* Milliseconds within which so many of a hundred groups were written: the bound of a class of store_stats. 0:
 * there were none. */
double report_percentile_ms(const struct store_stats *stats, unsigned percent);

#endif
