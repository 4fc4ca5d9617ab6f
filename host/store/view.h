/* The view: the connections that read. One answers single keys, the other walks ranges, so that a long scan
 * does not hold up a load. They see the tables; what the journal holds is the front's to know, and a scan
 * reads it where it cannot be folded.
 *
 * Used by the reader thread; view_close may be called by the commit thread while the reader holds still. */
#ifndef STORE_VIEW_H
#define STORE_VIEW_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/range.h"
#include "store/slice.h"
#include "store/sql.h"
#include "store/store.h"
#include "store/unusable.h"

struct view {
  const char *path; /* borrowed, and so is the clock */
  const struct clock *clock;
  sqlite3 *loads, *scans;
  struct shelves load_shelves, scan_shelves;
  struct scan *scan; /* the one under way; borrowed */
  bool held;         /* all scans see the moment of view_hold */
  int64_t held_ms;   /* the clock then */
};

void view_init(struct view *view, const char *path, const struct clock *clock);
void view_close(
    struct view *view); /* it opens itself again when it is next used; a scan under way starts over */

/* From here on all scans see this moment, until view_close. */
enum moonkeep_code view_hold(struct view *view, struct err *err);

/* Several loads see one moment. */
enum moonkeep_code view_begin_loads(struct view *view, struct err *err);
void view_end_loads(struct view *view);

/* The row of a key: *value gets a new reference, or NULL when there is none. corrupt: the row does not match
 * its checksum, or what another program wrote there is not JSON. */
enum moonkeep_code view_load(struct view *view, const char *bucket, const char *key, size_t key_len,
                             struct value **value, struct err *err);

/* A scan: all its steps see one moment. Its results go into the call. */
struct scan {
  struct store_call *call; /* borrowed */
  const char *bucket;      /* borrowed */
  int64_t now_ms;          /* the clock at its moment: what has expired by then is not there */
  uint64_t journal_seq;    /* what the journal holds up to this group counts too: where it cannot be folded */
  struct slice journal;
  size_t next; /* of its steps: what comes behind the rows that have been walked */
  struct range range;
  /* Called with each row that another program wrote and that cannot be used, in order; what it returns other
   * than MOONKEEP_OK ends the scan. NULL: one whose value is wanted is an error, others are passed over. */
  enum moonkeep_code (*unusable)(void *ctx, const struct unusable *row, struct err *err);
  void *unusable_ctx;
  struct buf last;    /* the key that the index led to last, or where the scan begins */
  bool has_last;      /* it is a row's */
  sqlite3_stmt *rows; /* NULL: it has not begun, or has to begin again */
  size_t cap;
};

/* Takes up to max_rows rows further; *done at its end. After an error or the end, view_end_scan. */
enum moonkeep_code view_scan(struct view *view, struct scan *scan, unsigned max_rows, bool *done,
                             struct err *err);
void view_end_scan(struct view *view, struct scan *scan);

#endif
