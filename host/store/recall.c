#include "store/recall.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/archiver.h"
#include "store/check.h"
#include "store/disk.h"
#include "store/engine.h"
#include "store/mark.h"
#include "store/rebuild.h"
#include "store/replace.h"
#include "store/start_log.h"

enum { PAGES_BYTES = 16 << 20 };

struct recalling {
  const struct recall *recall;
  struct recalled *recalled;
  const struct clock *clock;
  struct folder folder;
  struct deed deed; /* of the folder of the backups */
  char *path;       /* owned: of the store file */
  const char *backups;
  uint64_t epoch; /* the newest that is known of */
  bool readable;  /* the store file has been opened and closed in order */
  bool whole;     /* where `earlier` is asked for: and nothing is missing from it or damaged */
  char aside[REPLACE_NAME];
};

/* ---- the state before ---- */

/* Whether the archive is kept of this epoch: then what a crash has left in the journal has to go there before
 * it is folded, or it would be missing there if nothing comes of the restore. */
static bool is_archived(const struct recalling *recalling, const struct mark *mark) {
  uint64_t last = 0;
  int64_t at_ms;
  struct err ignored;
  return !archive_last(recalling->backups, mark->epoch, &last, &at_ms, &ignored) && last > 0;
}

static enum moonkeep_code open_settled(struct recalling *recalling, const struct mark *mark,
                                       struct engine *engine, struct err *err) {
  struct archiver archiver;
  bool archived = is_archived(recalling, mark);
  if (archived &&
      !archiver_open(&archiver, STORE_ARCHIVE_ON, &recalling->deed, recalling->clock, recalling->recall->log))
    return err_memory(err);
  if (archived) archiver.id = mark->id;
  enum moonkeep_code code = engine_open_archived(engine, &recalling->folder, recalling->path, PAGES_BYTES,
                                                 recalling->recall->log, archived ? &archiver : NULL, err);
  if (archived) archiver_close(&archiver);
  engine->archiver = NULL;
  return code;
}

/* Whether nothing of what was saved is missing from the file, or damaged in it. */
static bool is_whole(const struct recalling *recalling, const struct mark *mark,
                     const struct engine *engine) {
  struct check check = {.full = true};
  struct check_found found;
  struct err ignored;
  if (!recalling->recall->earlier) return false; /* nobody asks */
  bool less = mark->known && mark->id == engine->id &&
              (engine->epoch < mark->epoch || (engine->epoch == mark->epoch && engine->last_seq < mark->seq));
  return !less && !mark_is_copy(&recalling->folder, mark) &&
         check_file(recalling->path, &check, &found, &ignored) == MOONKEEP_OK;
}

/* Whether the file and the log that a crash has left say all that the mark has promised, and are no copy. */
static bool is_vouched_for(const struct recalling *recalling, const struct mark *mark,
                           const struct engine *engine, bool log_was_there) {
  return mark->known && !mark->clean && log_was_there && mark->id == engine->id &&
         mark->epoch == engine->epoch && mark->seq <= engine->last_seq &&
         !mark_is_copy(&recalling->folder, mark);
}

/* Where nothing comes of the restore, the next start must not take a log that is gone for the work of another
 * program, and the gap in the archive that such work leaves for one. */
static enum moonkeep_code close_settled(const struct recalling *recalling, const struct mark *mark,
                                        struct engine *engine, bool log_was_there, struct err *err) {
  struct marker marker;
  if (!is_vouched_for(recalling, mark, engine, log_was_there)) return engine_close(engine, true, err);
  if (engine->settled == 0) engine->settled = mark->settled;
  marker_open(&marker, &recalling->folder, engine);
  marker.mark.faulty = mark->faulty;
  enum moonkeep_code code = engine_finish(engine, err);
  struct err ignored;
  marker_close(&marker, code == MOONKEEP_OK);
  engine_close(engine, false, &ignored);
  return code;
}

/* Brings everything that was saved into the file itself. One that cannot be read is damaged, which is no
 * reason not to restore. */
