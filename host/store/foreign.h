/* Databases of other programs, read row by row: what `import` takes beside text.
 *
 * The Root SDK's table __rootapp_kv(key, community_id, value, expires_at): the value is JSON, the expiry
 * milliseconds since 1970. It adds a row at each set of a key without a community, so of the rows of a key
 * the newest counts, which has the highest rowid. Luanti's mod_storage.sqlite, entries(modname, key, value):
 * each mod's keys and values are texts.
 *
 *     foreign_open → foreign_next until *end → foreign_close */
#ifndef STORE_FOREIGN_H
#define STORE_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct foreign;

struct foreign_row { /* the texts are valid until the next foreign_next */
  const char *store; /* NULL: the row does not say */
  const char *key, *value;
  size_t key_len, value_len;
  bool is_json;          /* the value; else it is any text */
  int64_t expires_at_ms; /* 0: never */
};

/* Whether a file that begins so is a database. */
bool foreign_is_database(const char *bytes, size_t len);

/* invalid: it is a database, and none of these. Changes nothing in the file. */
enum moonkeep_code foreign_open(struct foreign **out, const char *path, struct err *err);
enum moonkeep_code foreign_next(struct foreign *foreign, struct foreign_row *row, bool *end, struct err *err);
void foreign_close(struct foreign *foreign); /* NULL is fine */

#endif
