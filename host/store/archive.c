#include "store/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/disk.h"
#include "store/sum.h"

static const char magic[8] = "moonarch";
enum { VERSION = 1, GROUP_MAGIC = 0x70756F72 };
enum { ORIGIN_KNOWN = 1, ORIGIN_FIRST = 2, ORIGIN_EPOCH = 2 /* bits in front of the number */ };

struct head { /* of a file */
  char magic[8];
  uint32_t version, origin; /* origin: 0 in files of older versions */
  uint64_t epoch, after;
  int64_t at_ms;
  int64_t sum;
};

struct group_head { /* of a group in it; the changes follow */
  uint32_t magic, len;
  uint64_t seq, before;
  int64_t at_ms;
  int64_t sum;
};
_Static_assert(sizeof(struct head) == 48 && sizeof(struct group_head) == 40, "no holes");

static int64_t sum_head(const struct head *head) {
  return sum_group((int64_t)head->epoch, head->at_ms, head, offsetof(struct head, sum));
}

static int64_t sum_of(uint64_t epoch, const struct archive_group *group) {
  int64_t sum = sum_group((int64_t)group->seq, group->at_ms, group->changes, group->len);
  sum = sum_chain(sum_chain(sum, (int64_t)group->before), (int64_t)group->seq);
  return sum_chain(sum, (int64_t)epoch);
}

/* ---- the folder ---- */

static void name_of(char name[ARCHIVE_NAME_BYTES], uint64_t epoch, uint64_t after) {
  snprintf(name, ARCHIVE_NAME_BYTES, "appdata-%08" PRIu64 "-%016" PRIu64 ".archive", epoch, after);
}

static bool read_name(const char *name, struct archive_file *file) {
  char again[ARCHIVE_NAME_BYTES];
  if (strlen(name) >= sizeof file->name ||
      sscanf(name, "appdata-%20" SCNu64 "-%20" SCNu64, &file->epoch, &file->after) != 2)
    return false;
  name_of(again, file->epoch, file->after);
  memcpy(file->name, again, sizeof again);
  return strcmp(name, again) == 0;
}

static int in_order(const void *a, const void *b) {
  const struct archive_file *x = a, *y = b;
  if (x->epoch != y->epoch) return x->epoch < y->epoch ? -1 : 1;
  return (x->after > y->after) - (x->after < y->after);
}

static bool add(struct archive_file **all, size_t count, const struct archive_file *file) {
  if ((count & (count - 1)) == 0) { /* a power of two: it is full */
    struct archive_file *grown = mem_resize(*all, (count ? count * 2 : 1) * sizeof *grown);
    if (!grown) return false;
    *all = grown;
  }
  (*all)[count] = *file;
  return true;
}

enum moonkeep_code archive_list(const char *dir, struct archive_file **out, size_t *count, struct err *err) {
  struct archive_file *all = NULL;
  bool ok = true;
  *out = NULL;
  *count = 0;
  DIR *folder = opendir(dir);
  if (!folder && errno == ENOENT) return MOONKEEP_OK;
  if (!folder)
    return err_set(err, disk_code(errno), "cannot read the backups folder %s: %s", dir, strerror(errno));
  size_t found = 0;
  for (struct dirent *entry; ok && (entry = readdir(folder));) {
    struct archive_file file = {0};
    struct stat st;
    if (!read_name(entry->d_name, &file)) continue;
    if (fstatat(dirfd(folder), entry->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode)) continue;
    file.bytes = (uint64_t)st.st_size;
    ok = add(&all, found, &file);
    found += ok;
  }
  closedir(folder);
  if (!ok) {
    mem_free(all);
    return err_memory(err);
  }
  if (found > 1) qsort(all, found, sizeof *all, in_order);
  *out = all;
  *count = found;
  return MOONKEEP_OK;
}

/* ---- writing ---- */

static uint32_t pack_origin(const struct archive_origin *origin) {
  if (!origin || !origin->known || origin->epoch > UINT32_MAX >> ORIGIN_EPOCH) return 0;
  return (uint32_t)origin->epoch << ORIGIN_EPOCH | ORIGIN_KNOWN | (origin->first ? ORIGIN_FIRST : 0U);
}

