#include "store/rebuild.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "store/check.h"
#include "store/disk.h"
#include "store/engine.h"
#include "store/replay.h"

enum { PAGES_BYTES = 16 << 20, TRIES = 3, PAUSE_MS = 20 };

/* Whole or not. A folder that cannot be read may be full of them. */
static bool has_backups(const char *backups) {
  struct err ignored;
  struct snapshot *list = NULL;
  size_t count = 0;
  bool unknown = snapshot_list(backups, &list, &count, &ignored) != MOONKEEP_OK;
  mem_free(list);
  return unknown || count > 0;
}

/* Backups, or an archive that begins with the first change. */
bool rebuild_is_possible(const char *backups) {
  struct stat st;
  if (stat(backups, &st) == 0 && !S_ISDIR(st.st_mode)) return false;
  return has_backups(backups) || replay_first_epoch(backups) > 0;
}

/* ---- which backup ---- */

static bool is_wanted(const struct rebuild *rebuild, const struct snapshot *snapshot) {
  return rebuild->name ? strcmp(rebuild->name, snapshot->name) == 0 : snapshot->at_ms <= rebuild->until_ms;
}

/* A name is one of the folder's; what has a slash stands for itself. */
static char *path_of(const struct rebuild *rebuild, const char *name) {
  return strchr(name, '/') ? mem_copy(name, strlen(name)) : disk_join(rebuild->backups, name);
}

/* A disk that fails once may not fail again. */
static bool is_worth_a_try(enum moonkeep_code code, const struct err *err, int tries) {
  if (code == MOONKEEP_OK || !err->disk || tries >= TRIES) return false;
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
  return true;
}

static enum moonkeep_code verify(const char *path, struct snapshot *out, struct err *err) {
  for (int tries = 1;; tries++) {
    enum moonkeep_code code = snapshot_verify(path, out, err);
    if (!is_worth_a_try(code, err, tries)) return code;
  }
}

static enum moonkeep_code describe(const char *path, struct snapshot *out, struct err *err) {
  for (int tries = 1;; tries++) {
    enum moonkeep_code code = snapshot_describe(path, out, err);
    if (!is_worth_a_try(code, err, tries)) return code;
  }
}

/* Whether it is whole; damage is told and no failure of ours. One that cannot be read may be whole, and then
 * an older one in its place would lose what it has: that is for people to decide. */
static enum moonkeep_code try_one(const struct rebuild *rebuild, const struct snapshot *candidate,
                                  struct snapshot *chosen, bool *good, struct err *err) {
  char *path = disk_join(rebuild->backups, candidate->name);
  if (!path) return err_memory(err);
  enum moonkeep_code code = verify(path, chosen, err);
  mem_free(path);
  *good = code == MOONKEEP_OK;
  if (code == MOONKEEP_MEMORY) return code;
  if (code && err->disk) {
    struct err why = *err;
    return err_set(
        err, code,
        "the backup %s cannot be read (%.300s); it may be whole, so that no older one is taken. Try again "
        "when the disk works, or take another one with `moonkeep restore NAME`",
        candidate->name, why.message);
  }
  if (code)
    log_write(rebuild->log, LOG_WARN, "store", "the backup %s cannot be used: %s", candidate->name,
              err->message);
  return MOONKEEP_OK;
}

static enum moonkeep_code none_is_good(const struct rebuild *rebuild, size_t tried, const struct err *last,
                                       struct err *err) {
  struct err why = *last;
  if (rebuild->name && tried == 0)
    return err_set(err, MOONKEEP_INVALID, "there is no backup %s in %s; `moonkeep backups` lists them",
                   rebuild->name, rebuild->backups);
  if (tried == 0)
    return err_set(err, MOONKEEP_CORRUPT, "there is no backup in %s%s", rebuild->backups,
                   rebuild->until_ms == INT64_MAX ? "" : " from before that moment");
  return err_set(err, MOONKEEP_CORRUPT, "none of %zu backup%s in %s can be used (%.300s)", tried,
                 tried == 1 ? "" : "s", rebuild->backups, why.message);
}

/* Before the first backup the archive alone is one; before its first change there is nothing to bring back.
 */
static bool begin_with_the_archive(const struct rebuild *rebuild, struct snapshot *chosen) {
  *chosen = (struct snapshot){0};
  if (rebuild->name || !rebuild->archive) return false;
  struct err ignored;
  bool begun = false;
  chosen->epoch = replay_first_epoch(rebuild->backups);
  if (chosen->epoch == 0) return false;
  return !replay_has_begun(rebuild->backups, chosen->epoch, 0, rebuild->until_ms, &begun, &ignored) && begun;
}

static int furthest_first(const void *a, const void *b) {
  const struct snapshot *x = a, *y = b;
  if (x->epoch != y->epoch) return x->epoch < y->epoch ? 1 : -1;
  if (x->seq != y->seq) return x->seq < y->seq ? 1 : -1;
  return (x->at_ms < y->at_ms) - (x->at_ms > y->at_ms);
}

