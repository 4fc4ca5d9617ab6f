/* Backups as JSON: method_backup.c says what they look like. */
#ifndef LINK_BACKUPS_H
#define LINK_BACKUPS_H

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

void backups_put(struct buf *out, const struct store_backup_state *backup);

/* archived: what the store says of its archive; NULL: the archive itself is read. */
enum moonkeep_code backups_put_all(struct buf *out, const char *dir,
                                   const struct store_archive_state *archived, struct err *err);

#endif
