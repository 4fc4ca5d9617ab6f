/* Where imported rows go: into the store of the data folder directly, or, where a host runs there, to it.
 *
 *     sink_open → sink_put … sink_save (what was put so far is on the disk, all of it or none) … → sink_close
 *
 * What was put and not saved is not in the store. */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include "cli/cli.h"
#include "cli/rows.h"

struct sink;

/* While the folder is busy it tries for two seconds. `batches`: rows are saved some at a time; only then does
 * the remedy for too many of them not speak of it. */
enum moonkeep_code sink_open(struct sink **out, struct cli *cli, bool batches, struct err *err);
enum moonkeep_code sink_put(struct sink *sink, const char *store, const struct row *row, struct err *err);
enum moonkeep_code sink_save(struct sink *sink, struct err *err);
uint64_t sink_fault_line(const struct sink *sink); /* after an error: of the row that is at fault, or 0 */
void sink_close(struct sink *sink);                /* NULL is fine */

#endif
