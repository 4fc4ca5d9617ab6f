/* A disk that loses its power: an SQLite VFS around the system's own that knows, of one folder, what would be
 * on the disk if the power went now.
 *
 * power_on begins to watch a folder; what is in it counts as being on the disk. From then on a write, a
 * truncation, a file made or deleted is on the disk for certain only when its file, or the folder, has been
 * synced. At the chosen moment the power goes: nothing that comes after reaches the disk, and every operation
 * fails, so that the store can be closed. power_compose then makes a disk as it may be found afterwards; it
 * may be called several times, and makes another one each time. Files in other folders are the system's.
 *
 * The store itself syncs the folder with fsync, which is therefore caught in this program; from the
 * first power_on on its real disk is never synced, so that tests are quick.
 *
 * power_is_off is for any thread, the other functions are for the test's. */
#ifndef TESTS_POWER_VFS_H
#define TESTS_POWER_VFS_H

#include <stdbool.h>

enum power_cut {
  POWER_STAYS,
  POWER_CUT_BEFORE_SYNC, /* the nth sync of a file or of the folder does not come to it */
  POWER_CUT_AFTER_SYNC,  /* it takes effect, but nobody is told */
  POWER_CUT_AFTER_CHANGE /* the nth write, truncation, file made or deleted is the last one */
};

enum { POWER_DB = 1, POWER_WAL = 2, POWER_JOURNAL = 4, POWER_FOLDER = 8, POWER_ALL = 15 };

struct power {
  enum power_cut cut;
  long nth;      /* 1 is the next */
  unsigned deaf; /* POWER_…: syncs of these do nothing, and say that all is well */
  bool fragile; /* a sector that is being written is lost as a whole when the power goes, with what else is in
                   it; SQLite is told so. Otherwise only the bytes being written are at risk, as SQLite takes
                   it to be on our systems */
};

void power_on(const char *dir, const struct power *power);
bool power_is_off(void);
void power_cut(void); /* now, if it is still on */
void power_compose(const char *dir);
void power_end(void); /* forgets the folder; also what a test that failed has left */

/* Whether the program has synced this folder with fsync since power_on, whichever is watched. */
bool power_synced(const char *path);

#endif
