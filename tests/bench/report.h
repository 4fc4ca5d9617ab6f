/* What was measured, and how it is shown: as tables while the bench runs, and in the end as JSON. */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include "bench/bench.h"

enum { ROUNDS_MOST = 99 };

struct result { /* of one side in one comparison */
  const struct side *side;
  struct load load;
  int rounds;
  struct figures each[ROUNDS_MOST]; /* in the order in which they were measured */
  struct figures median;            /* of the round that is in the middle by its rate */
  struct result *next;
};

extern struct result *results; /* in the order in which they were added; kept until the end */

struct result *result_add(const struct side *side, const struct load *load);
void result_done(struct result *result); /* all rounds are there */

/* NULL: it was not measured. */
const struct result *result_find(const struct side *side, const char *op, enum shape shape, bool zipf,
                                 unsigned tasks, bool sustained);

/* How many times as fast one is as the other: the median of the ratios of each round. */
double result_ratio(const struct result *one, const struct result *other);
double median_of(const double *numbers, int count);

struct figure { /* of what is measured on its own, such as opening */
  const char *name, *unit;
  int rounds;
  double each[ROUNDS_MOST], median;
  struct figure *next;
};
extern struct figure *figures_beside;

struct figure *figure_add(const char *name, const char *unit);
void figure_done(struct figure *figure); /* shows it, too */
const struct figure *figure_find(const char *name);

void report_headline(const char *what); /* of what is shown next, if anything is */
void report_result(const struct result *result, const struct result *ours); /* a line of the table */
void report_settings(const struct side *const sides[], int count);
void report_json(const char *path, int rounds, double seconds);
const char *report_machine(void); /* in a line */

#endif
