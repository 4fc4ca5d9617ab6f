/* A disk that fails: an SQLite VFS around the system's own, which fails the nth operation of a kind.
 *
 * fault_install makes it the default, before the test opens a store (and ends a fault that an earlier test
 * has left); fault_arm sets the next fault, which strikes once or from then on until fault_disarm. The
 * counting begins at fault_arm. Locks are waited for without sleeping. Any thread may meet the fault; the
 * functions here are called by the test's.
 */
#ifndef TESTS_FAULT_VFS_H
#define TESTS_FAULT_VFS_H

#include <stdbool.h>

enum fault_op { FAULT_READ, FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_MAP, FAULT_OPS };
enum { FAULT_DB = 1, FAULT_WAL = 2, FAULT_ANY = 3 };

struct fault {
  enum fault_op op;
  unsigned files; /* FAULT_DB, FAULT_WAL, or both; 0: both */
  long nth;       /* 1 is the next; 0: none, only count */
  bool for_good;  /* and all that follow */
  bool cut;       /* a write leaves half of its bytes */
  int rc;         /* what SQLite is told: SQLITE_FULL, SQLITE_IOERR_WRITE … */
};

void fault_install(void);
void fault_without_shared_memory(bool without); /* files opened from now on cannot have a write-ahead log */
void fault_arm(const struct fault *fault);
void fault_disarm(void);
bool fault_struck(void);                /* whether it came to that, since fault_arm */
long fault_count(enum fault_op op);     /* operations on the database and its log since fault_arm */
long fault_count_wal(enum fault_op op); /* those on the log alone */

/* The reader thread's next read of the file or its log waits until fault_release; fault_await says that it
 * has come to it. */
void fault_hold_read(void); /* one that is held goes on, and the one behind it is held */
void fault_await(void);
bool fault_is_held(void);
void fault_release(void);

#endif
