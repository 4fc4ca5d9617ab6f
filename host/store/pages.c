#include "store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/disk.h"

enum { USUAL_SIZE = 4096, LOG_HEAD = 32, FRAME_HEAD = 24 };

static bool is_size(uint32_t size) {
  return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

/* A head that is damaged is taken to say what ours say. */
static void read_head(struct pages *pages) {
  unsigned char head[24] = {0};
  ssize_t n = pread(pages->fd, head, sizeof head, 0);
  uint32_t size = pages_u16(head + 16);
  if (size == 1) size = 65536;
  bool good = n == (ssize_t)sizeof head && is_size(size);
  pages->size = good ? size : USUAL_SIZE;
  pages->usable = pages->size - (good && head[20] <= 32 ? head[20] : 0);
}

/* ---- the log ---- */

struct log_sum {
  bool big; /* the words are big-endian */
  uint32_t a, b;
};

static uint32_t word(const struct log_sum *sum, const unsigned char *at) {
  return sum->big ? pages_u32(at)
                  : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* SQLite's checksum of a log: over what came before and these bytes. */
static void add_bytes(struct log_sum *sum, const unsigned char *bytes, size_t len) {
  for (size_t i = 0; i + 8 <= len; i += 8) {
    sum->a += word(sum, bytes + i) + sum->b;
    sum->b += word(sum, bytes + i + 4) + sum->a;
  }
}

static bool begin_log(const struct pages *pages, struct log_sum *sum, unsigned char head[LOG_HEAD]) {
  if (pages->log_fd < 0 || pread(pages->log_fd, head, LOG_HEAD, 0) != LOG_HEAD) return false;
  *sum = (struct log_sum){.big = head[3] & 1};
  add_bytes(sum, head, 24);
  return (pages_u32(head) & ~1U) == 0x377F0682 && pages_u32(head + 8) == pages->size &&
         sum->a == pages_u32(head + 24) && sum->b == pages_u32(head + 28);
}

/* Notes where each page of the log is, up to the last commit. What comes behind counts for nothing. */
static void read_log(struct pages *pages, uint64_t *noted, unsigned char *frame, uint32_t most) {
  struct log_sum sum;
  unsigned char head[LOG_HEAD];
  uint32_t frame_len = FRAME_HEAD + pages->size;
  if (!begin_log(pages, &sum, head)) return;
  for (uint64_t at = LOG_HEAD; pread(pages->log_fd, frame, frame_len, (off_t)at) == (ssize_t)frame_len;
       at += frame_len) {
    uint32_t number = pages_u32(frame);
    add_bytes(&sum, frame, 8);
    add_bytes(&sum, frame + FRAME_HEAD, pages->size);
    if (memcmp(frame + 8, head + 16, 8) != 0 || sum.a != pages_u32(frame + 16) ||
        sum.b != pages_u32(frame + 20) || number == 0 || number > most)
      return;
    noted[number] = at + FRAME_HEAD;
    if (pages_u32(frame + 4) == 0) continue; /* no commit */
    memcpy(pages->frames, noted, ((size_t)most + 1) * sizeof *noted);
    pages->count = pages_u32(frame + 4) < most ? pages_u32(frame + 4) : most;
  }
}

static int64_t size_of(int fd) {
  struct stat st;
  return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

static enum moonkeep_code map_log(struct pages *pages, struct err *err) {
  uint64_t in_log = (uint64_t)size_of(pages->log_fd) / (pages->size + FRAME_HEAD);
  uint64_t most = pages->count + in_log;
  if (most > INT32_MAX) return err_set(err, MOONKEEP_TOO_LARGE, "the file has over 2^31 pages");
  pages->frames = mem_zero(((size_t)most + 1) * sizeof *pages->frames);
  uint64_t *noted = mem_zero(((size_t)most + 1) * sizeof *noted);
  unsigned char *frame = mem_alloc(FRAME_HEAD + pages->size);
  bool made = pages->frames && noted && frame;
  if (made) read_log(pages, noted, frame, (uint32_t)most);
  mem_free(noted);
  mem_free(frame);
  return made ? MOONKEEP_OK : err_memory(err);
}

/* ---- */

enum moonkeep_code pages_open(struct pages *pages, const char *path, struct err *err) {
  struct buf log = {0};
  *pages = (struct pages){.fd = -1, .log_fd = -1};
  buf_printf(&log, "%s-wal", path);
  if (log.failed) return err_memory(err);
  pages->fd = open(path, O_RDONLY | O_CLOEXEC);
  int why = errno;
  pages->log_fd = open(buf_text(&log), O_RDONLY | O_CLOEXEC);
  buf_deinit(&log);
  if (pages->fd < 0)
    return err_set(err, why == ENOENT ? MOONKEEP_INVALID : disk_code(why), "cannot open %s: %s", path,
                   strerror(why));
  read_head(pages);
  uint64_t count = ((uint64_t)size_of(pages->fd) + pages->size - 1) / pages->size;
  if (count > INT32_MAX) return err_set(err, MOONKEEP_TOO_LARGE, "%s has over 2^31 pages", path);
  pages->count = (uint32_t)count;
  return map_log(pages, err);
}

bool pages_read(struct pages *pages, uint32_t number, unsigned char *into) {
  if (number == 0 || number > pages->count) return false;
  uint64_t frame = pages->frames[number];
  off_t at = frame ? (off_t)frame : (off_t)(number - 1) * (off_t)pages->size;
  ssize_t n = pread(frame ? pages->log_fd : pages->fd, into, pages->size, at);
  if (n < 0) pages->unreadable++;
  if (n <= 0) return false;
  memset(into + n, 0, pages->size - (size_t)n); /* the last one may be cut */
  return true;
}

void pages_close(struct pages *pages) {
  if (pages->fd >= 0) close(pages->fd);
  if (pages->log_fd >= 0) close(pages->log_fd);
  mem_free(pages->frames);
  *pages = (struct pages){.fd = -1, .log_fd = -1};
}
