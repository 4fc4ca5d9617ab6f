#include "bench/plot.h"

#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "bench/rounds.h"

struct bar { /* a group of bars: of one load, one bar for each side */
  const char *label, *op;
  bool zipf;
  unsigned tasks;
  bool sustained;
};

struct plot {
  const char *file, *title, *axis;
  bool logarithmic;
  double (*number)(const struct figures *);
  struct bar bars[6];
};

static double rate(const struct figures *f) {
  return f->rate;
}
static double p99(const struct figures *f) {
  return f->p99;
}
static double written(const struct figures *f) {
  return f->written;
}

static const struct plot plots[] = {
    {"updates.svg",
     "update of a 100-byte object by a Lua function, on the disk before it is answered",
     "a second",
     true,
     rate,
     {{"1 task", "update", false, 1, false},
      {"64 tasks", "update", false, 64, false},
      {"1,000 tasks", "update", false, 1000, false}}},
    {"times.svg",
     "the same: 99 of 100 were answered within",
     "ms",
     true,
     p99,
     {{"1 task", "update", false, 1, false},
      {"64 tasks", "update", false, 64, false},
      {"1,000 tasks", "update", false, 1000, false}}},
    {"written.svg",
     "bytes written to the disk for each byte of key and value that changed",
     "bytes",
     true,
     written,
     {{"64 tasks", "update", false, 64, false},
      {"1,000 tasks", "update", false, 1000, false},
      {"1,000, sustained", "update", false, 1000, true}}},
    {"mixes.svg",
     "the core mixes of YCSB, 64 tasks",
     "calls a second",
     true,
     rate,
     {{"A: half reads, half writes", "A", true, 64, false},
      {"B: 5 % writes", "B", true, 64, false},
      {"C: reads", "C", true, 64, false},
      {"D: reads the newest", "D", true, 64, false},
      {"F: half read-modify-write", "F", true, 64, false}}},
};
enum { PLOTS = sizeof plots / sizeof *plots, PLOTTED = LMDB * 2 - 1 };

static bool is_plotted(const struct side *side) {
  return side != &archived_side && side != &incr_side;
}

static const struct result *result_of(const struct side *side, const struct bar *bar) {
  return result_find(side, bar->op, OBJECT, bar->zipf, bar->tasks, bar->sustained);
}

/* A table of numbers: a line for each group of bars, a column for each side that has any; how many have. */
static int put_data(FILE *out, const struct plot *plot, const struct side *const sides[SIDES], int count) {
  int rows = 0;
  fputs("$data << EOD\nload", out);
  for (int i = 0; i < count; i++) fprintf(out, "\t%s", sides[i]->name);
  for (const struct bar *bar = plot->bars; bar->label; bar++) {
    if (!result_of(&moon_side, bar)) continue;
    fprintf(out, "\n%s", bar->label);
    for (int i = 0; i < count; i++) {
      const struct result *result = result_of(sides[i], bar);
      double number = result ? plot->number(&result->median) : 0;
      number > 0 ? fprintf(out, "\t%g", number) : fputs("\tNaN", out);
    }
    rows++;
  }
  fputs("\nEOD\n", out);
  return rows;
}

static int sides_of(const struct plot *plot, const struct side *sides[SIDES]) {
  int count = 0;
  for (int i = 0; i < SIDES && 1u << i <= PLOTTED; i++) {
    bool has = false;
    for (const struct bar *bar = plot->bars; bar->label; bar++)
      has = has || result_of(all_sides[i], bar) != NULL;
    if (has && is_plotted(all_sides[i])) sides[count++] = all_sides[i];
  }
  return count;
}

static void put_plot(FILE *out, const struct plot *plot, const char *dir) {
  const struct side *sides[SIDES];
  int count = sides_of(plot, sides);
  if (count == 0 || put_data(out, plot, sides, count) == 0) return;
  fprintf(out,
          "set terminal svg size 760,360 font 'sans-serif,12' background 'white'\n"
          "set output '%s/%s'\nset title \"%s\"\nset ylabel \"%s\"\n%s logscale y\n",
          dir, plot->file, plot->title, plot->axis, plot->logarithmic ? "set" : "unset");
  fputs("set datafile separator tab\nset style data histograms\nset style histogram clustered gap 1\n"
        "set style fill solid 0.85 noborder\nset boxwidth 0.9\nset grid ytics lc rgb '#dddddd'\n"
        "set key outside right top reverse Left\nset format y '%.0s%c'\nset border 3\n"
        "set tics nomirror\nset xrange [-0.6:*]\n",
        out);
  fprintf(out,
          "set linetype 1 lc rgb '#d1495b'\n"
          "plot for [i=2:%d] $data using i:xtic(1) title columnheader(i)\n",
          count + 1);
}

void plot_all(const char *dir) {
  if (!program_is_there("gnuplot")) {
    printf("\nThere are no plots: gnuplot is not installed.\n");
    return;
  }
  FILE *gnuplot = popen("gnuplot", "w");
  bench_must(gnuplot != NULL, "starting gnuplot");
  for (int i = 0; i < PLOTS; i++) put_plot(gnuplot, &plots[i], dir);
  bench_must(pclose(gnuplot) == 0, "gnuplot");
  printf("\nThe plots are in %s.\n", dir);
}
