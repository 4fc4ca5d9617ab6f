#include "script/finds.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "script/file.h"

static void forget(struct found *found) {
  mem_free(found->name);
  mem_free(found->file);
}

void finds_deinit(struct finds *finds) {
  for (size_t i = 0; i < finds->count; i++) forget(&finds->all[i]);
  for (size_t i = 0; i < finds->folder_count; i++) mem_free(finds->folders[i]);
  mem_free(finds->all);
  mem_free(finds->folders);
  *finds = (struct finds){0};
}

/* Room for one more in an array; NULL: no memory, and the array is as it was. */
static void *grow(void *all, size_t count, size_t *cap, size_t size) {
  if (count < *cap) return all;
  size_t more = *cap ? *cap * 2 : 16;
  void *grown = mem_resize(all, more * size);
  if (grown) *cap = more;
  return grown;
}

static bool add_found(struct finds *finds, const char *name, size_t name_len, const char *file) {
  struct found *all = grow(finds->all, finds->count, &finds->cap, sizeof *all);
  if (!all) return false;
  finds->all = all;
  struct found found = {mem_copy(name, name_len), mem_copy(file, strlen(file))};
  finds->all[finds->count++] = found;
  return found.name && found.file;
}

static bool add_folder(struct finds *finds, const char *name) {
  char **folders = grow(finds->folders, finds->folder_count, &finds->folder_cap, sizeof *folders);
  if (!folders) return false;
  finds->folders = folders;
  finds->folders[finds->folder_count] = mem_copy(name, strlen(name));
  return finds->folders[finds->folder_count++] != NULL;
}

static bool ends_with(const char *text, const char *end) {
  size_t text_len = strlen(text), end_len = strlen(end);
  return text_len > end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* Looks at one name in the folder; false: no memory. */
static bool look_at(const char *dir, const char *entry, struct finds *finds) {
  if (entry[0] == '.' || entry[0] == '_' || ends_with(entry, "_test.lua")) return true;
  char *path = file_path(dir, entry), *init = path ? file_path(path, "init.lua") : NULL;
  char *init_name = file_path(entry, "init.lua");
  bool ok = path && init && init_name;
  struct stat st;
  if (ok && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    ok = add_folder(finds, entry);
    if (ok && file_exists(init)) ok = add_found(finds, entry, strlen(entry), init_name);
  } else if (ok && ends_with(entry, ".lua")) {
    ok = add_found(finds, entry, strlen(entry) - 4, entry);
  }
  mem_free(path);
  mem_free(init);
  mem_free(init_name);
  return ok;
}

static enum moonkeep_code read_folder(const char *dir, struct finds *finds, struct err *err) {
  DIR *folder = opendir(dir);
  if (!folder && errno == ENOENT)
    return err_set(err, MOONKEEP_INVALID, "the scripts folder %s does not exist (make it with: mkdir %s)",
                   dir, dir);
  if (!folder && errno == ENOTDIR)
    return err_set(err, MOONKEEP_INVALID, "%s is not a folder; scripts are read from a folder of .lua files",
                   dir);
  if (!folder)
    return err_set(err, MOONKEEP_INVALID, "cannot read the scripts folder %s: %s", dir, strerror(errno));
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(folder));) ok = look_at(dir, entry->d_name, finds);
  closedir(folder);
  return ok ? MOONKEEP_OK : err_memory(err);
}

/* By name, and NAME.lua before NAME/init.lua. */
static int by_name(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : ends_with(x->file, "/init.lua") - ends_with(y->file, "/init.lua");
}

/* Whether it can be a bot beside those that are kept. */
static bool is_bot(const struct finds *kept, const struct found *found, const struct log *log) {
  const struct found *last = kept->count ? &kept->all[kept->count - 1] : NULL;
  size_t len = strlen(found->name);
  if (last && strcmp(last->name, found->name) == 0) {
    log_write(log, LOG_WARN, found->name, "left out %s: %s has the same name", found->file, last->file);
    return false;
  }
  if (utf8_valid(found->name, len) == len) return true;
  log_write(log, LOG_ERROR, "scripts", "left out, its name is not UTF-8: %s", found->file);
  return false;
}

static void keep_bots(struct finds *finds, const struct log *log) {
  size_t count = finds->count;
  finds->count = 0;
  for (size_t i = 0; i < count; i++) {
    struct found *found = &finds->all[i];
    if (is_bot(finds, found, log))
      finds->all[finds->count++] = *found;
    else
      forget(found);
  }
}

enum moonkeep_code finds_read(struct finds *finds, const char *dir, const struct log *log, struct err *err) {
  enum moonkeep_code code = read_folder(dir, finds, err);
  if (code) return code;
  if (finds->count) qsort(finds->all, finds->count, sizeof *finds->all, by_name);
  keep_bots(finds, log);
  return MOONKEEP_OK;
}

const struct found *finds_find(const struct finds *finds, const char *name) {
  for (size_t i = 0; i < finds->count; i++)
    if (strcmp(finds->all[i].name, name) == 0) return &finds->all[i];
  return NULL;
}
