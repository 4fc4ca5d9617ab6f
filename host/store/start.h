/* The start of a store: looks at what is in the data folder before it is taken into use, and restores what is
 * missing or damaged.
 *
 * It never begins empty where there was something, and never shows less than was acknowledged without
 * saying so: see mark.h. Files that are damaged are set aside in a folder, never deleted. */
#ifndef STORE_START_H
#define STORE_START_H

#include "base/clock.h"
#include "base/log.h"
#include "store/deed.h"
#include "store/engine.h"
#include "store/mark.h"
#include "store/receipt.h"

struct start {
  const struct folder *folder; /* borrowed, as is all else that points */
  const char *path;            /* of the store file */
  const char *backups;         /* the folder of the backups */
  struct deed *deed;           /* whose that is; NULL: the caller knows */
  struct archiver *archiver;   /* is shown what a crash has left; NULL: none */
  size_t cache_bytes;
  const struct clock *clock;
  const struct log *log;

  /* What came of it. */
  struct receipt receipt; /* kind RECEIPT_NONE: there was nothing to be done */
  bool restored;          /* something was, also by an earlier process that was cut short */
  uint64_t edit_seq;      /* stands for what other programs have changed since the last stop; 0: nothing */
  bool unchecked;         /* the last stop was not a clean one, and the file is too large to be checked now */
};

/* Opens the engine, restoring first where it has to. Errors as of engine_open; corrupt or invalid: it is
 * damaged, or missing, and there is no backup to restore: the sentence says what to do. */
enum moonkeep_code start_engine(struct start *start, struct engine *engine, struct err *err);

#endif
