/* Power that goes under a folder with all below it: backups, archive, files set aside, whatever it is that
 * writes them. helpers/power_vfs.h knows more of one store file, this knows of every file.
 *
 * From power_tree_watch on, each fsync and fdatasync of this program notes what is on the disk for certain: a
 * file's bytes, a folder's names. When the chosen one comes, the power goes: what may be found afterwards is
 * put into another folder, each sector that was not synced there or not, each folder with the names that it
 * had when it was synced or with those that it has now. The program itself runs on; what it is told from then
 * on counts for nothing. Disks are never really synced, so that tests are quick. Any thread may sync, the
 * functions are for the test's. */
#ifndef TESTS_POWER_TREE_H
#define TESTS_POWER_TREE_H

#include <stdbool.h>

enum { TREE_DEAF_FILES = 1, TREE_DEAF_FOLDERS = 2 };

struct power_tree {
  long nth;            /* the sync with which the power goes, 1 is the first; 0: it stays */
  bool before;         /* the sync has no effect */
  unsigned deaf;       /* TREE_DEAF_…: these syncs do nothing, and say that all is well */
  const char *deaf_in; /* only those of files whose path has this in it */
};

void power_tree_watch(const char *dir, const char *found, const struct power_tree *plan);
bool power_tree_is_off(void);
long power_tree_syncs(void);
void power_tree_cut(void); /* now, if it is still on */
void power_tree_end(void);

/* For power_vfs.c, which stands before the C library's fsync. False: nothing is watched. */
bool power_tree_sync(int fd);

#endif
