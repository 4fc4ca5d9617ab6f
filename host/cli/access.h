/* The store, for a command: through the host that runs on the data folder, or directly where none does. The
 * answers are the same, because both go through the requests of link/rpc.h. */
#ifndef CLI_ACCESS_H
#define CLI_ACCESS_H

#include "cli/cli.h"

/* Begins a request: `{"store":…` and then `,"name":…` for each parameter, as the caller appends it. */
void access_begin(struct cli *cli, struct buf *params);
void access_text(struct buf *params, const char *name, const char *text);

/* Makes the request and appends what stands in "result", as JSON. A data folder that does not exist answers
 * as an empty store, and a note says so; only `set` makes it. While the folder is busy it tries for two
 * seconds. */
enum moonkeep_code access_call(struct cli *cli, const char *method, const struct buf *params,
                               struct buf *result, struct err *err);

#endif
