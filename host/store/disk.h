/* Files that are moved and copied so that the power may go, or the process be killed, at any moment in
 * between.
 *
 * Not for a database that is open: closing a descriptor of its files would drop SQLite's locks. Every
 * function names the file in its error: full, memory, invalid (no permission), io. Any thread. */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The bytes that a file has; -1: there is none, or it is no regular file. */
int64_t disk_size(const char *path);

/* A copy with the same bytes, synced; one that is there already is overwritten. */
enum moonkeep_code disk_copy(const char *from, const char *to, struct err *err);

/* Also across file systems: then it is copied first. Neither folder is synced. */
enum moonkeep_code disk_move(const char *from, const char *to, struct err *err);

/* One that is missing is fine. */
enum moonkeep_code disk_remove(const char *path, struct err *err);

/* Makes a folder, whose entry in the one above is then durable; one that is there is fine. */
enum moonkeep_code disk_make_folder(const char *path, struct err *err);

/* Makes what was made, renamed or removed in it survive power loss; and what is in a file. */
enum moonkeep_code disk_sync(const char *path, struct err *err);

/* Makes a file, empty, for disk_write. */
enum moonkeep_code disk_create(int *fd, const char *path, struct err *err);

/* The same for one that is there: what is written comes behind what it has. */
enum moonkeep_code disk_open_end(int *fd, const char *path, struct err *err);

/* Writes all of it where the file stands; what a failure has left there is the caller's to see to. */
enum moonkeep_code disk_write(int fd, const char *path, const void *bytes, size_t len, struct err *err);

/* Has the disk begin with what was written there, or waits until it has it: durable it is only with a sync.
 * So that a large file is no burst at its end. Does nothing where the system cannot. */
void disk_write_out(int fd, int64_t from, int64_t to, bool wait);

/* Makes what has been written durable. */
enum moonkeep_code disk_sync_fd(int fd, const char *path, struct err *err);

/* Reads a small file whole; one that is larger is cut off there. *missing: there is none. *place as
 * disk_place has it. */
enum moonkeep_code disk_read(const char *path, size_t most, struct buf *out, uint32_t *place, bool *missing,
                             struct err *err);

/* Which file this is, by its number and its birth, so that a copy is told from it; 0: it cannot be known. */
uint32_t disk_place(int fd);

/* "folder/name", to be freed with mem_free; NULL: no memory. */
char *disk_join(const char *folder, const char *name);

/* The code of an errno. */
enum moonkeep_code disk_code(int why);

/* Tests: asked before each operation that changes or reads the disk; an errno other than 0 makes it fail.
 * NULL (the start) lets all through. */
void disk_set_gate(int (*gate)(const char *doing, const char *path));

#endif
