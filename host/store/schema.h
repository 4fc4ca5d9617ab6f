/* The schema of the store file: how it is made, recognised, and brought from an older version to today's.
 *
 * A new file walks the same migrations as an old one. `PRAGMA application_id` says that a file is ours,
 * `PRAGMA user_version` how far it has come. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/err.h"

enum {
  SCHEMA_APPLICATION_ID = 0x6D6F6F6E, /* "moon" */
  SCHEMA_VERSION = 2,
};

/* Looks at a file before SQLite does. A missing or empty one is fine, and one of which power loss has torn
 * the first page, that is still in its log or is taken back. invalid: it is not an SQLite database. */
enum moonkeep_code schema_check_header(const char *path, struct err *err);

/* Lets SQLite take back what power loss has left half made. A connection that does so goes on with what it
 * has read of the torn header before: a new file would say for ever that it is vacuumed step by step, which
 * its other pages are not made for. So it is one that is closed again. */
void schema_take_back(const char *path);

/* Whether the open file is ours, or empty; *version says how far it has come (0: empty). invalid: it is
 * another program's database, or from a newer moonkeep. corrupt: no moonkeep wrote such a version. Changes
 * nothing. */
enum moonkeep_code schema_recognise(sqlite3 *db, const char *path, int64_t *version, struct err *err);

/* Brings the open file from `version` to today's, all in one transaction. */
enum moonkeep_code schema_migrate(sqlite3 *db, int64_t version, struct err *err);

/* Whether the host's own tables are as it has made them; corrupt: they are not. No checksum stands over them,
 * and damage could hide rows of the journal without a word. They are small when a file is opened, so all of
 * their pages are looked at. The same for the schema of each bucket, whose triggers and index remember it:
 * one bit there must not make a bucket look like a stranger's table. */
enum moonkeep_code schema_check_own_tables(sqlite3 *db, const char *path, struct err *err);

/* Makes the table of a bucket where it is missing, inside the caller's transaction. invalid: another program
 * has made something of that name. */
enum moonkeep_code schema_make_bucket(sqlite3 *db, const char *name, struct err *err);

/* Whether a table of this name can be a bucket: a letter, then at most 62 letters, digits or `_`, and not
 * `sqlite_` at the start, in whatever case. */
int schema_is_bucket_name(const char *name);

/* Calls visit with the name of each bucket that has a table; it goes on while visit returns MOONKEEP_OK.
 * corrupt: the schema of one is not as it was made. A
 * table that other programs have made is one if it has a bucket's columns. */
enum moonkeep_code schema_buckets(sqlite3 *db,
                                  enum moonkeep_code (*visit)(void *ctx, const char *name, struct err *),
                                  void *ctx, struct err *err);

/* The same for what others have made in the file that has a name which a bucket could have, and is none:
 * their tables, and with `all` views and indexes too. Such a name is taken. */
enum moonkeep_code schema_strangers(sqlite3 *db, bool all,
                                    enum moonkeep_code (*visit)(void *ctx, const char *name, struct err *),
                                    void *ctx, struct err *err);

/* Adds the names of such tables to a text: "other, players". */
enum moonkeep_code schema_name_strangers(sqlite3 *db, struct buf *out, struct err *err);

/* The error of whoever names one. */
enum moonkeep_code schema_refuse_stranger(const char *name, struct err *err);

#endif