static enum moonkeep_code settle(struct recalling *recalling, struct err *err) {
  struct engine engine;
  struct mark mark;
  bool alone = false;
  mark_read(&recalling->folder, &mark);
  start_do_without_mark(&recalling->folder, recalling->path, &mark, &alone);
  recalling->epoch = mark.epoch;
  bool log_was_there = faccessat(recalling->folder.fd, "appdata.db-wal", F_OK, 0) == 0;
  if (disk_size(recalling->path) <= 0) return MOONKEEP_OK;
  /* With the log it would become a mixture. */
  if (start_log_is_strange(&recalling->folder, recalling->path, &mark)) return MOONKEEP_OK;
  enum moonkeep_code code = open_settled(recalling, &mark, &engine, err);
  if (code == MOONKEEP_BUSY || code == MOONKEEP_MEMORY) return code;
  if (code) return MOONKEEP_OK;
  if (engine.epoch > recalling->epoch) recalling->epoch = engine.epoch;
  code = close_settled(recalling, &mark, &engine, log_was_there, err);
  recalling->readable = code == MOONKEEP_OK;
  recalling->whole = recalling->readable && !alone && is_whole(recalling, &mark, &engine);
  return code == MOONKEEP_CORRUPT || code == MOONKEEP_IO ? MOONKEEP_OK : code;
}

/* A backup of it. Where that fails the files that are set aside are what is kept. */
static void keep(struct recalling *recalling) {
  struct snapshot snapshot;
  struct err err;
  struct recalled *recalled = recalling->recalled;
  struct snapshot_source source = {.data = recalling->folder.path,
                                   .dir = recalling->backups,
                                   .deed = &recalling->deed,
                                   .clock = recalling->clock};
  bool old = replace_has_old(&recalling->folder);
  if (recalling->readable && snapshot_take(&source, &snapshot, &err) == MOONKEEP_OK) {
    recalled->kept_as_backup = true;
    buf_puts(&recalled->kept, snapshot.name);
  } else if (old) {
    buf_puts(&recalled->kept, recalling->aside);
  }
}

/* What is in a backup need not be in the folder too. */
static void drop_aside(struct recalling *recalling) {
  static const char *const names[] = {"appdata.db", "appdata.db-wal", "appdata.db-shm", "appdata.db-journal"};
  struct err ignored;
  char *folder = folder_file(&recalling->folder, recalling->aside);
  for (int i = 0; folder && i < 4; i++) {
    char *path = disk_join(folder, names[i]);
    if (path) disk_remove(path, &ignored);
    mem_free(path);
  }
  if (folder) rmdir(folder);
  mem_free(folder);
}

/* The newest backup is what a start restores: from here on that is the state that was asked for. */
static void back_up_new(struct recalling *recalling) {
  struct snapshot snapshot;
  struct err err;
  struct snapshot_source source = {.data = recalling->folder.path,
                                   .dir = recalling->backups,
                                   .deed = &recalling->deed,
                                   .clock = recalling->clock};
  if (snapshot_take(&source, &snapshot, &err))
    log_write(recalling->recall->log, LOG_WARN, "store", "the new state has no backup yet: %s", err.message);
}

/* ---- the state that is wanted ---- */

static enum moonkeep_code build(struct recalling *recalling, const char *path, struct receipt *receipt,
                                struct err *err) {
  const struct recall *recall = recalling->recall;
  bool old = replace_has_old(&recalling->folder);
  replace_aside(recalling->aside, recalling->readable ? "replaced" : "damaged",
                clock_wall_ms(recalling->clock));
  struct rebuild rebuild = {.folder = &recalling->folder,
                            .backups = recalling->backups,
                            .name = recall->name,
                            .until_ms = recall->until_ms,
                            .archive = recall->until_ms != INT64_MAX || (!recall->name && !recalling->whole),
                            .epoch = recalling->epoch,
                            .why = "it was asked for",
                            .aside = old && !recalling->readable ? recalling->aside : "",
                            .clock = recalling->clock,
                            .log = recall->log};
  return rebuild_make(&rebuild, path, receipt, err);
}

