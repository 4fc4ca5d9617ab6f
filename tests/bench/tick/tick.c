/* `make bench-tick`: what moonkeep costs a loop that ticks.
 *
 * First ticks with nothing to do. Then sixty ticks a second, in which scripts make ten thousand updates a
 * second of keys at random: for some seconds alone, then as long while backups are made one after the other,
 * in turn. Only the public header is used. `clock` is the time that a tick took, with all that other
 * processes and threads took from it; `CPU` what the tick's thread has worked in it.
 *
 *     tick DIR SCRIPTS [--rate N] [--seconds S] [--rounds N] [--megabytes N] [--budget US] [--realtime] */
#include <getopt.h>
#include <moonkeep.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
  TICKS_PER_SECOND = 60,
  TICKS_MOST = 1000000,
  KEYS = 100000,
  IDLE_TICKS = 1000000,
  FILLER_BYTES = 1000
};

static struct moonkeep_host *host;
static const char *dir, *scripts;
static long rate = 10000, rounds = 1, megabytes = 200, budget_us = 2000;
static double seconds = 20;
static int64_t tick_ns[TICKS_MOST], control_ns[TICKS_MOST];
static int ticks;
static void (*update)(void);
static long begun, done;
static atomic_long backups;

static void must(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "bench: %s failed\n", what);
  exit(1);
}

