/* `make bench`: moonkeep beside other ways to keep data that has to be on the disk before it is acknowledged.
 * All in turn, in one run, on the same keys and values. What counts are the ratios: the rates are this
 * machine's, at this moment.
 *
 *     bench DIR [--rounds N] [--seconds S] [--sustained S] [--quick] [--full] [--results DIR]
 *               [--only "update object uniform 1000"] [--sides "Redis,plain C"]
 *               [--among N] [--keys N]
 *
 * --only: what the names of measurements begin with, which are "update object uniform 1000", "YCSB A",
 * "sustained update", "cached", "events", "large". --among: how many keys the comparisons
 * have. --keys: how many the large store has, 0 for none of it.
 *
 * What is shown is the median of the rounds, by rate. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/beside.h"
#include "bench/plot.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/targets.h"

static const char *dir, *results_dir, *only = ""; /* only: what the name of a measurement has to begin with */
static int rounds = 5;
static double seconds = 2, sustained = 15;
static bool full;
static unsigned among = KEYS, keys = 10000000; /* in the comparisons; of the large store */

/* ---- what is compared ---- */

enum {
  STORES = MOON | PLAIN | REDIS | TARANTOOL | LMDB,
  EVERYBODY = STORES | INCR | LUASQL | ARCHIVED,
  DISK = APPEND | OVERWRITE
};

struct cell {
  enum shape shape;
  const char *op;
  bool zipf;
  unsigned tasks;
  unsigned who;
  bool aim; /* there is a target for it: all rounds, else three */
};

/* Of everything that could be crossed, what says most; --full crosses it all. */
static const struct cell cells[] = {
    {OBJECT, "update", false, 1, STORES | LUASQL | DISK, true},
    {OBJECT, "update", false, 64, STORES | DISK, true},
    {OBJECT, "update", false, 1000, EVERYBODY, true},
    {OBJECT, "update", true, 1000, STORES, false},
    {OBJECT, "set", false, 1, STORES, false},
    {OBJECT, "set", false, 64, STORES, false},
    {OBJECT, "set", false, 1000, STORES, true},
    {OBJECT, "get", false, 1, STORES | LUASQL, false},
    {OBJECT, "get", false, 1000, STORES, false},
    {COUNTER, "update", false, 1, STORES, false},
    {COUNTER, "update", false, 64, STORES, false},
    {COUNTER, "update", false, 1000, STORES | INCR | LUASQL, true},
    {COUNTER, "update", true, 1000, STORES, false},
    {DOCUMENT, "update", false, 1, STORES, false},
    {DOCUMENT, "update", false, 64, STORES, false},
    {DOCUMENT, "update", false, 1000, STORES | LUASQL, false},
    {DOCUMENT, "update", true, 1000, STORES, false},
};
enum { CELLS = sizeof cells / sizeof *cells };

static bool is_wanted(const char *begin, const struct load *load) {
  char name[100];
  snprintf(name, sizeof name, "%s%s %s %s %u", begin, load->op, shape_names[load->shape],
           load->zipf ? "zipf" : "uniform", load->tasks);
  return strncmp(name, only, strlen(only)) == 0;
}

static const char *dir_of_name(const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  const char *copy = strdup(path); /* until the end */
  bench_must(copy != NULL, "memory");
  return copy;
}

static const char *dir_of(enum shape shape) {
  static const char *dirs[SHAPES];
  if (!dirs[shape]) dirs[shape] = dir_of_name(shape_names[shape]);
  return dirs[shape];
}

/* What does not run into folding or rewriting a log, and so is soon as it stays, takes half the time. */
static double seconds_of(const struct cell *cell) {
  bool soon = cell->tasks == 1 || cell->op[0] == 'g' || cell->op[0] < 'a';
  return soon && !full ? seconds / 2 : seconds;
}

static struct load load_of(const struct cell *cell) {
  return (struct load){.op = cell->op,
                       .shape = cell->shape,
                       .zipf = cell->zipf,
                       .keys = among,
                       .tasks = cell->tasks,
                       .seconds = seconds_of(cell),
                       .dir = dir_of(cell->shape)};
}

/* ---- in which order ---- */

struct plan {
  bool counts; /* only how many there are */
  int wanted;
};

static void take(struct plan *plan, const char *begin, struct load load, unsigned who, int times) {
  if (!is_wanted(begin, &load)) return;
  plan->wanted++;
  if (!plan->counts) rounds_compare(load, who, times);
}

static int fewer_rounds(void) {
  return full || rounds < 3 ? rounds : 3;
}

static void take_cells(struct plan *plan, enum shape shape) {
  for (int i = 0; i < CELLS; i++)
    if (cells[i].shape == shape)
      take(plan, "", load_of(&cells[i]), cells[i].who, cells[i].aim ? rounds : fewer_rounds());
}

static void cross_everything(struct plan *plan, enum shape shape) {
  static const char *const ops[] = {"update", "set", "get"};
  static const unsigned task_counts[] = {1, 64, 1000};
  for (int op = 0; op < 3; op++)
    for (int zipf = 0; zipf < 2; zipf++)
      for (int i = 0; i < 3; i++) {
        struct cell cell = {shape, ops[op], zipf, task_counts[i], EVERYBODY | (op == 0 ? DISK : 0), true};
        take(plan, "", load_of(&cell), cell.who, rounds);
      }
}

