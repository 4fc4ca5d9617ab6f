#include "bench/rounds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/report.h"

const struct side *const all_sides[SIDES] = {&moon_side,   &archived_side,  &plain_side,  &redis_side,
                                             &incr_side,   &tarantool_side, &luasql_side, &lmdb_side,
                                             &append_side, &overwrite_side};
const char *only_sides = "";

static unsigned there;       /* that have been started and filled */
static unsigned told, turns; /* told: of whom was said that they are not there */

/* ---- processes ---- */

static void await(pid_t child, const char *who) {
  int status;
  bench_must(waitpid(child, &status, 0) == child && status == 0, who);
}

static pid_t split(void) {
  fflush(NULL);
  pid_t child = fork();
  bench_must(child >= 0, "fork");
  if (child == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return child;
}

static void fill(const struct side *side, const struct load *load) {
  pid_t child = split();
  if (child == 0) {
    side->fill(load);
    fflush(NULL);
    _exit(0);
  }
  await(child, side->name);
}

/* false: it has failed, and has said why. */
static bool measure(const struct side *side, const struct load *load, struct figures *figures) {
  int ends[2], status;
  bench_must(pipe(ends) == 0, "pipe");
  pid_t child = split();
  if (child == 0) {
    side->measure(load, figures);
    bench_must(write(ends[1], figures, sizeof *figures) == sizeof *figures, "write");
    _exit(0);
  }
  close(ends[1]);
  bool ok = read(ends[0], figures, sizeof *figures) == sizeof *figures;
  close(ends[0]);
  return waitpid(child, &status, 0) == child && status == 0 && ok;
}

double apart(double (*work)(const void *), const void *ctx) {
  double number;
  int ends[2];
  bench_must(pipe(ends) == 0, "pipe");
  pid_t child = split();
  if (child == 0) {
    number = work(ctx);
    bench_must(write(ends[1], &number, sizeof number) == sizeof number, "write");
    _exit(0);
  }
  close(ends[1]);
  bench_must(read(ends[0], &number, sizeof number) == sizeof number, "a measurement");
  close(ends[0]);
  await(child, "a measurement");
  return number;
}

/* ---- who is there ---- */

static bool is_chosen(const struct side *side) {
  if (!*only_sides || side == &moon_side) return true;
  size_t len = strlen(side->name);
  for (const char *at = only_sides; (at = strstr(at, side->name)); at++)
    if ((at == only_sides || at[-1] == ',') && (at[len] == ',' || !at[len])) return true;
  return false;
}

static bool start(const struct side *side, const struct load *load, unsigned bit) {
  char why[128] = "";
  if (side == &incr_side) return (there & REDIS) != 0;
  if (!side->start || side->start(load, why)) return true;
  if (!(told & bit)) printf("%s is left out: %s\n", side->name, why);
  told |= bit;
  return false;
}

void rounds_begin(const struct load *load, unsigned who) {
  there = 0;
  for (unsigned i = 0; i < SIDES; i++) {
    const struct side *side = all_sides[i];
    if (!(who & 1u << i) || !is_chosen(side) || !start(side, load, 1u << i)) continue;
    if (side->fill) fill(side, load);
    there |= 1u << i;
  }
}

void rounds_end(void) {
  for (unsigned i = 0; i < SIDES; i++)
    if (there & 1u << i && all_sides[i]->stop) all_sides[i]->stop();
}

/* ---- rounds ---- */

static bool takes_part(unsigned i, unsigned who, const struct load *load) {
  return there & who & 1u << i && (!all_sides[i]->can || all_sides[i]->can(load));
}

static void run_round(struct result *compared[SIDES], const struct load *load, int round) {
  for (unsigned i = 0; i < SIDES; i++) {
    if (!compared[i]) continue;
    if (measure(all_sides[i], load, &compared[i]->each[round])) {
      compared[i]->rounds = round + 1;
      continue;
    }
    bench_must(all_sides[i] != &moon_side, "moonkeep");
    printf("%s has failed, and is left out from here on\n", all_sides[i]->name);
    compared[i]->rounds = 0;
    compared[i] = NULL;
    there &= ~(1u << i);
    if (all_sides[i]->stop) all_sides[i]->stop();
  }
}

void rounds_compare(struct load load, unsigned who, int rounds) {
  struct result *compared[SIDES] = {0};
  for (unsigned i = 0; i < SIDES; i++)
    if (takes_part(i, who, &load)) compared[i] = result_add(all_sides[i], &load);
  for (int round = 0; round < rounds; round++) {
    load.turn = turns++;
    run_round(compared, &load, round);
  }
  for (unsigned i = 0; i < SIDES; i++) {
    if (!compared[i]) continue;
    result_done(compared[i]);
    report_result(compared[i], compared[0]);
  }
}
