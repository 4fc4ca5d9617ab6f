/* Events through the whole program: `moonkeep run` reads a file of them, and a handler does nothing with
 * each. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/beside.h"
#include "bench/bench.h"
#include "bench/report.h"
#include "bench/rounds.h"

static const char handler[] = "bot.on(\"message\", function() end)\n";

static void write_events(const char *path, long count, bool with_id) {
  FILE *file = fopen(path, "w");
  bench_must(file != NULL, path);
  for (long i = 0; i < count; i++) {
    fputs("{\"event\":\"message\",", file);
    if (with_id) fprintf(file, "\"id\":\"%ld\",", i);
    fputs("\"channel\":\"general\",\"userId\":\"alice\",\"text\":\"hello\"}\n", file);
  }
  bench_must(fclose(file) == 0, path);
}

static void become_moonkeep(const struct beside *beside, const char *events) {
  char data[1100], scripts[1100], program[1100];
  snprintf(data, sizeof data, "%s/events-data", beside->dir);
  snprintf(scripts, sizeof scripts, "%s/events-scripts", beside->dir);
  ssize_t len = readlink("/proc/self/exe", program, sizeof program - 32);
  bench_must(len > 0, "reading /proc/self/exe");
  program[len] = '\0'; /* build/tests/bench/bench, and build/moonkeep */
  for (int i = 0; i < 3; i++) *strrchr(program, '/') = '\0';
  strcat(program, "/moonkeep");
  if (dup2(open(events, O_RDONLY), 0) < 0 || dup2(open("/dev/null", O_WRONLY), 1) < 0) _exit(127);
  execl(program, program, "run", scripts, "--data", data, "--log-level", "warn", (char *)NULL);
  _exit(127);
}

/* Seconds from the start of the program to its end. */
static double run(const struct beside *beside, const char *events) {
  int status;
  fflush(NULL);
  int64_t began = workload_now_us();
  pid_t child = fork();
  bench_must(child >= 0, "fork");
  if (child == 0) become_moonkeep(beside, events);
  bench_must(waitpid(child, &status, 0) == child && status == 0, "moonkeep run");
  return (double)(workload_now_us() - began) / 1e6;
}

void beside_events(const struct beside *beside) {
  char path[1100], none[1100], plain[1100], answered[1100];
  long count = (long)(beside->seconds * 200000);
  snprintf(path, sizeof path, "%s/events-scripts", beside->dir);
  bench_must(mkdir(path, 0700) == 0, path);
  snprintf(path, sizeof path, "%s/events-scripts/nothing.lua", beside->dir);
  FILE *file = fopen(path, "w");
  bench_must(file && fputs(handler, file) >= 0 && fclose(file) == 0, path);
  snprintf(none, sizeof none, "%s/events-none", beside->dir);
  snprintf(plain, sizeof plain, "%s/events-plain", beside->dir);
  snprintf(answered, sizeof answered, "%s/events-answered", beside->dir);
  write_events(none, 0, false);
  write_events(plain, count, false);
  write_events(answered, count, true);
  struct figure *of_plain = figure_add("events through moonkeep run", "/s");
  struct figure *of_answered = figure_add("events through moonkeep run, each with an id and answered", "/s");
  for (int i = 0; i < beside->rounds; i++) {
    double start = run(beside, none); /* starting and ending costs as much without events */
    of_plain->each[i] = (double)count / (run(beside, plain) - start);
    of_answered->each[i] = (double)count / (run(beside, answered) - start);
    of_plain->rounds = of_answered->rounds = i + 1;
  }
  figure_done(of_plain);
  figure_done(of_answered);
}
