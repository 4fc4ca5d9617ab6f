/* `make bench`: update, set and get from Lua beside plain C with SQLite doing upserts in transactions of the
 * same size; in turn, in one run. What counts are the ratios: the rates are this machine's, at this moment.
 *
 *     bench DIR [--rounds N] [--seconds S] [--sustained S] [--json FILE] [--only "update object uniform
 * 1000"]
 *
 * Each measurement is a process of its own, so that nothing of one is left for the next, and the bytes that
 * it wrote can be told. What is shown is the median of the rounds, by rate. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum { ROUNDS_MOST = 99 };

static const char *dir, *json_path, *only = ""; /* only: what the name of a measurement has to begin with */
static int rounds = 3;
static double seconds = 2, sustained = 60;
static FILE *json;

void bench_must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "bench: %s failed\n", what);
  exit(1);
}

/* ---- processes ---- */

struct side { /* one of those that are compared */
  const char *name;
  void (*fill)(const struct load *);
  void (*measure)(const struct load *, struct figures *);
};

static const struct side moon = {"moonkeep", moon_fill, moon_measure};
static const struct side plain = {"plain C", plain_fill, plain_measure};

static void await(pid_t child) {
  int status;
  bench_must(waitpid(child, &status, 0) == child && status == 0, "a measurement");
}

static void fill(const struct side *side, const struct load *load) {
  fflush(NULL);
  pid_t child = fork();
  bench_must(child >= 0, "fork");
  if (child == 0) {
    side->fill(load);
    _exit(0);
  }
  await(child);
}

static struct figures measure(const struct side *side, const struct load *load) {
  struct figures figures;
  int ends[2];
  fflush(NULL);
  bench_must(pipe(ends) == 0, "pipe");
  pid_t child = fork();
  bench_must(child >= 0, "fork");
  if (child == 0) {
    side->measure(load, &figures);
    bench_must(write(ends[1], &figures, sizeof figures) == sizeof figures, "write");
    _exit(0);
  }
  close(ends[1]);
  bench_must(read(ends[0], &figures, sizeof figures) == sizeof figures, "a measurement");
  close(ends[0]);
  await(child);
  return figures;
}

/* ---- what is shown ---- */

static int by_rate(const void *a, const void *b) {
  const struct figures *x = a, *y = b;
  return (x->rate > y->rate) - (x->rate < y->rate);
}

static struct figures median(struct figures *figures, int count) {
  qsort(figures, (size_t)count, sizeof *figures, by_rate);
  return figures[count / 2];
}

static void show(const struct side *side, const struct load *load, const struct figures *f, double ratio) {
  char against[16] = "";
  if (ratio > 0) snprintf(against, sizeof against, "%.2fx", ratio);
  printf("%-9s %-7s %-9s %-8s %5u %9.0f %7s %9.2f %9.2f %9.2f %8.1f\n", side->name, load->op,
         shape_names[load->shape], load->zipf ? "zipf" : "uniform", load->tasks, f->rate, against, f->p50,
         f->p99, f->worst, f->written);
  if (!json) return;
  fprintf(json,
          "{\"who\":\"%s\",\"op\":\"%s\",\"value\":\"%s\",\"keys\":\"%s\",\"tasks\":%u,\"seconds\":%g,"
          "\"rate\":%.0f,"
          "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"written_per_byte\":%.2f}\n",
          side->name, load->op, shape_names[load->shape], load->zipf ? "zipf" : "uniform", load->tasks,
          load->seconds, f->rate, f->p50, f->p99, f->worst, f->written);
}

static void headline(const char *what) {
  printf("\n%s\n\n%-9s %-7s %-9s %-8s %5s %9s %7s %9s %9s %9s %8s\n", what, "", "call", "value", "keys",
         "tasks", "calls/s", "ratio", "p50 ms", "p99 ms", "max ms", "written");
}

static bool is_wanted(const struct load *load) {
  char name[100];
  snprintf(name, sizeof name, "%s %s %s %u", load->op, shape_names[load->shape],
           load->zipf ? "zipf" : "uniform", load->tasks);
  return strncmp(name, only, strlen(only)) == 0;
}

