#include "store/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/disk.h"
#include "store/receipt.h"

/* The new file is called so while it is made; then "restored-" and the name of the folder for the old files.
 * SQLite's files beside it carry the same name. */
static const char half[] = "restoring.tmp";
static const char whole[] = "restored-";

/* In this order: without the log the store file may say less, but it is what everybody looks for. */
static const char *const old_files[] = {"appdata.db", "appdata.db-wal", "appdata.db-shm",
                                        "appdata.db-journal", NULL};

static enum moonkeep_code remove_file(const struct folder *folder, const char *name, struct err *err) {
  char *path = folder_file(folder, name);
  enum moonkeep_code code = path ? disk_remove(path, err) : err_memory(err);
  mem_free(path);
  return code;
}

static enum moonkeep_code remove_half(const struct folder *folder, struct err *err) {
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  enum moonkeep_code code = MOONKEEP_OK;
  for (int i = 0; !code && i < 4; i++) {
    char name[REPLACE_NAME];
    snprintf(name, sizeof name, "%s%s", half, ends[i]);
    code = remove_file(folder, name, err);
  }
  return code;
}

void replace_discard(const struct folder *folder) {
  struct err ignored;
  remove_half(folder, &ignored);
}

enum moonkeep_code replace_path(const struct folder *folder, char **path, struct err *err) {
  enum moonkeep_code code = remove_half(folder, err);
  *path = code ? NULL : folder_file(folder, half);
  return code || *path ? code : err_memory(err);
}

void replace_aside(char aside[REPLACE_NAME], const char *word, int64_t now_ms) {
  char stamp[RECEIPT_TIME];
  snprintf(aside, REPLACE_NAME, "%.16s-%s", word, receipt_stamp(stamp, now_ms));
}

static enum moonkeep_code move_named(const char *from_folder, const char *from, const char *to_folder,
                                     const char *to, struct err *err) {
  char *source = disk_join(from_folder, from), *target = disk_join(to_folder, to);
  enum moonkeep_code code = source && target ? MOONKEEP_OK : err_memory(err);
  if (!code && access(source, F_OK) == 0) code = disk_move(source, target, err);
  mem_free(source);
  mem_free(target);
  return code;
}

enum moonkeep_code replace_commit(const struct folder *folder, const char *aside, struct err *err) {
  char name[REPLACE_NAME + sizeof whole];
  snprintf(name, sizeof name, "%s%s", whole, aside);
  char *path = folder_file(folder, half);
  enum moonkeep_code code = path ? disk_sync(path, err) : err_memory(err);
  if (!code) code = move_named(folder->path, half, folder->path, name, err);
  if (!code) code = disk_sync(folder->path, err);
  mem_free(path);
  return code;
}

static bool is_there(const struct folder *folder, const char *name) {
  return faccessat(folder->fd, name, F_OK, 0) == 0;
}

bool replace_has_old(const struct folder *folder) {
  for (int i = 0; old_files[i]; i++)
    if (is_there(folder, old_files[i])) return true;
  return false;
}

enum moonkeep_code replace_set_aside(const struct folder *folder, const char *aside,
                                     const char *const names[], struct err *err) {
  int first = 0;
  while (names[first] && !is_there(folder, names[first])) first++;
  if (!names[first]) return MOONKEEP_OK;
  char *into = folder_file(folder, aside);
  enum moonkeep_code code = into ? disk_make_folder(into, err) : err_memory(err);
  for (int i = first; !code && names[i]; i++) code = move_named(folder->path, names[i], into, names[i], err);
  if (!code) code = disk_sync(into, err);
  if (!code) code = disk_sync(folder->path, err);
  mem_free(into);
  return code;
}

/* The name of a new file that is complete and not yet in its place; "" where there is none. */
static enum moonkeep_code find_new(const struct folder *folder, char name[NAME_MAX + 1], struct err *err) {
  DIR *dir = opendir(folder->path);
  name[0] = '\0';
  if (!dir)
    return err_set(err, disk_code(errno), "cannot read the data folder %s: %s", folder->path,
                   strerror(errno));
  for (struct dirent *entry; (entry = readdir(dir));)
    if (strncmp(entry->d_name, whole, sizeof whole - 1) == 0 && !strchr(entry->d_name, '/') &&
        strlen(entry->d_name) < REPLACE_NAME)
      strcpy(name, entry->d_name);
  closedir(dir);
  return MOONKEEP_OK;
}

/* The old files can only be some that the new one replaces: it is put in their place last. */
enum moonkeep_code replace_finish(const struct folder *folder, bool *done, struct err *err) {
  char name[NAME_MAX + 1];
  *done = false;
  enum moonkeep_code code = find_new(folder, name, err);
  if (code || !name[0]) return code;
  *done = true;
  code = replace_set_aside(folder, name + sizeof whole - 1, old_files, err);
  if (!code) code = move_named(folder->path, name, folder->path, "appdata.db", err);
  return code ? code : disk_sync(folder->path, err);
}
