/* The rows of a file that is to be imported: read one by one, each checked.
 *
 * What the text is, its content says: one object a line, {"store":…,"key":…,"value":…,"expires_at":…} (what
 * `export` and `select` write), read line by line; an array of such objects; or one object whose members are
 * keys and their values, {"alice":{"xp":50},…}. The last two are held in memory as a whole. A file may also
 * be a database of another program: see store/foreign.h.
 *
 *     rows_open → rows_next until *end → rows_close */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct row {
  const char *store; /* NULL: the row does not say */
  const char *key, *json;
  size_t key_len, json_len;
  int64_t expires_at_ms; /* 0: never */
  uint64_t line;         /* where it stands; of a database: the how manieth it is */
};

struct rows {
  int fd; /* borrowed */
  const char *name;
  size_t value_limit;
  enum { ROWS_LINES, ROWS_ARRAY, ROWS_OBJECT, ROWS_FOREIGN } kind;
  struct buf in;         /* owned: what has been read and not taken; all of it where it is held as a whole */
  size_t taken, scanned; /* of it: so much is behind us; so much has no newline */
  bool ended;
  uint64_t line, bytes;         /* the line that comes next; how much has been read */
  struct foreign *foreign;      /* owned */
  struct json json;             /* of what is held as a whole */
  struct buf store, key, value; /* owned: of the last row */
};

/* `name` is for the errors, and the file's path where the descriptor is not standard input. They are
 * invalid_value and the like for what the text says, with its line; io. rows_close in any case. */
enum moonkeep_code rows_open(struct rows *rows, int fd, const char *name, size_t value_limit,
                             struct err *err);
enum moonkeep_code rows_next(struct rows *rows, struct row *row, bool *end, struct err *err);
void rows_close(struct rows *rows);

/* Puts "line N of NAME: ", or row, before an error about a row. */
enum moonkeep_code rows_blame(const struct rows *rows, uint64_t line, struct err *err);

#endif
