#include "link/backups.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "link/fields.h"

void backups_put(struct buf *out, const struct store_backup_state *backup) {
  buf_puts(out, "{\"name\":");
  put_any_text(out, backup->name, strlen(backup->name));
  buf_printf(out, ",\"at\":%" PRId64 ".%03d,\"bytes\":%" PRIu64 ",\"keys\":%" PRIu64 ",\"verified\":%s",
             backup->at_ms / 1000, (int)(backup->at_ms % 1000), backup->bytes, backup->keys,
             backup->error[0] ? "false" : "true");
  if (backup->until_ms > backup->at_ms)
    buf_printf(out, ",\"until\":%" PRId64 ".%03d", backup->until_ms / 1000, (int)(backup->until_ms % 1000));
  if (backup->error[0]) {
    buf_puts(out, ",\"error\":");
    put_any_text(out, backup->error, strlen(backup->error));
  }
  buf_putc(out, '}');
}

enum moonkeep_code backups_put_all(struct buf *out, const char *dir,
                                   const struct store_archive_state *archived, struct err *err) {
  struct store_backup_state *all;
  size_t count;
  enum moonkeep_code code = store_backups(dir, archived == NULL, &all, &count, err);
  if (code) return code;
  if (archived && count > 0 && !archived->error[0]) all[0].until_ms = archived->at_ms;
  buf_puts(out, "{\"dir\":");
  put_any_text(out, dir, strlen(dir));
  buf_puts(out, ",\"backups\":[");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) buf_putc(out, ',');
    backups_put(out, &all[i]);
  }
  buf_puts(out, "]}");
  mem_free(all);
  return MOONKEEP_OK;
}
