#include "helpers/sync.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/temp.h"

#ifndef EDGE_CACHE_BYTES
#define EDGE_CACHE_BYTES 0
#endif

static int64_t wall = 1767225600000, steady;

static int64_t wall_ms(void *ctx) {
  (void)ctx;
  return __atomic_load_n(&wall, __ATOMIC_SEQ_CST);
}

static int64_t steady_ms(void *ctx) {
  (void)ctx;
  return __atomic_load_n(&steady, __ATOMIC_SEQ_CST);
}

struct clock sync_clock = {.wall_ms = wall_ms, .steady_ms = steady_ms};

void sync_advance(int64_t ms) {
  __atomic_add_fetch(&wall, ms, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&steady, ms, __ATOMIC_SEQ_CST);
}

void sync_jump(int64_t ms) {
  __atomic_add_fetch(&wall, ms, __ATOMIC_SEQ_CST);
}

static char *room(void) {
  static char rooms[8][4096];
  static unsigned turn;
  return rooms[turn++ % 8];
}

enum moonkeep_code sync_try_open(const char *dir, struct store **store, struct err *err) {
  struct store_options options = {
      .dir = dir, .owner = "a test", .clock = &sync_clock, .cache_bytes = EDGE_CACHE_BYTES};
  return store_open(store, &options, err);
}

enum moonkeep_code sync_try_open_archived(const char *dir, enum store_archive archive, const struct log *log,
                                          struct store **store, struct err *err) {
  struct store_options options = {.dir = dir,
                                  .owner = "a test",
                                  .clock = &sync_clock,
                                  .log = log,
                                  .archive = archive,
                                  .lock_wait_ms = 20000};
  return store_open(store, &options, err);
}

struct store *sync_open(const char *dir) {
  struct err err;
  struct store *store;
  if (sync_try_open(dir, &store, &err)) FAIL("cannot open: %s", err.message);
  return store;
}

void sync_close(struct store *store) {
  struct err err;
  if (store_close(store, &err)) FAIL("cannot close: %s", err.message);
}

struct bucket *sync_bucket(struct store *store, const char *name) {
  struct err err;
  struct bucket *bucket;
  if (store_bucket(store, name, &bucket, &err)) FAIL("no bucket: %s", err.message);
  return bucket;
}

static void note_done(struct store_call *call) {
  *(bool *)call->ctx = true;
}

struct store_call *sync_run(struct store *store, struct store_call *call) {
  bool done = false;
  call->done = note_done;
  call->ctx = call->ctx ? call->ctx : &done;
  if (call->ctx != &done) FAIL("sync_run needs ctx for itself");
  if (store_submit(store, call)) return call;
  while (!done) store_wait(store, -1);
  return call;
}

struct store_call *sync_call(struct store *store, enum store_op op, const char *bucket, const char *key) {
  return sync_run(store, store_call_new(op, sync_bucket(store, bucket), key, key ? strlen(key) : 0));
}

struct store_call *make_set(struct bucket *bucket, const char *key, const char *json, int64_t expires_at_ms) {
  struct store_call *call = store_call_new(STORE_SET, bucket, key, strlen(key));
  call->rows = mem_alloc(sizeof *call->rows);
  call->rows[0] =
      (struct store_row){call->key, call->key_len, value_new(json, strlen(json), expires_at_ms), NULL};
  call->row_count = 1;
  return call;
}

void sync_set_until(struct store *store, const char *bucket, const char *key, const char *json,
                    int64_t expires_at_ms) {
  struct store_call *call = sync_run(store, make_set(sync_bucket(store, bucket), key, json, expires_at_ms));
  if (call->err) FAIL("set %s: %s", key, call->err->message);
  store_call_free(call);
}

void sync_set(struct store *store, const char *bucket, const char *key, const char *json) {
  sync_set_until(store, bucket, key, json, 0);
}

const char *sync_get(struct store *store, const char *bucket, const char *key) {
  struct store_call *call = sync_call(store, STORE_GET, bucket, key);
  char *text = room();
  if (call->err)
    snprintf(text, 4096, "error: %s", moonkeep_code_name(call->err->code));
  else
    snprintf(text, 4096, "%s", call->value ? call->value->json : "absent");
  store_call_free(call);
  return text;
}

bool sync_delete(struct store *store, const char *bucket, const char *key) {
  struct store_call *call = sync_call(store, STORE_DELETE, bucket, key);
  if (call->err) FAIL("delete %s: %s", key, call->err->message);
  bool found = call->found;
  store_call_free(call);
  return found;
}

