#include "cli/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

/* ---- a signal in the middle ---- */

static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
enum { ENDS = sizeof ends / sizeof *ends };
static struct sigaction before[ENDS];
static const char *volatile half_made; /* borrowed: the path to take away; NULL: there is none */

static void on_end(int signal) {
  const char *path = half_made;
  if (path) unlink(path);
  for (int i = 0; i < ENDS; i++)
    if (ends[i] == signal) sigaction(signal, &before[i], NULL);
  raise(signal);
}

static void guard(const char *path) {
  half_made = path;
  for (int i = 0; i < ENDS; i++) {
    struct sigaction action = {.sa_handler = on_end};
    sigaction(ends[i], NULL, &before[i]);
    if (before[i].sa_handler == SIG_DFL) sigaction(ends[i], &action, NULL);
  }
}

static void unguard(void) {
  for (int i = 0; half_made && i < ENDS; i++) sigaction(ends[i], &before[i], NULL);
  half_made = NULL;
}

/* ---- its life ---- */

static enum moonkeep_code fail(struct err *err, const char *doing, const char *path) {
  enum moonkeep_code code = errno == ENOSPC || errno == EDQUOT ? MOONKEEP_FULL
                            : errno == ENOMEM                  ? MOONKEEP_MEMORY
                                                               : MOONKEEP_IO;
  return err_set(err, code, "cannot %s %s: %s", doing, path, strerror(errno));
}

static void forget(struct outfile *file) {
  unguard();
  mem_free(file->path);
  mem_free(file->half);
  *file = (struct outfile){.fd = -1};
}

/* The path behind its links, so that a link stays one. */
static char *real_path(const char *path) {
  char *real = realpath(path, NULL);
  char *copy = mem_copy(real ? real : path, strlen(real ? real : path));
  free(real);
  return copy;
}

static char *half_path(const char *path) {
  struct buf half = {0};
  const char *slash = strrchr(path, '/');
  size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
  buf_add(&half, path, folder);
  buf_printf(&half, ".%.200s.%ld.half", path + folder, (long)getpid());
  char *copy = half.failed ? NULL : mem_copy(half.data, half.len);
  buf_deinit(&half);
  return copy;
}

/* A store, most likely, or a backup of one, and the name a slip of the hand. */
static bool is_database(const char *path) {
  static const char magic[16] = "SQLite format 3";
  char begin[16];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool is =
      fd >= 0 && read(fd, begin, sizeof begin) == sizeof begin && memcmp(begin, magic, sizeof magic) == 0;
  if (fd >= 0) close(fd);
  return is;
}

enum moonkeep_code outfile_open(struct outfile *file, const char *path, struct err *err) {
  struct stat st;
  bool there = stat(path, &st) == 0;
  *file = (struct outfile){.fd = -1, .path = real_path(path)};
  if (!file->path) return err_memory(err);
  enum moonkeep_code code = MOONKEEP_OK;
  if (there && S_ISDIR(st.st_mode)) {
    code = err_set(err, MOONKEEP_INVALID, "cannot write to %s: it is a folder", path);
  } else if (there && S_ISREG(st.st_mode) && is_database(path)) {
    code = err_set(err, MOONKEEP_INVALID, "cannot write to %s: it is a database; give another file", path);
  } else if (there && !S_ISREG(st.st_mode)) {
    file->fd = open(path, O_WRONLY | O_CLOEXEC);
  } else {
    file->half = half_path(file->path);
    if (!file->half) code = err_memory(err);
    if (!code) file->fd = open(file->half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->fd >= 0) guard(file->half);
  }
  if (!code && file->fd < 0) code = fail(err, "write to", path);
  if (!code && there && file->half && fchmod(file->fd, st.st_mode & 0777) != 0)
    code = fail(err, "write to", path);
  if (code) outfile_abandon(file);
  return code;
}

enum moonkeep_code outfile_write(struct outfile *file, const char *bytes, size_t len, struct err *err) {
  while (len > 0) {
    ssize_t n = write(file->fd, bytes, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(err, "write to", file->path);
    bytes += n;
    len -= (size_t)n;
  }
  return MOONKEEP_OK;
}

/* Makes the new name durable. */
static enum moonkeep_code sync_folder(const char *path, struct err *err) {
  char *copy = mem_copy(path, strlen(path));
  if (!copy) return err_memory(err);
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  enum moonkeep_code code = MOONKEEP_OK;
  if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL) code = fail(err, "sync the folder of", path);
  if (fd >= 0) close(fd);
  mem_free(copy);
  return code;
}

enum moonkeep_code outfile_commit(struct outfile *file, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  if (file->half) {
    if (fsync(file->fd) != 0) code = fail(err, "sync", file->path);
    if (!code && rename(file->half, file->path) != 0) code = fail(err, "write to", file->path);
    if (!code) code = sync_folder(file->path, err);
  }
  if (code) {
    outfile_abandon(file);
    return code;
  }
  close(file->fd);
  forget(file);
  return MOONKEEP_OK;
}

void outfile_abandon(struct outfile *file) {
  int why = errno;
  if (file->half) unlink(file->half);
  if (file->fd >= 0) close(file->fd);
  forget(file);
  errno = why;
}