static enum moonkeep_code put_in_place(struct recalling *recalling, struct err *err) {
  bool done;
  keep(recalling);
  enum moonkeep_code code = replace_commit(&recalling->folder, recalling->aside, err);
  if (!code) code = replace_finish(&recalling->folder, &done, err);
  if (code) return code;
  if (recalling->recalled->kept_as_backup) drop_aside(recalling);
  back_up_new(recalling);
  return MOONKEEP_OK;
}

static enum moonkeep_code run(struct recalling *recalling, struct err *err) {
  struct receipt receipt = {0};
  bool finished;
  char *path = NULL;
  struct recalled *recalled = recalling->recalled;
  enum moonkeep_code code = replace_finish(&recalling->folder, &finished, err);
  if (!code) code = settle(recalling, err);
  if (!code) code = replace_path(&recalling->folder, &path, err);
  if (!code) code = build(recalling, path, &receipt, err);
  if (!code && !recalling->recall->dry_run) code = put_in_place(recalling, err);
  if (path && (code || recalling->recall->dry_run)) replace_discard(&recalling->folder);
  mem_free(path);
  receipt_put_json(&recalled->json, &receipt);
  receipt.why[0] = '\0'; /* the person knows */
  receipt_put_text(&recalled->text, &receipt);
  return code;
}

static enum moonkeep_code run_owned(struct recalling *recalling, struct err *err) {
  const struct recall *recall = recalling->recall;
  struct deed *deed = &recalling->deed;
  if (!deed_init(deed, recalling->folder.path, recall->backups, recall->log)) return err_memory(err);
  recalling->backups = deed->dir;
  recalling->path = folder_file(&recalling->folder, "appdata.db");
  enum moonkeep_code code = recalling->path ? MOONKEEP_OK : err_memory(err);
  if (!code) code = deed_claim(deed, recall->dry_run ? DEED_LOOK : DEED_READ, err);
  if (!code) code = run(recalling, err);
  deed_deinit(deed);
  mem_free(recalling->path);
  return code;
}

/* Before the data folder is made. */
static enum moonkeep_code look_for_backups(const struct recall *recall, struct err *err) {
  char *dir = recall->backups ? mem_copy(recall->backups, strlen(recall->backups))
                              : disk_join(recall->dir, "backups");
  enum moonkeep_code code = dir ? MOONKEEP_OK : err_memory(err);
  if (!code && !rebuild_is_possible(dir) && !recall->name)
    code =
        err_set(err, MOONKEEP_INVALID,
                "there are no backups in %s; name another folder with --backups, or another data folder with "
                "--data",
                dir);
  mem_free(dir);
  return code;
}

enum moonkeep_code recall_run(const struct recall *recall, struct recalled *recalled, struct err *err) {
  struct recalling recalling = {
      .recall = recall, .recalled = recalled, .clock = recall->clock ? recall->clock : &clock_system};
  *recalled = (struct recalled){0};
  enum moonkeep_code code = look_for_backups(recall, err);
  if (!code) code = folder_open(&recalling.folder, recall->dir, recall->owner, recall->lock_wait_ms, err);
  if (code) return code;
  code = run_owned(&recalling, err);
  folder_close(&recalling.folder);
  return code;
}

void recalled_put_json(struct buf *out, const struct recalled *recalled, bool dry_run) {
  buf_add(out, recalled->json.data, recalled->json.len - 1); /* without its brace */
  if (recalled->kept.len > 0) {
    buf_puts(out, ",\"kept\":");
    json_put_string(out, recalled->kept.data, recalled->kept.len);
  }
  buf_printf(out, ",\"dry_run\":%s}", dry_run ? "true" : "false");
}

void recalled_deinit(struct recalled *recalled) {
  buf_deinit(&recalled->json);
  buf_deinit(&recalled->text);
  buf_deinit(&recalled->kept);
}
