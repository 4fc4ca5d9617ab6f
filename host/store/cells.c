#include "store/cells.h"

#include <string.h>

#include "base/mem.h"

enum { DEPTH = 24, LEAF = 13, INNER = 5, MOST_BYTES = 64 << 20 };

static bool see(struct cells *cells, uint32_t number) {
  unsigned char bit = (unsigned char)(1U << (number % 8));
  if (number == 0 || number > cells->pages->count || (cells->seen[number / 8] & bit)) return false;
  cells->seen[number / 8] |= bit;
  return true;
}

enum moonkeep_code cells_init(struct cells *cells, struct pages *pages, struct err *err) {
  *cells = (struct cells){.pages = pages, .seen = mem_zero((size_t)pages->count / 8 + 1)};
  return cells->seen ? MOONKEEP_OK : err_memory(err);
}

void cells_deinit(struct cells *cells) {
  mem_free(cells->seen);
  cells->seen = NULL;
}

/* ---- records ---- */

struct span {
  const unsigned char *at, *end;
  bool broken;
};

static uint64_t take_varint(struct span *span) {
  uint64_t n = 0;
  for (int i = 0; i < 9 && span->at < span->end; i++) {
    unsigned char byte = *span->at++;
    if (i == 8) return n << 8 | byte;
    n = n << 7 | (byte & 0x7F);
    if (byte < 0x80) return n;
  }
  span->broken = true;
  return 0;
}

