/* The table of targets: what moonkeep set out to reach, and what this run has measured of it. */
#ifndef TESTS_BENCH_TARGETS_H
#define TESTS_BENCH_TARGETS_H

#include <stdio.h>

void targets_show(void);
void targets_json(FILE *json);

#endif
