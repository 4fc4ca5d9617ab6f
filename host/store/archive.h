/* The archive: every group of changes once more, in files beside the backups, so that a backup can be brought
 * forward to any later moment.
 *
 * A file begins with a head, then come groups as the journal has them, each with a checksum and the number of
 * the group that came before it. So where one is missing it is noticed, though numbers may be left out: a
 * group that failed has used up one. A file is only ever added to, by one process at a time; each backup
 * begins another one, and so does each start, but for small files (archive_resume.h). Its name has the epoch
 * and the group that it begins behind: appdata-00000001-0000000000000017.archive.
 *
 * What is torn off at the end of a file, by a crash or by a loss of power, is as if it had never been there.
 *
 * Writing: archive_create → archive_put … archive_write, archive_sync … archive_close.
 * Reading: archive_open → archive_next until *end → archive_end.
 * Nothing here is shared between threads. */
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { ARCHIVE_NAME_BYTES = 64 }; /* with the NUL */

struct archive_group {  /* one group; the changes are as the journal has them (journal.h) */
  uint64_t seq, before; /* before: the group that came before it */
  int64_t at_ms;        /* since 1970: when it was written */
  const void *changes;  /* borrowed: valid until the next one */
  size_t len;
};

struct archive_file {
  char name[ARCHIVE_NAME_BYTES];
  uint64_t epoch, after; /* it begins behind this group */
  uint64_t bytes;
};

struct archive_origin { /* where an epoch came from, by a restore */
  bool known;           /* files of older versions do not say it */
  bool first;           /* of a file: it begins behind the group behind which the epoch began */
  uint64_t epoch; /* the state there was that of this one; 0: nothing that the archive has leads there */
};

/* ---- the folder ---- */

/* The archive's files of a folder by epoch and first group, the oldest first. A folder that is missing has
 * none. *out is to be freed with mem_free. */
enum moonkeep_code archive_list(const char *dir, struct archive_file **out, size_t *count, struct err *err);

/* ---- writing ---- */

struct archive {
  int fd;              /* -1: closed */
  char *path;          /* owned */
  uint64_t epoch, seq; /* seq: of the last group that was written */
  uint64_t bytes;      /* of the file, up to the end of the last group written */
};

/* Makes a file whose first group comes behind `after`. One of that name is replaced where it has no group
 * (else invalid). Makes the folder where it is missing. Errors: full, io, memory, invalid; the archive is
 * closed then. origin: the epoch's, NULL: not known. */
enum moonkeep_code archive_create(struct archive *archive, const char *dir, uint64_t epoch, uint64_t after,
                                  const struct archive_origin *origin, int64_t at_ms, struct err *err);

/* Adds a group to bytes that are to be written. */
void archive_put(struct buf *out, uint64_t epoch, const struct archive_group *group);

/* Writes such bytes, whole groups; last_seq is the last one's number. An error leaves the file as it was
 * before; where even that cannot be had, the archive is closed. */
enum moonkeep_code archive_write(struct archive *archive, const struct buf *groups, uint64_t last_seq,
                                 struct err *err);

/* After an error the archive is closed: nobody knows what the disk has of it. */
enum moonkeep_code archive_sync(struct archive *archive, struct err *err);
void archive_close(struct archive *archive); /* without a sync; fine on one that is closed */

/* ---- reading ---- */

struct archive_reader {
  char *dir; /* owned, as are the files and the bytes */
  struct archive_file *files;
  size_t count, at; /* at: the file that is next */
  uint64_t epoch, seq;
  int64_t at_ms; /* of the last group handed out; 0: none was */
  int fd;        /* of the file being read; -1: none is */
  struct buf bytes;
  bool torn;    /* a file ended in the middle of a group, or with a damaged one */
  bool damaged; /* that was no end, as a crash leaves it: the bytes are there and do not match */
  bool gap;     /* there are groups behind the last one, and between them some are missing */
};

/* Begins behind group `after` of the epoch: there the state is that the groups build on. */
enum moonkeep_code archive_open(struct archive_reader *reader, const char *dir, uint64_t epoch,
                                uint64_t after, struct err *err);

/* The next group, in order, none left out. *end: there is none; `torn` and `gap` say whether something was
 * found that cannot be used. Errors are those of reading: io, memory. */
enum moonkeep_code archive_next(struct archive_reader *reader, struct archive_group *group, bool *end,
                                struct err *err);
void archive_end(struct archive_reader *reader);

/* The same for one file alone; `gap` is then about its own groups. */
enum moonkeep_code archive_open_file(struct archive_reader *reader, const char *dir,
                                     const struct archive_file *file, struct err *err);

/* What the file says of it; one whose head is damaged says nothing. Errors: io, memory. */
enum moonkeep_code archive_read_origin(const char *dir, const struct archive_file *file,
                                       struct archive_origin *origin, struct err *err);

/* The last group of the epoch in the archive; 0: it has none. *at_ms is when that was. */
enum moonkeep_code archive_last(const char *dir, uint64_t epoch, uint64_t *seq, int64_t *at_ms,
                                struct err *err);

/* How far the archive reaches from this group of the epoch on, without a gap. */
enum moonkeep_code archive_reach(const char *dir, uint64_t epoch, uint64_t after, uint64_t *seq,
                                 int64_t *at_ms, struct err *err);

#endif