static void take_mixes(struct plan *plan) {
  static const char *const mixes[] = {"A", "B", "C", "D", "F"};
  for (int i = 0; i < 5; i++)
    take(plan, "YCSB ", load_of(&(struct cell){OBJECT, mixes[i], true, 64, 0, false}), STORES,
         fewer_rounds());
}

static void take_sustained(struct plan *plan) {
  for (int zipf = 0; zipf < (full ? 2 : 1); zipf++) {
    struct load load = load_of(&(struct cell){OBJECT, "update", zipf, 1000, 0, true});
    load.seconds = sustained;
    load.sustained = true;
    if (sustained > 0) take(plan, "sustained ", load, STORES | ARCHIVED, fewer_rounds());
  }
}

static void take_all(struct plan *plan, enum shape shape) {
  char title[80];
  snprintf(title, sizeof title, "Acknowledged, %s", shape_names[shape]);
  if (!plan->counts) report_headline(title);
  full ? cross_everything(plan, shape) : take_cells(plan, shape);
  if (shape != OBJECT) return;
  if (!plan->counts) report_headline("The core mixes of YCSB");
  take_mixes(plan);
  snprintf(title, sizeof title, "Sustained: %g s, with what each has to clean up, and a backup", sustained);
  if (!plan->counts) report_headline(title);
  take_sustained(plan);
}

static void compare(enum shape shape) {
  struct load load = {.shape = shape, .keys = among, .dir = dir_of(shape)};
  struct plan count = {.counts = true}, work = {0};
  take_all(&count, shape);
  if (count.wanted == 0) return;
  bench_must(mkdir(load.dir, 0700) == 0, "making a folder");
  rounds_begin(&load, EVERYBODY | DISK);
  take_all(&work, shape);
  rounds_end();
}

static bool is_wanted_beside(const char *name) {
  return strncmp(name, only, strlen(only)) == 0;
}

static void measure_beside(void) {
  struct beside beside = {
      .dir = dir_of_name("beside"), .rounds = rounds, .seconds = seconds < 0.5 ? seconds : 0.5, .keys = keys};
  bench_must(mkdir(beside.dir, 0700) == 0, "making a folder");
  bool cached = is_wanted_beside("cached"), events = is_wanted_beside("events");
  bool large = is_wanted_beside("large") && keys > 0;
  if (cached || events || large) printf("\nBeside: %g s, median of %d\n\n", beside.seconds, rounds);
  if (cached) beside_cached(&beside);
  if (events) beside_events(&beside);
  if (large) beside_large(&beside);
}

/* ---- options ---- */

static void read_options(int argc, char **argv) {
  static const struct option names[] = {{"rounds", required_argument, NULL, 'r'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"sustained", required_argument, NULL, 'l'},
                                        {"results", required_argument, NULL, 'd'},
                                        {"only", required_argument, NULL, 'o'},
                                        {"sides", required_argument, NULL, 'w'},
                                        {"keys", required_argument, NULL, 'k'},
                                        {"among", required_argument, NULL, 'a'},
                                        {"quick", no_argument, NULL, 'q'},
                                        {"full", no_argument, NULL, 'f'},
                                        {0}};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (c == 'r') rounds = atoi(optarg);
    if (c == 's') seconds = atof(optarg);
    if (c == 'l') sustained = atof(optarg);
    if (c == 'd') results_dir = optarg;
    if (c == 'o') only = optarg;
    if (c == 'w') only_sides = optarg;
    if (c == 'a') among = (unsigned)atoi(optarg);
    if (c == 'k') keys = (unsigned)atoi(optarg);
    if (c == 'q') rounds = 1, seconds = 0.5, sustained = 3, keys = 300000;
    if (c == 'f') full = true, seconds = 10, sustained = 60;
    if (c == '?') exit(2);
  }
  dir = argv[optind] ? realpath(argv[optind], NULL) : NULL; /* servers have working folders of their own */
  bench_must(dir != NULL && rounds >= 1 && rounds <= ROUNDS_MOST && seconds > 0 && among > 0 &&
                 among % 1000 == 0 && keys % 10000 == 0,
             "reading the options");
}

static void introduce(void) {
  printf(
      "%s\n\n"
      "%u keys; every change is on the disk before it is answered, and no value is what it was before.\n"
      "calls/s: of the median round. ours: how many times as fast moonkeep is (median of the ratios of each "
      "round).\n"
      "CPU: of all processes, a call, with what is cleaned up behind. written: bytes to the disk for each "
      "byte of key\n"
      "and value that changed. MiB: of the process that has the data. plain C, LMDB and LuaSQL do as many "
      "calls in one\n"
      "transaction as there are tasks; plain C and LMDB compute nothing for an update, and read nothing.\n"
      "%g s a measurement (half of it where more would show no more), median of %d (where there is no "
      "target: "
      "%d).\n\n",
      report_machine(), among, seconds, rounds, fewer_rounds());
  report_settings(all_sides, SIDES);
  printf("\n");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  setvbuf(stdout, NULL, _IOLBF, 0);
  introduce();
  compare(OBJECT);
  compare(COUNTER);
  compare(DOCUMENT);
  measure_beside();
  targets_show();
  if (!results_dir) return 0;
  char path[1024];
  snprintf(path, sizeof path, "%s/bench.json", results_dir);
  report_json(path, rounds, seconds);
  plot_all(results_dir);
  return 0;
}
