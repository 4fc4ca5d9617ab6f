/* Looks at the scripts folder: what is new, what has changed, what is gone.
 *
 * Private to host/script. Looks come soon after inotify has told of a change (watch.h), and every two seconds
 * anyway; where there is no inotify, ten times a second. They go by what the files look like, never by what
 * was told: a file has changed when it is another one than was loaded, and counts when it has stood still for
 * a while, a shorter one where it came by a rename. A stream of changes does not put it off for ever. */
#ifndef SCRIPT_LOOK_H
#define SCRIPT_LOOK_H

#include "script/script.h"

enum {
  LOOK_EVERY_MS = 2000,
  LOOK_UNWATCHED_MS = 100, /* the same without inotify */
  LOOK_GATHER_MS = 20,     /* between two looks that were called for */
  LOOK_WHOLE_MS = 50,      /* how long a file stands still that was renamed into place */
  LOOK_STILL_MS = 100,     /* and any other */
  LOOK_GONE_MS = 250,      /* how long one is missing that is gone, and not just being replaced */
  LOOK_PATIENCE_MS = 1000, /* a change that does not come to rest is loaded then */
  LOOK_WRITTEN_MS = 10000, /* how long a file may stand still in the middle of being written */
};

void look_open(struct scripts *scripts);  /* begins to watch, where that is wanted */
void look_close(struct scripts *scripts); /* no more looks */

/* Takes in what the folder has, without loading anything. An error says why the folder cannot be read now. */
enum moonkeep_code look_find(struct scripts *scripts, struct err *err);
void look_now(struct scripts *scripts);
void look_soon(struct scripts *scripts); /* when the loop has its turn */

#endif
