/* Pins: so that a long write-ahead log goes into the store file piece by piece.
 *
 * While somebody reads one moment for long, as a backup does, the log cannot be wrapped and grows; and when
 * he is done, the writer's next checkpoint would move all of it at once and sync it, for seconds, in which
 * nobody's change is written. So whoever reads for long takes pins meanwhile: read transactions of their own,
 * each at a later place of the log. A checkpoint goes no further than the oldest of them, and is not synced
 * before it reaches the end; what it has written can be synced here, on a thread that has the time.
 *
 *     pins_init → pins_look now and then while the moment is read → pins_next until there are none →
 * pins_free
 *
 * The checkpoints stay the writer's. One thread; between pins_look and pins_free the store file is open. */
#ifndef STORE_PINS_H
#define STORE_PINS_H

#include <sqlite3.h>

enum { PINS = 3 }; /* the log's index has room for five readers */

struct pins {
  const char *path; /* borrowed: of the store file */
  int step; /* pages of the log between two of them; doubled where there are more than they can part */
  int count;
  struct pin {
    sqlite3 *db; /* owned */
    int pages;   /* of the log, when it was taken */
  } pins[PINS];
};

void pins_init(struct pins *pins, const char *path, int step);

/* Takes another one where the log has so many pages that it is time. What fails only makes a piece larger. */
void pins_look(struct pins *pins, int wal_pages);

/* The pages up to which the oldest pin lets checkpoints go; 0: there is none. */
int pins_first(const struct pins *pins);

/* Syncs the store file and takes the oldest pin away. */
void pins_next(struct pins *pins);

void pins_free(struct pins *pins); /* at once, and without a sync */

#endif
