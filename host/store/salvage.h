/* Salvage: what can be read in a store file that is damaged, row by row, around what cannot.
 *
 * The bytes are read without SQLite (cells.h). A row counts when it matches its checksum, wherever in the
 * file it stands; one that has none, because another program wrote it, counts when the tree of its table
 * leads to it, and is marked. Changes that are still in the journal come last, as the newest. The file is not
 * changed, and whatever its bytes are, nothing worse can come of it than nothing. */
#ifndef STORE_SALVAGE_H
#define STORE_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct salvage_row { /* the texts are valid until the call returns */
  const char *store, *key, *json;
  size_t key_len, json_len;
  int64_t expires_at_ms; /* 0: never */
  bool checked;          /* it matches its checksum */
};

struct salvage {
  const char *path;
  /* An error ends it. */
  enum moonkeep_code (*row)(void *ctx, const struct salvage_row *row, struct err *err);
  void *ctx;

  /* What came of it. */
  uint64_t rows, unchecked; /* rows handed out; of these without a checksum */
  uint64_t damaged;         /* rows that were there and are not right, and cells that could not be read */
  uint64_t pages, unreadable;
};

/* invalid: there is no such file; memory; what row says. */
enum moonkeep_code salvage_run(struct salvage *salvage, struct err *err);

#endif
