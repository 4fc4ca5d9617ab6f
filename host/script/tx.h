/* What a transaction has read and wants to write, until it is handed to the store as one call.
 *
 * For host/script and host/api. Knows no Lua. One for each try: tx_init, then tx_find and tx_add as its
 * function asks, tx_fill when it has ended, tx_deinit. A try that begins anew with the same rows calls
 * tx_unwrite or tx_forget. Host thread only. */
#ifndef SCRIPT_TX_H
#define SCRIPT_TX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "store/store.h"

enum { TX_TRIES = 100 }; /* how often a transaction's function runs before it is a conflict */

struct tx_row {
  struct map_link link; /* its key is the bucket's address and the key */
  struct bucket *bucket;
  bool read;    /* it was read, and was `seen` (a reference; NULL: absent) */
  bool written; /* it is to become `value` (a reference; NULL: absent) */
  bool asked;   /* its value is on its way; the caller's to keep */
  struct value *seen, *value;
  const char *key;
  size_t key_len;
  char name[];
};

struct tx {
  struct map rows;
};

void tx_init(struct tx *tx);
void tx_deinit(struct tx *tx);

struct tx_row *tx_find(const struct tx *tx, struct bucket *bucket, const char *key, size_t len);
struct tx_row *tx_add(struct tx *tx, struct bucket *bucket, const char *key,
                      size_t len); /* NULL: no memory */

/* What the row holds for the transaction itself at this moment. What it has only read stays as it was read:
 * where that has expired since, the transaction will run again. */
const struct value *tx_value(const struct tx_row *row, int64_t now_ms);

/* Notes what was read (takes the reference; NULL: absent). */
void tx_read(struct tx_row *row, struct value *value);

/* Forgets what was written, in all rows; what was read, too. */
void tx_unwrite(struct tx *tx);
void tx_forget(struct tx *tx);

/* Makes it `value` (takes the reference; NULL: absent). */
void tx_write(struct tx_row *row, struct value *value);

/* Gives the call (STORE_COMMIT) its rows, whose keys stay the transaction's; `write` false: only what was
 * read. False: no memory. */
bool tx_fill(const struct tx *tx, struct store_call *call, bool write);

#endif
