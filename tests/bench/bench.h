/* What the files of the bench share: what is asked for, what was measured, and where keys come from. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>

enum { KEYS = 100000, KEY_BYTES = 11 }; /* "user:012345" */

enum shape { COUNTER, OBJECT, DOCUMENT, SHAPES }; /* an integer, some 100 bytes, some 2 KB */
extern const char *const shape_names[SHAPES];

struct load {
  const char *op; /* "update", "set", "get"; plain C knows upserts alone */
  enum shape shape;
  bool zipf;      /* else every key is as likely as another */
  unsigned tasks; /* callers that wait at the same time; of plain C: upserts in one transaction */
  double seconds;
  const char *dir; /* holds a store or a database with all KEYS keys after bench_fill_… */
};

struct figures {
  double rate;            /* calls a second, each durable before it is answered */
  double p50, p99, worst; /* milliseconds from call to answer */
  double written;         /* bytes that went to the disk for each byte of key and value that changed */
};

/* ---- one measurement, in a process of its own ---- */

void moon_fill(const struct load *load);
void moon_measure(const struct load *load, struct figures *figures);
void plain_fill(const struct load *load);
void plain_measure(const struct load *load, struct figures *figures);
double disk_rate(bool append, double seconds, const char *dir); /* 4 KiB writes with fdatasync, a second */

/* ---- workload.c: what both sides do alike ---- */

void workload_start(bool zipf);             /* and starts the stopwatch */
void workload_key(char key[KEY_BYTES + 1]); /* the next one */
void workload_name(unsigned i, char key[KEY_BYTES + 1]);
int workload_value(enum shape shape, long n, char *out,
                   int size); /* JSON that differs with each n; its length */
int64_t workload_now_us(void);
void workload_answered(int64_t began_us, unsigned calls);                /* notes how long they took */
void workload_stop(const struct load *load, struct figures *figures);    /* the rate and the times */
void workload_written(const struct load *load, struct figures *figures); /* when everything is on the disk */

void bench_must(bool ok, const char *what); /* ends the program with a word where it is not so */

#endif