/* By their place in the order of changes: a clock that was wrong once gives a name that says too much for
 * ever. Those that do not say where they stand come last; those that cannot be read, before the one whose
 * name is next. */
static enum moonkeep_code list_by_place(const char *backups, struct snapshot **list, size_t *count,
                                        struct err *err) {
  enum moonkeep_code code = snapshot_list(backups, list, count, err);
  for (size_t i = code ? 0 : *count; !code && i-- > 0;) {
    struct snapshot read = {0}, *entry = &(*list)[i], *older = i + 1 < *count ? entry + 1 : NULL;
    struct err why = {0};
    char *path = disk_join(backups, entry->name);
    if (!path) code = err_memory(err);
    if (path && describe(path, &read, &why)) read = why.disk && older ? *older : (struct snapshot){0};
    entry->epoch = read.epoch;
    entry->seq = read.seq;
    mem_free(path);
  }
  if (!code && *count > 1) qsort(*list, *count, sizeof **list, furthest_first);
  if (!code) return code;
  mem_free(*list);
  *list = NULL;
  return code;
}

/* Whether the archive goes on from the backup to the newest restore that it knows of. One of after a state
 * that was given up by a restore does not: then an older one is the better one. */
static bool leads_on(const struct rebuild *rebuild, const struct snapshot *snapshot) {
  struct replay replay = {
      .dir = rebuild->backups, .until_ms = rebuild->until_ms, .epoch = snapshot->epoch, .seq = snapshot->seq};
  struct err ignored;
  bool leads = true;
  if (rebuild->name || !rebuild->archive) return true;
  return replay_leads_on(&replay, &leads, &ignored) || leads;
}

struct choice {
  const struct snapshot *list;
  size_t count, tried;
  bool good;
};

static enum moonkeep_code try_those(const struct rebuild *rebuild, struct choice *choice, bool leading,
                                    struct snapshot *chosen, struct err *last) {
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = 0; !code && !choice->good && i < choice->count; i++) {
    if (!is_wanted(rebuild, &choice->list[i]) || leads_on(rebuild, &choice->list[i]) != leading) continue;
    choice->tried++;
    code = try_one(rebuild, &choice->list[i], chosen, &choice->good, last);
  }
  return code;
}

enum moonkeep_code rebuild_choose(const struct rebuild *rebuild, struct snapshot *chosen, struct err *err) {
  struct snapshot *list;
  struct choice choice = {0};
  struct err last = {0};
  if (rebuild->name && strchr(rebuild->name, '/')) return snapshot_verify(rebuild->name, chosen, err);
  enum moonkeep_code code = list_by_place(rebuild->backups, &list, &choice.count, err);
  if (code) return code;
  choice.list = list;
  code = try_those(rebuild, &choice, true, chosen, &last);
  if (!code && !choice.good) code = try_those(rebuild, &choice, false, chosen, &last);
  mem_free(list);
  if (code) *err = last;
  if (code || choice.good) return code;
  if (begin_with_the_archive(rebuild, chosen)) return MOONKEEP_OK;
  return none_is_good(rebuild, choice.tried, &last, err);
}

/* ---- the file ---- */

static enum moonkeep_code copy_backup(const struct rebuild *rebuild, const struct snapshot *chosen,
                                      const char *path, struct err *err) {
  const char *name = rebuild->name ? rebuild->name : chosen->name;
  if (!*name) return MOONKEEP_OK;
  char *from = path_of(rebuild, name);
  enum moonkeep_code code = from ? disk_copy(from, path, err) : err_memory(err);
  mem_free(from);
  return code;
}

/* What was promised of a later epoch than was reached is missing, however much that is. */
static uint64_t missing(const struct rebuild *rebuild, uint64_t promised, const struct engine *engine,
                        uint64_t epoch) {
  if (rebuild->until_ms != INT64_MAX || promised == 0 || epoch > rebuild->promised_epoch) return 0;
  if (promised > engine->last_seq) return promised - engine->last_seq;
  return epoch < rebuild->promised_epoch && promised < engine->last_seq ? 1 : 0;
}

static enum moonkeep_code count_keys(const char *path, struct receipt *receipt, struct err *err) {
  struct check check = {.full = true};
  struct check_found found;
  enum moonkeep_code code = check_file(path, &check, &found, err);
  receipt->keys = found.keys;
  return code;
}

/* Whether it is this store's state: a file that is named by its path may be another one's. */
static bool is_ours(const struct rebuild *rebuild) {
  struct stat folder, backups;
  const char *slash = rebuild->name ? strrchr(rebuild->name, '/') : NULL;
  if (!slash) return true;
  char *dir = mem_copy(rebuild->name, (size_t)(slash - rebuild->name) + 1);
  bool is = dir && stat(dir, &folder) == 0 && stat(rebuild->backups, &backups) == 0 &&
            folder.st_dev == backups.st_dev && folder.st_ino == backups.st_ino;
  mem_free(dir);
  return is;
}