/* Both sides in turn, round by round. */
static void compare(struct load load, int count) {
  if (!is_wanted(&load)) return;
  struct figures ours[ROUNDS_MOST], theirs[ROUNDS_MOST];
  bool upserts = strcmp(load.op, "get") != 0;
  for (int i = 0; i < count; i++) {
    ours[i] = measure(&moon, &load);
    if (upserts) theirs[i] = measure(&plain, &load);
  }
  struct figures us = median(ours, count), them = {0};
  if (upserts) them = median(theirs, count);
  show(&moon, &load, &us, upserts ? us.rate / them.rate : 0);
  if (!upserts) return;
  load.op = "upsert";
  show(&plain, &load, &them, 0);
}

/* ---- what is measured ---- */

static const unsigned task_counts[] = {1, 64, 1000};
enum { TASK_COUNTS = 3 };

static const char *dir_of(enum shape shape) {
  static char dirs[SHAPES][1024];
  snprintf(dirs[shape], sizeof dirs[shape], "%s/%s", dir, shape_names[shape]);
  return dirs[shape];
}

static void fill_all(void) {
  for (int shape = 0; shape < SHAPES; shape++) {
    struct load load = {.shape = (enum shape)shape, .dir = dir_of((enum shape)shape)};
    bench_must(mkdir(load.dir, 0700) == 0, "making a folder");
    fill(&moon, &load);
    fill(&plain, &load);
  }
}

static void measure_disk(void) {
  double append[ROUNDS_MOST], overwrite[ROUNDS_MOST];
  struct figures figures[ROUNDS_MOST];
  for (int i = 0; i < rounds; i++) {
    append[i] = disk_rate(true, seconds / 2, dir);
    overwrite[i] = disk_rate(false, seconds / 2, dir);
  }
  for (int i = 0; i < rounds; i++) figures[i].rate = append[i];
  double appending = median(figures, rounds).rate;
  for (int i = 0; i < rounds; i++) figures[i].rate = overwrite[i];
  double overwriting = median(figures, rounds).rate;
  printf("4 KiB with fdatasync, a second: %.0f appending, %.0f overwriting\n", appending, overwriting);
}

static void compare_updates(void) {
  for (int shape = 0; shape < SHAPES; shape++)
    for (int zipf = 0; zipf < 2; zipf++)
      for (int i = 0; i < TASK_COUNTS; i++)
        compare((struct load){"update", (enum shape)shape, zipf, task_counts[i], seconds,
                              dir_of((enum shape)shape)},
                rounds);
}

static void compare_the_rest(const char *op) {
  for (int i = 0; i < TASK_COUNTS; i++)
    compare((struct load){op, OBJECT, false, task_counts[i], seconds, dir_of(OBJECT)}, rounds);
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"rounds", required_argument, NULL, 'r'},    {"seconds", required_argument, NULL, 's'},
      {"sustained", required_argument, NULL, 'l'}, {"json", required_argument, NULL, 'j'},
      {"only", required_argument, NULL, 'o'},      {0}};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (c == 'r') rounds = atoi(optarg);
    if (c == 's') seconds = atof(optarg);
    if (c == 'l') sustained = atof(optarg);
    if (c == 'j') json_path = optarg;
    if (c == 'o') only = optarg;
    if (c == '?') exit(2);
  }
  dir = argv[optind];
  bench_must(dir != NULL && rounds >= 1 && rounds <= ROUNDS_MOST && seconds > 0, "reading the options");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  json = json_path ? fopen(json_path, "w") : NULL;
  bench_must(json || !json_path, "opening the JSON file");
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("%d keys; each change is durable before it is answered; %g s a measurement, median of %d; plain C "
         "does\n"
         "upserts in transactions of as many as there are tasks. written: bytes to the disk for each byte of "
         "key and\n"
         "value that changed.\n",
         KEYS, seconds, rounds);
  fill_all();
  measure_disk();
  headline("Acknowledged");
  compare_updates();
  compare_the_rest("set");
  compare_the_rest("get");
  if (sustained > 0) {
    char title[80];
    snprintf(title, sizeof title, "Sustained: %g s, with folding and checkpoints", sustained);
    headline(title);
    compare((struct load){"update", OBJECT, false, 1000, sustained, dir_of(OBJECT)}, 1);
    compare((struct load){"update", OBJECT, true, 1000, sustained, dir_of(OBJECT)}, 1);
  }
  if (json) fclose(json);
  return 0;
}
