/* Keys, values, times: the same for everybody who is measured. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"

const char *const shape_names[SHAPES] = {"counter", "object", "document"};

/* ---- keys ---- */

/* Zipf with the constant that YCSB uses, by the method of Gray et al., "Quickly Generating Billion-Record
 * Synthetic Databases" (1994). */
static const double theta = 0.99;
static double zeta, eta;
static bool use_zipf;
static uint64_t random_state;

static double next_random(void) { /* xorshift64*, of [0, 1) */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (double)((random_state * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static void prepare_zipf(void) {
  zeta = 0;
  for (int i = 1; i <= KEYS; i++) zeta += 1 / pow(i, theta);
  eta = (1 - pow(2.0 / KEYS, 1 - theta)) / (1 - (1 + pow(0.5, theta)) / zeta);
}

static unsigned next_zipf(void) {
  double u = next_random(), uz = u * zeta;
  if (uz < 1) return 0;
  if (uz < 1 + pow(0.5, theta)) return 1;
  return (unsigned)(KEYS * pow(eta * u - eta + 1, 1 / (1 - theta))) % KEYS;
}

void workload_name(unsigned i, char key[KEY_BYTES + 1]) {
  memcpy(key, "user:", 5);
  for (int at = KEY_BYTES - 1; at >= 5; at--, i /= 10) key[at] = (char)('0' + i % 10);
  key[KEY_BYTES] = '\0';
}

void workload_key(char key[KEY_BYTES + 1]) {
  /* The popular ones are spread over the table: the factor shares no divisor with KEYS. */
  unsigned i =
      use_zipf ? (unsigned)(next_zipf() * UINT64_C(2654435761) % KEYS) : (unsigned)(next_random() * KEYS);
  workload_name(i, key);
}

/* ---- values ---- */

static int put_object(long n, char *out, int size) {
  return snprintf(out, (size_t)size,
                  "{\"xp\":%ld,\"level\":%ld,\"name\":\"a member of the guild\",\"items\":[1,2,3],"
                  "\"last\":%ld,\"active\":true}",
                  n, n / 100, 1700000000 + n);
}

/* An inventory: some fields and many items, of which scripts/load.lua makes the same. */
static int put_document(long n, char *out, int size) {
  int len = snprintf(out, (size_t)size, "{\"gold\":%ld,\"saved\":%ld,\"items\":[", n, 1700000000 + n);
  for (int i = 1; i <= 32; i++)
    len += snprintf(out + len, (size_t)(size - len),
                    "%s{\"id\":%d,\"name\":\"sword of dawn\",\"wear\":0.5,\"rare\":false}", i > 1 ? "," : "",
                    1000 + i);
  return len + snprintf(out + len, (size_t)(size - len), "]}");
}

int workload_value(enum shape shape, long n, char *out, int size) {
  if (shape == COUNTER) return snprintf(out, (size_t)size, "%ld", n);
  return shape == OBJECT ? put_object(n, out, size) : put_document(n, out, size);
}

/* ---- times ---- */

/* Microseconds with four bits behind the leading one: within 6 %. */
enum { TIMES = 64 * 16 };
static uint64_t times[TIMES], calls_done;
static int64_t started_us, worst_us;
static double written_before;

int64_t workload_now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static unsigned place_of(uint64_t us) {
  if (us < 16) return (unsigned)us;
  unsigned bits = 63 - (unsigned)__builtin_clzll(us);
  return (bits - 3) * 16 + (unsigned)(us >> (bits - 4) & 15);
}

static double time_at(unsigned place) {
  if (place < 16) return place;
  return (double)((UINT64_C(16) + place % 16) << (place / 16 - 1));
}

void workload_answered(int64_t began_us, unsigned calls) {
  int64_t took = workload_now_us() - began_us;
  times[place_of((uint64_t)took)] += calls;
  calls_done += calls;
  if (took > worst_us) worst_us = took;
}

static double percentile_ms(double share) {
  uint64_t seen = 0;
  for (unsigned i = 0; i < TIMES; i++)
    if ((double)(seen += times[i]) >= share * (double)calls_done) return time_at(i) / 1000;
  return (double)worst_us / 1000;
}

/* What this process has sent to the disk: proc(5), /proc/pid/io. */
static double bytes_written(void) {
  char line[80];
  double bytes = 0;
  FILE *io = fopen("/proc/self/io", "r");
  bench_must(io != NULL, "reading /proc/self/io");
  while (fgets(line, sizeof line, io))
    if (strncmp(line, "write_bytes:", 12) == 0) bytes = atof(line + 12);
  fclose(io);
  return bytes;
}

void workload_start(bool zipf) {
  use_zipf = zipf;
  if (zipf) prepare_zipf();
  random_state = (uint64_t)workload_now_us() | 1;
  written_before = bytes_written();
  started_us = workload_now_us();
}

void workload_stop(const struct load *load, struct figures *figures) {
  (void)load;
  double seconds = (double)(workload_now_us() - started_us) / 1e6;
  *figures = (struct figures){.rate = (double)calls_done / seconds,
                              .p50 = percentile_ms(0.5),
                              .p99 = percentile_ms(0.99),
                              .worst = (double)worst_us / 1000};
}

void workload_written(const struct load *load, struct figures *figures) {
  char value[4096];
  double changed =
      (double)calls_done * (KEY_BYTES + workload_value(load->shape, 100000, value, sizeof value));
  figures->written = changed > 0 ? (bytes_written() - written_before) / changed : 0;
}
