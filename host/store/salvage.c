#include "store/salvage.h"

#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "store/cells.h"
#include "store/journal.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/sum.h"

enum { MOST_STORES = 1000 };

struct known { /* a store that the file names */
  char name[STORE_NAME_BYTES + 1];
  uint32_t root;
};

/* What the journal says of a key, or that the key has been handed out. */
struct note {
  struct map_link link;
  uint64_t seq;
  char *json; /* owned; NULL: erased, or handed out */
  size_t json_len;
  int64_t expires_at_ms;
  bool in_journal;
  char text[]; /* the store, a NUL, the key */
};

struct salvaging {
  struct salvage *salvage;
  struct pages pages;
  struct cells cells;
  struct map notes;
  struct known *stores; /* owned */
  size_t store_count, store_cap;
  uint32_t journal_root;
  const struct known *store; /* whose tree is walked; NULL: pages that no tree leads to */
  struct buf name, scratch;
};

/* ---- notes ---- */

static struct note *find_note(struct salvaging *salvaging, const char *store, const char *key,
                              size_t key_len) {
  struct buf *name = &salvaging->name;
  buf_clear(name);
  buf_add(name, store, strlen(store) + 1);
  buf_add(name, key, key_len);
  if (name->failed) return NULL;
  struct map_link *link = map_find(&salvaging->notes, name->data, name->len);
  return link ? list_of(link, struct note, link) : NULL;
}

/* After find_note, whose name it takes. */
static struct note *add_note(struct salvaging *salvaging) {
  const struct buf *name = &salvaging->name;
  struct note *note = name->failed ? NULL : mem_zero(sizeof *note + name->len);
  if (!note) return NULL;
  memcpy(note->text, name->data, name->len);
  map_put(&salvaging->notes, &note->link, note->text, name->len);
  return note;
}

static void free_note(struct map_link *link, void *ctx) {
  struct note *note = list_of(link, struct note, link);
  map_take(ctx, link);
  mem_free(note->json);
  mem_free(note);
}

/* ---- handing out ---- */

static bool is_right(struct salvaging *salvaging, const char *key, size_t key_len, const char *json,
                     size_t json_len) {
  struct err ignored;
  buf_clear(&salvaging->scratch);
  return store_check_key("salvage", key, key_len, &ignored) == MOONKEEP_OK &&
         json_compact(&salvaging->scratch, json, json_len, SIZE_MAX, &ignored) == MOONKEEP_OK;
}

static enum moonkeep_code hand_out(struct salvaging *salvaging, const struct salvage_row *row,
                                   struct err *err) {
  struct salvage *salvage = salvaging->salvage;
  if (!is_right(salvaging, row->key, row->key_len, row->json, row->json_len)) {
    salvage->damaged++;
    return MOONKEEP_OK;
  }
  struct salvage_row out = *row;
  out.json = salvaging->scratch.data;
  out.json_len = salvaging->scratch.len;
  salvage->rows++;
  salvage->unchecked += !row->checked;
  return salvage->row(salvage->ctx, &out, err);
}

/* A key is handed out once: what a table's tree leads to comes first, what the journal knows comes last. */
static enum moonkeep_code offer(struct salvaging *salvaging, const struct salvage_row *row, struct err *err) {
  if (find_note(salvaging, row->store, row->key, row->key_len)) return MOONKEEP_OK;
  if (!add_note(salvaging)) return err_memory(err);
  return hand_out(salvaging, row, err);
}

/* ---- what the file names ---- */

static enum moonkeep_code know_store(struct salvaging *salvaging, const char *name, size_t len, uint32_t root,
                                     struct err *err) {
  struct known known = {.root = root};
  if (len > STORE_NAME_BYTES || salvaging->store_count >= MOST_STORES) return MOONKEEP_OK;
  memcpy(known.name, name, len);
  if (!schema_is_bucket_name(known.name) || strlen(known.name) != len) return MOONKEEP_OK;
  for (size_t i = 0; i < salvaging->store_count; i++)
    if (strcmp(salvaging->stores[i].name, known.name) == 0) return MOONKEEP_OK;
  if (salvaging->store_count == salvaging->store_cap) {
    size_t cap = salvaging->store_cap ? salvaging->store_cap * 2 : 16;
    void *grown = mem_resize(salvaging->stores, cap * sizeof *salvaging->stores);
    if (!grown) return err_memory(err);
    salvaging->stores = grown;
    salvaging->store_cap = cap;
  }
  salvaging->stores[salvaging->store_count++] = known;
  return MOONKEEP_OK;
}

