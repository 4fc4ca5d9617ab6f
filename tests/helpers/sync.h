/* The store as tests like it: opened with a clock that stands still until it is moved, and calls that wait.
 */
#ifndef TESTS_SYNC_H
#define TESTS_SYNC_H

#include "base/clock.h"
#include "store/store.h"

/* The tests' clock: wall time begins at 2026-01-01, steady time at 0; both stand still. sync_advance moves
 * both. */
extern struct clock sync_clock;
void sync_advance(int64_t ms);
void sync_jump(int64_t ms); /* somebody sets the wall clock, to either side: steady time does not move */

struct store *sync_open(const char *dir); /* fails the test where it cannot */
enum moonkeep_code sync_try_open(const char *dir, struct store **store, struct err *err);
/* With an archive in its data folder, and a log; it waits for a process that has the folder. */
enum moonkeep_code sync_try_open_archived(const char *dir, enum store_archive archive, const struct log *log,
                                          struct store **store, struct err *err);
void sync_close(struct store *store);
struct bucket *sync_bucket(struct store *store, const char *name);

/* Submits, waits for the answer; the call is the caller's to free. */
struct store_call *sync_run(struct store *store, struct store_call *call);
struct store_call *sync_call(struct store *store, enum store_op op, const char *bucket, const char *key);

/* Calls that must go well. */
void sync_set(struct store *store, const char *bucket, const char *key, const char *json);
void sync_set_until(struct store *store, const char *bucket, const char *key, const char *json,
                    int64_t expires_at_ms);
/* The value, or "absent", or "error: code"; valid until the eighth call after. */
const char *sync_get(struct store *store, const char *bucket, const char *key);
bool sync_delete(struct store *store, const char *bucket, const char *key);
uint64_t sync_delete_like(struct store *store, const char *bucket, const char *pattern);
/* "key=value key=value …" of the rows that match, or "error: code"; valid until the eighth call after. */
const char *sync_select(struct store *store, const char *bucket, const char *pattern);
void sync_flush(struct store *store);
/* Adds n to the number that the key holds. */
long long sync_add(struct store *store, const char *bucket, const char *key, long long n);

/* Makes calls of these kinds, to be submitted by the test. */
struct store_call *make_set(struct bucket *bucket, const char *key, const char *json, int64_t expires_at_ms);
struct store_call *make_add(struct bucket *bucket, const char *key, long long n);
struct store_call *make_scan(struct bucket *bucket, const char *pattern);

/* Runs SQL on the store file as another program would, with the sqlite3 shell; what it printed, without the
 * last newline. Valid until the eighth call after. */
const char *sync_sql(const char *dir, const char *sql);

/* A JSON array of the number and a text of so many bytes, at most 4,000; valid until the next call. */
const char *sync_long_value(long n, size_t bytes);

/* Damages the store file, which nobody has open, as a disk does it, whose doing no time tells: the root of
 * the store appData is no page of a table any more. */
void sync_hide_rows(const char *dir);

#endif
