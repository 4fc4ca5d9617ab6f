#include "store/deed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "store/deed_file.h"
#include "store/disk.h"

/* How long another process may take to end, which has let go of the data folder already. */
enum { LOCK_TRIES = 200, LOCK_RETRY_MS = 10 };

/* What there is, in both folders. */
struct both {
  struct deed_file data, backups;
};

enum verdict {
  OURS,
  TO_TAKE,    /* it may be this store's, under the id that it has */
  TO_INHERIT, /* the same, under a new one */
};

/* ---- whose it is ---- */

static bool is_same_folder(const char *path, const char *data) {
  struct stat one, other;
  if (strcmp(path, data) == 0) return true;
  return stat(path, &one) == 0 && stat(data, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

static bool has_store(const char *data) {
  char *path = disk_join(data, "appdata.db");
  bool has = !path || disk_size(path) > 0;
  mem_free(path);
  return has;
}

/* Whether that data folder is still there and still this store's. What cannot be looked at is. */
static bool is_there(const char *data, int64_t id) {
  struct deed_file file;
  struct err ignored;
  if (deed_file_read(&file, data, DEED_OF_DATA, &ignored)) return true;
  bool there = file.state != DEED_NONE && (file.state != DEED_WHOLE || file.id == id || file.from == id);
  deed_file_deinit(&file);
  return there;
}

static enum moonkeep_code is_others(const struct deed *deed, const char *other, struct err *err) {
  return err_set(err, MOONKEEP_BUSY,
                 "the folder of backups %.200s belongs to the store in %.200s, and the one in %.200s cannot "
                 "use it too; give it one of its own with --backups (if they are to be this store's from now "
                 "on, remove %.200s/" DEED_OF_BACKUPS ")",
                 deed->dir, other, deed->data, deed->dir);
}

static enum moonkeep_code is_unknown(const struct deed *deed, struct err *err) {
  return err_set(err, MOONKEEP_CORRUPT,
                 "whose the backups in %.200s are cannot be told, because %.200s/" DEED_OF_BACKUPS
                 " is damaged; remove it if they are of the store in %.200s",
                 deed->dir, deed->dir, deed->data);
}

/* Below the data folder nobody else's are to be expected. */
static bool is_inside(const struct deed *deed) {
  size_t len = strlen(deed->data);
  return deed->real && strncmp(deed->real, deed->data, len) == 0 && deed->real[len] == '/';
}

/* This data folder has an id. */
static enum moonkeep_code judge_known(const struct deed *deed, struct both *both, enum verdict *verdict,
                                      struct err *err) {
  const struct deed_file *own = &both->data, *other = &both->backups;
  const char *data = buf_text(&both->backups.data);
  bool match = own->id == other->id || (own->from != 0 && own->from == other->id);
  if (!match) return is_others(deed, data, err);
  bool here = is_same_folder(data, deed->data);
  if (own->copied && !other->copied && !here && is_there(data, other->id)) return is_others(deed, data, err);
  bool settled = here && !own->copied && !other->copied && own->from == 0 && own->id == other->id;
  *verdict = settled ? OURS : own->copied ? TO_INHERIT : TO_TAKE;
  return MOONKEEP_OK;
}

/* It has none: it is new, or from before there were ids. An empty one may begin with whatever backups it is
 * given, unless a host is at work with them. */
static enum moonkeep_code judge_new(const struct deed *deed, struct both *both, enum verdict *verdict,
                                    struct err *err) {
  const char *data = buf_text(&both->backups.data);
  *verdict = TO_INHERIT;
  if (both->backups.copied || is_same_folder(data, deed->data) || !has_store(deed->data)) return MOONKEEP_OK;
  return is_others(deed, data, err);
}

static enum moonkeep_code judge(const struct deed *deed, struct both *both, enum verdict *verdict,
                                struct err *err) {
  const struct deed_file *own = &both->data;
  bool known = own->state == DEED_WHOLE;
  *verdict = known && !own->copied ? TO_TAKE : TO_INHERIT;
  switch (both->backups.state) {
  case DEED_NONE: return MOONKEEP_OK;
  case DEED_DAMAGED: return is_inside(deed) ? MOONKEEP_OK : is_unknown(deed, err);
  case DEED_UNREADABLE: *err = both->backups.why; return err->code;
  case DEED_WHOLE: break;
  }
  return known ? judge_known(deed, both, verdict, err) : judge_new(deed, both, verdict, err);
}

static enum moonkeep_code look(const struct deed *deed, struct both *both, enum verdict *verdict,
                               struct err *err) {
  *both = (struct both){0};
  enum moonkeep_code code = deed_file_read(&both->data, deed->data, DEED_OF_DATA, err);
  if (!code) code = deed_file_read(&both->backups, deed->dir, DEED_OF_BACKUPS, err);
  return code ? code : judge(deed, both, verdict, err);
}

static void forget(struct both *both) {
  deed_file_deinit(&both->data);
  deed_file_deinit(&both->backups);
}

/* ---- the lock ---- */

/* Where the file system has no such locks, the files have to do. */
static bool try_lock(int fd, int tries) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return true;
    if (--tries <= 0) return false;
    nanosleep(&(struct timespec){.tv_nsec = LOCK_RETRY_MS * 1000000L}, NULL);
  }
  return true;
}

