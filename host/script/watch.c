#include "script/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/file.h"

enum {
  NAMES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO,
  CLOSED = NAMES | IN_CLOSE_WRITE,
  CONTENT = CLOSED | IN_MODIFY | IN_ATTRIB,
  LINKS = 40, /* that are followed on one path, as the kernel does */
};

struct watched {
  int id;
  unsigned turn; /* the look that has last named it */
  enum watch_depth depth;
  char *path; /* owned */
};

void watch_init(struct watch *watch) {
  *watch = (struct watch){.fd = -1};
}

void watch_open(struct watch *watch) {
  watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (watch->fd < 0) watch->error = errno;
}

void watch_close(struct watch *watch) {
  for (size_t i = 0; i < watch->count; i++) mem_free(watch->all[i].path);
  mem_free(watch->all);
  if (watch->fd >= 0) close(watch->fd);
  watch_init(watch);
}

/* ---- folders ---- */

static struct watched *find(const struct watch *watch, int id) {
  for (size_t i = 0; i < watch->count; i++)
    if (watch->all[i].id == id) return &watch->all[i];
  return NULL;
}

static struct watched *add(struct watch *watch, int id) {
  if (watch->count == watch->cap) {
    size_t cap = watch->cap ? watch->cap * 2 : 16;
    struct watched *all = mem_resize(watch->all, cap * sizeof *all);
    if (!all) return NULL;
    watch->all = all;
    watch->cap = cap;
  }
  watch->all[watch->count] = (struct watched){.id = id};
  return &watch->all[watch->count++];
}

/* Most files of a look are in the folder of the file before. */
static bool is_named(const struct watch *watch, const char *path, enum watch_depth depth) {
  for (size_t i = watch->count; i-- > 0;) {
    const struct watched *watched = &watch->all[i];
    if (watched->turn == watch->turn && watched->depth >= depth && watched->path &&
        strcmp(watched->path, path) == 0)
      return true;
  }
  return false;
}

/* One folder reached by two paths is one watch: either path will do to look at what is in it. */
void watch_folder(struct watch *watch, const char *path, enum watch_depth depth) {
  static const uint32_t masks[] = {NAMES, CLOSED, CONTENT};
  if (watch->fd < 0 || is_named(watch, path, depth)) return;
  int id = inotify_add_watch(watch->fd, path, masks[depth] | IN_ONLYDIR | IN_MASK_ADD);
  if (id < 0) {
    if (errno == ENOSPC || errno == ENOMEM) watch->error = errno;
    return;
  }
  struct watched *watched = find(watch, id);
  if (!watched) watched = add(watch, id);
  if (!watched) {
    watch->error = ENOMEM;
    return;
  }
  if (watched->turn != watch->turn || watched->depth < depth) watched->depth = depth;
  watched->turn = watch->turn;
  if (watched->path && strcmp(watched->path, path) == 0) return;
  mem_free(watched->path);
  watched->path = mem_copy(path, strlen(path));
}

void watch_begin(struct watch *watch) {
  watch->turn++;
}

/* The first len bytes without their last name: "a/b/c" gives "a/b", "c" gives ".". */
static char *parent(const char *path, size_t len) {
  while (len > 0 && path[len - 1] == '/') len--;
  while (len > 0 && path[len - 1] != '/') len--;
  if (len == 0) return mem_copy(".", 1);
  while (len > 1 && path[len - 1] == '/') len--;
  return mem_copy(path, len);
}

static void follow(struct watch *watch, const char *path, size_t from, int *links);

/* If the path up to here is a link, another may be put in its place: its folder counts, and where it leads.
 */
static void look_at_link(struct watch *watch, const char *path, size_t len, int *links) {
  char target[PATH_MAX];
  char *prefix = mem_copy(path, len), *folder = parent(path, len), *next = NULL;
  ssize_t n = prefix ? readlink(prefix, target, sizeof target - 1) : -1;
  if (n > 0 && folder && --*links > 0) {
    target[n] = '\0';
    watch_folder(watch, folder, WATCH_NAMES);
    next = target[0] == '/' ? mem_copy(target, (size_t)n) : file_path(folder, target);
    if (next) follow(watch, next, 1, links);
  }
  mem_free(prefix);
  mem_free(folder);
  mem_free(next);
}

/* A file may change in place, one that is missing may come; a folder can only be replaced. */
static enum watch_depth depth_for(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) return WATCH_CLOSED;
  return S_ISDIR(st.st_mode) ? WATCH_NAMES : WATCH_CONTENT;
}

