/* LMDB: one transaction for as many puts as there are tasks, as plain.c does. */
#include "bench/bench.h"

#if __has_include(<lmdb.h>)
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAP_GIB = 8 }; /* of address space: the most that the file may grow to */

static MDB_env *env;
static MDB_dbi dbi;

static void open_env(const struct load *load) {
  char path[1024];
  MDB_txn *txn;
  snprintf(path, sizeof path, "%s/lmdb", load->dir);
  bench_must(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, (size_t)MAP_GIB << 30) == 0 &&
                 mdb_env_open(env, path, MDB_NOSUBDIR, 0600) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
                 mdb_dbi_open(txn, NULL, 0, &dbi) == 0 && mdb_txn_commit(txn) == 0,
             "opening LMDB");
}

static void put(MDB_txn *txn, char *key, enum shape shape, long n) {
  char text[VALUE_BYTES];
  MDB_val name = {KEY_BYTES, key}, value = {0, text};
  value.mv_size = (size_t)workload_value(shape, n, text, sizeof text);
  bench_must(mdb_put(txn, dbi, &name, &value, 0) == 0, "a put");
}

static void get(MDB_txn *txn, char *key) {
  char text[VALUE_BYTES];
  MDB_val name = {KEY_BYTES, key}, value;
  if (mdb_get(txn, dbi, &name, &value) == 0) memcpy(text, value.mv_data, value.mv_size);
}

static void fill(const struct load *load) {
  char key[KEY_BYTES + 1];
  MDB_txn *txn;
  open_env(load);
  bench_must(mdb_txn_begin(env, NULL, 0, &txn) == 0, "a transaction");
  for (unsigned i = 0; i < load->keys; i++) {
    workload_name(i, key);
    put(txn, key, load->shape, 0);
  }
  bench_must(mdb_txn_commit(txn) == 0, "a commit");
  mdb_env_close(env);
}

static void *back_up(void *ctx) {
  char path[1024];
  snprintf(path, sizeof path, "%s/lmdb.copy", ((const struct load *)ctx)->dir);
  unlink(path);
  bench_must(mdb_env_copy(env, path) == 0, "a backup");
  return NULL;
}

static void transaction(const struct load *load) {
  char key[KEY_BYTES + 1];
  MDB_txn *txn;
  bool reads = load->op[0] == 'g' || load->op[0] == 'C';
  bench_must(mdb_txn_begin(env, NULL, reads ? MDB_RDONLY : 0, &txn) == 0, "a transaction");
  for (unsigned i = 0; i < load->tasks; i++) {
    enum kind kind = workload_next(key);
    if (kind != WRITE && load->op[0] != 'u') get(txn, key);
    if (kind != READ) put(txn, key, load->shape, workload_turn());
  }
  bench_must(mdb_txn_commit(txn) == 0, "a commit");
}

static void measure(const struct load *load, struct figures *figures) {
  struct load copied = *load;
  pthread_t thread;
  bool backing_up = false;
  open_env(load);
  workload_start(load, 0);
  while (!workload_over()) {
    int64_t began = workload_now_us();
    transaction(load);
    workload_answered(began, load->tasks);
    if (!backing_up && workload_backup()) backing_up = pthread_create(&thread, NULL, back_up, &copied) == 0;
  }
  workload_stop(figures);
  if (backing_up) pthread_join(thread, NULL);
  mdb_env_close(env);
  workload_settled(figures, 0);
}

static bool start(const struct load *load, char why[128]) {
  (void)load, (void)why;
  return true;
}
#else
#include <stdio.h>

static bool start(const struct load *load, char why[128]) {
  (void)load;
  snprintf(why, 128, "the bench was built without liblmdb-dev");
  return false;
}
/* What is not there is asked nothing. */
static void fill(const struct load *load) {
  (void)load;
}
static void measure(const struct load *load, struct figures *figures) {
  (void)load, (void)figures;
}
#endif

const struct side lmdb_side = {
    .name = "LMDB",
    .settings = "defaults, under which a commit is durable; a map of 8 GiB, since the default holds 10 MiB",
    .start = start,
    .fill = fill,
    .measure = measure,
};
