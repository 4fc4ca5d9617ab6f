/* A receipt: what was restored or repaired, from when, up to which moment, what may be missing, and where the
 * damaged file is. It goes into the log, to the scripts as the event `restored`, and stays in the store file,
 * in _meta, until the next one. */
#ifndef STORE_RECEIPT_H
#define STORE_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"

enum receipt_kind {
  RECEIPT_NONE,
  RECEIPT_RESTORED,  /* a backup took the store file's place */
  RECEIPT_COMPLETED, /* the store file was whole and lacked its last changes, which came from the archive */
  RECEIPT_REPAIRED,  /* damaged rows were written anew */
};

struct receipt {
  enum receipt_kind kind;
  char why[256];     /* "the store file was missing" */
  char backup[96];   /* its name; "": none was used */
  int64_t backup_ms; /* the moment of that backup */
  uint64_t groups;   /* that came from the archive */
  int64_t up_to_ms;  /* the newest change that is there now; 0: not known */
  uint64_t keys;     /* of all stores; of a repair, how many */
  uint64_t missing;  /* commits that were acknowledged and are not there; 0: none is known of */
  char damaged[96];  /* the folder, in the data folder, where the files are that were replaced; "": none */
  int64_t at_ms;     /* when it was done */
};

/* As a JSON object: {"kind":"restored","why":…,"backup":…,"backup_at":…,"up_to":…,"missing":…,"damaged":…}
 * with moments in ISO 8601. */
void receipt_put_json(struct buf *out, const struct receipt *receipt);

/* As a sentence for the log. */
void receipt_put_text(struct buf *out, const struct receipt *receipt);

/* Writes it into an open store file, in the caller's transaction or one of its own; nobody has been told. */
enum moonkeep_code receipt_save(sqlite3 *db, const struct receipt *receipt, struct err *err);

/* Appends the JSON of the one that the file has; nothing where it has none. */
enum moonkeep_code receipt_load(sqlite3 *db, struct buf *out, struct err *err);

/* Whether scripts have still to be told of it; and that they have been. */
enum moonkeep_code receipt_is_untold(sqlite3 *db, bool *untold, struct err *err);
enum moonkeep_code receipt_note_told(sqlite3 *db, struct err *err);

/* A moment as 2026-11-23T10:15:00.250Z, and without punctuation for names of files: 20261123T101500.250Z. */
enum { RECEIPT_TIME = 32 };
const char *receipt_time(char text[RECEIPT_TIME], int64_t ms);
const char *receipt_stamp(char text[RECEIPT_TIME], int64_t ms);

#endif
