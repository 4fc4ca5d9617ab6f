/* Backups as JSON: method_backup.c says what they look like. */
#ifndef LINK_BACKUPS_H
#define LINK_BACKUPS_H

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

void backups_put(struct buf *out, const struct store_backup_state *backup);
enum moonkeep_code backups_put_all(struct buf *out, const char *dir, struct err *err);

#endif