static enum moonkeep_code begin_file(struct archive *archive, uint64_t after,
                                     const struct archive_origin *origin, int64_t at_ms, struct err *err) {
  struct head head = {.version = VERSION,
                      .origin = pack_origin(origin),
                      .epoch = archive->epoch,
                      .after = after,
                      .at_ms = at_ms};
  memcpy(head.magic, magic, sizeof magic);
  head.sum = sum_head(&head);
  enum moonkeep_code code = disk_write(archive->fd, archive->path, &head, sizeof head, err);
  archive->bytes = sizeof head;
  return code ? code : disk_sync_fd(archive->fd, archive->path, err);
}

/* What a crash has torn off is none; what cannot be read may be one. */
static bool has_groups(const char *dir, const struct archive *archive, const char *name, uint64_t after) {
  struct archive_file file = {.epoch = archive->epoch, .after = after};
  struct archive_reader reader;
  struct archive_group group;
  struct err ignored;
  bool end = false;
  if (disk_size(archive->path) <= (int64_t)sizeof(struct head)) return false;
  memcpy(file.name, name, sizeof file.name);
  if (archive_open_file(&reader, dir, &file, &ignored)) return true;
  enum moonkeep_code code = archive_next(&reader, &group, &end, &ignored);
  archive_end(&reader);
  return code || !end;
}

enum moonkeep_code archive_create(struct archive *archive, const char *dir, uint64_t epoch, uint64_t after,
                                  const struct archive_origin *origin, int64_t at_ms, struct err *err) {
  char name[ARCHIVE_NAME_BYTES];
  *archive = (struct archive){.fd = -1, .epoch = epoch, .seq = after};
  name_of(name, epoch, after);
  enum moonkeep_code code = disk_make_folder(dir, err);
  if (!code && !(archive->path = disk_join(dir, name))) code = err_memory(err);
  if (!code && has_groups(dir, archive, name, after))
    code = err_set(err, MOONKEEP_INVALID, "%s has groups already", archive->path);
  if (!code) code = disk_create(&archive->fd, archive->path, err);
  if (!code) code = begin_file(archive, after, origin, at_ms, err);
  if (!code) code = disk_sync(dir, err);
  if (code) archive_close(archive);
  return code;
}

void archive_put(struct buf *out, uint64_t epoch, const struct archive_group *group) {
  struct group_head head = {.magic = GROUP_MAGIC,
                            .len = (uint32_t)group->len,
                            .seq = group->seq,
                            .before = group->before,
                            .at_ms = group->at_ms,
                            .sum = sum_of(epoch, group)};
  buf_add(out, &head, sizeof head);
  buf_add(out, group->changes, group->len);
}

enum moonkeep_code archive_write(struct archive *archive, const struct buf *groups, uint64_t last_seq,
                                 struct err *err) {
  enum moonkeep_code code = disk_write(archive->fd, archive->path, groups->data, groups->len, err);
  if (!code) {
    archive->bytes += groups->len;
    archive->seq = last_seq;
    return code;
  }
  /* Half a group in the middle would hide what comes behind it. */
  bool back = ftruncate(archive->fd, (off_t)archive->bytes) == 0 &&
              lseek(archive->fd, (off_t)archive->bytes, SEEK_SET) >= 0;
  if (!back) archive_close(archive);
  return code;
}

/* Whether whoever looks for the file finds this one: the folder may have been removed, or moved away whole.
 */
static bool is_in_its_place(const struct archive *archive) {
  struct stat mine, found;
  return fstat(archive->fd, &mine) == 0 && stat(archive->path, &found) == 0 && mine.st_ino == found.st_ino &&
         mine.st_dev == found.st_dev;
}

enum moonkeep_code archive_sync(struct archive *archive, struct err *err) {
  enum moonkeep_code code = disk_sync_fd(archive->fd, archive->path, err);
  if (!code && !is_in_its_place(archive))
    code = err_set(err, MOONKEEP_IO, "%s has been removed or moved away while it was written", archive->path);
  if (code) archive_close(archive);
  return code;
}

