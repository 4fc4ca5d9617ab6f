/* backup: takes one now, and answers when it has been verified:
 *
 *     {"name":"appdata-20261123T101500.250Z.db","at":1795428900.25,"bytes":40960,"keys":12,"verified":true}
 *
 * backups: an array of such objects, the newest first, and in "dir" where they are:
 *
 *     {"dir":"/srv/bots/data/backups","backups":[{"name":…},…]}
 *
 * "until", of the newest, is the moment up to which the archive brings it forward. Where one cannot be
 * opened, "verified" is false and "error" says why. */
#include <string.h>

#include "base/mem.h"
#include "link/backups.h"
#include "link/methods.h"

struct asked {
  struct store_backup backup;
  struct request *request;
};

static void on_done(struct store_backup *backup, const struct store_backup_state *made,
                    const struct err *err) {
  struct asked *asked = list_of(backup, struct asked, backup);
  struct buf out = {0};
  if (err) {
    request_fail(asked->request, err);
  } else {
    backups_put(&out, made);
    request_result_buf(asked->request, &out);
  }
  mem_free(asked);
}

void method_backup(struct request *request) {
  struct err err;
  struct asked *asked = mem_zero(sizeof *asked);
  enum moonkeep_code code = asked ? MOONKEEP_OK : err_memory(&err);
  if (!code) {
    asked->backup.done = on_done;
    asked->request = request;
    code = store_backup(request->site->store, &asked->backup, &err);
  }
  if (!code) return;
  request_fail(request, &err);
  mem_free(asked);
}

void method_backups(struct request *request) {
  struct err err;
  struct buf out = {0};
  struct store_archive_state archived;
  store_archive_state(request->site->store, &archived);
  if (backups_put_all(&out, store_backups_dir(request->site->store), &archived, &err)) {
    buf_deinit(&out);
    request_fail(request, &err);
  } else {
    request_result_buf(request, &out);
  }
}