/* Puts the new epoch and the receipt in, so that they appear with the file. epoch: of which the state is. */
static enum moonkeep_code sign(const struct rebuild *rebuild, struct engine *engine, uint64_t epoch,
                               const struct receipt *receipt, struct err *err) {
  uint64_t archived = replay_newest_epoch(rebuild->backups);
  uint64_t newest = archived > rebuild->epoch ? archived : rebuild->epoch;
  enum moonkeep_code code = sql_run(engine->db, "BEGIN IMMEDIATE", "restore", err);
  if (!code) code = engine_raise_epoch(engine, newest, is_ours(rebuild) ? epoch : 0, err);
  if (!code) code = receipt_save(engine->db, receipt, err);
  return code ? code : sql_run(engine->db, "COMMIT", "restore", err);
}

/* The archive alone stands for a backup only where it has what was saved: a start neither begins empty nor,
 * where there are backups that only have to be mended or fetched from elsewhere, with a part of it. */
static enum moonkeep_code is_enough(const struct rebuild *rebuild, const struct snapshot *chosen,
                                    const struct engine *engine, const struct replay *replay,
                                    const struct receipt *receipt, struct err *err) {
  if (rebuild->name || *chosen->name || !(replay->damaged || receipt->missing > 0)) return MOONKEEP_OK;
  if (engine->last_seq == 0)
    return err_set(err, MOONKEEP_CORRUPT,
                   "no backup in %s can be used, nor is there a change in its archive that could",
                   rebuild->backups);
  if (!rebuild->unasked || !has_backups(rebuild->backups)) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_CORRUPT,
                 "no backup in %s can be used, and its archive has only a part of what was saved, which "
                 "`moonkeep restore` brings back",
                 rebuild->backups);
}

static enum moonkeep_code go_on(const struct rebuild *rebuild, const struct snapshot *chosen,
                                struct engine *engine, struct receipt *receipt, uint64_t *epoch,
                                struct err *err) {
  struct replay replay = {.dir = rebuild->backups, .until_ms = rebuild->until_ms, .epoch = chosen->epoch};
  enum moonkeep_code code = engine_fold_all(engine, err);
  if (!code && rebuild->archive) code = replay_run(&replay, engine, err);
  uint64_t promised = rebuild->promised, of_tail = 0;
  if (!code && rebuild->tail)
    code = replay_tail(&replay, engine, rebuild->tail, rebuild->tail_id, &of_tail, err);
  if (of_tail > promised) promised = of_tail;
  if (rebuild->damaged) *rebuild->damaged = replay.damaged;
  *epoch = replay.epoch;
  receipt->groups = replay.groups;
  if (replay.last_ms > 0) receipt->up_to_ms = replay.last_ms;
  receipt->missing = missing(rebuild, promised, engine, replay.epoch);
  if (replay.torn || replay.gap)
    log_write(rebuild->log, LOG_WARN, "store", "some of the archive in %s could not be used: it is damaged",
              rebuild->backups);
  if (!code && replay.astray > 0)
    log_write(rebuild->log, LOG_WARN, "store",
              "the archive in %s has changes of after a restore, to which no backup leads: they are missing",
              rebuild->backups);
  return code ? code : is_enough(rebuild, chosen, engine, &replay, receipt, err);
}

static enum moonkeep_code fill(const struct rebuild *rebuild, const struct snapshot *chosen,
                               struct engine *engine, const char *path, struct receipt *receipt,
                               struct err *err) {
  uint64_t epoch = 0;
  enum moonkeep_code code = go_on(rebuild, chosen, engine, receipt, &epoch, err);
  if (!code) code = engine_checkpoint(engine, err);
  if (!code) code = count_keys(path, receipt, err);
  return code ? code : sign(rebuild, engine, epoch, receipt, err);
}

static void begin_receipt(const struct rebuild *rebuild, const struct snapshot *chosen,
                          struct receipt *receipt) {
  *receipt = (struct receipt){.kind = RECEIPT_RESTORED,
                              .backup_ms = chosen->at_ms,
                              .up_to_ms = chosen->at_ms,
                              .at_ms = clock_wall_ms(rebuild->clock)};
  strncat(receipt->why, rebuild->why, sizeof receipt->why - 1);
  strncat(receipt->backup, rebuild->name ? rebuild->name : chosen->name, sizeof receipt->backup - 1);
  strncat(receipt->damaged, rebuild->aside, sizeof receipt->damaged - 1);
}

enum moonkeep_code rebuild_make(const struct rebuild *rebuild, const char *path, struct receipt *receipt,
                                struct err *err) {
  struct snapshot chosen;
  struct engine engine;
  enum moonkeep_code code = rebuild_choose(rebuild, &chosen, err);
  if (code) return code;
  begin_receipt(rebuild, &chosen, receipt);
  code = copy_backup(rebuild, &chosen, path, err);
  if (!code) code = engine_open(&engine, rebuild->folder, path, PAGES_BYTES, rebuild->log, err);
  if (code) return code;
  struct err ignored;
  code = fill(rebuild, &chosen, &engine, path, receipt, err);
  enum moonkeep_code closed = engine_close(&engine, code == MOONKEEP_OK, code ? &ignored : err);
  return code ? code : closed;
}
