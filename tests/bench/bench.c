/* `make bench`: moonkeep beside other ways to keep data that has to be on the disk before it is acknowledged.
 * All in turn, in one run, on the same keys and values. What counts are the ratios: the rates are this
 * machine's, at this moment.
 *
 *     bench DIR [--rounds N] [--seconds S] [--sustained S] [--quick] [--full] [--json FILE]
 *               [--only "update object uniform 1000"] [--sides "Redis,plain C"]
 *
 * What is shown is the median of the rounds, by rate. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/targets.h"

static const char *dir, *json_path, *only = ""; /* only: what the name of a measurement has to begin with */
static int rounds = 5;
static double seconds = 1, sustained = 15;
static bool full;

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
};

/* Of everything that could be crossed, what says most; --full crosses it all. */
static const struct cell cells[] = {
    {OBJECT, "update", false, 1, STORES | LUASQL | DISK},
    {OBJECT, "update", false, 64, STORES | DISK},
    {OBJECT, "update", false, 1000, EVERYBODY},
    {OBJECT, "update", true, 1000, STORES},
    {OBJECT, "set", false, 1, STORES},
    {OBJECT, "set", false, 64, STORES},
    {OBJECT, "set", false, 1000, STORES},
    {OBJECT, "get", false, 1, STORES | LUASQL},
    {OBJECT, "get", false, 1000, STORES},
    {COUNTER, "update", false, 1, STORES},
    {COUNTER, "update", false, 64, STORES},
    {COUNTER, "update", false, 1000, STORES | INCR | LUASQL},
    {COUNTER, "update", true, 1000, STORES},
    {DOCUMENT, "update", false, 1, STORES},
    {DOCUMENT, "update", false, 64, STORES},
    {DOCUMENT, "update", false, 1000, STORES | LUASQL},
    {DOCUMENT, "update", true, 1000, STORES},
};
enum { CELLS = sizeof cells / sizeof *cells };

static bool is_wanted(const char *begin, const struct load *load) {
  char name[100];
  snprintf(name, sizeof name, "%s%s %s %s %u", begin, load->op, shape_names[load->shape],
           load->zipf ? "zipf" : "uniform", load->tasks);
  return strncmp(name, only, strlen(only)) == 0;
}

static const char *dir_of(enum shape shape) {
  static char dirs[SHAPES][1024];
  snprintf(dirs[shape], sizeof dirs[shape], "%s/%s", dir, shape_names[shape]);
  return dirs[shape];
}

static struct load load_of(const struct cell *cell) {
  return (struct load){.op = cell->op,
                       .shape = cell->shape,
                       .zipf = cell->zipf,
                       .tasks = cell->tasks,
                       .seconds = seconds,
                       .dir = dir_of(cell->shape)};
}

static void compare_the_cells(enum shape shape) {
  for (int i = 0; i < CELLS; i++) {
    struct load load = load_of(&cells[i]);
    if (cells[i].shape == shape && is_wanted("", &load)) rounds_compare(load, cells[i].who, rounds);
  }
}

static void cross_everything(enum shape shape) {
  static const char *const ops[] = {"update", "set", "get"};
  static const unsigned task_counts[] = {1, 64, 1000};
  for (int op = 0; op < 3; op++)
    for (int zipf = 0; zipf < 2; zipf++)
      for (int i = 0; i < 3; i++) {
        struct cell cell = {shape, ops[op], zipf, task_counts[i], EVERYBODY | (op == 0 ? DISK : 0)};
        struct load load = load_of(&cell);
        if (is_wanted("", &load)) rounds_compare(load, cell.who, rounds);
      }
}

static int fewer_rounds(void) {
  return full || rounds < 3 ? rounds : 3;
}

static void compare_mixes(void) {
  static const char *const mixes[] = {"A", "B", "C", "D", "F"};
  for (int i = 0; i < 5; i++) {
    struct load load = load_of(&(struct cell){OBJECT, mixes[i], true, 64, STORES});
    if (is_wanted("YCSB ", &load)) rounds_compare(load, STORES, fewer_rounds());
  }
}

