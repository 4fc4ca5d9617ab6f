#include "store/deed_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/disk.h"
#include "store/snapshot.h"
#include "store/sum.h"

enum { MOST_BYTES = 8192 };

#define LINE "moonkeep 1 store %016" PRIx64 " from %016" PRIx64 " place %08" PRIx32 " sum %016" PRIx64 "\n"
#define SCAN "moonkeep 1 store %" SCNx64 " from %" SCNx64 " place %" SCNx32 " sum %" SCNx64

static uint64_t sum_of(uint64_t id, uint64_t from, uint32_t place, const char *data, size_t len) {
  int64_t sum = sum_group(0, 0, data, len);
  sum = sum_chain(sum_chain(sum, (int64_t)id), (int64_t)from);
  return (uint64_t)sum_chain(sum, (int64_t)place);
}

/* ---- reading ---- */

static void understand(struct deed_file *file, struct buf *text, uint32_t place) {
  uint64_t id, from, sum;
  uint32_t was;
  const char *line = buf_text(text), *end = strchr(line, '\n');
  file->state = DEED_DAMAGED;
  if (!end || line[text->len - 1] != '\n') return;
  if (sscanf(line, SCAN, &id, &from, &was, &sum) != 4 || id == 0) return;
  const char *data = end + 1;
  size_t len = text->len - (size_t)(data - line);
  if (len < 2 || sum != sum_of(id, from, was, data, --len)) return;
  buf_add(&file->data, data, len);
  file->state = DEED_WHOLE;
  file->id = (int64_t)id;
  file->from = (int64_t)from;
  file->copied = was != 0 && place != 0 && was != place;
}

enum moonkeep_code deed_file_read(struct deed_file *file, const char *folder, const char *name,
                                  struct err *err) {
  struct buf text = {0};
  bool missing = false;
  uint32_t place = 0;
  *file = (struct deed_file){0};
  char *path = disk_join(folder, name);
  enum moonkeep_code code =
      path ? disk_read(path, MOST_BYTES, &text, &place, &missing, &file->why) : err_memory(&file->why);
  if (code)
    file->state = DEED_UNREADABLE;
  else if (!missing && text.len == 0)
    file->state = DEED_DAMAGED;
  else if (!missing)
    understand(file, &text, place);
  if (file->data.failed) code = err_memory(&file->why);
  buf_deinit(&text);
  mem_free(path);
  if (code != MOONKEEP_MEMORY) return MOONKEEP_OK;
  *err = file->why;
  deed_file_deinit(file);
  return code;
}

void deed_file_deinit(struct deed_file *file) {
  buf_deinit(&file->data);
}

/* ---- writing ---- */

static enum moonkeep_code fill(int fd, const char *path, int64_t id, int64_t from, const char *data,
                               struct err *err) {
  struct buf text = {0};
  size_t len = strlen(data);
  uint32_t place = disk_place(fd);
  buf_printf(&text, LINE, (uint64_t)id, (uint64_t)from, place,
             sum_of((uint64_t)id, (uint64_t)from, place, data, len));
  buf_add(&text, data, len);
  buf_putc(&text, '\n');
  enum moonkeep_code code = text.failed ? err_memory(err) : disk_write(fd, path, text.data, text.len, err);
  buf_deinit(&text);
  return code ? code : disk_sync_fd(fd, path, err);
}

static enum moonkeep_code write_and_move(const char *half, const char *path, int64_t id, int64_t from,
                                         const char *data, struct err *err) {
  int fd;
  struct err ignored;
  enum moonkeep_code code = disk_create(&fd, half, err);
  if (code) return code;
  code = fill(fd, half, id, from, data, err);
  close(fd);
  if (!code) code = disk_move(half, path, err);
  if (code) disk_remove(half, &ignored);
  return code;
}

enum moonkeep_code deed_file_write(const char *folder, const char *name, int64_t id, int64_t from,
                                   const char *data, struct err *err) {
  struct buf half = {0};
  buf_printf(&half, "%s/" SNAPSHOT_HALF_MADE "%s", folder, name);
  char *path = disk_join(folder, name);
  enum moonkeep_code code =
      path && !half.failed ? write_and_move(buf_text(&half), path, id, from, data, err) : err_memory(err);
  buf_deinit(&half);
  mem_free(path);
  return code ? code : disk_sync(folder, err);
}
