/* How many keys each store holds, for those who look at the host again and again: counting walks the store,
 * so it is done beside everything else, and not more often than it can be afforded. Host thread. */
#ifndef LINK_KEYCOUNT_H
#define LINK_KEYCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"

struct keycount {
  struct store *store;     /* borrowed */
  struct store_call *call; /* owned; of the store that is being counted; NULL: none is */
  struct buf names;        /* of the stores, each with a NUL behind it */
  uint64_t *counts;        /* owned; of each of them, as they are counted */
  size_t count, at;
  int64_t began_us, again_us; /* the run under way; no other one before */
  struct buf names_known;     /* the last whole run */
  uint64_t *counts_known;     /* owned */
  size_t known;
  int64_t known_ms; /* since 1970: when it ended; 0: there was none yet */
  bool closing;
};

void keycount_init(struct keycount *keys, struct store *store);
void keycount_deinit(struct keycount *keys); /* pumps the store until its call has come back */

/* Counts anew, unless that is under way or was done lately: it may take a twentieth of the time. */
void keycount_refresh(struct keycount *keys);

/* The last counts: names and numbers, `known` of them. */
void keycount_each(const struct keycount *keys, void (*visit)(void *ctx, const char *name, uint64_t count),
                   void *ctx);

#endif
