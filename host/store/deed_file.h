/* The two small files that say which data folder and which folder of backups belong together (deed.h): one in
 * either. Each is one line for the program and, for people, one with the data folder. It is written under
 * another name, synced and renamed, so that there is never half of one.
 *
 * It also says which file it is itself, so that a copy is told from what it was copied from. */
#ifndef STORE_DEED_FILE_H
#define STORE_DEED_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DEED_OF_DATA    "appdata.id"    /* in the data folder */
#define DEED_OF_BACKUPS "appdata.owner" /* in the folder of the backups */

enum deed_state {
  DEED_NONE,
  DEED_WHOLE,
  DEED_DAMAGED,    /* it was not written by us */
  DEED_UNREADABLE, /* the disk, or a permission */
};

struct deed_file { /* deinit with deed_file_deinit */
  enum deed_state state;
  int64_t id;      /* of the store */
  int64_t from;    /* the store whose backups this one is taking over; 0: none */
  bool copied;     /* the file is a copy, or was moved to another file system */
  struct buf data; /* the data folder */
  struct err why;  /* where it is unreadable */
};

/* memory: that alone is an error. */
enum moonkeep_code deed_file_read(struct deed_file *file, const char *folder, const char *name,
                                  struct err *err);
enum moonkeep_code deed_file_write(const char *folder, const char *name, int64_t id, int64_t from,
                                   const char *data, struct err *err);
void deed_file_deinit(struct deed_file *file);

#endif
