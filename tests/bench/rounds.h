/* Runs the sides that are compared, in turn: each measurement in a process of its own. */
#ifndef TESTS_BENCH_ROUNDS_H
#define TESTS_BENCH_ROUNDS_H

#include "bench/bench.h"

enum { SIDES = 10 };
extern const struct side *const all_sides[SIDES];
extern const char *only_sides; /* names with commas between; "": all */

enum { /* who takes part in a comparison: bits in the order of all_sides */
       MOON = 1,
       ARCHIVED = 2,
       PLAIN = 4,
       REDIS = 8,
       INCR = 16,
       TARANTOOL = 32,
       LUASQL = 64,
       LMDB = 128,
       APPEND = 256,
       OVERWRITE = 512,
};

void rounds_begin(const struct load *load, unsigned who); /* fills; says who is not there */
void rounds_end(void);
/* Tasks and keys of `load`, so many rounds; shows what comes of it. */
void rounds_compare(struct load load, unsigned who, int rounds);

/* What `work` returns when it is called in a process of its own. */
double apart(double (*work)(const void *), const void *ctx);

#endif
