#include "store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/disk.h"
#include "store/schema.h"
#include "store/sum.h"

enum { BYTES = 64, LATER = 4096, FLAGS = 2, MOST_LOGS = (1 << 30) - 1 };

static const char name[] = "appdata.mark";
static const char magic[8] = "moonmark";

/* Its bytes: magic, version, whether it is clean and faulty with the logs behind, id, epoch, seq, schema,
 * salts, and their checksum. */
struct image {
  char magic[8];
  uint32_t version, flags;
  int64_t id;
  uint64_t epoch, seq;
  unsigned char salts[8];
  uint32_t schema, stamp;
  int64_t sum;
};
_Static_assert(sizeof(struct image) == BYTES, "one piece, in one sector");

static int64_t sum_of(const struct image *image) {
  return sum_group((int64_t)image->seq, image->id, image, offsetof(struct image, sum));
}

void mark_read(const struct folder *folder, struct mark *mark) {
  struct image image;
  *mark = (struct mark){0};
  int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t n = pread(fd, &image, sizeof image, 0);
  close(fd);
  if (n != BYTES || memcmp(image.magic, magic, sizeof magic) != 0 || image.version != 1 ||
      image.sum != sum_of(&image))
    return;
  *mark = (struct mark){.known = true,
                        .clean = image.flags & 1,
                        .faulty = image.flags & 2,
                        .settled = image.flags >> FLAGS,
                        .schema = image.schema,
                        .stamp = image.flags & 1 ? image.stamp : 0,
                        .place = image.flags & 1 ? 0 : image.stamp,
                        .id = image.id,
                        .epoch = image.epoch,
                        .seq = image.seq};
  memcpy(mark->salts, image.salts, sizeof mark->salts);
}

uint32_t mark_stamp(const struct folder *folder) {
  struct stat st;
  if (fstatat(folder->fd, "appdata.db", &st, 0) != 0) return 0;
  const int64_t parts[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
  return (uint32_t)sum_group(0, 0, parts, sizeof parts) | 1;
}

bool mark_trusts_copies;

bool mark_is_copy(const struct folder *folder, const struct mark *mark) {
  if (mark_trusts_copies || !mark->known || mark->clean || mark->place == 0) return false;
  int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
  uint32_t place = disk_place(fd);
  if (fd >= 0) close(fd);
  return place != 0 && place != mark->place;
}

static uint32_t first_salt(const unsigned char salts[8]) {
  return (uint32_t)salts[0] << 24 | (uint32_t)salts[1] << 16 | (uint32_t)salts[2] << 8 | salts[3];
}

bool mark_knows_log(const struct mark *mark, const unsigned char salts[8]) {
  static const unsigned char unknown[8];
  if (!mark->known) return true;
  if (memcmp(mark->salts, unknown, sizeof unknown) == 0) return !mark->clean;
  uint32_t ahead = first_salt(salts) - first_salt(mark->salts);
  return memcmp(mark->salts, salts, sizeof unknown) == 0 || (ahead > 0 && ahead < LATER);
}

/* ---- keeping it ---- */

static void write_mark(struct marker *marker) {
  const struct mark *mark = &marker->mark;
  struct image image = {.version = 1,
                        .flags = (uint32_t)mark->clean | (mark->faulty ? 2U : 0) | mark->settled << FLAGS,
                        .id = mark->id,
                        .epoch = mark->epoch,
                        .seq = mark->seq,
                        .schema = mark->schema,
                        .stamp = mark->clean ? mark->stamp : mark->place};
  if (marker->fd < 0) return;
  memcpy(image.magic, magic, sizeof magic);
  memcpy(image.salts, mark->salts, sizeof image.salts);
  image.sum = sum_of(&image);
  /* One that cannot be written says less, which is allowed. */
  ssize_t n = pwrite(marker->fd, &image, sizeof image, 0);
  (void)n;
}

/* Reads the log's salts through SQLite, which alone may touch the file. */
static void read_salts(struct marker *marker, const struct engine *engine) {
  sqlite3_file *log = NULL;
  unsigned char *salts = marker->mark.salts;
  int rc = sqlite3_file_control(engine->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (rc == SQLITE_OK && log && log->pMethods) rc = log->pMethods->xRead(log, salts, 8, 16);
  if (rc != SQLITE_OK) memset(salts, 0, sizeof marker->mark.salts);
}

void marker_note_faulty(struct marker *marker) {
  marker->mark.faulty = true;
  write_mark(marker);
}

/* One a second would last for 34 years. */
static uint32_t settled_of(const struct engine *engine) {
  return engine->settled <= MOST_LOGS ? (uint32_t)engine->settled : 0;
}

void marker_follow(struct marker *marker, const struct engine *engine) {
  struct mark *mark = &marker->mark;
  uint32_t settled = settled_of(engine);
  if (!engine->db ||
      (engine->last_seq == mark->seq && engine->wal_pages == marker->wal_pages && settled == mark->settled))
    return;
  if (engine->wal_pages <= marker->wal_pages || marker->wal_pages == 0) read_salts(marker, engine);
  marker->wal_pages = engine->wal_pages;
  mark->seq = engine->last_seq;
  mark->settled = settled;
  write_mark(marker);
}

void marker_open(struct marker *marker, const struct folder *folder, const struct engine *engine) {
  *marker =
      (struct marker){.folder = folder, .fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)};
  marker->mark = (struct mark){.known = true,
                               .schema = SCHEMA_VERSION,
                               .id = engine->id,
                               .epoch = engine->epoch,
                               .settled = settled_of(engine),
                               .seq = engine->last_seq};
  marker->mark.place = disk_place(marker->fd);
  read_salts(marker, engine);
  marker->wal_pages = engine->wal_pages;
  write_mark(marker);
  if (marker->fd >= 0 && fdatasync(marker->fd) != 0) memset(marker->mark.salts, 0, sizeof marker->mark.salts);
}

void marker_close(struct marker *marker, bool clean) {
  marker->mark.clean = clean;
  marker->mark.stamp = clean ? mark_stamp(marker->folder) : 0;
  if (clean) memset(marker->mark.salts, 0, sizeof marker->mark.salts);
  write_mark(marker);
  if (clean && marker->fd >= 0 && fdatasync(marker->fd) != 0) errno = 0; /* a lower bound is left */
  if (marker->fd >= 0) close(marker->fd);
  marker->fd = -1;
}
