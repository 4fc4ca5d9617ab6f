/* Putting another store file in the place of the one that is there, so that a process that is killed at any
 * moment leaves the old one or the new one.
 *
 *     replace_path → make the file there, closed and whole → replace_commit → replace_finish
 *                                                          → replace_discard
 *
 * From replace_commit on it is the new one that counts: its name says so, and every start looks for it. The
 * old files are moved into a folder that carries the time, and nothing is ever deleted there. The folder must
 * be the caller's, and no file of it open. */
#ifndef STORE_REPLACE_H
#define STORE_REPLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/folder.h"

enum { REPLACE_NAME = 64 };

/* Where the new file is to be made, to be freed with mem_free; what an earlier try has left there is removed.
 */
enum moonkeep_code replace_path(const struct folder *folder, char **path, struct err *err);

/* Removes what was made there and will not be used; what cannot be removed is left to the next replace_path.
 */
void replace_discard(const struct folder *folder);

/* The folder that the old files will go into: "damaged-20261123T101500.250Z". `word` is "damaged" or
 * "replaced".
 */
void replace_aside(char aside[REPLACE_NAME], const char *word, int64_t now_ms);

/* The new file is complete, and counts from here on. */
enum moonkeep_code replace_commit(const struct folder *folder, const char *aside, struct err *err);

/* Does what is left to be done after a replace_commit, of this process or one that was killed; nothing where
 * there is nothing. *done: it was needed. */
enum moonkeep_code replace_finish(const struct folder *folder, bool *done, struct err *err);

/* Whether there are old files. */
bool replace_has_old(const struct folder *folder);

/* Sets aside the files of this list (NULL at its end) that are there, and nothing takes their place. */
enum moonkeep_code replace_set_aside(const struct folder *folder, const char *aside,
                                     const char *const names[], struct err *err);

#endif