uint64_t sync_delete_like(struct store *store, const char *bucket, const char *pattern) {
  struct store_call *call = store_call_new(STORE_DELETE_LIKE, sync_bucket(store, bucket), NULL, 0);
  store_call_pattern(call, pattern, strlen(pattern));
  sync_run(store, call);
  if (call->err) FAIL("deleteLike %s: %s", pattern, call->err->message);
  uint64_t count = call->count;
  store_call_free(call);
  return count;
}

struct store_call *make_scan(struct bucket *bucket, const char *pattern) {
  struct store_call *call = store_call_new(STORE_SCAN, bucket, NULL, 0);
  store_call_pattern(call, pattern, strlen(pattern));
  return call;
}

const char *sync_select(struct store *store, const char *bucket, const char *pattern) {
  struct store_call *call = sync_run(store, make_scan(sync_bucket(store, bucket), pattern));
  char *text = room();
  size_t len = 0;
  text[0] = '\0';
  if (call->err) snprintf(text, 4096, "error: %s", moonkeep_code_name(call->err->code));
  for (size_t i = 0; !call->err && i < call->found_count && len < 4096; i++) {
    const struct store_found *row = &call->found_rows[i];
    len += (size_t)snprintf(text + len, 4096 - len, "%s%.*s=%.*s", i ? " " : "", (int)row->key_len,
                            call->text.data + row->key, (int)row->json_len, call->text.data + row->json);
  }
  store_call_free(call);
  return text;
}

void sync_flush(struct store *store) {
  struct store_call *call = sync_run(store, store_call_new(STORE_FLUSH, NULL, NULL, 0));
  if (call->err) FAIL("flush: %s", call->err->message);
  store_call_free(call);
}

static enum store_verdict add(struct store_call *call, const struct value *current) {
  char text[32];
  long long n = (long long)call->limit; /* which means nothing in an update */
  snprintf(text, sizeof text, "%lld", (current ? strtoll(current->json, NULL, 10) : 0) + n);
  call->value = value_new(text, strlen(text), 0);
  call->keep_expiry = true;
  return STORE_WRITE;
}

struct store_call *make_add(struct bucket *bucket, const char *key, long long n) {
  struct store_call *call = store_call_new(STORE_UPDATE, bucket, key, strlen(key));
  call->apply = add;
  call->limit = (uint64_t)n;
  return call;
}

long long sync_add(struct store *store, const char *bucket, const char *key, long long n) {
  struct store_call *call = sync_run(store, make_add(sync_bucket(store, bucket), key, n));
  if (call->err) FAIL("update %s: %s", key, call->err->message);
  long long result = strtoll(call->value->json, NULL, 10);
  store_call_free(call);
  return result;
}

const char *sync_sql(const char *dir, const char *sql) {
  char *text = room(), command[8192];
  const char *script = temp_path(dir, "script.sql");
  temp_write(script, sql);
  snprintf(command, sizeof command, "sqlite3 '%s/appdata.db' < '%s' 2>&1", dir, script);
  FILE *pipe = popen(command, "r");
  size_t len = pipe ? fread(text, 1, 4095, pipe) : 0;
  if (!pipe || pclose(pipe) != 0) FAIL("%s: %.*s", sql, (int)len, text);
  remove(script);
  while (len > 0 && text[len - 1] == '\n') len--;
  text[len] = '\0';
  return text;
}

const char *sync_long_value(long n, size_t bytes) {
  static char text[4100];
  CHECK(bytes <= 4000);
  int len = snprintf(text, sizeof text, "[%ld,\"", n);
  memset(text + len, 'v', bytes);
  strcpy(text + len + bytes, "\"]");
  return text;
}

void sync_hide_rows(const char *dir) {
  long root = atol(sync_sql(dir, "SELECT rootpage FROM sqlite_schema WHERE name='appData'"));
  size_t page = (size_t)atol(sync_sql(dir, "PRAGMA page_size"));
  static const char zeros[65536];
  struct stat st;
  CHECK(root > 1 && page > 0 && page <= sizeof zeros);
  CHECK(stat(temp_path(dir, "appdata.db"), &st) == 0);
  int fd = open(temp_path(dir, "appdata.db"), O_WRONLY);
  CHECK(fd >= 0 && pwrite(fd, zeros, page, (root - 1) * (off_t)page) == (ssize_t)page);
  CHECK(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) == 0);
  close(fd);
}
