/* The engine: the one connection that writes. It appends groups to the journal, folds the journal into the
 * tables, erases, sweeps what has expired, and checkpoints.
 *
 * Made by engine_open on the host thread, then used by the commit thread alone, closed by engine_close. Every
 * function that fails leaves no transaction open. */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "store/folder.h"
#include "store/slice.h"
#include "store/sql.h"

#ifndef ENGINE_FOLD_ROWS
#define ENGINE_FOLD_ROWS 100000 /* the most changes that one fold takes (whole groups: at least one) */
#endif
#ifndef ENGINE_FOLD_BYTES
#define ENGINE_FOLD_BYTES (8 << 20) /* and the most bytes of journal */
#endif
#ifndef ENGINE_STEP_ROWS
#define ENGINE_STEP_ROWS 2000 /* the most rows that one transaction of a fold writes */
#endif
enum { ENGINE_STEP_US = 1000 }; /* after which it ends: a commit may wait for it */
#ifndef ENGINE_SWEEP_ROWS
#define ENGINE_SWEEP_ROWS 500 /* expired rows that one sweep takes from a bucket */
#endif

struct archiver;

struct engine {
  sqlite3 *db;
  const char *path;      /* borrowed */
  const struct log *log; /* borrowed */
  size_t cache_bytes;    /* of pages; more than a fold dirties is best */
  struct shelves shelves;
  sqlite3_stmt *append;
  sqlite3_stmt
      *edited; /* while opening, where other programs have changed keys after a crash: asks for one */
  struct archiver *archiver; /* borrowed; NULL: none */
  bool keeps_fresh;          /* somebody wants `fresh`, and empties it */
  struct buf fresh;          /* owned: the groups appended, as the archive has them */
  uint64_t fresh_before;     /* the group before the first of them */
  bool relaxed;              /* commits are not synced at the moment */
  uint64_t epoch;            /* raised by every restore */
  int64_t parent;            /* the epoch that this one came from; 0: not known, -1: from elsewhere */
  uint64_t branch;           /* behind this group of it */
  int64_t id;                /* the database's own: which one this is */
  bool id_is_new;            /* it had none before this opening */
  uint64_t last_seq;         /* of the newest group in the file */
  uint64_t folded_seq;       /* the tables show every group up to this one */
  size_t journal_bytes;      /* in the journal and not folded */
  struct slice folding;      /* what the fold under way takes from the journal; no groups: none is */
  size_t folded_rows;        /* so many of its rows are in the tables */
  struct {                   /* what they were before engine_begin_many */
    uint64_t last_seq;
    size_t journal_bytes;
    int64_t logs;
    bool counted;
  } before_many;
  bool in_many;           /* between engine_begin_many and engine_end_many: then `fresh` gets nothing */
  int64_t logs;           /* counted up with each log that goes into the file: see mark.h; in _meta */
  int64_t settled;        /* the one up to which the file alone holds everything; 0: not known */
  int64_t base;           /* the same, as _meta has had it when the file was opened */
  bool counted;           /* it has been counted up for the log under way, of which, since then, */
  bool partly;            /* only a part has gone into the file */
  bool at_work;           /* _meta says that the file is open, or was not closed in order */
  int done_pages;         /* of these, so many are in the file already */
  int wal_pages;          /* in the write-ahead log, since it was last wrapped */
  int64_t next_expiry_ms; /* no row expires before; INT64_MAX: none does */
};

/* Opens the store file, makes or migrates it, and folds what a crash has left in the journal. cache_bytes:
 * how much memory pages may take. */
enum moonkeep_code engine_open(struct engine *engine, const struct folder *folder, const char *path,
                               size_t cache_bytes, const struct log *log, struct err *err);

/* Before engine_close: everything is folded and checkpointed, so that the file alone says all. */
enum moonkeep_code engine_finish(struct engine *engine, struct err *err);

/* Clean: engine_finish first, and the write-ahead log is gone. Otherwise, or after an
 * error, the files stay as they are. Closes in any case. */
enum moonkeep_code engine_close(struct engine *engine, bool clean, struct err *err);

/* The same with an archiver: a file of an older version is kept as a backup before it is brought up to date,
 * what is in the journal is shown to the archiver before it is folded, and from then on groups are kept in
 * `fresh`. NULL: as engine_open. */
enum moonkeep_code engine_open_archived(struct engine *engine, const struct folder *folder, const char *path,
                                        size_t cache_bytes, const struct log *log, struct archiver *archiver,
                                        struct err *err);

/* Appends a group and makes it durable. full, memory, corrupt, busy: it is not in the file. io: nobody knows;
 * ask engine_reopen. */
enum moonkeep_code engine_append(struct engine *engine, uint64_t seq, int64_t at_ms, const void *changes,
                                 size_t len, struct err *err);

/* Makes of the groups that are appended next one transaction, until engine_end_many. Not keep: they are taken
 * back. An error of beginning or keeping is as one of engine_append, for all of them. */
enum moonkeep_code engine_begin_many(struct engine *engine, struct err *err);
enum moonkeep_code engine_end_many(struct engine *engine, bool keep, struct err *err);

/* Puts groups of the journal behind this one into `fresh`, which is empty, up to about so many bytes. *last
 * is the last of them, or `after` where there are none. For what engine_begin_many has kept out of it. */
enum moonkeep_code engine_read_fresh(struct engine *engine, uint64_t after, size_t bytes, uint64_t *last,
                                     struct err *err);

/* After an io error: closes the connection, saves the write-ahead log against what the disk may still do to
 * it, opens it anew, and says whether the group is there. Nobody else may have the file open in this process.
 */
enum moonkeep_code engine_reopen(struct engine *engine, const struct folder *folder, uint64_t seq,
                                 bool *there, struct err *err);

/* One step of a fold: the next rows of the oldest groups (up to ENGINE_FOLD_BYTES of them and at least one,
 * none newer than up_to) go into the tables, as many as a step may have; *rows is how many: 0 as long as the
 * groups are being read. They leave the journal with the last step; until then it is the journal that counts,
 * and a fold that was broken off begins anew. Does nothing when there are none. */
enum moonkeep_code engine_fold(struct engine *engine, uint64_t up_to, size_t *rows, struct err *err);
bool engine_is_folding(const struct engine *engine); /* between two steps */
enum moonkeep_code engine_fold_all(struct engine *engine, struct err *err);

/* Erases all keys of the bucket that match, durably, with a record of it as group seq; *count is how many of
 * them had not expired. Everything before must be folded. */
enum moonkeep_code engine_erase_like(struct engine *engine, uint64_t seq, int64_t now_ms, const char *bucket,
                                     const char *pattern, size_t len, uint64_t *count, struct err *err);

/* Removes some of the rows that have expired; *more when there may be others. Without a sync of its own: a
 * row that comes back after power loss has still expired. */
enum moonkeep_code engine_sweep(struct engine *engine, int64_t now_ms, bool *more, struct err *err);

/* Begins an epoch above the engine's and `newest`: a restore has brought the file back to the state of
 * `epoch` at the engine's last group, or to one that the archive does not lead to (0). In one statement,
 * which is committed with the transaction that is open. */
enum moonkeep_code engine_raise_epoch(struct engine *engine, uint64_t newest, uint64_t epoch,
                                      struct err *err);

/* Gives a number in the order of changes to what other programs have changed in the file: so it is seen that
 * the archive lacks it. Everything must be folded. */
enum moonkeep_code engine_count_edit(struct engine *engine, struct err *err);

/* Moves the write-ahead log into the file, as far as readers let it. */
enum moonkeep_code engine_checkpoint(struct engine *engine, struct err *err);

#endif