static bool is_text(const struct cell_column *column, const char *text) {
  return column->type == CELL_TEXT && column->len == strlen(text) &&
         memcmp(column->bytes, text, column->len) == 0;
}

/* A row of the schema: type, name, table, root, SQL. */
static enum moonkeep_code on_schema(void *ctx, const struct cell *cell, struct err *err) {
  struct salvaging *salvaging = ctx;
  const struct cell_column *name = &cell->column[1], *root = &cell->column[3];
  if (cell->columns != 5 || !is_text(&cell->column[0], "table") || name->type != CELL_TEXT ||
      root->type != CELL_INTEGER || root->integer < 1 || root->integer > INT32_MAX)
    return MOONKEEP_OK;
  if (is_text(name, "_journal")) salvaging->journal_root = (uint32_t)root->integer;
  return know_store(salvaging, name->bytes, name->len, (uint32_t)root->integer, err);
}

/* ---- the journal ---- */

static enum moonkeep_code note_change(struct salvaging *salvaging, uint64_t seq,
                                      const struct journal_change *change, struct err *err) {
  char store[STORE_NAME_BYTES + 1];
  if (change->bucket_len > STORE_NAME_BYTES || change->op == 'l') return MOONKEEP_OK;
  memcpy(store, change->bucket, change->bucket_len);
  store[change->bucket_len] = '\0';
  if (!schema_is_bucket_name(store)) return MOONKEEP_OK;
  enum moonkeep_code code = know_store(salvaging, store, change->bucket_len, 0, err);
  if (code) return code;
  struct note *note = find_note(salvaging, store, change->key, change->key_len);
  if (note && note->seq > seq) return MOONKEEP_OK;
  if (!note && !(note = add_note(salvaging))) return err_memory(err);
  mem_free(note->json);
  note->json = change->op == 'p' ? mem_copy(change->json, change->json_len) : NULL;
  if (change->op == 'p' && !note->json) return err_memory(err);
  note->json_len = change->json_len;
  note->expires_at_ms = change->time_ms;
  note->seq = seq;
  note->in_journal = true;
  return MOONKEEP_OK;
}

/* A row of the journal: its number is the rowid; then moment, changes, checksum. */
static enum moonkeep_code on_group(void *ctx, const struct cell *cell, struct err *err) {
  struct salvaging *salvaging = ctx;
  struct journal_reader reader;
  struct journal_change change;
  const struct cell_column *at = &cell->column[1], *changes = &cell->column[2], *sum = &cell->column[3];
  enum moonkeep_code code = MOONKEEP_OK;
  if (cell->columns != 4 || at->type != CELL_INTEGER || changes->type != CELL_BLOB ||
      sum->type != CELL_INTEGER ||
      sum->integer != sum_group(cell->rowid, at->integer, changes->bytes, changes->len)) {
    salvaging->salvage->damaged++;
    return MOONKEEP_OK;
  }
  journal_read(&reader, changes->bytes, changes->len);
  while (!code && journal_next(&reader, &change))
    code = note_change(salvaging, (uint64_t)cell->rowid, &change, err);
  return code;
}

/* ---- the rows ---- */

static bool can_be_row(const struct cell *cell) {
  const struct cell_column *key = &cell->column[0], *value = &cell->column[1], *expiry = &cell->column[2],
                           *sum = &cell->column[3];
  return cell->columns == 4 && key->type == CELL_TEXT && value->type == CELL_TEXT &&
         (expiry->type == CELL_NULL || (expiry->type == CELL_INTEGER && expiry->integer >= 0)) &&
         (sum->type == CELL_NULL || sum->type == CELL_INTEGER) && utf8_valid(key->bytes, key->len);
}

static bool matches(const struct cell *cell, const char *store) {
  const struct cell_column *column = cell->column;
  return column[3].type == CELL_INTEGER &&
         column[3].integer == sum_row(store, column[0].bytes, column[0].len, column[1].bytes, column[1].len,
                                      column[2].integer);
}

/* The store whose row it is, by its checksum; that of the tree is tried first. */
static const char *store_of(const struct salvaging *salvaging, const struct cell *cell) {
  if (salvaging->store && matches(cell, salvaging->store->name)) return salvaging->store->name;
  for (size_t i = 0; i < salvaging->store_count; i++)
    if (matches(cell, salvaging->stores[i].name)) return salvaging->stores[i].name;
  return NULL;
}

