#include "store/archive_thin.h"

#include "base/mem.h"
#include "store/archive.h"
#include "store/disk.h"
#include "store/snapshot.h"

struct place { /* in the order of changes */
  uint64_t epoch, seq;
};

static bool read_place(const char *dir, const char *name, struct place *place) {
  struct snapshot snapshot;
  struct err ignored;
  char *path = disk_join(dir, name);
  bool ok = path && snapshot_describe(path, &snapshot, &ignored) == MOONKEEP_OK;
  mem_free(path);
  if (ok) *place = (struct place){snapshot.epoch, snapshot.seq};
  return ok;
}

/* Where the oldest backup stands, and where the newest. Where one cannot be read, nothing is known. */
static bool read_places(const char *dir, struct place *oldest, struct place *newest) {
  struct snapshot *all;
  size_t count;
  struct err ignored;
  if (snapshot_list(dir, &all, &count, &ignored)) return false;
  bool ok = count > 0 && read_place(dir, all[0].name, newest);
  *oldest = *newest;
  for (size_t i = 1; ok && i < count; i++) { /* the clock may have gone wrong: their order is another */
    struct place place;
    ok = read_place(dir, all[i].name, &place);
    if (!ok) break;
    if (place.epoch < oldest->epoch || (place.epoch == oldest->epoch && place.seq < oldest->seq))
      *oldest = place;
    if (place.epoch > newest->epoch || (place.epoch == newest->epoch && place.seq > newest->seq))
      *newest = place;
  }
  mem_free(all);
  return ok;
}

/* Whether nothing in the file comes behind this place: the next one of its epoch begins early enough. */
static bool is_before(const struct archive_file *file, const struct archive_file *next,
                      const struct place *place) {
  if (file->epoch != place->epoch) return file->epoch < place->epoch;
  return next && next->epoch == file->epoch && next->after <= place->seq;
}

static void thin_out(const char *dir, int64_t keep_bytes, const struct log *log,
                     const struct archive_file *files, size_t count, const struct place *oldest,
                     const struct place *newest) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += files[i].bytes;
  for (size_t i = 0; i < count; i++) {
    const struct archive_file *next = i + 1 < count ? &files[i + 1] : NULL;
    bool surplus = bytes > (uint64_t)keep_bytes && is_before(&files[i], next, newest);
    if (!surplus && !is_before(&files[i], next, oldest)) continue;
    struct err err;
    char *path = disk_join(dir, files[i].name);
    if (path && disk_remove(path, &err))
      log_write(log, LOG_WARN, "backup", "an old file of the archive stays: %s", err.message);
    bytes -= files[i].bytes;
    mem_free(path);
  }
}

void archive_thin(const char *dir, int64_t keep_bytes, const struct log *log) {
  struct archive_file *files;
  struct place oldest, newest;
  size_t count;
  struct err ignored;
  if (archive_list(dir, &files, &count, &ignored)) return;
  if (count > 0 && read_places(dir, &oldest, &newest))
    thin_out(dir, keep_bytes, log, files, count, &oldest, &newest);
  mem_free(files);
}
