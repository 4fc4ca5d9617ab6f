/* Bringing back an earlier state of a store, because a person asks for it. No host may run on the folder.
 *
 * The state before is kept as a backup of its own, so that a restore can be undone by another one; where it
 * cannot be read it is kept as it is, in a folder. */
#ifndef STORE_RECALL_H
#define STORE_RECALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

struct recall {
  const char *dir,
      *backups; /* the data folder; the folder of the backups, NULL: backups in the data folder */
  const char *owner;
  const char *name; /* a backup, or the path of a store file; NULL: the newest that verifies */
  int64_t until_ms; /* the state of this moment; INT64_MAX: the newest that there is */
  bool earlier; /* of a store that is whole the newest backup alone: with the archive it would be as it is */
  bool dry_run; /* only say what would be done */
  int lock_wait_ms;
  const struct clock *clock; /* NULL: the system's */
  const struct log *log;
};

struct recalled {  /* all to be freed with recalled_deinit */
  struct buf json; /* the receipt */
  struct buf text; /* the same as a sentence */
  struct buf kept; /* the backup, or the folder, that has the state before; "" where there was none */
  bool kept_as_backup;
};

/* Errors: busy (a host runs there), invalid (no such backup), corrupt (none verifies), full, io, memory;
 * after any of them the store is as it was. */
enum moonkeep_code recall_run(const struct recall *recall, struct recalled *recalled, struct err *err);
void recalled_deinit(struct recalled *recalled);

/* The receipt with what was kept: {…,"kept":"appdata-….db","dry_run":false}. */
void recalled_put_json(struct buf *out, const struct recalled *recalled, bool dry_run);

/* A moment as people write it: 2026-11-23T10:15:00.250Z, with an offset such as +01:00, or without either in
 * local time; 2026-11-23 10:15; the time in the name of a backup; or seconds since 1970. */
bool recall_moment(const char *text, int64_t *ms);

#endif
