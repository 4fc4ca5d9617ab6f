#include "store/pins.h"

#include <limits.h>
#include <string.h>

#include "store/sql.h"

void pins_init(struct pins *pins, const char *path, int step) {
  *pins = (struct pins){.path = path, .step = step};
}

static void take_away(struct pins *pins, int i) {
  sqlite3_close(pins->pins[i].db);
  pins->count--;
  memmove(&pins->pins[i], &pins->pins[i + 1], (size_t)(pins->count - i) * sizeof *pins->pins);
}

/* The one without which the pieces stay smallest goes. */
static void make_room(struct pins *pins, int wal_pages) {
  int least = INT_MAX, which = 0;
  for (int i = 0; i < pins->count; i++) {
    int before = i > 0 ? pins->pins[i - 1].pages : 0;
    int piece = (i + 1 < pins->count ? pins->pins[i + 1].pages : wal_pages) - before;
    if (piece >= least) continue;
    least = piece;
    which = i;
  }
  take_away(pins, which);
}

static void take(struct pins *pins, int wal_pages) {
  struct pin pin = {.pages = wal_pages};
  struct err ignored;
  if (sql_open(&pin.db, pins->path, false, &ignored)) return;
  if (sql_run(pin.db, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", "read the store", &ignored))
    sqlite3_close(pin.db);
  else
    pins->pins[pins->count++] = pin;
}

void pins_look(struct pins *pins, int wal_pages) {
  int last = pins->count > 0 ? pins->pins[pins->count - 1].pages : 0;
  if (wal_pages < last + pins->step) return;
  if (pins->count == PINS) make_room(pins, wal_pages);
  take(pins, wal_pages);
}

int pins_first(const struct pins *pins) {
  return pins->count > 0 ? pins->pins[0].pages : 0;
}

/* Through SQLite: another descriptor of the file must not be closed. An error shows again when the writer
 * syncs. */
static void sync_file(sqlite3 *db) {
  sqlite3_file *file = NULL;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK && file &&
      file->pMethods)
    file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

void pins_next(struct pins *pins) {
  if (pins->count == 0) return;
  sync_file(pins->pins[0].db);
  take_away(pins, 0);
}

void pins_free(struct pins *pins) {
  while (pins->count > 0) take_away(pins, pins->count - 1);
}
