#include "store/range.h"

#include <string.h>

#include "base/mem.h"
#include "store/like.h"

/* No key comes between this one and the same with a NUL behind it. */
enum moonkeep_code range_continue(struct range *range, const char *key, size_t len, struct err *err) {
  buf_clear(&range->from);
  buf_add(&range->from, key, len);
  buf_putc(&range->from, '\0');
  return range->from.failed ? err_memory(err) : MOONKEEP_OK;
}

static bool is_behind(const char *key, size_t key_len, const struct buf *from) {
  int order = memcmp(key, from->data, key_len < from->len ? key_len : from->len);
  return order > 0 || (order == 0 && key_len >= from->len);
}

enum moonkeep_code range_of(struct range *range, const char *pattern, size_t len, const char *after,
                            size_t after_len, struct err *err) {
  *range = (struct range){0};
  char *prefix = mem_alloc(len + 1);
  if (!prefix) return err_memory(err);
  size_t prefix_len = like_prefix(pattern, len, prefix);
  buf_add(&range->from, prefix, prefix_len);
  buf_add(&range->to, prefix, prefix_len);
  mem_free(prefix);
  if (range->from.failed || range->to.failed) return err_memory(err);
  /* The prefix with its last byte raised stands behind all that begin with it: no byte of UTF-8 is 0xFF. */
  if (prefix_len > 0) range->to.data[prefix_len - 1]++;
  if (after && (prefix_len == 0 || is_behind(after, after_len, &range->from)))
    return range_continue(range, after, after_len, err);
  return MOONKEEP_OK;
}

void range_free(struct range *range) {
  buf_deinit(&range->from);
  buf_deinit(&range->to);
}

void range_bind(const struct range *range, sqlite3_stmt *statement) {
  const char *from = range->from.len ? range->from.data : "";
  sqlite3_bind_text64(statement, 1, from, range->from.len, SQLITE_STATIC, SQLITE_UTF8);
  /* Without an end: in SQLite's order every text stands before every blob. */
  if (range->to.len == 0)
    sqlite3_bind_zeroblob(statement, 2, 0);
  else
    sqlite3_bind_text64(statement, 2, range->to.data, range->to.len, SQLITE_STATIC, SQLITE_UTF8);
}
