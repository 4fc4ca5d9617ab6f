/* Looking at a whole data folder: the store file, each backup and the archive, one after the other. Also
 * while a host runs there, beside which it only reads. */
#ifndef STORE_INSPECT_H
#define STORE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum inspected_kind {
  INSPECTED_STORE,
  INSPECTED_BACKUP,
  INSPECTED_ARCHIVE,      /* all of it */
  INSPECTED_ARCHIVE_FILE, /* one that is not good */
};

struct inspected {
  const char *name; /* of the file, or "archive"; valid until the call returns */
  enum inspected_kind kind;
  bool good;
  bool counted; /* keys and damaged are known */
  uint64_t keys, damaged;
  uint64_t unusable;        /* rows of other programs that no store can use: */
  const char *unusable_why; /*   the first of them, as a sentence; "": there are none */
  const char *left_out;     /* tables of other programs that are no stores; "": none */
  uint64_t files, groups;   /* of the archive */
  const char *until;        /* the moment up to which it brings the newest backup forward; "": none */
  int64_t until_ms;         /* the same; 0: none */
  const struct err *why;    /* when it is not good */
};

struct inspect {
  const char *dir, *backups; /* backups NULL: backups in the data folder */
  bool full;                 /* every row of every file */
  void (*told)(void *ctx, const struct inspected *inspected);
  void (*begun)(void *ctx, const char *name); /* with this one; NULL: nobody wants to know */
  void *ctx;
};

/* *bad: how many are not good. Errors: what kept it from looking at all; busy where this process has the
 * store open itself: by closing a file of it that it has read, it would let go of SQLite's locks. */
enum moonkeep_code inspect_run(const struct inspect *inspect, unsigned *bad, struct err *err);

#endif
