/* What does not grow with the store: opening it, and reading a key. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "helpers/fault_vfs.h"
#include "helpers/sync.h"
#include "helpers/temp.h"

enum { LIST_ROWS = 1000, LEVELS = 2 /* that a table and its index gain when they grow a hundredfold */ };

/* A list of rows of about 100 bytes; every tenth has an expiry that is far away. */
static void set_list(struct store *store, int first) {
  char keys[LIST_ROWS][16];
  struct store_call *call = store_call_new(STORE_SET, sync_bucket(store, "appData"), NULL, 0);
  call->rows = mem_alloc(LIST_ROWS * sizeof *call->rows);
  for (int i = 0; i < LIST_ROWS; i++) {
    char json[128];
    int len = snprintf(json, sizeof json, "{\"xp\":%d,\"name\":\"%080d\"}", first + i, first + i);
    int64_t expires_at_ms = i % 10 == 0 ? clock_wall_ms(&sync_clock) + 1000000000 + i : 0;
    snprintf(keys[i], sizeof keys[i], "user:%08d", first + i);
    call->rows[call->row_count++] =
        (struct store_row){keys[i], strlen(keys[i]), value_new(json, (size_t)len, expires_at_ms), NULL};
  }
  sync_run(store, call);
  CHECK(!call->err);
  store_call_free(call);
}

/* Makes a store of so many rows, and says how often the file is read to open it and to get one key. */
static long reads_to_open(int rows) {
  const char *dir = temp_dir();
  struct store *store = sync_open(dir);
  for (int first = 0; first < rows; first += LIST_ROWS) set_list(store, first);
  sync_close(store);
  fault_arm(&(struct fault){.op = FAULT_READ});
  store = sync_open(dir);
  CHECK(strncmp(sync_get(store, "appData", "user:00000500"), "{\"xp\":500,", 10) == 0);
  long reads = fault_count(FAULT_READ);
  sync_close(store);
  return reads;
}

/* ROUNDS: how many rows the large store has. */
TEST(opening_a_large_store_reads_no_more_of_it_than_opening_a_small_one) {
  fault_install();
  long small = reads_to_open(LIST_ROWS), large = reads_to_open((int)check_rounds(100 * LIST_ROWS));
  if (large > small + 2 * LEVELS) FAIL("%ld reads for a large store, %ld for a small one", large, small);
}
