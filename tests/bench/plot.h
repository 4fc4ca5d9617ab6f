/* Pictures of what was measured, as SVG by gnuplot. */
#ifndef TESTS_BENCH_PLOT_H
#define TESTS_BENCH_PLOT_H

/* Writes updates.svg, times.svg, written.svg and mixes.svg into the folder, of what there is; says so where
 * there is no gnuplot. */
void plot_all(const char *dir);

#endif
