/* What the files of the bench share: what is asked for, who is compared, what was measured, and where keys
 * come from. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { KEYS = 100000, KEY_BYTES = 13 }; /* "user:00012345"; KEYS: where nothing else is said */
enum { VALUE_BYTES = 4096 };            /* more than any value has */

enum shape { COUNTER, OBJECT, DOCUMENT, SHAPES }; /* an integer, some 100 bytes, some 2 KB */
extern const char *const shape_names[SHAPES];

enum kind { READ = 1, WRITE, CHANGE }; /* get; set; update, which reads, computes and writes */

struct load {
  const char *op; /* "get", "set", "update", or a core mix of YCSB: "A", "B", "C", "D", "F" */
  enum shape shape;
  bool zipf;      /* else every key is as likely as another */
  unsigned keys;  /* that there are, at most 99,999,999 */
  unsigned tasks; /* callers that wait at the same time; of those without callers: changes in a transaction */
  double seconds;
  bool sustained;  /* a backup is made in the middle */
  unsigned turn;   /* of this measurement among all of the run: keys that D adds are its own */
  const char *dir; /* holds what a side keeps its keys in, once it has been filled */
};

struct figures {
  double rate;                  /* calls a second, each durable before it is answered */
  double p50, p99, p999, worst; /* milliseconds from call to answer */
  double cpu_us;                /* of all processes that take part, for each call */
  double written;               /* bytes that went to the disk for each byte of key and value that changed */
  double memory_mb;             /* proportional set size of the process that has the data */
};

/* One of those that are compared. `start` and `stop` are called in the bench's own process: a server lives
 * between them. `fill` and `measure` get a process of their own each time, so that nothing of one is left for
 * the next, and what it wrote can be told. */
struct side {
  const char *name;
  const char *settings;                                  /* what it runs with, and why */
  bool (*start)(const struct load *load, char why[128]); /* NULL: nothing to start; false: it is not there */
  void (*fill)(const struct load *load);                 /* NULL: nothing to fill */
  bool (*can)(const struct load *load);                  /* NULL: everything */
  void (*measure)(const struct load *load, struct figures *figures);
  void (*stop)(void); /* NULL: nothing to stop */
};

extern const struct side moon_side, archived_side, plain_side, redis_side, incr_side, tarantool_side,
    luasql_side, lmdb_side, append_side, overwrite_side;

/* ---- workload.c: what all do alike, in the process that measures ---- */

void workload_start(const struct load *load, pid_t server); /* starts the stopwatch; server: 0 or who works */
enum kind workload_next(char key[KEY_BYTES + 1]);           /* what is to be done next, and with which key */
void workload_name(unsigned i, char key[KEY_BYTES + 1]);
int workload_value(enum shape shape, long n, char *out, int size); /* JSON, another for each n; its length */
long workload_turn(void);                                          /* an n that has not been before */
int64_t workload_now_us(void);
bool workload_over(void);                                         /* no more calls: the time is over */
bool workload_backup(void);                                       /* true once, when a backup is to be made */
void workload_answered(int64_t began_us, unsigned calls);         /* notes how long they took */
void workload_stop(struct figures *figures);                      /* the rate and the times */
void workload_settled(struct figures *figures, double besides);   /* when everything is on the disk: the rest;
                                                                   * besides: bytes that nobody counts */
int workload_line(const struct load *load, char *line, int size); /* a load as text, for other programs */
bool workload_parse(const char *line, struct load *load);         /* op and dir stay in `line`'s copy */

/* ---- proc.c ---- */

struct usage {
  double cpu_s, written; /* seconds, bytes to the disk; of processes that it has waited for too */
};
void usage_of(pid_t pid, struct usage *usage); /* 0: this process */
double memory_of(pid_t pid);                   /* MiB, 0: this process */

/* A program that ends with this process; *in and *out, where they are not NULL, are its standard input and
 * output. 0: it cannot be started. */
pid_t server_start(const char *const argv[], const char *log, int *in, int *out);
void server_stop(pid_t pid);
bool program_is_there(const char *name); /* in PATH */

void bench_must(bool ok, const char *what); /* ends the program with a word where it is not so */

#endif
