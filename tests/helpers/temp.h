/* Folders and files that tests make and that are gone afterwards. */
#ifndef TESTS_TEMP_H
#define TESTS_TEMP_H

#include <stddef.h>

/* A new empty folder below $TMPDIR (or /tmp), removed with all in it when the program ends. Valid for ever.
 */
const char *temp_dir(void);

/* The same at once, for tests that make many. */
void temp_remove(const char *dir);

/* "dir/name"; valid until the eighth call after. */
const char *temp_path(const char *dir, const char *name);

void temp_write(const char *path, const char *text);
void temp_write_bytes(const char *path, const void *bytes, size_t len);
char *temp_read(const char *path, size_t *len); /* to be freed; NULL: there is no such file */

#endif