static enum moonkeep_code is_in_use(const struct deed *deed, struct both *both, struct err *err) {
  return err_set(
      err, MOONKEEP_BUSY,
      "the folder of backups %.200s is in use by a host of the store in %.200s, and the one in %.200s "
      "cannot use it too; give it one of its own with --backups",
      deed->dir, both->backups.state == DEED_WHOLE ? buf_text(&both->backups.data) : "another folder",
      deed->data);
}

/* Whether the folder that is there is the one that is locked. */
static bool is_locked(const struct deed *deed, const struct stat *there) {
  struct stat locked;
  return deed->fd >= 0 && fstat(deed->fd, &locked) == 0 && locked.st_dev == there->st_dev &&
         locked.st_ino == there->st_ino;
}

static enum moonkeep_code take_lock(struct deed *deed, int fd, struct both *both, struct err *err) {
  if (!try_lock(fd, deed->fd < 0 ? LOCK_TRIES : 1)) {
    close(fd);
    return is_in_use(deed, both, err);
  }
  if (deed->fd >= 0) close(deed->fd);
  deed->fd = fd;
  return MOONKEEP_OK;
}

static enum moonkeep_code cannot_open(const struct deed *deed, struct err *err) {
  int why = errno;
  return err_set(err, disk_code(why), "cannot open the folder of backups %s: %s", deed->dir, strerror(why));
}

/* ---- taking it ---- */

static int64_t new_id(void) {
  int64_t id;
  sqlite3_randomness(sizeof id, &id);
  return id | 1;
}

static enum moonkeep_code write_own(const struct deed *deed, int64_t id, int64_t from, struct err *err) {
  return deed_file_write(deed->data, DEED_OF_DATA, id, from, deed->data, err);
}

static void tell_taken(const struct deed *deed, struct both *both) {
  const char *before = buf_text(&both->backups.data);
  if (both->backups.state != DEED_WHOLE || both->backups.copied || is_same_folder(before, deed->data)) return;
  log_write(
      deed->log, LOG_WARN, "backup",
      "the backups in %s were those of the store in %s; from now on they are those of the one in %s, and "
      "a host on the former needs other ones",
      deed->dir, before, deed->data);
}

/* The data folder's file says first that it takes over, so that whoever is killed in between goes on where he
 * was. Who only reads leaves it at that: the others may still go on with their backups. */
static enum moonkeep_code take(const struct deed *deed, struct both *both, enum verdict verdict,
                               enum deed_use use, struct err *err) {
  const struct deed_file *own = &both->data, *other = &both->backups;
  int64_t id = verdict == TO_INHERIT ? new_id() : own->id;
  int64_t from = other->state != DEED_WHOLE || other->id == id ? 0 : other->id;
  enum moonkeep_code code = MOONKEEP_OK;
  if (use == DEED_READ && (own->state == DEED_WHOLE || from == 0)) return MOONKEEP_OK;
  if (verdict == TO_INHERIT) code = write_own(deed, id, from, err);
  if (code || use == DEED_READ) return code;
  code = deed_file_write(deed->dir, DEED_OF_BACKUPS, id, 0, deed->data, err);
  if (!code && (from != 0 || own->from != 0)) code = write_own(deed, id, 0, err);
  if (!code && from != 0) tell_taken(deed, both);
  return code;
}

