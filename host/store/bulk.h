/* A bulk: any number of rows that go into the store together or not at all, in memory that does not grow with
 * them.
 *
 *     store_bulk_begin → store_bulk_put … → store_bulk_commit or store_bulk_abandon
 *
 * For a program that has the store to itself: while a bulk is open no call may be under way, and none be
 * made. It is one transaction that appends groups to the journal; what it holds is seen when it has been
 * committed. Each function may wait for the disk. Host thread. */
#ifndef STORE_BULK_H
#define STORE_BULK_H

#include "store/store.h"

struct bulk;

enum moonkeep_code store_bulk_begin(struct store *store, struct bulk **out, struct err *err);

/* The texts are copied; json is compact. Of a key that comes twice the later row counts. invalid_key;
 * too_large; otherwise the disk's errors, after which the bulk can only be abandoned. */
enum moonkeep_code store_bulk_put(struct bulk *bulk, struct bucket *bucket, const char *key, size_t key_len,
                                  const char *json, size_t json_len, int64_t expires_at_ms, struct err *err);

/* Both free it. When commit has returned MOONKEEP_OK all of it is on the disk; otherwise none of it is, but
 * for `unknown`. */
enum moonkeep_code store_bulk_commit(struct bulk *bulk, struct err *err);
void store_bulk_abandon(struct bulk *bulk); /* NULL is fine */

#endif