static enum moonkeep_code on_row(void *ctx, const struct cell *cell, struct err *err) {
  struct salvaging *salvaging = ctx;
  bool is_row = can_be_row(cell);
  const char *store = is_row ? store_of(salvaging, cell) : NULL;
  bool foreign = is_row && !store && salvaging->store && cell->column[3].type == CELL_NULL;
  if (!store && !foreign) {
    salvaging->salvage->damaged += salvaging->store != NULL; /* elsewhere anything may stand */
    return MOONKEEP_OK;
  }
  struct salvage_row row = {.store = store ? store : salvaging->store->name,
                            .key = cell->column[0].bytes,
                            .key_len = cell->column[0].len,
                            .json = cell->column[1].bytes,
                            .json_len = cell->column[1].len,
                            .expires_at_ms = cell->column[2].integer,
                            .checked = store != NULL};
  return offer(salvaging, &row, err);
}

/* ---- all of it ---- */

static enum moonkeep_code walk_tables(struct salvaging *salvaging, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  salvaging->cells.row = on_row;
  for (size_t i = 0; !code && i < salvaging->store_count; i++) {
    salvaging->store = &salvaging->stores[i];
    if (salvaging->store->root) code = cells_walk(&salvaging->cells, salvaging->store->root, err);
  }
  salvaging->store = NULL;
  return code;
}

static enum moonkeep_code walk_rest(struct salvaging *salvaging, struct err *err) {
  enum moonkeep_code code = MOONKEEP_OK;
  cells_skip_free(&salvaging->cells);
  uint64_t broken = salvaging->cells.broken;
  for (uint32_t number = 1; !code && number <= salvaging->pages.count; number++)
    code = cells_page(&salvaging->cells, number, err);
  salvaging->cells.broken = broken; /* what is no table's page is no damage */
  return code;
}

struct last_step {
  struct salvaging *salvaging;
  struct err *err;
  enum moonkeep_code code;
};

static void hand_out_note(struct map_link *link, void *ctx) {
  struct last_step *step = ctx;
  const struct note *note = list_of(link, struct note, link);
  size_t store_len = strlen(note->text) + 1;
  if (step->code || !note->in_journal || !note->json) return;
  struct salvage_row row = {.store = note->text,
                            .key = note->text + store_len,
                            .key_len = link->key_len - store_len,
                            .json = note->json,
                            .json_len = note->json_len,
                            .expires_at_ms = note->expires_at_ms,
                            .checked = true};
  step->code = hand_out(step->salvaging, &row, step->err);
}

static enum moonkeep_code hand_out_journal(struct salvaging *salvaging, struct err *err) {
  struct last_step step = {salvaging, err, MOONKEEP_OK};
  map_each(&salvaging->notes, hand_out_note, &step);
  return step.code;
}

/* Without a readable schema the usual name is tried. */
static enum moonkeep_code run(struct salvaging *salvaging, struct err *err) {
  struct cells *cells = &salvaging->cells;
  cells->ctx = salvaging;
  cells->row = on_schema;
  enum moonkeep_code code = cells_walk(cells, 1, err);
  if (!code) code = know_store(salvaging, "appData", 7, 0, err);
  cells->row = on_group;
  if (!code && salvaging->journal_root) code = cells_walk(cells, salvaging->journal_root, err);
  if (!code) code = walk_tables(salvaging, err);
  if (!code) code = walk_rest(salvaging, err);
  return code ? code : hand_out_journal(salvaging, err);
}

enum moonkeep_code salvage_run(struct salvage *salvage, struct err *err) {
  struct salvaging salvaging = {.salvage = salvage};
  map_init(&salvaging.notes);
  enum moonkeep_code code = pages_open(&salvaging.pages, salvage->path, err);
  if (!code) code = cells_init(&salvaging.cells, &salvaging.pages, err);
  if (!code) code = run(&salvaging, err);
  salvage->damaged += salvaging.cells.broken;
  salvage->pages = salvaging.pages.count;
  salvage->unreadable = salvaging.pages.unreadable;
  map_each(&salvaging.notes, free_note, &salvaging.notes);
  map_deinit(&salvaging.notes);
  cells_deinit(&salvaging.cells);
  pages_close(&salvaging.pages);
  mem_free(salvaging.stores);
  buf_deinit(&salvaging.name);
  buf_deinit(&salvaging.scratch);
  return code;
}
