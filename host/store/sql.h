/* Connections to the store file, and the statements that each of them keeps prepared.
 *
 * A connection belongs to one thread at a time. None of ours ever checkpoints by itself: SQLite 3.40 can
 * corrupt a file when one connection checkpoints while another commits, and it hides errors of automatic
 * checkpoints. */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/err.h"

enum { SQL_BUSY_MS = 5000 }; /* how long we wait for a program that holds the file locked */

/* Opens a connection with the settings that all of ours share. The writer's makes the file when it is
 * missing. */
enum moonkeep_code sql_open(sqlite3 **out, const char *path, bool writer, struct err *err);

/* Whether the connection waits for a program that holds the file locked, as it does from the start. */
void sql_wait_for_others(sqlite3 *db, bool wait);

/* A connection that only reads, for a file that nobody changes meanwhile: it takes no locks, makes no file
 * beside it, and does not look at a log there. */
enum moonkeep_code sql_open_still(sqlite3 **out, const char *path, struct err *err);

/* Runs statements that give no rows. `doing` completes "cannot …" in the error. */
enum moonkeep_code sql_run(sqlite3 *db, const char *sql, const char *doing, struct err *err);

/* The same for one that gives one number; 0 when it gives no row. */
enum moonkeep_code sql_number(sqlite3 *db, const char *sql, const char *doing, int64_t *number,
                              struct err *err);

/* The same where the error does not matter. False: there was one. */
bool sql_ask(sqlite3 *db, const char *sql, int64_t *number);

enum moonkeep_code sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct err *err);

/* Makes the error of a result code: full, io (and err->disk, where it is the disk that has failed), memory,
 * corrupt, or busy where another program holds the file locked. */
enum moonkeep_code sql_fail(sqlite3 *db, int rc, const char *doing, struct err *err);

/* Whether a line of a check of the pages says that one could not be read: SQLite tells that in words as well.
 */
bool sql_is_about_reading(const char *line);

/* The prepared statements of one connection that name a bucket: `sql[kind]` has `"%w"` where the name goes,
 * twice at most. Made when first used. An embedded struct. */
enum { SHELF_KINDS = 5 };

struct shelf {
  struct shelf *next;
  bool made;        /* the writer's notes: the table is there; */
  unsigned damaged; /*   expired rows that the sweep leaves because their checksum does not match */
  sqlite3_stmt *statements[SHELF_KINDS];
  char name[64];
};

struct shelves {
  sqlite3 *db; /* borrowed */
  const char *const *sql;
  struct shelf *first; /* owned */
  bool exact;          /* a table whose name differs in case is another one, and not there */
};

void shelves_init(struct shelves *shelves, sqlite3 *db, const char *const *sql);
void shelves_deinit(struct shelves *shelves); /* before the connection is closed */

/* The bucket's shelf, NULL with err when there is no memory. */
struct shelf *shelf_of(struct shelves *shelves, const char *name, size_t name_len, struct err *err);

/* The statement, reset and ready to be bound; NULL with err. A table that does not exist gives NULL with
 * err->code MOONKEEP_OK. */
sqlite3_stmt *shelf_statement(struct shelves *shelves, struct shelf *shelf, int kind, struct err *err);

#endif
