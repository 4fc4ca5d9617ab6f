/* The store, for a command: through the host that runs on the data folder, or directly where none does. The
 * answers are the same, because both go through the methods of link/methods.h.
 *
 * And the host itself, for what only a running one can do. */
#ifndef CLI_ACCESS_H
#define CLI_ACCESS_H

#include "cli/cli.h"

struct store;

/* Opens the store itself, as the settings say; fills `log`, which has to stay until store_close. busy:
 * another process has the folder. */
enum moonkeep_code access_open(struct cli *cli, struct log *log, struct store **store, struct err *err);

/* Begins a request: `{"store":…` and then `,"name":…` for each parameter, as the caller appends it. */
void access_begin(struct cli *cli, struct buf *params);
void access_text(struct buf *params, const char *name, const char *text);

/* Makes the request and appends what stands in "result", as JSON. A data folder that does not exist answers
 * as an empty store, and a note says so; only `set` makes it. While the folder is busy it tries for two
 * seconds, and for a minute where another command has it. */
enum moonkeep_code access_call(struct cli *cli, const char *method, const struct buf *params,
                               struct buf *result, struct err *err);

/* Waits a moment where the folder is busy, or its host about to end, and says whether to try again.
 * *since_ms: 0 before the first time. */
bool access_try_again(enum moonkeep_code code, const struct err *err, int64_t *since_ms);

/* Asks the host that runs on the data folder, and appends what stands in "result", as JSON. params is a whole
 * JSON object, or NULL. The host may be silent for silence_ms (0: the usual time, -1: for ever). Without a
 * host it is `closed`, and the sentence says how to start one: `return failed(cli, &err)` does the rest. */
enum moonkeep_code access_host(struct cli *cli, const char *method, const struct buf *params, int silence_ms,
                               struct buf *result, struct err *err);

/* The parts of it, for a conversation: a connection (close it with client_close) or -1 with the same error,
 * the line of a request whose id is 1, one request with its answer, and what an answer's line says. */
int access_connect(struct cli *cli, struct err *err);
void access_put_request(struct buf *line, const char *method, const struct buf *params);
enum moonkeep_code access_ask(int fd, const struct buf *line, int silence_ms, struct buf *result,
                              struct err *err);
enum moonkeep_code access_read_answer(const char *line, size_t len, struct buf *result, struct err *err);

#endif
