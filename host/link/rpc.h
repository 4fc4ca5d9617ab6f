/* The store's methods as JSON-RPC 2.0: one request, one answer, each an object on one line.
 *
 *     {"jsonrpc":"2.0","id":1,"method":"get","params":{"store":"appData","key":"alice"}}
 *     {"jsonrpc":"2.0","id":1,"result":{"found":true,"value":{"xp":50}}}
 *     {"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"…","data":{"code":"invalid_key","key":"…"}}}
 *
 *     get        key                             {"found":…,"value":…,"expires_at":…}
 *     set        key, value [, expires_at | ttl] true
 *     setAll     rows                            how many: all of [{"key":…,"value":…,"expires_at":…}, …] or
 * none; each may have a "store" of its own delete     key                             whether it was there
 *     deleteLike pattern                         how many went
 *     select     [pattern, limit, after]         [{"key":…,"value":…,"expires_at":…}, …] in key order
 *     keys       [pattern, limit, after]         [key, …]
 *     count      [pattern]                       how many there are
 *
 * Each takes "store" too (appData where it is absent). Times are seconds, with a fraction where there is one.
 * An id is a string, a number or null, and comes back as it came; a request without one gets no answer. The
 * command line makes the same requests, with a host and without. */
#ifndef LINK_RPC_H
#define LINK_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

enum {
  RPC_PARSE_ERROR = -32700,
  RPC_INVALID_REQUEST = -32600,
  RPC_NO_METHOD = -32601,
  RPC_INVALID_PARAMS = -32602,
  RPC_FAILED = -32000, /* the store's own errors: see data.code */
};

/* Handles one line. `answer` is called once, before this returns or later from store_pump, with a line and
 * its newline; empty for a request without an id. The text is valid until it returns. True: the answer is a
 * list, which may be large. */
typedef void rpc_answer(void *ctx, const char *line, size_t len);
bool rpc_handle(struct store *store, const char *line, size_t len, rpc_answer *answer, void *ctx);

/* Appends an error answer; id NULL: null. */
void rpc_put_error(struct buf *out, const char *id, size_t id_len, int number, const struct err *err);

/* Seconds since 1970 to milliseconds. False: not a moment that can be meant: not above 0, or so large that
 * they can only be milliseconds. */
bool rpc_moment(double seconds, int64_t *ms);

#endif
