#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/sum.h"

static int (*gate)(const char *doing, const char *path);

void disk_set_gate(int (*ask)(const char *doing, const char *path)) {
  gate = ask;
}

static bool allowed(const char *doing, const char *path) {
  int why = gate ? gate(doing, path) : 0;
  if (why) errno = why;
  return why == 0;
}

enum moonkeep_code disk_code(int why) {
  switch (why) {
  case ENOSPC:
  case EDQUOT: return MOONKEEP_FULL;
  case ENOMEM: return MOONKEEP_MEMORY;
  case EACCES:
  case EPERM:
  case EROFS:
  case ENOTDIR: return MOONKEEP_INVALID;
  default: return MOONKEEP_IO;
  }
}

static enum moonkeep_code fail(const char *doing, const char *path, struct err *err) {
  int why = errno;
  err_set(err, disk_code(why), "cannot %s %s: %s", doing, path, strerror(why));
  err->disk = why == EIO;
  return err->code;
}

int64_t disk_size(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

char *disk_join(const char *folder, const char *name) {
  struct buf path = {0};
  buf_printf(&path, "%s/%s", folder, name);
  char *copy = path.failed ? NULL : mem_copy(path.data, path.len);
  buf_deinit(&path);
  return copy;
}

/* ---- copies ---- */

enum moonkeep_code disk_create(int *fd, const char *path, struct err *err) {
  *fd = allowed("make", path) ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
  return *fd >= 0 ? MOONKEEP_OK : fail("make", path, err);
}

enum moonkeep_code disk_open_end(int *fd, const char *path, struct err *err) {
  *fd = allowed("open", path) ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
  return *fd >= 0 ? MOONKEEP_OK : fail("open", path, err);
}

enum moonkeep_code disk_write(int fd, const char *path, const void *bytes, size_t len, struct err *err) {
  const char *at = bytes;
  if (!allowed("write", path)) return fail("write", path, err);
  while (len > 0) {
    ssize_t n = write(fd, at, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("write", path, err);
    at += n;
    len -= (size_t)n;
  }
  return MOONKEEP_OK;
}

static enum moonkeep_code copy_bytes(int from, int to, const char *from_path, const char *to_path,
                                     struct err *err) {
  enum { BLOCK = 256 << 10 };
  char *block = mem_alloc(BLOCK);
  enum moonkeep_code code = block ? MOONKEEP_OK : err_memory(err);
  while (!code) {
    ssize_t n = allowed("read", from_path) ? read(from, block, BLOCK) : -1;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) code = fail("read", from_path, err);
    if (n <= 0) break;
    code = disk_write(to, to_path, block, (size_t)n, err);
  }
  mem_free(block);
  return code;
}

static enum moonkeep_code read_all(int fd, const char *path, size_t most, struct buf *out, struct err *err) {
  while (out->len < most) {
    char *room = buf_reserve(out, most - out->len);
    if (!room) return err_memory(err);
    ssize_t n = allowed("read", path) ? read(fd, room, most - out->len) : -1;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("read", path, err);
    if (n == 0) break;
    out->len += (size_t)n;
  }
  return MOONKEEP_OK;
}

enum moonkeep_code disk_read(const char *path, size_t most, struct buf *out, uint32_t *place, bool *missing,
                             struct err *err) {
  int fd = allowed("open", path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  *missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
  if (fd < 0) return *missing ? MOONKEEP_OK : fail("open", path, err);
  *place = disk_place(fd);
  enum moonkeep_code code = read_all(fd, path, most, out, err);
  close(fd);
  return code;
}

uint32_t disk_place(int fd) {
  struct statx st;
  if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0) return 0;
  bool born = st.stx_mask & STATX_BTIME;
  const int64_t parts[] = {(int64_t)st.stx_ino, born ? st.stx_btime.tv_sec : 0,
                           born ? st.stx_btime.tv_nsec : 0};
  return (uint32_t)sum_group(0, 0, parts, sizeof parts) | 1;
}

void disk_write_out(int fd, int64_t from, int64_t to, bool wait) {
#ifdef SYNC_FILE_RANGE_WRITE
  unsigned how = SYNC_FILE_RANGE_WRITE;
  if (wait) how |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (to > from) sync_file_range(fd, from, to - from, how);
#else
  (void)fd, (void)from, (void)to, (void)wait;
#endif
}

enum moonkeep_code disk_sync_fd(int fd, const char *path, struct err *err) {
  if (!allowed("sync", path)) return fail("sync", path, err);
  struct stat st;
  if (fsync(fd) == 0) return MOONKEEP_OK;
  int why = errno;
  /* There are kinds of folders that have no sync; a file that has none keeps nothing. */
  if (why == EINVAL && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) return MOONKEEP_OK;
  errno = why;
  return fail("sync", path, err);
}

enum moonkeep_code disk_copy(const char *from, const char *to, struct err *err) {
  int in = allowed("open", from) ? open(from, O_RDONLY | O_CLOEXEC) : -1;
  if (in < 0) return fail("open", from, err);
  int out;
  enum moonkeep_code code = disk_create(&out, to, err);
  if (!code) code = copy_bytes(in, out, from, to, err);
  if (!code) code = disk_sync_fd(out, to, err);
  if (out >= 0) close(out);
  close(in);
  return code;
}

/* ---- names ---- */

enum moonkeep_code disk_move(const char *from, const char *to, struct err *err) {
  if (!allowed("move", from)) return fail("move", from, err);
  if (rename(from, to) == 0) return MOONKEEP_OK;
  if (errno != EXDEV) return fail("move", from, err);
  enum moonkeep_code code = disk_copy(from, to, err);
  return code ? code : disk_remove(from, err);
}

enum moonkeep_code disk_remove(const char *path, struct err *err) {
  if (!allowed("remove", path)) return fail("remove", path, err);
  return unlink(path) == 0 || errno == ENOENT ? MOONKEEP_OK : fail("remove", path, err);
}

enum moonkeep_code disk_sync(const char *path, struct err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("open", path, err);
  enum moonkeep_code code = disk_sync_fd(fd, path, err);
  close(fd);
  return code;
}

enum moonkeep_code disk_make_folder(const char *path, struct err *err) {
  if (!allowed("make", path)) return fail("make", path, err);
  struct stat st;
  if (mkdir(path, 0777) != 0 && errno != EEXIST) return fail("make", path, err);
  if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
    errno = ENOTDIR;
    return fail("make", path, err);
  }
  char *above = disk_join(path, "..");
  enum moonkeep_code code = above ? disk_sync(above, err) : err_memory(err);
  mem_free(above);
  return code;
}
