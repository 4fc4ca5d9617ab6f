/* Any bytes as a store file: it is opened, read, changed and closed, and opened again. Errors are fine;
 * crashes, leaks, calls without end and values out of nowhere are not.
 *
 * The seeds are real store files with small pages, written into the corpus when it is first used: one that
 * was closed, and one with a journal. Most mutations stay in place, so that what points elsewhere still does.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sqlite3.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/journal.h"
#include "store/store.h"
#include "store/sum.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

enum { PAGE = 512, KEYS = 12, WALK = 50, NOW_MS = 1000000 };

#define ENSURE(x)                                                                                            \
  do {                                                                                                       \
    if (!(x)) {                                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                                \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

/* ---- the folder ---- */

static char dir[64];

static const char *file(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static void write_file(const char *path, const void *bytes, size_t len) {
  FILE *out = fopen(path, "wb");
  ENSURE(out && fwrite(bytes, 1, len, out) == len && fclose(out) == 0);
}

static void remove_log(void) {
  unlink(file("appdata.db-wal"));
  unlink(file("appdata.db-shm"));
}

static void remove_all(void) {
  remove_log();
  unlink(file("appdata.db-wal.new"));
  unlink(file("appdata.db"));
  unlink(file("moonkeep.lock"));
  rmdir(dir);
}

/* ---- the clock: it runs fast, so that folds and sweeps have their turn ---- */

static _Atomic int64_t moments;

static int64_t wall_ms(void *ctx) {
  (void)ctx;
  return NOW_MS;
}

static int64_t steady_ms(void *ctx) {
  (void)ctx;
  return atomic_fetch_add(&moments, 300);
}

static struct clock fast_clock = {.wall_ms = wall_ms, .steady_ms = steady_ms};

static struct store *open_store(void) {
  struct err err = {0};
  struct store *store;
  struct store_options options = {.dir = dir, .owner = "a fuzzer", .clock = &fast_clock, .cache_bytes = 2000};
  if (!store_open(&store, &options, &err)) return store;
  ENSURE(err.message[0]);
  return NULL;
}

/* ---- calls ---- */

static void note_done(struct store_call *call) {
  *(bool *)call->ctx = true;
}

static void run(struct store *store, struct store_call *call) {
  bool done = false;
  call->done = note_done;
  call->ctx = &done;
  if (!store_submit(store, call))
    while (!done) store_wait(store, -1);
  ENSURE(!call->err || (call->err->code && call->err->message[0]));
}

static void end(struct store *store, struct store_call *call) {
  run(store, call);
  store_call_free(call);
}

static struct store_call *on_key(enum store_op op, struct bucket *bucket, int n) {
  char key[16];
  int len = snprintf(key, sizeof key, "user:%d", n);
  return store_call_new(op, bucket, key, (size_t)len);
}

static struct store_call *on_pattern(enum store_op op, struct bucket *bucket, const char *pattern) {
  struct store_call *call = store_call_new(op, bucket, NULL, 0);
  store_call_pattern(call, pattern, strlen(pattern));
  return call;
}

static struct store_call *set(struct bucket *bucket, int n, const char *json, int64_t expires_at_ms) {
  struct store_call *call = on_key(STORE_SET, bucket, n);
  call->rows = mem_alloc(sizeof *call->rows);
  call->rows[0] =
      (struct store_row){call->key, call->key_len, value_new(json, strlen(json), expires_at_ms), NULL};
  call->row_count = 1;
  return call;
}

static enum store_verdict renew(struct store_call *call, const struct value *current) {
  call->value = value_new("7", 1, current ? current->expires_at_ms : 0);
  call->keep_expiry = true;
  return STORE_WRITE;
}

/* What is handed out is JSON, whatever the file holds. */
static void ensure_json(const char *json, size_t len) {
  struct buf compact = {0};
  struct err err;
  ENSURE(json_compact(&compact, json, len, SIZE_MAX, &err) == MOONKEEP_OK);
  buf_deinit(&compact);
}

static void get(struct store *store, struct bucket *bucket, int n) {
  struct store_call *call = on_key(STORE_GET, bucket, n);
  run(store, call);
  if (call->value) ensure_json(call->value->json, call->value->len);
  store_call_free(call);
}

static void walk(struct store *store, struct bucket *bucket, const char *pattern, uint64_t page) {
  char after[STORE_KEY_BYTES];
  size_t after_len = 0;
  bool more = true;
  for (int i = 0; more && i < WALK; i++) {
    struct store_call *call = on_pattern(STORE_SCAN, bucket, pattern);
    call->limit = page;
    if (after_len) store_call_after(call, after, after_len);
    run(store, call);
    for (size_t row = 0; !call->err && row < call->found_count; row++) {
      const struct store_found *found = &call->found_rows[row];
      ensure_json(call->text.data + found->json, found->json_len);
      after_len = found->key_len < sizeof after ? found->key_len : sizeof after;
      memcpy(after, call->text.data + found->key, after_len);
    }
    more = !call->err && call->more;
    store_call_free(call);
  }
}

static void read_all(struct store *store, struct bucket *bucket) {
  for (int i = 0; i < KEYS; i++) get(store, bucket, i);
  walk(store, bucket, "%", 0);
  walk(store, bucket, "user:1%", 2);
  struct store_call *count = on_pattern(STORE_SCAN, bucket, "%_");
  count->want = STORE_COUNT;
  end(store, count);
}

static void change(struct store *store, struct bucket *bucket) {
  struct store_call *update = on_key(STORE_UPDATE, bucket, 2);
  update->apply = renew;
  end(store, update);
  end(store, on_key(STORE_DELETE, bucket, 3));
  end(store, set(bucket, 4, "[1]", 0));
  end(store, set(bucket, 40, "{}", NOW_MS + 5000));
  end(store, on_pattern(STORE_DELETE_LIKE, bucket, "user:1_"));
  end(store, store_call_new(STORE_FLUSH, NULL, NULL, 0));
}

/* Says whether it could be opened. */
static bool use(void) {
  static const char *const names[] = {"appData", "economy"};
  struct err err;
  struct bucket *bucket;
  struct store *store = open_store();
  if (!store) return false;
  for (int i = 0; i < 2; i++) {
    if (store_bucket(store, names[i], &bucket, &err)) continue;
    read_all(store, bucket);
    change(store, bucket);
    read_all(store, bucket);
  }
  store_close(store, &err);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  remove_log();
  write_file(file("appdata.db"), data, size);
  if (use()) use();
  return 0;
}

/* ---- the seeds ---- */

static void sql(sqlite3 *db, const char *text) {
  ENSURE(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
}

static sqlite3 *open_file(void) {
  sqlite3 *db;
  ENSURE(sqlite3_open(file("appdata.db"), &db) == SQLITE_OK);
  return db;
}

static void add_group(sqlite3 *db, int64_t seq) {
  sqlite3_stmt *insert;
  struct buf changes = {0};
  journal_begin(&changes, 1);
  journal_bucket(&changes, "appData");
  journal_put(&changes, "user:5", 6, "\"from the journal\"", 18, 0);
  journal_put(&changes, "user:20", 7, "20", 2, NOW_MS + 1);
  journal_erase(&changes, "user:6", 6);
  journal_bucket(&changes, "economy");
  journal_put(&changes, "user:1", 6, "true", 4, 0);
  journal_erase_like(&changes, "x%", 2, NOW_MS);
  ENSURE(sqlite3_prepare_v2(db, "INSERT INTO _journal VALUES(?1, ?2, ?3, ?4)", -1, &insert, NULL) ==
         SQLITE_OK);
  sqlite3_bind_int64(insert, 1, seq);
  sqlite3_bind_int64(insert, 2, NOW_MS);
  sqlite3_bind_blob(insert, 3, changes.data, (int)changes.len, SQLITE_STATIC);
  sqlite3_bind_int64(insert, 4, sum_group(seq, NOW_MS, changes.data, changes.len));
  ENSURE(sqlite3_step(insert) == SQLITE_DONE);
  sqlite3_finalize(insert);
  buf_deinit(&changes);
}

static void fill(void) {
  struct err err;
  struct bucket *bucket;
  char long_value[2 * PAGE];
  struct store *store = open_store();
  ENSURE(store && !store_bucket(store, "appData", &bucket, &err));
  memset(long_value, 'a', sizeof long_value);
  long_value[0] = long_value[sizeof long_value - 2] = '"';
  long_value[sizeof long_value - 1] = '\0';
  for (int i = 0; i < KEYS; i++)
    end(store, set(bucket, i, i == 7 ? long_value : "{\"xp\":1}", i % 4 ? 0 : NOW_MS - 1 + i));
  ENSURE(!store_close(store, &err));
}

/* Small pages, so that a few kilobytes hold every kind of them. */
static void save_seed(sqlite3 *db, const char *corpus, const char *name) {
  char path[512];
  sql(db, "PRAGMA journal_mode=DELETE; PRAGMA page_size=512; VACUUM; PRAGMA journal_mode=WAL;"
          "PRAGMA wal_checkpoint(TRUNCATE)");
  sqlite3_int64 len;
  unsigned char *bytes = sqlite3_serialize(db, "main", &len, 0);
  snprintf(path, sizeof path, "%s/%s", corpus, name);
  write_file(path, bytes, (size_t)len);
  sqlite3_free(bytes);
}

static void save_seeds(const char *corpus) {
  fill();
  sqlite3 *db = open_file();
  sql(db, "INSERT INTO appData(key, value) VALUES('user:8b', ' [1, 2.5] ')");
  save_seed(db, corpus, "closed");
  add_group(db, KEYS + 1);
  add_group(db, KEYS + 2);
  save_seed(db, corpus, "with-a-journal");
  sqlite3_close(db);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *last = (*argv)[*argc - 1];
  snprintf(dir, sizeof dir, "%s/moonkeep-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  ENSURE(mkdtemp(dir));
  atexit(remove_all);
  if (*argc > 1 && last[0] != '-' && strstr(last, "corpus")) save_seeds(last);
  return 0;
}

/* ---- mutations ---- */

/* In place, in a small window: a cell, a header, a pointer. */
static size_t mutate_window(uint8_t *data, size_t size, unsigned seed) {
  size_t len = 1 + seed % 24, at = (seed >> 8) % (size - len);
  uint8_t window[32] = {0};
  memcpy(window, data + at, len);
  LLVMFuzzerMutate(window, len, len);
  memcpy(data + at, window, len);
  return size;
}

/* One page takes the place of another. */
static size_t copy_page(uint8_t *data, size_t size, unsigned seed) {
  size_t pages = size / PAGE;
  if (pages < 2) return size;
  memmove(data + (seed >> 8) % pages * PAGE, data + (seed >> 16) % pages * PAGE, PAGE);
  return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
  if (size < 64 || seed % 64 == 0) return LLVMFuzzerMutate(data, size, max_size);
  if (seed % 64 == 1) return copy_page(data, size, seed);
  if (seed % 2) data[(seed >> 8) % size] ^= (uint8_t)(1 << (seed >> 4) % 8);
  return seed % 2 ? size : mutate_window(data, size, seed >> 1);
}
