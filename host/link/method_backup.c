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
#include <uv.h>

#include "base/mem.h"
#include "base/thread.h"
#include "host.h"
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

/* ---- backups ---- */

/* The folder is looked at on one of libuv's threads, for it is on a disk. */
struct listing {
  uv_work_t work;
  struct request *request; /* NULL: nobody waits any more */
  char *dir;               /* owned */
  struct store_archive_state archived;
  struct buf out;
  enum moonkeep_code code;
  struct err err;
};

static void list_all(uv_work_t *work) {
  struct listing *listing = work->data;
  listing->code = backups_put_all(&listing->out, listing->dir, &listing->archived, &listing->err);
}

static void listing_free(struct listing *listing) {
  buf_deinit(&listing->out);
  mem_free(listing->dir);
  mem_free(listing);
}

static void on_listed(uv_work_t *work, int status) {
  struct listing *listing = work->data;
  (void)status;
  if (listing->request && listing->code)
    request_fail(listing->request, &listing->err);
  else if (listing->request)
    request_result_buf(listing->request, &listing->out);
  listing_free(listing);
}

static void on_gone(struct request *request) {
  struct listing *listing = request->ctx;
  struct err err;
  listing->request = NULL;
  err_set(&err, MOONKEEP_CLOSED, "backups: the host ended before they were read");
  request_fail(request, &err);
}

void method_backups(struct request *request) {
  struct err err;
  struct store *store = request->site->store;
  const char *dir = store_backups_dir(store);
  struct listing *listing = mem_zero(sizeof *listing);
  if (!listing || !(listing->dir = mem_copy(dir, strlen(dir)))) {
    mem_free(listing);
    err_memory(&err);
    request_fail(request, &err);
    return;
  }
  listing->work.data = listing;
  listing->request = request;
  store_archive_state(store, &listing->archived);
  request->ctx = listing;
  request->gone = on_gone;
  sigset_t before;
  thread_hold_signals(&before); /* libuv starts its threads with the first work */
  uv_queue_work(host_loop(request->site->host), &listing->work, list_all, on_listed);
  thread_let_signals(&before);
}
