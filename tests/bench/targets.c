#include "bench/targets.h"

#include "bench/report.h"

struct target {
  char work[80], wanted[48];
  double least, most; /* one of them is 0 */
  double measured;
  const char *unit;
};

enum { TARGETS_MOST = 40 };
static struct target targets[TARGETS_MOST];
static int count;

static void add(const char *work, const char *wanted, double least, double most, double measured,
                const char *unit) {
  struct target *target = &targets[count++];
  bench_must(count <= TARGETS_MOST, "room for targets");
  *target = (struct target){.least = least, .most = most, .measured = measured, .unit = unit};
  snprintf(target->work, sizeof target->work, "%s", work);
  snprintf(target->wanted, sizeof target->wanted, "%s", wanted);
}

static bool is_reached(const struct target *target) {
  return target->least > 0 ? target->measured >= target->least : target->measured <= target->most;
}

/* ---- rates against a peer ---- */

static void against(const char *work, const char *op, enum shape shape, unsigned tasks, bool sustained,
                    const struct side *peer, double least) {
  char wanted[48];
  const struct result *ours = result_find(&moon_side, op, shape, false, tasks, sustained);
  const struct result *theirs = result_find(peer, op, shape, false, tasks, sustained);
  if (!ours || !theirs) return;
  snprintf(wanted, sizeof wanted, "%gx %s", least, peer->name);
  add(work, wanted, least, 0, result_ratio(ours, theirs), "x");
}

static void of_rates(void) {
  static const char thousand[] = "update, object, 1,000 tasks", lasting[] = "the same, sustained";
  static const char sixty_four[] = "update, object, 64 tasks", one[] = "update, object, 1 task";
  against(thousand, "update", OBJECT, 1000, false, &redis_side, 3);
  against(thousand, "update", OBJECT, 1000, false, &tarantool_side, 5);
  against(thousand, "update", OBJECT, 1000, false, &plain_side, 3);
  against(lasting, "update", OBJECT, 1000, true, &redis_side, 2);
  against(lasting, "update", OBJECT, 1000, true, &plain_side, 2);
  against(sixty_four, "update", OBJECT, 64, false, &redis_side, 3);
  against(sixty_four, "update", OBJECT, 64, false, &plain_side, 2);
  against(one, "update", OBJECT, 1, false, &plain_side, 0.9);
  against(one, "update", OBJECT, 1, false, &redis_side, 1);
  against("counter, 1,000 tasks", "update", COUNTER, 1000, false, &redis_side, 5);
  against("set, object, 1,000 tasks", "set", OBJECT, 1000, false, &redis_side, 1);
}

static void of_times_and_bytes(void) {
  const struct result *ours = result_find(&moon_side, "update", OBJECT, false, 64, false);
  const struct result *disk = result_find(&overwrite_side, "update", OBJECT, false, 64, false);
  if (ours && disk) {
    double ratios[ROUNDS_MOST];
    for (int i = 0; i < ours->rounds; i++) ratios[i] = ours->each[i].p99 / disk->each[i].p50;
    add("p99 of update, object, 64 tasks", "4 fdatasync medians", 0, 4, median_of(ratios, ours->rounds),
        "medians");
  }
  ours = result_find(&moon_side, "update", OBJECT, false, 1000, true);
  const struct result *plain = result_find(&plain_side, "update", OBJECT, false, 1000, true);
  if (ours && plain)
    add("written to disk per byte changed, sustained", "plain C's", 0, 1,
        ours->median.written / plain->median.written, "of plain C's");
}

/* ---- what is measured on its own ---- */

static void figure(const char *work, const char *wanted, const char *name, double least, double most) {
  const struct figure *it = figure_find(name);
  if (it) add(work, wanted, least, most, it->median, it->unit);
}

static void quotient(const char *work, const char *wanted, const char *name, const char *by, double least,
                     double most, const char *unit) {
  const struct figure *one = figure_find(name), *other = figure_find(by);
  double ratios[ROUNDS_MOST];
  if (!one || !other) return;
  for (int i = 0; i < one->rounds; i++) ratios[i] = one->each[i] / other->each[i];
  add(work, wanted, least, most, median_of(ratios, one->rounds), unit);
}

static void collect(void) {
  if (count > 0) return;
  of_rates();
  of_times_and_bytes();
  quotient("get of a cached object, per lua-cjson's decoding", "500,000/s at 400,000/s", "get, cached object",
           "lua-cjson decodes the object", 1.25, 0, "x");
  quotient("get of a cached number, per lua-cjson's decoding", "3,000,000/s at 400,000/s",
           "get, cached number", "lua-cjson decodes the object", 7.5, 0, "x");
  quotient("get of an uncached key", "0.8 of plain C", "get, uncached", "plain C reads, in a transaction",
           0.8, 0, "x");
  quotient("select of 10,000 keys by prefix", "within 2x of plain C", "select of 10,000 keys",
           "plain C selects, same decoding", 0, 2, "x its time");
  const struct figure *keys = figure_find("keys of the large store"), *size = figure_find("its size");
  char among[80] = "", cold[80] = "";
  if (keys) snprintf(among, sizeof among, "update, 1,000 tasks: %.0f keys against 100,000", keys->median);
  if (size) snprintf(cold, sizeof cold, "open a cold store (of %.2f GB; meant for 1)", size->median);
  quotient(among, "at most 2x its time", "update among few keys", "update among many keys", 0, 2, "x");
  figure("events through `moonkeep run`", "500,000/s", "events through moonkeep run", 500000, 0);
  figure("the same, each with an id and answered", "500,000/s",
         "events through moonkeep run, each with an id and answered", 500000, 0);
  figure(cold, "10 ms", "open a cold store", 0, 10);
}

void targets_show(void) {
  collect();
  if (count == 0) return;
  printf("\nTargets\n\n%-56s %-26s %12s\n", "", "at least, or at most", "measured");
  for (int i = 0; i < count; i++) {
    const struct target *it = &targets[i];
    printf("%-56s %-26s %12.*f %-13s %s\n", it->work, it->wanted, it->measured < 1000 ? 2 : 0, it->measured,
           it->unit, is_reached(it) ? "reached" : "not reached");
  }
}

void targets_json(FILE *json) {
  collect();
  for (int i = 0; i < count; i++)
    fprintf(json, "%s\n{\"work\":\"%s\",\"target\":\"%s\",\"measured\":%g,\"unit\":\"%s\",\"reached\":%s}",
            i ? "," : "", targets[i].work, targets[i].wanted, targets[i].measured, targets[i].unit,
            is_reached(&targets[i]) ? "true" : "false");
}