static void follow(struct watch *watch, const char *path, size_t from, int *links) {
  size_t len = strlen(path);
  for (size_t i = from; i <= len; i++)
    if (path[i] == '\0' || (path[i] == '/' && path[i - 1] != '/')) look_at_link(watch, path, i, links);
  char *folder = parent(path, len);
  if (folder) watch_folder(watch, folder, depth_for(path));
  mem_free(folder);
}

void watch_path(struct watch *watch, const char *path, size_t known) {
  int links = LINKS;
  if (watch->fd >= 0) follow(watch, path, known + 1, &links);
}

void watch_end(struct watch *watch) {
  size_t kept = 0;
  for (size_t i = 0; i < watch->count; i++) {
    struct watched *watched = &watch->all[i];
    if (watched->turn == watch->turn) {
      watch->all[kept++] = *watched;
      continue;
    }
    inotify_rm_watch(watch->fd, watched->id); /* the kernel may have done so: the folder is gone */
    mem_free(watched->path);
  }
  watch->count = kept;
}

/* ---- what has happened ---- */

static bool same_file(const struct stamp *a, const struct stamp *b) {
  return a->kind == STAMP_FILE && b->kind == STAMP_FILE && a->device == b->device && a->inode == b->inode;
}

static void note_written(struct watch *watch, const struct stamp *stamp) {
  for (size_t i = 0; i < WATCH_FILES; i++)
    if (same_file(&watch->written[i], stamp)) return;
  watch->written[watch->written_at++ % WATCH_FILES] = *stamp;
}

static void forget_written(struct watch *watch, const struct stamp *stamp) {
  for (size_t i = 0; i < WATCH_FILES; i++)
    if (same_file(&watch->written[i], stamp)) watch->written[i].kind = STAMP_ABSENT;
}

/* A file that was made and is empty is open in the hands of whoever made it, who will write into it; a link,
 * or another name for a file that was there, has nobody who will close it. */
static bool is_being_made(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size == 0;
}

static void note_file(struct watch *watch, uint32_t mask, const char *path) {
  struct stamp stamp = stamp_of(path);
  if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
    forget_written(watch, &stamp);
  else if (mask & IN_MODIFY || (mask & IN_CREATE && is_being_made(path)))
    note_written(watch, &stamp);
  if (mask & IN_MOVED_TO) watch->whole[watch->whole_at++ % WATCH_FILES] = stamp;
}

/* What is being written will be closed. */
static bool is_worth_a_look(const struct inotify_event *event) {
  return (event->mask & (CONTENT | IN_IGNORED) & ~(uint32_t)IN_MODIFY) != 0;
}

/* A database in the same folder is written all the time. */
static bool is_source(const char *name) {
  size_t len = strlen(name);
  return len > 4 && strcmp(name + len - 4, ".lua") == 0;
}

static bool take(struct watch *watch, const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) { /* what was closed meanwhile was not told */
    memset(watch->written, 0, sizeof watch->written);
    return true;
  }
  const struct watched *watched = find(watch, event->wd);
  if (watched && watched->path && event->len > 0 && !(event->mask & IN_ISDIR) &&
      (is_source(event->name) || event->mask & IN_MOVED_TO)) {
    char *path = file_path(watched->path, event->name);
    if (path) note_file(watch, event->mask, path);
    mem_free(path);
  }
  return is_worth_a_look(event);
}

bool watch_read(struct watch *watch) {
  _Alignas(struct inotify_event) char events[16384];
  bool worth = false;
  for (;;) {
    ssize_t n = watch->fd >= 0 ? read(watch->fd, events, sizeof events) : -1;
    if (n <= 0) return worth;
    for (char *at = events; at < events + n;) {
      const struct inotify_event *event = (const void *)at;
      worth |= take(watch, event);
      at += sizeof *event + event->len;
    }
  }
}

bool watch_is_whole(const struct watch *watch, const struct stamp *stamp) {
  for (size_t i = 0; i < WATCH_FILES; i++)
    if (stamp->kind == STAMP_FILE && stamp_same(&watch->whole[i], stamp)) return true;
  return false;
}

bool watch_is_written(const struct watch *watch, const struct stamp *stamp) {
  for (size_t i = 0; i < WATCH_FILES; i++)
    if (same_file(&watch->written[i], stamp)) return true;
  return false;
}
