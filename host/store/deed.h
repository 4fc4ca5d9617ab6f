/* Whose a folder of backups is: it holds those of one store, and no other one may read, add to, or thin them
 * out.
 *
 * The data folder has an id, and the folder of its backups names it (deed_file.h). Whoever opens a store with
 * a folder that names another one is refused, before anything in it is touched. While a store is open the
 * folder is locked as well, against one whose files say the same.
 *
 * A data folder that is new, because a disk was lost, takes the backups over, and so does one that was moved,
 * or a copy when what it was copied from is gone. It does so under an id of its own, so that the old folder,
 * should it come back, is refused in turn: no two ever go on from one set of backups. A folder of backups
 * that is itself a copy may be taken by anybody who has no other.
 *
 * deed_init → deed_claim, before the folder is used and again whenever something is made in it: a disk may
 * have been taken away and another one put in its place. Any thread. */
#ifndef STORE_DEED_H
#define STORE_DEED_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"

enum deed_use {
  DEED_LOOK,  /* changes nothing and takes no lock */
  DEED_READ,  /* backups may be read */
  DEED_WRITE, /* they are this store's from here on */
};

struct deed {
  char *dir;        /* owned: the folder of the backups */
  const char *data; /* borrowed: the data folder, as realpath says it */
  const struct log *log;
  bool open;
  pthread_mutex_t lock; /* guards the following */
  int fd;               /* of the folder, which it locks; -1: it is not there */
  char *real;           /* owned: its path, absolute; NULL: not known */
  bool usable;          /* what deed_claim has said last */
};

/* dir NULL: `backups` in the data folder. False: no memory. */
bool deed_init(struct deed *deed, const char *data, const char *dir, const struct log *log);

/* Whether this store may use the folder; one that is missing it may. busy: it is another store's, or one has
 * it in use; the sentence names both data folders. Others: whose it is cannot be read or written. NULL for
 * deed: whoever uses the folder answers for it himself. */
enum moonkeep_code deed_claim(struct deed *deed, enum deed_use use, struct err *err);

/* What the last claim has said. */
bool deed_is_usable(struct deed *deed);
void deed_deinit(struct deed *deed); /* lets go of the lock; fine on one that is all zero */

/* Both in one, for those who only want to look. */
enum moonkeep_code deed_look(const char *data, const char *dir, struct err *err);

#endif
