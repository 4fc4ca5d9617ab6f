/* What is measured on its own, beside the comparison of changes: figures for report.h. */
#ifndef TESTS_BENCH_BESIDE_H
#define TESTS_BENCH_BESIDE_H

struct beside {
  const char *dir; /* an empty folder */
  int rounds;
  double seconds;
  unsigned keys; /* of the large store */
};

void beside_cached(
    const struct beside *beside);               /* cached.c: reads from the cache, and lua-cjson's decoding */
void beside_large(const struct beside *beside); /* large.c: many keys */
void beside_events(const struct beside *beside); /* events.c: events through `moonkeep run` */

#endif
