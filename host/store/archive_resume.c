#include "store/archive_resume.h"

#include "base/mem.h"
#include "store/disk.h"
#include "store/snapshot.h"

enum { RESUME_BYTES = 256 << 10 };

/* The newest file of the epoch. */
static bool find_newest(const char *dir, uint64_t epoch, struct archive_file *newest) {
  struct archive_file *files;
  size_t count;
  struct err ignored;
  bool found = false;
  if (archive_list(dir, &files, &count, &ignored)) return false;
  for (size_t i = 0; i < count; i++) {
    if (files[i].epoch != epoch) continue;
    *newest = files[i];
    found = true;
  }
  mem_free(files);
  return found;
}

/* What cannot be read may be anything. */
static bool began_behind_the_newest_backup(const char *dir, const struct archive_file *file) {
  struct snapshot *all, newest;
  size_t count;
  struct err ignored;
  if (snapshot_list(dir, &all, &count, &ignored)) return false;
  bool behind = count == 0;
  char *path = count > 0 ? disk_join(dir, all[0].name) : NULL;
  if (path && snapshot_describe(path, &newest, &ignored) == MOONKEEP_OK)
    behind = newest.epoch < file->epoch || (newest.epoch == file->epoch && newest.seq <= file->after);
  mem_free(path);
  mem_free(all);
  return behind;
}

static bool is_whole_up_to(const char *dir, const struct archive_file *file, uint64_t seq) {
  struct archive_reader reader;
  struct archive_group group;
  struct err ignored;
  bool end = false;
  if (archive_open_file(&reader, dir, file, &ignored)) return false;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !end) code = archive_next(&reader, &group, &end, &ignored);
  bool whole =
      !code && !reader.torn && !reader.damaged && !reader.gap && reader.at_ms > 0 && reader.seq == seq;
  archive_end(&reader);
  return whole;
}

bool archive_resume(struct archive *archive, const char *dir, uint64_t epoch, uint64_t after) {
  struct archive_file file;
  struct err ignored;
  *archive = (struct archive){.fd = -1, .epoch = epoch, .seq = after};
  if (!find_newest(dir, epoch, &file) || file.bytes > RESUME_BYTES) return false;
  if (!is_whole_up_to(dir, &file, after) || !began_behind_the_newest_backup(dir, &file)) return false;
  archive->path = disk_join(dir, file.name);
  archive->bytes = file.bytes;
  if (archive->path && disk_open_end(&archive->fd, archive->path, &ignored) == MOONKEEP_OK) return true;
  archive_close(archive);
  return false;
}
