#include "helpers/fault_vfs.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sqlite3.h>

#include "check.h"

struct file {
  sqlite3_file base;
  unsigned kind;      /* FAULT_DB, FAULT_WAL; 0: neither */
  sqlite3_file *real; /* stands behind this struct */
};

enum hold { HOLD_NONE, HOLD_NEXT, HOLD_HELD };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static struct fault armed;
static long counts[FAULT_OPS], wal_counts[FAULT_OPS], met;
static bool struck;
static enum hold hold;
static sqlite3_vfs *system_vfs, shim;

/* ---- the fault ---- */

static bool strikes(const struct file *file, enum fault_op op) {
  bool fails = false;
  pthread_mutex_lock(&lock);
  if (file->kind) counts[op]++;
  if (file->kind == FAULT_WAL) wal_counts[op]++;
  if (armed.nth && armed.op == op && (file->kind & armed.files)) {
    met++;
    fails = met == armed.nth || (armed.for_good && met > armed.nth);
  }
  struck |= fails;
  pthread_mutex_unlock(&lock);
  return fails;
}

static bool is_reader(void) {
  char name[16];
  return pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "reader") == 0;
}

static void wait_if_held(const struct file *file) {
  pthread_mutex_lock(&lock);
  if (file->kind && hold == HOLD_NEXT && is_reader()) {
    hold = HOLD_HELD;
    pthread_cond_broadcast(&moved);
    while (hold == HOLD_HELD) pthread_cond_wait(&moved, &lock);
  }
  pthread_mutex_unlock(&lock);
}

static void set_hold(enum hold state) {
  pthread_mutex_lock(&lock);
  hold = state;
  pthread_cond_broadcast(&moved);
  pthread_mutex_unlock(&lock);
}

/* ---- the file's methods ---- */

static sqlite3_file *real(sqlite3_file *base) {
  return ((struct file *)(void *)base)->real;
}

static bool file_strikes(sqlite3_file *base, enum fault_op op) {
  return strikes((struct file *)(void *)base, op);
}

static int close_file(sqlite3_file *base) {
  return real(base)->pMethods ? real(base)->pMethods->xClose(real(base)) : SQLITE_OK;
}

static int read_file(sqlite3_file *base, void *bytes, int len, sqlite3_int64 at) {
  wait_if_held((struct file *)(void *)base);
  if (file_strikes(base, FAULT_READ)) return armed.rc;
  return real(base)->pMethods->xRead(real(base), bytes, len, at);
}

static int write_file(sqlite3_file *base, const void *bytes, int len, sqlite3_int64 at) {
  bool fails = file_strikes(base, FAULT_WRITE);
  if (fails && armed.cut) real(base)->pMethods->xWrite(real(base), bytes, len / 2, at);
  return fails ? armed.rc : real(base)->pMethods->xWrite(real(base), bytes, len, at);
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 size) {
  if (file_strikes(base, FAULT_TRUNCATE)) return armed.rc;
  return real(base)->pMethods->xTruncate(real(base), size);
}

static int sync_file(sqlite3_file *base, int flags) {
  if (file_strikes(base, FAULT_SYNC)) return armed.rc;
  return real(base)->pMethods->xSync(real(base), flags);
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
  return real(base)->pMethods->xSectorSize(real(base));
}

static int characteristics(sqlite3_file *base) {
  return real(base)->pMethods->xDeviceCharacteristics(real(base));
}

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
  if (file_strikes(base, FAULT_MAP)) {
    *out = NULL;
    return armed.rc;
  }
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

/* The same without what a write-ahead log needs. */
static sqlite3_io_methods plain_methods;
static bool plain;

/* ---- the VFS ---- */

/* Who waits for a lock does not wait long. */
static int sleep_briefly(sqlite3_vfs *vfs, int us) {
  (void)vfs;
  sched_yield();
  return us;
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out_flags) {
  (void)vfs;
  struct file *file = (struct file *)(void *)base;
  file->kind = flags & SQLITE_OPEN_MAIN_DB ? FAULT_DB : flags & SQLITE_OPEN_WAL ? FAULT_WAL : 0;
  file->real = (sqlite3_file *)(void *)(file + 1);
  file->real->pMethods = NULL;
  int rc = system_vfs->xOpen(system_vfs, path, file->real, flags, out_flags);
  file->base.pMethods = rc != SQLITE_OK ? NULL : plain ? &plain_methods : &methods;
  return rc;
}

void fault_disarm(void) {
  pthread_mutex_lock(&lock);
  armed.nth = 0;
  pthread_mutex_unlock(&lock);
}

void fault_without_shared_memory(bool without) {
  plain = without;
}

void fault_install(void) {
  fault_disarm();
  if (system_vfs) return;
  system_vfs = sqlite3_vfs_find(NULL);
  shim = *system_vfs;
  shim.zName = "fault";
  shim.szOsFile += (int)sizeof(struct file);
  shim.xOpen = open_file;
  shim.xSleep = sleep_briefly;
  plain_methods = methods;
  plain_methods.iVersion = 1;
  if (sqlite3_vfs_register(&shim, 1) != SQLITE_OK) FAIL("cannot register the VFS");
}

void fault_arm(const struct fault *fault) {
  pthread_mutex_lock(&lock);
  armed = *fault;
  if (!armed.files) armed.files = FAULT_ANY;
  memset(counts, 0, sizeof counts);
  memset(wal_counts, 0, sizeof wal_counts);
  met = 0;
  struck = false;
  pthread_mutex_unlock(&lock);
}

bool fault_struck(void) {
  pthread_mutex_lock(&lock);
  bool it_did = struck;
  pthread_mutex_unlock(&lock);
  return it_did;
}

long fault_count(enum fault_op op) {
  pthread_mutex_lock(&lock);
  long count = counts[op];
  pthread_mutex_unlock(&lock);
  return count;
}

long fault_count_wal(enum fault_op op) {
  pthread_mutex_lock(&lock);
  long count = wal_counts[op];
  pthread_mutex_unlock(&lock);
  return count;
}

void fault_hold_read(void) {
  set_hold(HOLD_NEXT);
}

void fault_await(void) {
  pthread_mutex_lock(&lock);
  while (hold == HOLD_NEXT) pthread_cond_wait(&moved, &lock);
  pthread_mutex_unlock(&lock);
}

bool fault_is_held(void) {
  pthread_mutex_lock(&lock);
  bool held = hold == HOLD_HELD;
  pthread_mutex_unlock(&lock);
  return held;
}

void fault_release(void) {
  set_hold(HOLD_NONE);
}