static size_t type_len(uint64_t type) {
  static const unsigned char small[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  if (type < 10) return small[type];
  return type >= 12 && type < UINT32_MAX ? (size_t)(type - 12) / 2 : SIZE_MAX;
}

static int64_t read_integer(const unsigned char *at, size_t len) {
  uint64_t n = len > 0 && at[0] >= 0x80 ? UINT64_MAX : 0;
  for (size_t i = 0; i < len; i++) n = n << 8 | at[i];
  return (int64_t)n;
}

static bool take_column(struct cell_column *column, uint64_t type, const unsigned char **at,
                        const unsigned char *end) {
  size_t len = type_len(type);
  if (type == 10 || type == 11 || len > (size_t)(end - *at)) return false;
  *column = (struct cell_column){.bytes = (const char *)*at, .len = len};
  if (type == 0)
    column->type = CELL_NULL;
  else if (type >= 12)
    column->type = type % 2 ? CELL_TEXT : CELL_BLOB;
  else
    column->type = type == 7 ? CELL_OTHER : CELL_INTEGER;
  if (column->type == CELL_INTEGER) column->integer = type == 8 ? 0 : type == 9 ? 1 : read_integer(*at, len);
  *at += len;
  return true;
}

static bool read_record(struct cell *cell, const unsigned char *bytes, size_t len) {
  struct span head = {bytes, bytes + len, false};
  uint64_t head_len = take_varint(&head);
  if (head.broken || head_len > len) return false;
  const unsigned char *at = bytes + head_len, *end = bytes + len;
  head.end = bytes + head_len;
  cell->columns = 0;
  while (head.at < head.end && cell->columns < CELL_COLUMNS) {
    uint64_t type = take_varint(&head);
    if (head.broken || !take_column(&cell->column[cell->columns], type, &at, end)) return false;
    cell->columns++;
  }
  return cell->columns > 0;
}

/* ---- pages ---- */

/* The part of a payload that stands in the cell itself. */
static uint64_t local_part(const struct pages *pages, uint64_t len) {
  uint64_t most = pages->usable - 35, least = (pages->usable - 12) * 32 / 255 - 23;
  if (len <= most) return len;
  uint64_t part = least + (len - least) % (pages->usable - 4);
  return part <= most ? part : least;
}

static bool add_overflow(struct cells *cells, struct buf *payload, uint64_t len, uint32_t number,
                         unsigned char *page) {
  while (payload->len < len) {
    size_t left = (size_t)len - payload->len, room = cells->pages->usable - 4;
    if (!pages_read(cells->pages, number, page)) return false;
    buf_add(payload, page + 4, left < room ? left : room);
    if (payload->failed) return false;
    number = pages_u32(page);
  }
  return true;
}

struct page {
  unsigned char *bytes, *more; /* owned: itself, and room for another */
};

static enum moonkeep_code read_cell(struct cells *cells, const struct page *page, uint32_t at,
                                    struct err *err) {
  struct span span = {page->bytes + at, page->bytes + cells->pages->usable, false};
  struct cell cell = {0};
  struct buf payload = {0};
  enum moonkeep_code code = MOONKEEP_OK;
  uint64_t len = take_varint(&span);
  cell.rowid = (int64_t)take_varint(&span);
  uint64_t local = local_part(cells->pages, len), left = (uint64_t)(span.end - span.at);
  bool whole = local == len;
  bool good = !span.broken && len > 0 && len <= MOST_BYTES && local + (whole ? 0 : 4) <= left;
  if (good) buf_add(&payload, span.at, (size_t)local);
  if (good && !whole) good = add_overflow(cells, &payload, len, pages_u32(span.at + local), page->more);
  if (payload.failed)
    code = err_memory(err);
  else if (good && read_record(&cell, (const unsigned char *)payload.data, payload.len))
    code = cells->row(cells->ctx, &cell, err);
  else
    cells->broken++;
  buf_deinit(&payload);
  return code;
}

static uint32_t head_of(uint32_t number) {
  return number == 1 ? 100 : 0;
}

/* Where the nth cell begins; 0: not in the page. */
static uint32_t cell_at(const struct cells *cells, const struct page *page, uint32_t array, uint32_t n) {
  uint32_t place = array + 2 * n;
  if (place + 2 > cells->pages->usable) return 0;
  uint32_t at = pages_u16(page->bytes + place);
  return at + 4 <= cells->pages->usable && at >= array ? at : 0;
}

static enum moonkeep_code read_leaf(struct cells *cells, const struct page *page, uint32_t number,
                                    struct err *err) {
  uint32_t head = head_of(number), count = pages_u16(page->bytes + head + 3);
  enum moonkeep_code code = MOONKEEP_OK;
  for (uint32_t n = 0; !code && n < count && head + 8 + 2 * n + 2 <= cells->pages->usable; n++) {
    uint32_t at = cell_at(cells, page, head + 8, n);
    if (at)
      code = read_cell(cells, page, at, err);
    else
      cells->broken++;
  }
  return code;
}

static enum moonkeep_code walk(struct cells *cells, uint32_t number, int depth, struct err *err);

static enum moonkeep_code read_inner(struct cells *cells, const struct page *page, uint32_t number, int depth,
                                     struct err *err) {
  uint32_t head = head_of(number), count = pages_u16(page->bytes + head + 3);
  enum moonkeep_code code = MOONKEEP_OK;
  for (uint32_t n = 0; !code && n < count && head + 12 + 2 * n + 2 <= cells->pages->usable; n++) {
    uint32_t at = cell_at(cells, page, head + 12, n);
    if (at) code = walk(cells, pages_u32(page->bytes + at), depth + 1, err);
  }
  return code ? code : walk(cells, pages_u32(page->bytes + head + 8), depth + 1, err);
}

static enum moonkeep_code read_page(struct cells *cells, uint32_t number, int depth, bool inner,
                                    struct err *err) {
  struct page page = {mem_alloc(cells->pages->size), mem_alloc(cells->pages->size)};
  enum moonkeep_code code = page.bytes && page.more ? MOONKEEP_OK : err_memory(err);
  if (!code && pages_read(cells->pages, number, page.bytes)) {
    unsigned char type = page.bytes[head_of(number)];
    if (type == LEAF)
      code = read_leaf(cells, &page, number, err);
    else if (type == INNER && inner)
      code = read_inner(cells, &page, number, depth, err);
  }
  mem_free(page.bytes);
  mem_free(page.more);
  return code;
}

static enum moonkeep_code walk(struct cells *cells, uint32_t number, int depth, struct err *err) {
  if (depth > DEPTH || !see(cells, number)) return MOONKEEP_OK;
  return read_page(cells, number, depth, true, err);
}

enum moonkeep_code cells_walk(struct cells *cells, uint32_t root, struct err *err) {
  return walk(cells, root, 0, err);
}

enum moonkeep_code cells_page(struct cells *cells, uint32_t number, struct err *err) {
  return see(cells, number) ? read_page(cells, number, 0, false, err) : MOONKEEP_OK;
}

void cells_skip_free(struct cells *cells) {
  unsigned char *page = mem_alloc(cells->pages->size);
  if (!page || !pages_read(cells->pages, 1, page)) {
    mem_free(page);
    return;
  }
  uint32_t trunk = pages_u32(page + 32);
  while (see(cells, trunk) && pages_read(cells->pages, trunk, page)) {
    uint32_t leaves = pages_u32(page + 4), most = cells->pages->usable / 4 - 2;
    for (uint32_t i = 0; i < leaves && i < most; i++) see(cells, pages_u32(page + 8 + 4 * i));
    trunk = pages_u32(page);
  }
  mem_free(page);
}
