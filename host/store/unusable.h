/* A row that another program has written into a store, and that no call can use: its value is not JSON, or
 * its key is none that a call can name. It is nobody's to hand out and nobody's to lose: backups have it as
 * it is, and whoever walks a store can be told of it. */
#ifndef STORE_UNUSABLE_H
#define STORE_UNUSABLE_H

#include <stddef.h>

struct sqlite3_stmt;

struct unusable { /* all borrowed: valid until the call that tells of it returns */
  const char *store;
  const char *key; /* NULL: it has none, or one that is no text; it may be of any bytes */
  size_t key_len;
  const char *why;          /* "its value is not JSON" */
  struct sqlite3_stmt *row; /* for store/: key, value and expiry are columns 1 to 3 */
};

#endif
