#include "helpers/power_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "helpers/temp.h"
#include "store/mark.h"

enum { PATH = 1024, SECTOR = 512, NAMES = 64 };

struct node { /* a file or a folder, under whatever name */
  struct node *next;
  ino_t ino;
  bool is_folder;
  int held;    /* a descriptor: so that no new file gets its number */
  char *bytes; /* of a file, owned */
  size_t len;
  int count; /* of a folder */
  char names[NAMES][80];
  struct node *nodes[NAMES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static char root[PATH], found_in[PATH];
static struct power_tree plan;
static struct node *nodes;
static long syncs;
static atomic_bool on, off;

/* O_PATH: closing it drops no locks. */
static struct node *node_of(const struct stat *st, int at, const char *name) {
  for (struct node *node = nodes; node; node = node->next)
    if (node->ino == st->st_ino && node->is_folder == S_ISDIR(st->st_mode)) return node;
  struct node *node = calloc(1, sizeof *node);
  if (!node) abort();
  *node = (struct node){.next = nodes,
                        .ino = st->st_ino,
                        .is_folder = S_ISDIR(st->st_mode),
                        .held = openat(at, name, O_PATH | O_CLOEXEC)};
  return nodes = node;
}

static void forget(void) {
  for (struct node *node; (node = nodes); free(node)) {
    nodes = node->next;
    if (node->held >= 0) close(node->held);
    free(node->bytes);
  }
}

static void note_file(struct node *node, const char *path) {
  size_t len;
  char *bytes = temp_read(path, &len);
  if (!bytes) return;
  free(node->bytes);
  node->bytes = bytes;
  node->len = len;
}

/* The names that a folder has now. */
static void list(struct node *node, const char *path) {
  DIR *folder = opendir(path);
  node->count = 0;
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));) {
    struct stat st;
    bool is_own = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (is_own || strstr(entry->d_name, "-shm")) continue;
    if (fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) continue;
    if (node->count == NAMES) abort();
    snprintf(node->names[node->count], sizeof node->names[0], "%.79s", entry->d_name);
    node->nodes[node->count++] = node_of(&st, dirfd(folder), entry->d_name);
  }
  closedir(folder);
}

/* ---- what is found ---- */

/* Where the node stands now; false: nowhere, or no longer. */
static bool find_now(ino_t ino, const char *below, char path[PATH]) {
  bool is = false;
  DIR *folder = opendir(below);
  for (struct dirent *entry; !is && folder && (entry = readdir(folder));) {
    char inner[PATH];
    if (entry->d_name[0] == '.' && (!entry->d_name[1] || strcmp(entry->d_name, "..") == 0)) continue;
    if ((size_t)snprintf(inner, PATH, "%s/%s", below, entry->d_name) >= PATH) continue;
    is = entry->d_ino == ino;
    if (is) memcpy(path, inner, PATH);
    if (!is && entry->d_type == DT_DIR) is = find_now(ino, inner, path);
  }
  if (folder) closedir(folder);
  return is;
}

/* As long as it was when it was synced, or as it is now; each sector old or new. */
static void put_file(const struct node *node, const char *path) {
  static const uint64_t chances[] = {0, 100, 50, 90};
  char where[PATH];
  size_t now_len = 0;
  uint64_t chance = chances[check_below(4)];
  char *now = find_now(node->ino, root, where) ? temp_read(where, &now_len) : NULL;
  bool grown = now && check_below(100) < chance;
  size_t len = grown ? now_len : node->len;
  char *bytes = calloc(1, len + 1);
  if (!bytes) abort();
  memcpy(bytes, node->bytes ? node->bytes : "", node->len < len ? node->len : len);
  for (size_t at = 0; at < len && at < now_len; at += SECTOR) {
    size_t end = at + SECTOR < len ? at + SECTOR : len;
    if (end > now_len) end = now_len;
    if (check_below(100) < chance) memcpy(bytes + at, now + at, end - at);
  }
  temp_write_bytes(path, bytes, len);
  free(bytes);
  free(now);
}

static void put_folder(const struct node *node, const char *path) {
  struct node now = {.is_folder = true};
  char where[PATH];
  const struct node *it = node;
  bool is_root = strcmp(path, found_in) == 0;
  if (is_root) snprintf(where, PATH, "%s", root);
  if (check_below(2) && (is_root || find_now(node->ino, root, where))) {
    list(&now, where);
    it = &now;
  }
  mkdir(path, 0777);
  for (int i = 0; i < it->count; i++) {
    char inner[PATH];
    if ((size_t)snprintf(inner, PATH, "%s/%s", path, it->names[i]) >= PATH) abort();
    if (it->nodes[i]->is_folder)
      put_folder(it->nodes[i], inner);
    else
      put_file(it->nodes[i], inner);
  }
}

/* Nobody else's sync comes through meanwhile. */
static void go_off(void) {
  struct stat st;
  if (atomic_exchange(&off, true)) return;
  if (stat(root, &st) == 0) put_folder(node_of(&st, AT_FDCWD, root), found_in);
}

/* ---- syncs ---- */

static void take_effect(const struct stat *st, const char *path) {
  bool is_deaf = plan.deaf & (S_ISDIR(st->st_mode) ? TREE_DEAF_FOLDERS : TREE_DEAF_FILES);
  if (is_deaf && (!plan.deaf_in || strstr(path, plan.deaf_in))) return;
  if (S_ISDIR(st->st_mode))
    list(node_of(st, AT_FDCWD, path), path);
  else
    note_file(node_of(st, AT_FDCWD, path), path);
}

bool power_tree_sync(int fd) {
  struct stat st;
  char link[40], path[PATH];
  if (!atomic_load(&on)) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, PATH - 1);
  if (len < 0 || fstat(fd, &st) != 0) return true;
  path[len] = '\0';
  pthread_mutex_lock(&lock);
  size_t root_len = strlen(root);
  if (!atomic_load(&off) && strncmp(path, root, root_len) == 0 &&
      (!path[root_len] || path[root_len] == '/')) {
    bool last = ++syncs == plan.nth;
    if (last && plan.before) go_off();
    if (!atomic_load(&off)) take_effect(&st, path);
    if (last) go_off();
  }
  pthread_mutex_unlock(&lock);
  return true;
}

/* ---- for the test ---- */

void power_tree_watch(const char *dir, const char *found, const struct power_tree *given) {
  mark_trusts_copies = true; /* what is found is the same disk */
  struct stat st;
  char *path = realpath(dir, NULL);
  if (!path || stat(path, &st) != 0) FAIL("cannot watch %s", dir);
  pthread_mutex_lock(&lock);
  forget();
  snprintf(root, PATH, "%s", path);
  snprintf(found_in, PATH, "%s", found);
  plan = *given;
  syncs = 0;
  list(node_of(&st, AT_FDCWD, root), root); /* an empty folder, most likely */
  atomic_store(&off, false);
  atomic_store(&on, true);
  pthread_mutex_unlock(&lock);
  free(path);
}

bool power_tree_is_off(void) {
  return atomic_load(&off);
}

long power_tree_syncs(void) {
  pthread_mutex_lock(&lock);
  long count = syncs;
  pthread_mutex_unlock(&lock);
  return count;
}

void power_tree_cut(void) {
  pthread_mutex_lock(&lock);
  go_off();
  pthread_mutex_unlock(&lock);
}

void power_tree_end(void) {
  pthread_mutex_lock(&lock);
  forget();
  atomic_store(&on, false);
  pthread_mutex_unlock(&lock);
}