/* ---- all of it ---- */

/* Looks once more under the lock: until then others may have been at it. */
static enum moonkeep_code look_and_take(struct deed *deed, enum deed_use use, int fd, struct err *err) {
  struct both both;
  enum verdict verdict;
  enum moonkeep_code code = look(deed, &both, &verdict, err);
  if (!code && fd >= 0) {
    code = take_lock(deed, fd, &both, err);
    fd = -1;
    forget(&both);
    if (code) return code;
    code = look(deed, &both, &verdict, err);
  }
  if (!code && verdict != OURS) code = take(deed, &both, verdict, use, err);
  forget(&both);
  if (fd >= 0) close(fd);
  return code;
}

/* The folder itself, opened to be locked; -1: it is not there, or it has been locked already. */
static enum moonkeep_code open_folder(struct deed *deed, int *fd, bool *there, struct err *err) {
  struct stat st;
  *fd = -1;
  *there = false;
  int folder = open(deed->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 && errno == ENOENT) return MOONKEEP_OK;
  if (folder < 0 || fstat(folder, &st) != 0) {
    enum moonkeep_code code = cannot_open(deed, err);
    if (folder >= 0) close(folder);
    return code;
  }
  *there = true;
  if (is_locked(deed, &st)) {
    close(folder);
    return MOONKEEP_OK;
  }
  *fd = folder;
  free(deed->real);
  deed->real = realpath(deed->dir, NULL);
  return MOONKEEP_OK;
}

static enum moonkeep_code claim(struct deed *deed, enum deed_use use, struct err *err) {
  int fd;
  bool there;
  enum moonkeep_code code = open_folder(deed, &fd, &there, err);
  if (code || !there) return code;
  if (use != DEED_LOOK) return look_and_take(deed, use, fd, err);
  if (fd >= 0) close(fd);
  struct both both;
  enum verdict verdict;
  code = look(deed, &both, &verdict, err);
  forget(&both);
  return code;
}

enum moonkeep_code deed_claim(struct deed *deed, enum deed_use use, struct err *err) {
  if (!deed) return MOONKEEP_OK;
  pthread_mutex_lock(&deed->lock);
  enum moonkeep_code code = claim(deed, use, err);
  deed->usable = code == MOONKEEP_OK;
  pthread_mutex_unlock(&deed->lock);
  return code;
}

bool deed_is_usable(struct deed *deed) {
  pthread_mutex_lock(&deed->lock);
  bool usable = deed->usable;
  pthread_mutex_unlock(&deed->lock);
  return usable;
}

bool deed_init(struct deed *deed, const char *data, const char *dir, const struct log *log) {
  *deed = (struct deed){.data = data, .log = log, .fd = -1};
  deed->dir = dir ? mem_copy(dir, strlen(dir)) : disk_join(data, "backups");
  deed->open = deed->dir && pthread_mutex_init(&deed->lock, NULL) == 0;
  if (!deed->open) mem_free(deed->dir);
  return deed->open;
}

void deed_deinit(struct deed *deed) {
  if (!deed->open) return;
  if (deed->fd >= 0) close(deed->fd);
  pthread_mutex_destroy(&deed->lock);
  free(deed->real);
  mem_free(deed->dir);
  *deed = (struct deed){.fd = -1};
}

enum moonkeep_code deed_look(const char *data, const char *dir, struct err *err) {
  struct deed deed;
  char *real = realpath(data, NULL);
  enum moonkeep_code code = MOONKEEP_OK;
  if (!deed_init(&deed, real ? real : data, dir, NULL))
    code = err_memory(err);
  else
    code = deed_claim(&deed, DEED_LOOK, err);
  deed_deinit(&deed);
  free(real);
  return code;
}
