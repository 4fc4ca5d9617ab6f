#include "store/inspect_archive.h"

#include <inttypes.h>

#include "base/mem.h"
#include "store/archive.h"
#include "store/disk.h"
#include "store/receipt.h"
#include "store/replay.h"
#include "store/snapshot.h"

struct place { /* where a backup stands, in the order of changes */
  uint64_t epoch, seq;
};

struct looking {
  const struct inspect *inspect;
  const char *dir;
  struct archive_file *files; /* owned, as are the places */
  size_t count;
  struct place *places; /* the newest backup's first; of those that can be opened */
  size_t place_count;
  uint64_t last;    /* the group up to which the files so far have all of their epoch */
  uint64_t groups;  /* whole ones */
  unsigned bad;     /* files */
  int64_t until_ms; /* of the last group that the newest backup can be brought forward to */
};

static enum moonkeep_code read_places(struct looking *looking, struct err *err) {
  struct snapshot *list;
  size_t count;
  enum moonkeep_code code = snapshot_list(looking->dir, &list, &count, err);
  if (!code && count > 0 && !(looking->places = mem_alloc(count * sizeof *looking->places)))
    code = err_memory(err);
  for (size_t i = 0; !code && i < count; i++) {
    struct snapshot read;
    struct err ignored;
    char *path = disk_join(looking->dir, list[i].name);
    if (!path)
      code = err_memory(err);
    else if (!snapshot_describe(path, &read, &ignored))
      looking->places[looking->place_count++] = (struct place){read.epoch, read.seq};
    mem_free(path);
  }
  mem_free(list);
  return code;
}

/* Whether some backup holds all that came before the group: then nothing lacks what is missing there. */
static bool has_backup_behind(const struct looking *looking, uint64_t epoch, uint64_t before) {
  for (size_t i = 0; i < looking->place_count; i++) {
    const struct place *place = &looking->places[i];
    if (place->epoch > epoch || (place->epoch == epoch && place->seq >= before)) return true;
  }
  return false;
}

/* Whether the next file has what is missing at the end of this one. */
static bool goes_on(const struct looking *looking, size_t at, uint64_t last) {
  const struct archive_file *file = &looking->files[at], *next = file + 1;
  return at + 1 < looking->count && next->epoch == file->epoch && next->after <= last;
}

static void tell(struct looking *looking, const char *name, const struct err *why) {
  struct inspected inspected = {.name = name,
                                .kind = INSPECTED_ARCHIVE_FILE,
                                .until = "",
                                .unusable_why = "",
                                .left_out = "",
                                .why = why};
  looking->bad++;
  looking->inspect->told(looking->inspect->ctx, &inspected);
}

static enum moonkeep_code read_groups(struct looking *looking, struct archive_reader *reader,
                                      struct err *err) {
  struct archive_group group;
  bool end = false;
  enum moonkeep_code code = MOONKEEP_OK;
  while (!code && !end) {
    code = archive_next(reader, &group, &end, err);
    looking->groups += !code && !end;
  }
  return code;
}

/* What the file says, in the order in which it is worst. */
static void judge(struct looking *looking, size_t at, const struct archive_reader *reader) {
  const struct archive_file *file = &looking->files[at];
  bool first = at == 0 || looking->files[at - 1].epoch != file->epoch;
  bool gap = !first && file->after > looking->last && !has_backup_behind(looking, file->epoch, file->after);
  struct err why;
  if (reader->gap || (reader->damaged && !goes_on(looking, at, reader->seq))) {
    err_set(&why, MOONKEEP_CORRUPT,
            "%s/%s is damaged behind its change %" PRIu64 ": what comes there cannot be brought back from it",
            looking->dir, file->name, reader->seq);
    tell(looking, file->name, &why);
  } else if (gap) {
    err_set(&why, MOONKEEP_CORRUPT,
            "the archive lacks the changes %" PRIu64 " to %" PRIu64
            " before %s, and no backup has them; make one with `moonkeep backup`",
            looking->last + 1, file->after, file->name);
    tell(looking, file->name, &why);
  }
  if (first || reader->seq > looking->last) looking->last = reader->seq;
}

/* A file that was thinned out since it was listed is none. */
static enum moonkeep_code look_at_file(struct looking *looking, size_t at, struct err *err) {
  const struct archive_file *file = &looking->files[at];
  struct archive_reader reader;
  char *path = disk_join(looking->dir, file->name);
  bool there = path && disk_size(path) >= 0;
  enum moonkeep_code code = path ? MOONKEEP_OK : err_memory(err);
  mem_free(path);
  if (code || !there) return code;
  code = archive_open_file(&reader, looking->dir, file, err);
  if (code) return code;
  code = read_groups(looking, &reader, err);
  if (!code) judge(looking, at, &reader);
  archive_end(&reader);
  if (!code || code == MOONKEEP_MEMORY) return code;
  tell(looking, file->name, err);
  return MOONKEEP_OK;
}

static enum moonkeep_code pass(void *ctx, const struct archive_group *group, struct err *err) {
  (void)ctx, (void)group, (void)err;
  return MOONKEEP_OK;
}

static void find_reach(struct looking *looking) {
  struct replay replay = {.dir = looking->dir, .until_ms = INT64_MAX, .group = pass};
  struct err ignored;
  if (looking->place_count > 0) {
    replay.epoch = looking->places[0].epoch;
    replay.seq = looking->places[0].seq;
  } else {
    replay.epoch = replay_first_epoch(looking->dir);
  }
  if (replay_walk(&replay, &ignored) == MOONKEEP_OK) looking->until_ms = replay.last_ms;
}

static void tell_whole(struct looking *looking) {
  char until[RECEIPT_TIME];
  struct err why;
  struct inspected inspected = {.name = "archive",
                                .kind = INSPECTED_ARCHIVE,
                                .good = looking->bad == 0,
                                .files = looking->count,
                                .groups = looking->groups,
                                .until = looking->until_ms ? receipt_time(until, looking->until_ms) : "",
                                .until_ms = looking->until_ms,
                                .unusable_why = "",
                                .left_out = "",
                                .why = &why};
  err_set(&why, MOONKEEP_CORRUPT, "%u of its %zu files are damaged or do not follow on the one before",
          looking->bad, looking->count);
  looking->inspect->told(looking->inspect->ctx, &inspected);
}

enum moonkeep_code inspect_archive(const struct inspect *inspect, const char *dir, unsigned *bad,
                                   struct err *err) {
  struct looking looking = {.inspect = inspect, .dir = dir};
  enum moonkeep_code code = archive_list(dir, &looking.files, &looking.count, err);
  if (!code && looking.count > 0) code = read_places(&looking, err);
  for (size_t i = 0; !code && i < looking.count; i++) code = look_at_file(&looking, i, err);
  if (!code && looking.count > 0) {
    find_reach(&looking);
    tell_whole(&looking);
  }
  *bad += looking.bad;
  mem_free(looking.places);
  mem_free(looking.files);
  return code;
}