static void compare_sustained(void) {
  for (int zipf = 0; zipf < 2; zipf++) {
    struct load load = load_of(&(struct cell){OBJECT, "update", zipf, 1000, 0});
    load.seconds = sustained;
    load.sustained = true;
    if (!zipf || full)
      if (is_wanted("sustained ", &load)) rounds_compare(load, STORES | ARCHIVED, fewer_rounds());
  }
}

/* Whether anything of this shape is to be done, and so has to be filled. */
static bool is_needed(enum shape shape) {
  char name[40];
  snprintf(name, sizeof name, " %s", shape_names[shape]);
  bool names_it = strstr(only, name) != NULL, names_none = true;
  for (int i = 0; i < SHAPES; i++)
    if (strstr(only, shape_names[i])) names_none = false;
  return names_it || (names_none && (shape == OBJECT || !*only || strchr("usg", *only)));
}

static void compare(enum shape shape) {
  char title[80];
  struct load load = {.shape = shape, .dir = dir_of(shape)};
  if (!is_needed(shape)) return;
  bench_must(mkdir(load.dir, 0700) == 0, "making a folder");
  rounds_begin(&load, EVERYBODY | DISK);
  snprintf(title, sizeof title, "Acknowledged, %s: %g s, median of %d", shape_names[shape], seconds, rounds);
  report_headline(title);
  full ? cross_everything(shape) : compare_the_cells(shape);
  if (shape == OBJECT) {
    report_headline("The core mixes of YCSB");
    compare_mixes();
    snprintf(title, sizeof title, "Sustained: %g s, with what each has to clean up, and a backup", sustained);
    report_headline(title);
    if (sustained > 0) compare_sustained();
  }
  rounds_end();
}

/* ---- options ---- */

static void read_options(int argc, char **argv) {
  static const struct option names[] = {{"rounds", required_argument, NULL, 'r'},
                                        {"seconds", required_argument, NULL, 's'},
                                        {"sustained", required_argument, NULL, 'l'},
                                        {"json", required_argument, NULL, 'j'},
                                        {"only", required_argument, NULL, 'o'},
                                        {"sides", required_argument, NULL, 'w'},
                                        {"quick", no_argument, NULL, 'q'},
                                        {"full", no_argument, NULL, 'f'},
                                        {0}};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (c == 'r') rounds = atoi(optarg);
    if (c == 's') seconds = atof(optarg);
    if (c == 'l') sustained = atof(optarg);
    if (c == 'j') json_path = optarg;
    if (c == 'o') only = optarg;
    if (c == 'w') only_sides = optarg;
    if (c == 'q') rounds = 1, seconds = 0.3, sustained = 3;
    if (c == 'f') full = true, seconds = 10, sustained = 60;
    if (c == '?') exit(2);
  }
  dir = argv[optind] ? realpath(argv[optind], NULL) : NULL; /* servers have working folders of their own */
  bench_must(dir != NULL && rounds >= 1 && rounds <= ROUNDS_MOST && seconds > 0, "reading the options");
}

static void introduce(void) {
  printf(
      "%s\n\n"
      "%d keys; every change is on the disk before it is answered, and no value is what it was before.\n"
      "calls/s: of the median round. ours: how many times as fast moonkeep is (median of the ratios of each "
      "round).\n"
      "CPU: of all processes, a call, with what is cleaned up behind. written: bytes to the disk for each "
      "byte of key\n"
      "and value that changed. MiB: of the process that has the data. plain C, LMDB and LuaSQL do as many "
      "calls in one\n"
      "transaction as there are tasks; plain C and LMDB compute nothing for an update, and read nothing.\n\n",
      report_machine(), KEYS);
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
  targets_show();
  if (json_path) report_json(json_path, rounds, seconds);
  return 0;
}
