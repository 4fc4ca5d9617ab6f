#include "helpers/power_vfs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sqlite3.h>

#include "check.h"
#include "helpers/power_tree.h"
#include "helpers/temp.h"
#include "store/mark.h"

enum { SECTOR = 512, NAME = 64, NAMES = 8, SYNCED = 64 };

/* ---- the disk ---- */

struct change { /* of a file's content, that no sync has covered */
  struct change *next;
  sqlite3_int64 at;
  int len; /* -1: a truncation to `at` bytes */
  unsigned char bytes[];
};

struct image {
  unsigned char *bytes;
  sqlite3_int64 len, cap;
};

struct inode { /* a file's content, under whatever name */
  struct inode *next;
  unsigned kind;
  struct image synced;
  struct change *first, *last;
};

struct entry { /* of the folder: what a name stood for when the folder was synced last */
  char name[NAME];
  struct inode *inode; /* NULL: there was no such file */
};

struct naming { /* a file made or deleted, that no sync of the folder has covered */
  struct naming *next;
  struct entry *entry;
  struct inode *inode; /* NULL: deleted */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static char folder[512];                                 /* "": none is watched */
static struct stat folder_stat;
static struct power plan;
static bool off;
static long syncs, changes;
static struct stat synced[SYNCED]; /* what fsync was called for last */
static unsigned synced_count;
static struct inode *inodes;
static struct entry entries[NAMES];
static struct naming *first_naming, *last_naming;

static sqlite3_vfs *system_vfs, shim;

static void *must(void *memory) {
  if (!memory) abort();
  return memory;
}

/* Makes the image this long; what is new is zeros. */
static void resize(struct image *image, sqlite3_int64 len) {
  if (len > image->cap) {
    sqlite3_int64 cap = len > 2 * image->cap ? len : 2 * image->cap;
    image->bytes = must(realloc(image->bytes, (size_t)cap));
    image->cap = cap;
  }
  if (len > image->len) memset(image->bytes + image->len, 0, (size_t)(len - image->len));
  image->len = len;
}

static void put(struct image *image, sqlite3_int64 at, const void *bytes, sqlite3_int64 len) {
  if (at + len > image->len) resize(image, at + len);
  if (len > 0) memcpy(image->bytes + at, bytes, (size_t)len);
}

static void apply(struct image *image, const struct change *change) {
  if (change->len < 0)
    resize(image, change->at);
  else
    put(image, change->at, change->bytes, change->len);
}

static struct inode *new_inode(unsigned kind) {
  struct inode *inode = must(calloc(1, sizeof *inode));
  inode->kind = kind;
  inode->next = inodes;
  inodes = inode;
  return inode;
}

static void forget_changes(struct inode *inode) {
  for (struct change *change; (change = inode->first); free(change)) inode->first = change->next;
  inode->last = NULL;
}

static void forget_disk(void) {
  for (struct inode *inode; (inode = inodes); free(inode)) {
    inodes = inode->next;
    forget_changes(inode);
    free(inode->synced.bytes);
  }
  for (struct naming *naming; (naming = first_naming); free(naming)) first_naming = naming->next;
  last_naming = NULL;
  memset(entries, 0, sizeof entries);
}

static struct entry *entry_of(const char *name) {
  for (struct entry *entry = entries; entry < entries + NAMES; entry++) {
    if (!*entry->name) snprintf(entry->name, NAME, "%s", name);
    if (strcmp(entry->name, name) == 0) return entry;
  }
  abort();
}

/* What the name stands for at the moment. */
static struct inode *inode_of(const struct entry *entry) {
  struct inode *inode = entry->inode;
  for (struct naming *naming = first_naming; naming; naming = naming->next)
    if (naming->entry == entry) inode = naming->inode;
  return inode;
}

/* ---- what happens to it, under the lock ---- */

static void count_change(void) {
  changes++;
  if (plan.cut == POWER_CUT_AFTER_CHANGE && changes == plan.nth) off = true;
}

static void note_change(struct inode *inode, const void *bytes, int len, sqlite3_int64 at) {
  struct change *change = must(malloc(sizeof *change + (size_t)(len > 0 ? len : 0)));
  *change = (struct change){.at = at, .len = len};
  if (len > 0) memcpy(change->bytes, bytes, (size_t)len);
  *(inode->last ? &inode->last->next : &inode->first) = change;
  inode->last = change;
  count_change();
}

static void note_naming(struct entry *entry, struct inode *inode) {
  struct naming *naming = must(malloc(sizeof *naming));
  *naming = (struct naming){.entry = entry, .inode = inode};
  *(last_naming ? &last_naming->next : &first_naming) = naming;
  last_naming = naming;
  count_change();
}

/* The sync of a file, or of the folder where there is none; false: the power is gone. */
static bool sync_one(struct inode *inode) {
  if (off) return false;
  syncs++;
  bool last = syncs == plan.nth;
  if (last && plan.cut == POWER_CUT_BEFORE_SYNC) off = true;
  if (off || (plan.deaf & (inode ? inode->kind : POWER_FOLDER))) return !off;
  if (inode) {
    for (struct change *change = inode->first; change; change = change->next) apply(&inode->synced, change);
    forget_changes(inode);
  } else {
    for (struct naming *naming; (naming = first_naming); free(naming)) {
      naming->entry->inode = naming->inode;
      first_naming = naming->next;
    }
    last_naming = NULL;
  }
  if (last && plan.cut == POWER_CUT_AFTER_SYNC) off = true;
  return !off;
}

/* ---- a file's methods ---- */

struct file {
  sqlite3_file base;
  struct inode *inode;
  bool syncs_folder;  /* the first sync of a log that may just have been made is one of its folder too */
  sqlite3_file *real; /* stands behind this struct */
};

static struct file *file_of(sqlite3_file *base) {
  return (struct file *)(void *)base;
}

static sqlite3_file *real(sqlite3_file *base) {
  return file_of(base)->real;
}

static int close_file(sqlite3_file *base) {
  return real(base)->pMethods ? real(base)->pMethods->xClose(real(base)) : SQLITE_OK;
}

static int read_file(sqlite3_file *base, void *bytes, int len, sqlite3_int64 at) {
  return power_is_off() ? SQLITE_IOERR_READ : real(base)->pMethods->xRead(real(base), bytes, len, at);
}

static int write_file(sqlite3_file *base, const void *bytes, int len, sqlite3_int64 at) {
  int rc = SQLITE_IOERR_WRITE;
  pthread_mutex_lock(&lock);
  if (!off) {
    note_change(file_of(base)->inode, bytes, len, at);
    rc = off ? rc : real(base)->pMethods->xWrite(real(base), bytes, len, at);
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 size) {
  int rc = SQLITE_IOERR_TRUNCATE;
  pthread_mutex_lock(&lock);
  if (!off) {
    note_change(file_of(base)->inode, NULL, -1, size);
    rc = off ? rc : real(base)->pMethods->xTruncate(real(base), size);
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

static int sync_file(sqlite3_file *base, int flags) {
  (void)flags;
  struct file *file = file_of(base);
  pthread_mutex_lock(&lock);
  bool done = sync_one(file->inode);
  if (done && file->syncs_folder) done = sync_one(NULL);
  if (done) file->syncs_folder = false;
  pthread_mutex_unlock(&lock);
  return done ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int size_of_file(sqlite3_file *base, sqlite3_int64 *size) {
  return real(base)->pMethods->xFileSize(real(base), size);
}

static int lock_file(sqlite3_file *base, int level) {
  return real(base)->pMethods->xLock(real(base), level);
}

static int unlock_file(sqlite3_file *base, int level) {
  return real(base)->pMethods->xUnlock(real(base), level);
}

static int check_reserved(sqlite3_file *base, int *reserved) {
  return real(base)->pMethods->xCheckReservedLock(real(base), reserved);
}

static int control(sqlite3_file *base, int op, void *arg) {
  return real(base)->pMethods->xFileControl(real(base), op, arg);
}

static int sector_size(sqlite3_file *base) {
  (void)base;
  return SECTOR;
}

static int characteristics(sqlite3_file *base) {
  (void)base;
  return plan.fragile ? 0 : SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
  return real(base)->pMethods->xShmMap(real(base), region, size, extend, out);
}

static int shm_lock(sqlite3_file *base, int at, int n, int flags) {
  return real(base)->pMethods->xShmLock(real(base), at, n, flags);
}

static void shm_barrier(sqlite3_file *base) {
  real(base)->pMethods->xShmBarrier(real(base));
}

static int shm_unmap(sqlite3_file *base, int del) {
  return real(base)->pMethods->xShmUnmap(real(base), del);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the VFS ---- */

/* The name of a file in the watched folder, or NULL. */
static const char *watched_name(const char *path) {
  size_t len = strlen(folder);
  bool below = path && len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/';
  return below ? path + len + 1 : NULL;
}

static unsigned kind_of(const char *name) {
  size_t len = strlen(name);
  return len > 4 && strcmp(name + len - 4, "-wal") == 0       ? POWER_WAL
         : len > 8 && strcmp(name + len - 8, "-journal") == 0 ? POWER_JOURNAL
                                                              : POWER_DB;
}

static int open_watched(struct file *file, const char *path, const char *name, int flags, int *out_flags) {
  if (off) return SQLITE_CANTOPEN;
  int rc = system_vfs->xOpen(system_vfs, path, file->real, flags, out_flags);
  if (rc != SQLITE_OK) return rc;
  struct entry *entry = entry_of(name);
  file->inode = inode_of(entry);
  if (!file->inode) {
    file->inode = new_inode(kind_of(name));
    note_naming(entry, file->inode);
  }
  file->syncs_folder = file->inode->kind != POWER_DB && (flags & SQLITE_OPEN_CREATE);
  file->base.pMethods = &methods;
  return SQLITE_OK;
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out_flags) {
  (void)vfs;
  struct file *file = file_of(base);
  pthread_mutex_lock(&lock);
  const char *name = watched_name(path);
  int rc = SQLITE_OK;
  if (name) {
    *file = (struct file){.real = (sqlite3_file *)(void *)(file + 1)};
    rc = open_watched(file, path, name, flags, out_flags);
  }
  pthread_mutex_unlock(&lock);
  return name ? rc : system_vfs->xOpen(system_vfs, path, base, flags, out_flags);
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int sync_folder) {
  (void)vfs;
  pthread_mutex_lock(&lock);
  const char *name = watched_name(path);
  int rc = name && off ? SQLITE_IOERR_DELETE : system_vfs->xDelete(system_vfs, path, 0);
  if (name && rc == SQLITE_OK) {
    note_naming(entry_of(name), NULL);
    if (off || (sync_folder && !sync_one(NULL))) rc = SQLITE_IOERR_DELETE;
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

static int access_file(sqlite3_vfs *vfs, const char *path, int flags, int *answer) {
  (void)vfs;
  pthread_mutex_lock(&lock);
  bool gone = off && watched_name(path);
  pthread_mutex_unlock(&lock);
  return gone ? SQLITE_IOERR_ACCESS : system_vfs->xAccess(system_vfs, path, flags, answer);
}

static void install(void) {
  if (system_vfs) return;
  system_vfs = sqlite3_vfs_find(NULL);
  shim = *system_vfs;
  shim.zName = "power";
  shim.szOsFile += (int)sizeof(struct file);
  shim.xOpen = open_file;
  shim.xDelete = delete_file;
  shim.xAccess = access_file;
  if (sqlite3_vfs_register(&shim, 1) != SQLITE_OK) FAIL("cannot register the VFS");
}

/* ---- syncs by the store itself: these stand before the C library's ---- */

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool sync_if_folder(int fd) {
  struct stat st;
  pthread_mutex_lock(&lock);
  bool known = *folder && fstat(fd, &st) == 0;
  if (known) synced[synced_count++ % SYNCED] = st;
  bool done = !known || !is_same(&st, &folder_stat) || sync_one(NULL);
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) {
  if (power_tree_sync(fd)) return 0;
  if (!system_vfs) return (int)syscall(SYS_fsync, fd);
  if (sync_if_folder(fd)) return 0;
  errno = EIO;
  return -1;
}

int fdatasync(int fd) {
  if (power_tree_sync(fd)) return 0;
  return system_vfs ? 0 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- for the test ---- */

static void load(const char *name) {
  size_t len;
  char *bytes = temp_read(temp_path(folder, name), &len);
  struct inode *inode = new_inode(kind_of(name));
  put(&inode->synced, 0, bytes, (sqlite3_int64)len);
  entry_of(name)->inode = inode;
  free(bytes);
}

static void load_folder(void) {
  DIR *dir = opendir(folder);
  if (!dir) FAIL("cannot read %s", folder);
  for (struct dirent *at; (at = readdir(dir));)
    if (strncmp(at->d_name, "appdata.db", 10) == 0 && !strstr(at->d_name, "-shm")) load(at->d_name);
  closedir(dir);
}

void power_on(const char *dir, const struct power *power) {
  mark_trusts_copies = true; /* what is composed is the same disk */
  power_end();
  install();
  pthread_mutex_lock(&lock);
  char *path = realpath(dir, NULL);
  snprintf(folder, sizeof folder, "%s", path ? path : "");
  free(path);
  bool there = *folder && stat(folder, &folder_stat) == 0;
  plan = *power;
  off = false;
  syncs = changes = 0;
  synced_count = 0;
  if (there) load_folder();
  pthread_mutex_unlock(&lock);
  if (!there) FAIL("cannot watch %s", dir);
}

bool power_synced(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) FAIL("there is no %s", path);
  pthread_mutex_lock(&lock);
  bool found = false;
  for (unsigned i = 0; i < synced_count && i < SYNCED; i++) found |= is_same(&synced[i], &st);
  pthread_mutex_unlock(&lock);
  return found;
}

bool power_is_off(void) {
  pthread_mutex_lock(&lock);
  bool is = off;
  pthread_mutex_unlock(&lock);
  return is;
}

void power_cut(void) {
  pthread_mutex_lock(&lock);
  off = true;
  pthread_mutex_unlock(&lock);
}

void power_end(void) {
  pthread_mutex_lock(&lock);
  *folder = '\0';
  off = false;
  forget_disk();
  pthread_mutex_unlock(&lock);
}

/* ---- what is found afterwards ---- */

/* How this disk has dealt with what was not synced: each thing reached it with one probability, was torn with
 * another, and what was being written may hold noise. That writes overtake each other needs nothing of its
 * own: one that has arrived before an older one is one that has arrived while the older has not. */
struct luck {
  uint64_t kept, torn; /* of 100 */
  bool noise;
};

static struct luck draw_luck(void) {
  static const uint64_t kept[] = {0, 100, 50, 90, 10, 99}, torn[] = {0, 0, 10, 50};
  return (struct luck){kept[check_below(6)], torn[check_below(4)], check_below(2)};
}

static bool happens(uint64_t of_100) {
  return check_below(100) < of_100;
}

static void spoil(struct image *image, sqlite3_int64 from, sqlite3_int64 to, bool noise) {
  if (to > image->len) resize(image, to);
  for (sqlite3_int64 at = from; at < to; at++) image->bytes[at] = noise ? (unsigned char)check_random() : 0;
}

/* The power went while this sector, of which the change writes from `from` to `to`, was being written. */
static void tear_sector(struct image *image, const struct change *change, sqlite3_int64 from,
                        sqlite3_int64 to, const struct luck *luck) {
  sqlite3_int64 torn_at = from + (sqlite3_int64)check_below((uint64_t)(to - from) + 1);
  if (plan.fragile) spoil(image, from - from % SECTOR, from - from % SECTOR + SECTOR, luck->noise);
  put(image, from, change->bytes + (from - change->at), torn_at - from);
  if (luck->noise) spoil(image, torn_at, to, true);
}

/* Each sector has arrived, or not, or half. */
static void tear(struct image *image, const struct change *change, const struct luck *luck) {
  sqlite3_int64 end = change->at + change->len;
  for (sqlite3_int64 from = change->at, to; from < end; from = to) {
    to = from - from % SECTOR + SECTOR;
    if (to > end) to = end;
    if (happens(30))
      tear_sector(image, change, from, to, luck);
    else if (happens(50))
      put(image, from, change->bytes + (from - change->at), to - from);
  }
}

/* The file may be as long as it was, or as it should be, or anything between. */
static void settle_size(struct image *image, sqlite3_int64 before, sqlite3_int64 meant,
                        const struct luck *luck) {
  sqlite3_int64 len = image->len;
  if (happens(luck->kept)) return;
  if (happens(30) && meant > len) spoil(image, len, meant, luck->noise);
  if (happens(30) && before < image->len)
    resize(image, before + (sqlite3_int64)check_below((uint64_t)(image->len - before) + 1));
}

static struct image arrived(const struct inode *inode, const struct luck *luck) {
  struct image image = {0};
  sqlite3_int64 meant = inode->synced.len;
  put(&image, 0, inode->synced.bytes ? inode->synced.bytes : (unsigned char *)"", inode->synced.len);
  for (const struct change *change = inode->first; change; change = change->next) {
    meant = change->len < 0                    ? change->at
            : change->at + change->len > meant ? change->at + change->len
                                               : meant;
    if (change->len >= 0 && happens(luck->torn))
      tear(&image, change, luck);
    else if (happens(luck->kept))
      apply(&image, change);
  }
  if (inode->first) settle_size(&image, inode->synced.len, meant, luck);
  return image;
}

/* What a name stands for: as the folder was when it was synced, and each later naming has arrived or not. */
static const struct inode *found(const struct entry *entry, const struct luck *luck) {
  const struct inode *inode = entry->inode;
  for (const struct naming *naming = first_naming; naming; naming = naming->next)
    if (naming->entry == entry && happens(luck->kept)) inode = naming->inode;
  return inode;
}

void power_compose(const char *dir) {
  struct luck luck = draw_luck();
  for (const struct entry *entry = entries; entry < entries + NAMES && *entry->name; entry++) {
    const struct inode *inode = found(entry, &luck);
    if (!inode) continue;
    struct image image = arrived(inode, &luck);
    temp_write_bytes(temp_path(dir, entry->name), image.bytes ? image.bytes : (unsigned char *)"",
                     (size_t)image.len);
    free(image.bytes);
  }
}
