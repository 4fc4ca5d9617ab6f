#include "store/inspect.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/check.h"
#include "store/deed.h"
#include "store/disk.h"
#include "store/inspect_archive.h"
#include "store/mark.h"
#include "store/snapshot.h"
#include "store/start_log.h"

static void tell(const struct inspect *inspect, const char *name, enum inspected_kind kind,
                 enum moonkeep_code code, const struct check_found *found, const struct err *why,
                 unsigned *bad) {
  struct inspected inspected = {.name = name,
                                .kind = kind,
                                .until = "",
                                .unusable = found ? found->unusable : 0,
                                .unusable_why = found ? found->unusable_why : "",
                                .left_out = found ? found->left_out : "",
                                .good = code == MOONKEEP_OK,
                                .counted = inspect->full && found,
                                .keys = found ? found->keys : 0,
                                .damaged = found ? found->damaged : 0,
                                .why = why};
  if (code) ++*bad;
  inspect->told(inspect->ctx, &inspected);
}

/* The mark is read first: the file can only say more by then. */
static enum moonkeep_code compare(const struct mark *mark, const struct check_found *found, const char *path,
                                  struct err *err) {
  if (!mark->known || mark->id != found->id || mark->epoch != found->epoch || found->last_seq >= mark->seq)
    return MOONKEEP_OK;
  return err_set(err, MOONKEEP_CORRUPT,
                 "%s is whole, but lacks its last %llu commits: its write-ahead log was lost or cut short",
                 path, (unsigned long long)(mark->seq - found->last_seq));
}

static enum moonkeep_code check_store(const struct inspect *inspect, const char *path, unsigned *bad,
                                      struct err *err) {
  struct mark mark;
  struct check_found found;
  struct folder folder = {.fd = -1, .lock_fd = -1};
  struct buf log_path = {0};
  buf_printf(&log_path, "%s-wal", path);
  if (log_path.failed) return err_memory(err);
  folder.fd = open(inspect->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  mark = (struct mark){0};
  if (folder.fd >= 0) mark_read(&folder, &mark);
  if (folder.fd >= 0) close(folder.fd);
  /* Without a log nobody is at work on it, and nothing has to be made beside it to read it. */
  struct check check = {.full = inspect->full, .still = disk_size(buf_text(&log_path)) <= 0};
  buf_deinit(&log_path);
  enum moonkeep_code code = check_file(path, &check, &found, err);
  if (!code && !check.still && start_is_older(path, &mark))
    code = err_set(
        err, MOONKEEP_CORRUPT,
        "%s is an older copy of the store file, and the write-ahead log beside it does not belong to it",
        path);
  if (!code) code = compare(&mark, &found, path, err);
  /* Whoever asks for such a key gets an error, so that all is not well; a backup that has it is a good one.
   */
  if (!code && found.unusable > 0) code = err_set(err, MOONKEEP_CORRUPT, "%.300s", found.unusable_why);
  if (code == MOONKEEP_MEMORY) return code;
  tell(inspect, "appdata.db", INSPECTED_STORE, code, &found, err, bad);
  return MOONKEEP_OK;
}

static void begin(const struct inspect *inspect, const char *name) {
  if (inspect->begun) inspect->begun(inspect->ctx, name);
}

static enum moonkeep_code look_at_store(const struct inspect *inspect, size_t backups, unsigned *bad,
                                        struct err *err) {
  char *path = disk_join(inspect->dir, "appdata.db");
  enum moonkeep_code code = path ? MOONKEEP_OK : err_memory(err);
  if (!code && disk_size(path) > 0) {
    code = check_store(inspect, path, bad, err);
  } else if (!code) {
    err_set(err, MOONKEEP_CORRUPT, "there is no store file in %s%s", inspect->dir,
            backups > 0 ? "; the next start restores it from a backup" : "");
    tell(inspect, "appdata.db", INSPECTED_STORE, MOONKEEP_CORRUPT, NULL, err, bad);
  }
  mem_free(path);
  return code;
}

static enum moonkeep_code look_at_backup(const struct inspect *inspect, const char *dir,
                                         const struct snapshot *snapshot, unsigned *bad, struct err *err) {
  struct check check = {.full = inspect->full, .still = true};
  struct check_found found;
  char *path = disk_join(dir, snapshot->name);
  enum moonkeep_code code = path ? check_file(path, &check, &found, err) : err_memory(err);
  mem_free(path);
  if (code == MOONKEEP_MEMORY) return code;
  tell(inspect, snapshot->name, INSPECTED_BACKUP, code, &found, err, bad);
  return MOONKEEP_OK;
}

enum moonkeep_code inspect_run(const struct inspect *inspect, unsigned *bad, struct err *err) {
  struct stat st;
  struct snapshot *list = NULL;
  size_t count = 0;
  *bad = 0;
  char *dir = inspect->backups ? mem_copy(inspect->backups, strlen(inspect->backups))
                               : disk_join(inspect->dir, "backups");
  enum moonkeep_code code = dir ? snapshot_list(dir, &list, &count, err) : err_memory(err);
  if (!code && folder_is_mine(inspect->dir))
    code = err_set(err, MOONKEEP_BUSY,
                   "this process has the store in %s open: close it first, or have another one check it "
                   "(`moonkeep check`)",
                   inspect->dir);
  if (!code) code = deed_look(inspect->dir, dir, err);
  if (!code && count == 0 && stat(inspect->dir, &st) != 0)
    code =
        err_set(err, MOONKEEP_INVALID, "there is no data folder %s; name another with --data", inspect->dir);
  begin(inspect, "appdata.db");
  if (!code) code = look_at_store(inspect, count, bad, err);
  for (size_t i = 0; !code && i < count; i++) {
    begin(inspect, list[i].name);
    code = look_at_backup(inspect, dir, &list[i], bad, err);
  }
  begin(inspect, "the archive");
  if (!code) code = inspect_archive(inspect, dir, bad, err);
  mem_free(list);
  mem_free(dir);
  return code;
}
