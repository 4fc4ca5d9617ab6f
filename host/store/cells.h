/* The rows of a database's tables, taken from the bytes of its pages: whatever these are, nothing outside
 * them is read, and each page is looked at once.
 *
 * One thread. */
#ifndef STORE_CELLS_H
#define STORE_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/pages.h"

enum { CELL_COLUMNS = 8 };

enum cell_type { CELL_NULL, CELL_INTEGER, CELL_OTHER, CELL_TEXT, CELL_BLOB };

struct cell { /* one row */
  int64_t rowid;
  int columns;
  struct cell_column {
    enum cell_type type;
    int64_t integer;
    const char *bytes; /* of a text or blob */
    size_t len;
  } column[CELL_COLUMNS];
};

struct cells {
  struct pages *pages; /* borrowed */
  unsigned char *seen; /* owned: pages that have been looked at */
  uint64_t broken;     /* cells that could not be read */
  /* May end it by an error. The texts are valid until it returns. */
  enum moonkeep_code (*row)(void *ctx, const struct cell *cell, struct err *err);
  void *ctx;
};

enum moonkeep_code cells_init(struct cells *cells, struct pages *pages, struct err *err);
void cells_deinit(struct cells *cells);

/* The rows of the table whose tree begins at this page. */
enum moonkeep_code cells_walk(struct cells *cells, uint32_t root, struct err *err);

/* The rows of the page, if it is a table's and has not been looked at. */
enum moonkeep_code cells_page(struct cells *cells, uint32_t number, struct err *err);

/* Leaves out the pages that the file says are free: what they hold was deleted. */
void cells_skip_free(struct cells *cells);

#endif