static int64_t now_ns(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t random_number(void) {
  static uint64_t x = 88172645463325252u;
  x ^= x << 13;
  x ^= x >> 7;
  return x ^= x << 17;
}

/* ---- the host ---- */

static void on_log(void *ctx, enum moonkeep_level level, const char *source, const char *text) {
  (void)ctx;
  if (strcmp(source, "backup") == 0 && strstr(text, "verified")) atomic_fetch_add(&backups, 1);
  if (level >= MOONKEEP_WARN) fprintf(stderr, "%s: %s\n", source, text);
}

static void open_host(int64_t backup_every_ms) {
  struct moonkeep_options options = {.size = sizeof options,
                                     .data = dir,
                                     .scripts = scripts,
                                     .watch = 1,
                                     .budget_signal = MOONKEEP_ANY_SIGNAL,
                                     .log = on_log,
                                     .backup_every_ms = backup_every_ms};
  struct moonkeep_error error;
  if (!moonkeep_open(&host, &options, &error)) return;
  fprintf(stderr, "bench: %s\n", error.message);
  exit(1);
}

static void close_host(void) {
  must(moonkeep_close(host, NULL) == MOONKEEP_OK, "closing the store");
}

static void on_filled(void *ctx, const struct moonkeep_answer *answer) {
  (void)ctx;
  must(answer->code == MOONKEEP_OK, "filling");
}

/* What a backup has to copy, beside the keys that change. */
static void fill(void) {
  char key[32], json[FILLER_BYTES + 1];
  memset(json, 'x', sizeof json);
  json[0] = json[FILLER_BYTES - 1] = '"';
  json[FILLER_BYTES] = '\0';
  for (long i = 0; i < megabytes * 1000000 / FILLER_BYTES; i++) {
    snprintf(key, sizeof key, "filler:%ld", i);
    if (i % 1000 == 0) moonkeep_wait(host);
    must(moonkeep_set(host, NULL, key, json, 0, on_filled, NULL) == MOONKEEP_OK, "filling");
  }
  moonkeep_wait(host);
}

/* ---- ten thousand updates a second ---- */

static void on_done(void *ctx, const char *errors) {
  (void)ctx;
  must(strcmp(errors, "[]") == 0, "an update");
  done++;
}

static void by_event(void) {
  char json[80];
  int len = snprintf(json, sizeof json, "{\"event\":\"work\",\"key\":\"player:%d\"}",
                     (int)(random_number() % KEYS));
  must(moonkeep_emit(host, json, (size_t)len, on_done, NULL) == MOONKEEP_OK, "an event");
  begun++;
}

static void on_answer(void *ctx, const struct moonkeep_answer *answer) {
  (void)ctx;
  must(answer->code == MOONKEEP_OK, "an update");
  done++;
}

static const char *one_more(void *ctx, const char *json) {
  static char text[120];
  const char *number = json ? strchr(json, ':') : NULL;
  (void)ctx;
  snprintf(text, sizeof text, "{\"coins\":%ld,\"name\":\"player\",\"items\":[\"sword\",\"shield\"]}",
           number ? atol(number + 1) + 1 : 1);
  return text;
}

static void in_c(void) {
  char key[32];
  snprintf(key, sizeof key, "hero:%d", (int)(random_number() % KEYS));
  must(moonkeep_update(host, NULL, key, one_more, on_answer, NULL) == MOONKEEP_OK, "an update");
  begun++;
}

/* ---- ticks ---- */

static void sleep_until(int64_t ns) {
  struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* As long as a tick, on as much memory as one may touch. */
static long control_steps = 10000;
static void control(void) {
  enum { BYTES = 4 << 20 };
  static unsigned char memory[BYTES];
  uint64_t x = 1;
  for (long i = 0; i < control_steps; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    memory[(x >> 33) % BYTES]++;
  }
}

static int64_t timed(void (*work)(void)) {
  int64_t began = now_ns(CLOCK_MONOTONIC);
  work();
  return now_ns(CLOCK_MONOTONIC) - began;
}

/* What is asked for in C is part of the tick, since that is where its work is done. */
static void tick(void) {
  static double owed;
  for (owed += (double)rate / TICKS_PER_SECOND; owed >= 1; owed--) update();
  moonkeep_tick(host, budget_us);
}

static void play(void) {
  static const int64_t between_ns = 1000000000 / TICKS_PER_SECOND;
  int64_t due = now_ns(CLOCK_MONOTONIC), end = due + (int64_t)(seconds * 1e9);
  for (ticks = 0; due < end && ticks < TICKS_MOST; ticks++) {
    sleep_until(due);
    tick_ns[ticks] = timed(tick);
    sleep_until(due + between_ns / 2);
    control_ns[ticks] = timed(control);
    control_steps += control_ns[ticks] < tick_ns[ticks] ? control_steps / 32 : -(control_steps / 32);
    due += between_ns;
  }
}

/* Nothing may be under way when a host is closed. */
static void drain(void) {
  while (done < begun) {
    moonkeep_tick(host, budget_us);
    sleep_until(now_ns(CLOCK_MONOTONIC) + 1000000);
  }
}

/* ---- figures ---- */

static int by_size(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static double show_times(const char *what, int64_t *times) {
  qsort(times, (size_t)ticks, sizeof *times, by_size);
  double p999 = (double)times[ticks * 999L / 1000] / 1e6;
  printf("    %-8s p50 %6.3f ms  p99 %6.3f ms  p99.9 %6.3f ms  worst %6.3f ms\n", what,
         (double)times[ticks / 2] / 1e6, (double)times[ticks * 99L / 100] / 1e6, p999,
         (double)times[ticks - 1] / 1e6);
  return p999;
}

static void idle(void) {
  int64_t best = INT64_MAX, end = now_ns(CLOCK_MONOTONIC) + 3000000000;
  while (now_ns(CLOCK_MONOTONIC) < end) { /* until what follows an opening has come to rest */
    moonkeep_tick(host, budget_us);
    sleep_until(now_ns(CLOCK_MONOTONIC) + 1000000);
  }
  for (int round = 0; round < 5; round++) {
    int64_t began = now_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < IDLE_TICKS; i++) moonkeep_tick(host, budget_us);
    int64_t took = now_ns(CLOCK_MONOTONIC) - began;
    if (took < best) best = took;
  }
  printf("a tick with nothing to do: %.0f ns\n", (double)best / IDLE_TICKS);
}

static void measure(const char *what, int64_t backup_every_ms) {
  open_host(backup_every_ms);
  long done_before = done, backups_before = atomic_load(&backups);
  play();
  printf("  %s, %s: %.0f updates/s, %ld under way, %ld backups\n", update == in_c ? "in C" : "by events",
         what, (double)(done - done_before) / seconds, begun - done, atomic_load(&backups) - backups_before);
  double ticked = show_times("tick", tick_ns), machine = show_times("control", control_ns);
  printf("    p99.9 of a tick is %.2f of its budget, and %.2f of that of the control\n",
         ticked * 1000 / (double)budget_us, ticked / machine);
  fflush(stdout);
  drain();
  close_host();
}

static void be_realtime(void) {
  struct sched_param param = {.sched_priority = 10};
  must(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0, "SCHED_FIFO");
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"rate", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"rounds", required_argument, NULL, 'n'},
                                          {"megabytes", required_argument, NULL, 'm'},
                                          {"budget", required_argument, NULL, 'b'},
                                          {"realtime", no_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
  int realtime = 0;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'r') rate = atol(optarg);
    if (option == 's') seconds = atof(optarg);
    if (option == 'n') rounds = atol(optarg);
    if (option == 'm') megabytes = atol(optarg);
    if (option == 'b') budget_us = atol(optarg);
    if (option == 't') realtime = 1;
  }
  must(optind + 2 == argc, "reading the options");
  dir = argv[optind];
  scripts = argv[optind + 1];
  open_host(0);
  fill();
  if (realtime) be_realtime();
  idle();
  close_host();
  printf("%d ticks a second, %ld updates/s, a budget of %ld us, %ld MB%s\n", TICKS_PER_SECOND, rate,
         budget_us, megabytes, realtime ? ", realtime" : "");
  for (long round = 0; round < rounds; round++)
    for (int i = 0; i < 2; i++) {
      update = i ? by_event : in_c;
      measure("alone", -1);
      measure("with an archive", 0);
      measure("with an archive and a backup going on", 1);
    }
  return 0;
}
