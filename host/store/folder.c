#include "store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/note.h"

enum {
  LOCK_RETRY_MS = 10,
  OWNER_RETRY_MS = 2,
  OWNER_WAIT_MS = 500 /* for the owner to say who it is: it does so at once, but on a busy machine */
};

/* What the lock file begins with. */
#define OWNER     "process %ld"
#define LOCK_NAME "moonkeep.lock"

static enum moonkeep_code fail(struct err *err, const char *doing, const char *path) {
  enum moonkeep_code code = errno == ENOSPC || errno == EDQUOT ? MOONKEEP_FULL
                            : errno == ENOMEM                  ? MOONKEEP_MEMORY
                            : errno == EACCES || errno == EROFS || errno == ENOTDIR || errno == EPERM
                                ? MOONKEEP_INVALID
                                : MOONKEEP_IO;
  return err_set(err, code, "cannot %s the data folder %s: %s", doing, path, strerror(errno));
}

/* Makes the folder's entry in the one above it durable. */
static enum moonkeep_code sync_parent(const char *path, struct err *err) {
  struct buf parent = {0};
  buf_printf(&parent, "%s/..", path);
  int fd = parent.failed ? -1 : open(buf_text(&parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  enum moonkeep_code code = MOONKEEP_OK;
  if (parent.failed)
    code = err_memory(err);
  else if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a kind of folder that has no sync */
    code = fail(err, "sync", path);
  if (fd >= 0) close(fd);
  buf_deinit(&parent);
  return code;
}

/* Makes the folder and the ones above it, from the top, each durable before anything is made in it. One that
 * is there is synced as well: whoever made it may have been stopped before. */
static enum moonkeep_code make_path(const char *path, struct err *err) {
  struct stat st;
  if (stat(path, &st) != 0) {
    char *copy = mem_copy(path, strlen(path));
    enum moonkeep_code code = copy ? make_path(dirname(copy), err) : err_memory(err);
    mem_free(copy);
    if (code) return code;
    if (mkdir(path, 0777) != 0 && errno != EEXIST) return fail(err, "make", path);
  }
  return sync_parent(path, err);
}

static enum moonkeep_code open_dir(struct folder *folder, const char *path, struct err *err) {
  struct stat st;
  if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
    return err_set(err, MOONKEEP_INVALID, "the data folder %s is not a folder; name another with --data",
                   path);
  enum moonkeep_code code = make_path(path, err);
  if (code) return code;
  folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char *real = folder->fd < 0 ? NULL : realpath(path, NULL);
  if (!real) return fail(err, "open", path);
  folder->path = mem_copy(real, strlen(real));
  free(real);
  return folder->path ? MOONKEEP_OK : err_memory(err);
}

static int try_lock(int fd, int wait_ms) {
  for (;;) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK || wait_ms <= 0) return -1;
    nanosleep(&(struct timespec){.tv_nsec = LOCK_RETRY_MS * 1000000L}, NULL);
    wait_ms -= LOCK_RETRY_MS;
  }
}

/* What whoever has the folder has left in the lock file; "": nothing yet. */
static void read_owner(const struct folder *folder, char *owner, size_t size) {
  ssize_t n = pread(folder->lock_fd, owner, size - 1, 0);
  owner[n > 0 ? n : 0] = '\0';
  owner[strcspn(owner, "\n")] = '\0';
}

