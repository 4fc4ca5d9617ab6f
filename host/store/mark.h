/* The mark: what the store has promised, kept outside the database.
 *
 * A write-ahead log that is lost, cut short, old or another database's leaves a file that is whole and says
 * less than was acknowledged. So a small file beside it, appdata.mark, says the number of the last group that
 * is on the disk, whether the last stop was a clean one, and which database and which log that was. The file
 * counts the logs that have gone into it, and the mark has the number too: an older copy in its place would
 * otherwise be taken for the file that a log of today goes with, and give old rows for new ones. The log has
 * it as well, and stands in for a mark that is gone. The mark is
 * written after each commit and not synced: a lower bound, which costs no waiting.
 *
 * At start mark_read, before the store file is touched; then marker_open, marker_follow after each commit,
 * marker_close. The thread that commits. */
#ifndef STORE_MARK_H
#define STORE_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "store/engine.h"
#include "store/folder.h"

struct mark {
  bool known;             /* there is one, and it is whole */
  bool clean;             /* the store was closed in order: the file alone says all */
  bool faulty;            /* the file is damaged, and has to be looked at as a whole before it is used */
  uint32_t schema;        /* the file's version */
  uint32_t stamp;         /* of the file as a clean stop has left it: see mark_stamp; 0: not known */
  uint32_t place;         /* where the mark is, as long as the stop was not a clean one: see mark_is_copy */
  int64_t id;             /* the database's, in its _meta; 0: it had none */
  uint64_t epoch;         /* raised by every restore */
  uint32_t settled;       /* the number of the last log that the file alone holds all of; 0: not known */
  uint64_t seq;           /* of the last group that is on the disk */
  unsigned char salts[8]; /* of the log: its header has them at byte 16; all 0: not known */
};

/* Where there is none, or half of one, `known` is false. */
void mark_read(const struct folder *folder, struct mark *mark);

/* The store file's size and time in one number, by which one that another program has written to is told from
 * one that nobody has touched; 0: there is none. */
uint32_t mark_stamp(const struct folder *folder);

/* Whether the mark is a copy of one that a host was writing: then so are the files beside it, which may be of
 * different moments. It says which file it is, by the number and the birth of that file. */
bool mark_is_copy(const struct folder *folder, const struct mark *mark);
extern bool mark_trusts_copies; /* for tests whose disks are copies of a disk: none is ever one */

/* Whether a log with these salts can be the mark's, or a later one of the same process: the mark may lag
 * behind after a loss of power, and SQLite counts the first salt up each time it begins a log anew. */
bool mark_knows_log(const struct mark *mark, const unsigned char salts[8]);

/* What keeps the mark. Where it cannot be written it stays as it was, which is a lower bound still. */
struct marker {
  int fd;
  const struct folder *folder; /* borrowed */
  struct mark mark;
  int wal_pages; /* when it was last written */
};

/* Says that the engine is at work: from here on the stop is not a clean one. Synced. */
void marker_open(struct marker *marker, const struct folder *folder, const struct engine *engine);

/* The engine's last group is on the disk. */
void marker_follow(struct marker *marker, const struct engine *engine);

/* The file is damaged: the next start looks at it as a whole, and restores it, also after a kill. */
void marker_note_faulty(struct marker *marker);

/* After engine_finish, and before the log is taken away; clean: the file alone says all. Then it is synced.
 */
void marker_close(struct marker *marker, bool clean);

#endif
