/* `make bench-backup`: what a backup costs those who work meanwhile. A store of so many megabytes is filled;
 * then callers update keys of it at random, each again as soon as it is answered: for a time with nothing
 * else going on, then for as long as one backup takes, in turn. What counts is the ratio of the two p99.
 *
 *     backup DIR [--megabytes N] [--callers N] [--seconds S] [--rounds N] [--archive] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

enum { VALUE_BYTES = 1000, TIMES_MOST = 4 << 20 };

static struct store *store;
static struct bucket *bucket;
static long keys, rounds = 3, callers = 64;
static double seconds = 5;
static int64_t *times; /* microseconds */
static size_t times_count;
static bool going_on;
static size_t under_way;

static void must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "bench: %s failed\n", what);
  exit(1);
}

static uint64_t random_number(void) {
  static uint64_t x = 88172645463325252u;
  x ^= x << 13;
  x ^= x >> 7;
  return x ^= x << 17;
}

static struct value *new_value(void) {
  static char json[VALUE_BYTES];
  size_t len =
      (size_t)snprintf(json, sizeof json, "{\"n\":%llu,\"text\":\"", (unsigned long long)random_number());
  while (len < sizeof json - 2) json[len++] = (char)('a' + random_number() % 26);
  json[len++] = '"';
  json[len++] = '}';
  struct value *value = value_new(json, len, 0);
  must(value != NULL, "memory");
  return value;
}

/* ---- filling ---- */

static void on_filled(struct store_call *call) {
  must(!call->err, "filling");
  store_call_free(call);
}

static void fill(void) {
  for (long i = 0; i < keys; i++) {
    char key[24];
    while (!store_has_room(store)) store_wait(store, -1);
    struct store_call *call = store_call_new(STORE_SET, bucket, NULL, 0);
    must(call && (call->rows = mem_zero(sizeof *call->rows)), "memory");
    call->row_count = 1;
    call->rows[0] = (struct store_row){.key = key, .value = new_value()};
    call->rows[0].key_len = (size_t)snprintf(key, sizeof key, "user:%ld", i);
    call->done = on_filled;
    if (store_submit(store, call)) on_filled(call);
  }
  while (store_pending(store) > 0) store_wait(store, -1);
}

/* ---- the load ---- */

static enum store_verdict apply(struct store_call *call, const struct value *current) {
  (void)current;
  call->value = new_value();
  return STORE_WRITE;
}

static void call_again(void);

static void on_updated(struct store_call *call) {
  must(!call->err, "an update");
  int64_t took = clock_ticks_us() - (int64_t)(intptr_t)call->ctx;
  if (times_count < TIMES_MOST) times[times_count++] = took;
  store_call_free(call);
  under_way--;
  if (going_on) call_again();
}

static void call_again(void) {
  char key[24];
  size_t len =
      (size_t)snprintf(key, sizeof key, "user:%llu", (unsigned long long)(random_number() % (uint64_t)keys));
  struct store_call *call = store_call_new(STORE_UPDATE, bucket, key, len);
  must(call != NULL, "memory");
  call->apply = apply;
  call->done = on_updated;
  call->ctx = (void *)(intptr_t)clock_ticks_us();
  under_way++;
  must(!store_submit(store, call), "an update"); /* it waits for the disk */
}

static void begin(void) {
  times_count = 0;
  going_on = true;
  for (long i = 0; i < callers; i++) call_again();
}

static int by_size(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* The p99 in milliseconds. */
static double end(const char *name, int64_t began_us) {
  double lasted = (double)(clock_ticks_us() - began_us) / 1e6;
  going_on = false;
  while (under_way > 0) store_wait(store, -1);
  must(times_count > 0, "measuring");
  qsort(times, times_count, sizeof *times, by_size);
  double p99 = (double)times[times_count * 99 / 100] / 1e3;
  printf("  %-16s %7.1f s %9.0f updates/s   p50 %7.2f ms   p99 %7.2f ms   worst %8.2f ms\n", name, lasted,
         (double)times_count / lasted, (double)times[times_count / 2] / 1e3, p99,
         (double)times[times_count - 1] / 1e3);
  fflush(stdout);
  return p99;
}

static double alone(void) {
  int64_t began = clock_ticks_us();
  begin();
  while ((double)(clock_ticks_us() - began) < seconds * 1e6) store_wait(store, 100);
  return end("alone", began);
}

static bool backed_up;

static void on_backed_up(struct store_backup *backup, const struct store_backup_state *made,
                         const struct err *err) {
  (void)backup;
  if (err) fprintf(stderr, "bench: %s\n", err->message);
  must(!err && made->keys == (uint64_t)keys, "a backup");
  backed_up = true;
}

static double beside_a_backup(void) {
  struct store_backup request = {.done = on_backed_up};
  int64_t began = clock_ticks_us();
  backed_up = false;
  begin();
  must(store_backup(store, &request, NULL) == MOONKEEP_OK, "a backup");
  while (!backed_up) store_wait(store, 100);
  return end("beside a backup", began);
}

int main(int argc, char **argv) {
  static const struct option long_options[] = {
      {"megabytes", required_argument, NULL, 'm'}, {"callers", required_argument, NULL, 'c'},
      {"seconds", required_argument, NULL, 's'},   {"rounds", required_argument, NULL, 'r'},
      {"archive", no_argument, NULL, 'a'},         {NULL, 0, NULL, 0}};
  struct store_options options = {.owner = "bench"};
  long megabytes = 1000;
  for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
    if (option == 'm') megabytes = atol(optarg);
    if (option == 'c') callers = atol(optarg);
    if (option == 's') seconds = atof(optarg);
    if (option == 'r') rounds = atol(optarg);
    if (option == 'a') options.archive = STORE_ARCHIVE_ON;
  }
  must(optind + 1 == argc && megabytes > 0 && callers > 0 && rounds > 0, "reading the options");
  keys = megabytes * 1000000 / VALUE_BYTES;
  times = malloc(TIMES_MOST * sizeof *times);
  options.dir = argv[optind];
  struct err err;
  must(times && store_open(&store, &options, &err) == MOONKEEP_OK, "opening the store");
  must(store_bucket(store, "appData", &bucket, &err) == MOONKEEP_OK, "opening the store");
  fill();
  printf("%ld MB in %ld keys, %ld callers, archive %s\n", megabytes, keys, callers,
         options.archive ? "on" : "off");
  double ratios = 1;
  for (long i = 0; i < rounds; i++) {
    double before = alone(), during = beside_a_backup();
    printf("  ratio of the p99: %.2f\n", during / before);
    ratios = i == 0 || during / before < ratios ? during / before : ratios;
  }
  printf("the best of %ld rounds: %.2f\n", rounds, ratios);
  must(store_close(store, &err) == MOONKEEP_OK, "closing the store");
  free(times);
  return 0;
}