static bool is_alive(const char *owner) {
  long pid = 0;
  return sscanf(owner, OWNER, &pid) == 1 && pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* Says who has the folder, in the words that the other process left in the lock file. It writes them when it
 * has the lock: until then they are those of an earlier one, which may be dead. A process of another
 * container seems dead for ever. */
static enum moonkeep_code taken(const struct folder *folder, struct err *err) {
  char owner[300];
  for (int waited_ms = 0;; waited_ms += OWNER_RETRY_MS) {
    read_owner(folder, owner, sizeof owner);
    if (is_alive(owner) || waited_ms >= OWNER_WAIT_MS) break;
    nanosleep(&(struct timespec){.tv_nsec = OWNER_RETRY_MS * 1000000L}, NULL);
  }
  return err_set(err, MOONKEEP_BUSY,
                 "the data folder %s is in use by %s; stop it, or choose another folder with --data",
                 folder->path, *owner ? owner : "another process");
}

/* Who has it is a help for people; that it cannot be written is no reason to stop. */
static void write_owner(const struct folder *folder, const char *owner) {
  char text[300];
  int n = snprintf(text, sizeof text, OWNER " (%s)\n", note_pid(), owner ? owner : "moonkeep");
  if (n >= (int)sizeof text) n = (int)sizeof text - 1;
  if (pwrite(folder->lock_fd, text, (size_t)n, 0) != n || ftruncate(folder->lock_fd, n) != 0) errno = 0;
}

static enum moonkeep_code take_lock(struct folder *folder, const char *owner, int wait_ms, struct err *err) {
  folder->lock_fd = openat(folder->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (folder->lock_fd < 0) return fail(err, "write to", folder->path);
  if (try_lock(folder->lock_fd, wait_ms) != 0)
    return errno == EWOULDBLOCK ? taken(folder, err) : fail(err, "lock", folder->path);
  write_owner(folder, owner);
  return MOONKEEP_OK;
}

enum moonkeep_code folder_open(struct folder *folder, const char *path, const char *owner, int wait_ms,
                               struct err *err) {
  *folder = (struct folder){.fd = -1, .lock_fd = -1};
  if (!path || !*path)
    return err_set(err, MOONKEEP_INVALID, "the data folder has no name; give one with --data");
  enum moonkeep_code code = open_dir(folder, path, err);
  if (!code) code = take_lock(folder, owner, wait_ms, err);
  if (code) folder_close(folder);
  return code;
}

bool folder_is_mine(const char *path) {
  char owner[300];
  long pid = 0;
  struct folder folder = {.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .lock_fd = -1};
  if (folder.fd >= 0) folder.lock_fd = openat(folder.fd, LOCK_NAME, O_RDONLY | O_CLOEXEC);
  read_owner(&folder, owner, sizeof owner);
  bool said = sscanf(owner, OWNER, &pid) == 1 && pid == note_pid();
  bool mine = said && flock(folder.lock_fd, LOCK_SH | LOCK_NB) != 0;
  folder_close(&folder);
  return mine;
}

void folder_close(struct folder *folder) {
  if (folder->lock_fd >= 0) close(folder->lock_fd);
  if (folder->fd >= 0) close(folder->fd);
  mem_free(folder->path);
  *folder = (struct folder){.fd = -1, .lock_fd = -1};
}

enum moonkeep_code folder_sync(const struct folder *folder, struct err *err) {
  return fsync(folder->fd) == 0 ? MOONKEEP_OK : fail(err, "sync", folder->path);
}

static int copy_bytes(int from, int to) {
  char block[64 * 1024];
  for (;;) {
    ssize_t n = read(from, block, sizeof block);
    if (n <= 0) return (int)n;
    for (ssize_t done = 0, step; done < n; done += step)
      if ((step = write(to, block + done, (size_t)(n - done))) < 0) return -1;
  }
}

enum moonkeep_code folder_renew(const struct folder *folder, const char *name, struct err *err) {
  char fresh[64];
  snprintf(fresh, sizeof fresh, "%s.new", name);
  int from = openat(folder->fd, name, O_RDONLY | O_CLOEXEC);
  if (from < 0 && errno == ENOENT) return MOONKEEP_OK;
  struct stat st;
  int to = from < 0 ? -1 : openat(folder->fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool ok = to >= 0 && fstat(from, &st) == 0 && fchmod(to, st.st_mode & 0777) == 0 &&
            copy_bytes(from, to) == 0 && fsync(to) == 0 && renameat(folder->fd, fresh, folder->fd, name) == 0;
  enum moonkeep_code code = ok ? MOONKEEP_OK : fail(err, "save the write-ahead log in", folder->path);
  if (!ok) unlinkat(folder->fd, fresh, 0); /* half a copy only takes room */
  if (to >= 0) close(to);
  if (from >= 0) close(from);
  return code ? code : folder_sync(folder, err);
}

char *folder_file(const struct folder *folder, const char *name) {
  size_t path_len = strlen(folder->path), name_len = strlen(name);
  char *file = mem_alloc(path_len + 1 + name_len + 1);
  if (!file) return NULL;
  memcpy(file, folder->path, path_len);
  file[path_len] = '/';
  memcpy(file + path_len + 1, name, name_len + 1);
  return file;
}