void archive_close(struct archive *archive) {
  if (archive->fd >= 0) close(archive->fd);
  archive->fd = -1;
  mem_free(archive->path);
  archive->path = NULL;
}

/* ---- reading ---- */

enum moonkeep_code archive_open(struct archive_reader *reader, const char *dir, uint64_t epoch,
                                uint64_t after, struct err *err) {
  *reader = (struct archive_reader){.fd = -1, .epoch = epoch, .seq = after};
  enum moonkeep_code code = archive_list(dir, &reader->files, &reader->count, err);
  if (!code && !(reader->dir = mem_copy(dir, strlen(dir)))) code = err_memory(err);
  if (code) archive_end(reader);
  if (code) return code;
  /* The last file of the epoch that begins early enough. */
  size_t first = 0;
  for (size_t i = 0; i < reader->count; i++)
    if (reader->files[i].epoch < epoch ||
        (reader->files[i].epoch == epoch && reader->files[i].after <= after))
      first = i;
  reader->at = first;
  return MOONKEEP_OK;
}

enum moonkeep_code archive_open_file(struct archive_reader *reader, const char *dir,
                                     const struct archive_file *file, struct err *err) {
  *reader = (struct archive_reader){.fd = -1, .epoch = file->epoch, .seq = file->after};
  reader->dir = mem_copy(dir, strlen(dir));
  reader->files = mem_alloc(sizeof *file);
  if (reader->dir && reader->files) {
    *reader->files = *file;
    reader->count = 1;
    return MOONKEEP_OK;
  }
  archive_end(reader);
  return err_memory(err);
}

void archive_end(struct archive_reader *reader) {
  if (reader->fd >= 0) close(reader->fd);
  reader->fd = -1;
  mem_free(reader->dir);
  mem_free(reader->files);
  buf_deinit(&reader->bytes);
  reader->dir = NULL;
  reader->files = NULL;
}

