/* Looking at a whole data folder: the store file and each backup, one after the other. Also while a host runs
 * there, beside which it only reads. */
#ifndef STORE_INSPECT_H
#define STORE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct inspected {
  const char *name; /* appdata.db, or the name of a backup; valid until the call returns */
  bool is_backup, good;
  bool counted; /* keys and damaged are known */
  uint64_t keys, damaged;
  const struct err *why; /* when it is not good */
};

struct inspect {
  const char *dir, *backups; /* backups NULL: backups in the data folder */
  bool full;                 /* every row of every file */
  void (*told)(void *ctx, const struct inspected *inspected);
  void *ctx;
};

/* *bad: how many are not good. Errors: what kept it from looking at all. */
enum moonkeep_code inspect_run(const struct inspect *inspect, unsigned *bad, struct err *err);

#endif
