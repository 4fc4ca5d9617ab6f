/* Keys, values, times: the same for everybody who is measured. Also loaded into the Lua of others (tools.c).
 */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const shape_names[SHAPES] = {"counter", "object", "document"};

static struct load now;
static int64_t started_us, end_us, backup_us; /* backup_us: INT64_MAX when it has been asked for */
static pid_t server;
static struct usage own_before, server_before;

/* ---- keys ---- */

/* Zipf with the constant that YCSB uses, by the method of Gray et al., "Quickly Generating Billion-Record
 * Synthetic Databases" (1994). */
static const double theta = 0.99;
static double zeta, eta;
static uint64_t random_state;
static unsigned added; /* by D, in this measurement */

enum { ADDED_MOST = 100000 }; /* by D, in one measurement */

static double next_random(void) { /* xorshift64*, of [0, 1) */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (double)((random_state * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static void prepare_zipf(void) {
  static unsigned prepared;
  if (prepared == now.keys) return;
  zeta = 0, prepared = now.keys;
  for (unsigned i = 1; i <= now.keys; i++) zeta += 1 / pow(i, theta);
  eta = (1 - pow(2.0 / now.keys, 1 - theta)) / (1 - (1 + pow(0.5, theta)) / zeta);
}

static unsigned next_zipf(void) {
  double u = next_random(), uz = u * zeta;
  if (uz < 1) return 0;
  if (uz < 1 + pow(0.5, theta)) return 1;
  return (unsigned)(now.keys * pow(eta * u - eta + 1, 1 / (1 - theta))) % now.keys;
}

void workload_name(unsigned i, char key[KEY_BYTES + 1]) {
  memcpy(key, "user:", 5);
  for (int at = KEY_BYTES - 1; at >= 5; at--, i /= 10) key[at] = (char)('0' + i % 10);
  key[KEY_BYTES] = '\0';
}

static unsigned any_key(void) {
  if (!now.zipf) return (unsigned)(next_random() * now.keys);
  /* The popular ones are spread over the table: the factor is a prime. */
  return (unsigned)(next_zipf() * UINT64_C(2654435761) % now.keys);
}

/* D reads what is new: the newest is the most popular. */
static unsigned latest_key(void) {
  unsigned back = next_zipf();
  return back < added ? now.keys + now.turn * ADDED_MOST + added - 1 - back : now.keys - 1 - (back - added);
}

static unsigned new_key(void) {
  return now.keys + now.turn * ADDED_MOST + added++ % ADDED_MOST;
}

/* ---- what is done ---- */

static double changed; /* bytes of keys and values */
static double changed_each;

static enum kind kind_of(char key[KEY_BYTES + 1]) {
  char op = now.op[0];
  bool mixed = op >= 'A' && op <= 'F';
  double share = mixed ? next_random() : 0;
  if (op == 'D') {
    enum kind kind = share < 0.95 ? READ : WRITE;
    workload_name(kind == READ ? latest_key() : new_key(), key);
    return kind;
  }
  workload_name(any_key(), key);
  switch (op) {
  case 'A': return share < 0.5 ? READ : WRITE;
  case 'B': return share < 0.95 ? READ : WRITE;
  case 'F': return share < 0.5 ? READ : CHANGE;
  case 'C':
  case 'g': return READ;
  case 's': return WRITE;
  default: return CHANGE;
  }
}

enum kind workload_next(char key[KEY_BYTES + 1]) {
  enum kind kind = kind_of(key);
  if (kind != READ) changed += changed_each;
  return kind;
}

/* ---- values ---- */

static int put_object(long n, char *out, int size) {
  return snprintf(out, (size_t)size,
                  "{\"xp\":%ld,\"level\":%ld,\"name\":\"a member of the guild\",\"items\":[1,2,3],"
                  "\"last\":%ld,\"active\":true}",
                  n, n / 100, 1700000000 + n);
}

/* An inventory: some fields and many items, of which scripts/lib/shapes.lua makes the same. */
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

long workload_turn(void) {
  static long n;
  if (n == 0) n = workload_now_us() % 1000000000; /* other values than the last time */
  return n++;
}

/* ---- times ---- */

/* Microseconds with four bits behind the leading one: within 6 %. */
enum { TIMES = 64 * 16 };
static uint64_t times[TIMES], calls_done;
static int64_t worst_us;

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

bool workload_over(void) {
  return workload_now_us() >= end_us;
}

bool workload_backup(void) {
  if (!now.sustained || workload_now_us() < backup_us) return false;
  backup_us = INT64_MAX;
  return true;
}

/* ---- from start to end ---- */

void workload_start(const struct load *load, pid_t at_work) {
  char value[VALUE_BYTES];
  now = *load;
  server = at_work;
  if (load->zipf) prepare_zipf();
  random_state = (uint64_t)workload_now_us() | 1;
  memset(times, 0, sizeof times);
  calls_done = 0, worst_us = 0, added = 0, changed = 0;
  changed_each = KEY_BYTES + workload_value(load->shape, 100000, value, sizeof value);
  usage_of(0, &own_before);
  if (server) usage_of(server, &server_before);
  started_us = workload_now_us();
  end_us = started_us + (int64_t)(load->seconds * 1e6);
  backup_us = started_us + (int64_t)(load->seconds * 0.5e6);
}

void workload_stop(struct figures *figures) {
  double seconds = (double)(workload_now_us() - started_us) / 1e6;
  *figures = (struct figures){.rate = (double)calls_done / seconds,
                              .p50 = percentile_ms(0.5),
                              .p99 = percentile_ms(0.99),
                              .p999 = percentile_ms(0.999),
                              .worst = (double)worst_us / 1000,
                              .memory_mb = memory_of(server)};
}

void workload_settled(struct figures *figures, double besides) {
  struct usage own, theirs = {0};
  usage_of(0, &own);
  if (server) usage_of(server, &theirs);
  double cpu_s = own.cpu_s - own_before.cpu_s, written = own.written - own_before.written + besides;
  if (server) cpu_s += theirs.cpu_s - server_before.cpu_s, written += theirs.written - server_before.written;
  figures->cpu_us = calls_done ? cpu_s * 1e6 / (double)calls_done : 0;
  figures->written = changed > 0 ? written / changed : 0;
}

int workload_line(const struct load *load, char *line, int size) {
  return snprintf(line, (size_t)size, "%s %s %d %u %u %g %d %u\n", load->op, shape_names[load->shape],
                  load->zipf, load->keys, load->tasks, load->seconds, load->sustained, load->turn);
}

bool workload_parse(const char *line, struct load *load) {
  static char op[16];
  char shape[16];
  int zipf, sustained;
  if (sscanf(line, "%15s %15s %d %u %u %lf %d %u", op, shape, &zipf, &load->keys, &load->tasks,
             &load->seconds, &sustained, &load->turn) != 8)
    return false;
  load->op = op, load->zipf = zipf, load->sustained = sustained, load->shape = SHAPES;
  for (int i = 0; i < SHAPES; i++)
    if (strcmp(shape, shape_names[i]) == 0) load->shape = (enum shape)i;
  return load->shape != SHAPES;
}
