#include "script/tx.h"

#include <string.h>

#include "base/mem.h"

/* A row's name in the map: the bucket's address, then the key. */
struct name {
  size_t len;
  char bytes[sizeof(void *) + STORE_KEY_BYTES];
};

static void make_name(struct name *name, const struct bucket *bucket, const char *key, size_t len) {
  memcpy(name->bytes, &bucket, sizeof bucket);
  memcpy(name->bytes + sizeof bucket, key, len);
  name->len = sizeof bucket + len;
}

void tx_init(struct tx *tx) {
  map_init(&tx->rows);
}

static void free_row(struct map_link *link, void *ctx) {
  struct tx_row *row = list_of(link, struct tx_row, link);
  map_take(ctx, link);
  value_free(row->seen);
  value_free(row->value);
  mem_free(row);
}

void tx_deinit(struct tx *tx) {
  map_each(&tx->rows, free_row, &tx->rows);
  map_deinit(&tx->rows);
}

struct tx_row *tx_find(const struct tx *tx, struct bucket *bucket, const char *key, size_t len) {
  struct name name;
  make_name(&name, bucket, key, len);
  struct map_link *link = map_find(&tx->rows, name.bytes, name.len);
  return link ? list_of(link, struct tx_row, link) : NULL;
}

struct tx_row *tx_add(struct tx *tx, struct bucket *bucket, const char *key, size_t len) {
  struct name name;
  make_name(&name, bucket, key, len);
  struct tx_row *row = mem_zero(sizeof *row + name.len + 1); /* a NUL behind the key, for messages */
  if (!row) return NULL;
  memcpy(row->name, name.bytes, name.len);
  row->bucket = bucket;
  row->key = row->name + sizeof bucket;
  row->key_len = len;
  map_put(&tx->rows, &row->link, row->name, name.len);
  return row;
}

const struct value *tx_value(const struct tx_row *row, int64_t now_ms) {
  if (!row->written) return row->seen;
  bool expired = row->value && row->value->expires_at_ms && row->value->expires_at_ms <= now_ms;
  return expired ? NULL : row->value;
}

void tx_read(struct tx_row *row, struct value *value) {
  value_free(row->seen);
  row->seen = value;
  row->read = true;
}

static void unwrite(struct map_link *link, void *ctx) {
  (void)ctx;
  struct tx_row *row = list_of(link, struct tx_row, link);
  value_free(row->value);
  row->value = NULL;
  row->written = false;
}

static void unread(struct map_link *link, void *ctx) {
  (void)ctx;
  struct tx_row *row = list_of(link, struct tx_row, link);
  value_free(row->seen);
  row->seen = NULL;
  row->read = false;
}

void tx_unwrite(struct tx *tx) {
  map_each(&tx->rows, unwrite, NULL);
}

void tx_forget(struct tx *tx) {
  tx_unwrite(tx);
  map_each(&tx->rows, unread, NULL);
}

void tx_write(struct tx_row *row, struct value *value) {
  value_free(row->value);
  row->value = value;
  row->written = true;
}

/* Deleting what is absent writes nothing. */
static bool is_kept(const struct tx_row *row, bool write) {
  return !write || !row->written || (!row->value && row->read && !row->seen);
}

bool tx_fill(const struct tx *tx, struct store_call *call, bool write) {
  call->rows = mem_alloc(tx->rows.count * sizeof *call->rows);
  call->claims = mem_alloc(tx->rows.count * sizeof *call->claims);
  if (!call->rows || !call->claims) return false;
  for (struct map_link *l = map_next(&tx->rows, NULL); l; l = map_next(&tx->rows, l)) {
    const struct tx_row *row = list_of(l, struct tx_row, link);
    bool kept = is_kept(row, write);
    if (kept && !row->read) continue;
    size_t i = call->row_count++;
    call->rows[i] =
        (struct store_row){row->key, row->key_len, kept ? NULL : value_ref(row->value), row->bucket};
    call->claims[i] = (struct store_claim){row->read, kept, value_ref(row->seen), NULL};
  }
  return true;
}