/* Reads so many bytes; *whole is false at the end of the file. */
static enum moonkeep_code take(const struct archive_reader *reader, void *into, size_t len, size_t *got,
                               struct err *err) {
  *got = 0;
  while (*got < len) {
    ssize_t n = read(reader->fd, (char *)into + *got, len - *got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return err_set(err, disk_code(errno), "cannot read the archive in %s: %s", reader->dir,
                     strerror(errno));
    if (n == 0) break;
    *got += (size_t)n;
  }
  return MOONKEEP_OK;
}

static void end_file(struct archive_reader *reader) {
  close(reader->fd);
  reader->fd = -1;
}

/* Opens the file and reads its head; *whole: that is one. Else the file is closed again. */
static enum moonkeep_code read_head(struct archive_reader *reader, const struct archive_file *file,
                                    struct head *head, bool *whole, struct err *err) {
  size_t got;
  *whole = false;
  char *path = disk_join(reader->dir, file->name);
  if (!path) return err_memory(err);
  reader->fd = open(path, O_RDONLY | O_CLOEXEC);
  enum moonkeep_code code = reader->fd < 0
                                ? err_set(err, disk_code(errno), "cannot open %s: %s", path, strerror(errno))
                                : take(reader, head, sizeof *head, &got, err);
  mem_free(path);
  if (code) return code;
  *whole = got == sizeof *head && memcmp(head->magic, magic, sizeof magic) == 0 && head->version == VERSION &&
           head->sum == sum_head(head) && head->epoch == file->epoch;
  if (*whole) return MOONKEEP_OK;
  reader->torn |= got > 0;
  reader->damaged |= got == sizeof *head;
  end_file(reader);
  return MOONKEEP_OK;
}

/* Opens the next file of the epoch. One whose head is not whole has no groups: it was torn off. */
static enum moonkeep_code begin_next(struct archive_reader *reader, struct err *err) {
  const struct archive_file *file = &reader->files[reader->at++];
  struct head head;
  bool whole;
  return file->epoch == reader->epoch ? read_head(reader, file, &head, &whole, err) : MOONKEEP_OK;
}

enum moonkeep_code archive_read_origin(const char *dir, const struct archive_file *file,
                                       struct archive_origin *origin, struct err *err) {
  struct archive_reader reader;
  struct head head;
  bool whole = false;
  *origin = (struct archive_origin){0};
  enum moonkeep_code code = archive_open_file(&reader, dir, file, err);
  if (code) return code;
  code = read_head(&reader, file, &head, &whole, err);
  archive_end(&reader);
  if (!code && whole)
    *origin = (struct archive_origin){.known = head.origin & ORIGIN_KNOWN,
                                      .first = head.origin & ORIGIN_FIRST,
                                      .epoch = head.origin >> ORIGIN_EPOCH};
  return code;
}

/* Whether so many bytes are left in the file: a length that is damaged must not ask for memory. */
static bool has_left(const struct archive_reader *reader, size_t len) {
  struct stat st;
  off_t at = lseek(reader->fd, 0, SEEK_CUR);
  return at >= 0 && fstat(reader->fd, &st) == 0 && (off_t)len <= st.st_size - at;
}

/* Reads the next group of the open file. False in *whole: there is none, or it is not whole (torn). */
static enum moonkeep_code read_group(struct archive_reader *reader, struct archive_group *group, bool *whole,
                                     struct err *err) {
  struct group_head head;
  size_t got;
  *whole = false;
  enum moonkeep_code code = take(reader, &head, sizeof head, &got, err);
  if (code || got == 0) return code;
  bool whole_head = got == sizeof head, known = whole_head && head.magic == GROUP_MAGIC;
  bool sound = known && has_left(reader, head.len);
  buf_clear(&reader->bytes);
  if (sound && !buf_reserve(&reader->bytes, (size_t)head.len + 1)) return err_memory(err);
  if (sound) code = take(reader, reader->bytes.data, head.len, &got, err);
  if (code) return code;
  if (sound) {
    *group = (struct archive_group){.seq = head.seq,
                                    .before = head.before,
                                    .at_ms = head.at_ms,
                                    .changes = reader->bytes.data,
                                    .len = head.len};
    *whole = got == head.len && head.seq > head.before && head.sum == sum_of(reader->epoch, group);
  }
  reader->torn |= !*whole;
  reader->damaged |= !*whole && (sound || (whole_head && !known));
  return MOONKEEP_OK;
}

enum moonkeep_code archive_next(struct archive_reader *reader, struct archive_group *group, bool *end,
                                struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  *end = false;
  while (!code) {
    bool whole = false;
    if (reader->gap || (reader->fd < 0 && reader->at == reader->count)) {
      *end = true;
      break;
    }
    if (reader->fd < 0) {
      code = begin_next(reader, err);
      continue;
    }
    code = read_group(reader, group, &whole, err);
    if (code) break;
    if (!whole) end_file(reader);
    if (!whole || group->seq <= reader->seq) continue;
    reader->gap = group->before > reader->seq;
    if (reader->gap) continue;
    reader->seq = group->seq;
    reader->at_ms = group->at_ms;
    break;
  }
  return code;
}

/* ---- how far it reaches ---- */

/* Whatever is missing before: the files are read from the last one on, until one has a group. */
enum moonkeep_code archive_last(const char *dir, uint64_t epoch, uint64_t *seq, int64_t *at_ms,
                                struct err *err) {
  struct archive_file *files;
  size_t count;
  *seq = 0;
  *at_ms = 0;
  enum moonkeep_code code = archive_list(dir, &files, &count, err);
  for (size_t i = count; !code && *seq == 0 && i-- > 0;) {
    if (files[i].epoch != epoch) continue;
    uint64_t last;
    code = archive_reach(dir, epoch, files[i].after, &last, at_ms, err);
    if (!code && last > files[i].after) *seq = last;
  }
  mem_free(files);
  return code;
}

enum moonkeep_code archive_reach(const char *dir, uint64_t epoch, uint64_t after, uint64_t *seq,
                                 int64_t *at_ms, struct err *err) {
  struct archive_reader reader;
  struct archive_group group;
  bool end = false;
  enum moonkeep_code code = archive_open(&reader, dir, epoch, after, err);
  if (code) return code;
  while (!code && !end) code = archive_next(&reader, &group, &end, err);
  *seq = reader.seq;
  *at_ms = reader.at_ms;
  archive_end(&reader);
  return code;
}
