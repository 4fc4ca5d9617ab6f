#include "bench/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/rounds.h"
#include "bench/targets.h"

struct result *results;
struct figure *figures_beside;

/* ---- numbers ---- */

static int by_size(const void *a, const void *b) {
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

double median_of(const double *numbers, int count) {
  double sorted[ROUNDS_MOST] = {0};
  memcpy(sorted, numbers, (size_t)count * sizeof *sorted);
  qsort(sorted, (size_t)count, sizeof *sorted, by_size);
  return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static int by_rate(const void *a, const void *b) {
  const struct figures *x = a, *y = b;
  return (x->rate > y->rate) - (x->rate < y->rate);
}

struct result *result_add(const struct side *side, const struct load *load) {
  struct result **end = &results;
  while (*end) end = &(*end)->next;
  *end = calloc(1, sizeof **end);
  bench_must(*end != NULL, "memory");
  (*end)->side = side;
  (*end)->load = *load;
  return *end;
}

void result_done(struct result *result) {
  struct figures sorted[ROUNDS_MOST];
  memcpy(sorted, result->each, sizeof sorted);
  qsort(sorted, (size_t)result->rounds, sizeof *sorted, by_rate);
  result->median = sorted[result->rounds / 2];
}

const struct result *result_find(const struct side *side, const char *op, enum shape shape, bool zipf,
                                 unsigned tasks, bool sustained) {
  for (const struct result *it = results; it; it = it->next)
    if (it->rounds > 0 && it->side == side && strcmp(it->load.op, op) == 0 && it->load.shape == shape &&
        it->load.zipf == zipf && it->load.tasks == tasks && it->load.sustained == sustained)
      return it;
  return NULL;
}

double result_ratio(const struct result *one, const struct result *other) {
  double ratios[ROUNDS_MOST] = {0};
  for (int i = 0; i < one->rounds; i++) ratios[i] = one->each[i].rate / other->each[i].rate;
  return median_of(ratios, one->rounds);
}

struct figure *figure_add(const char *name, const char *unit) {
  struct figure **end = &figures_beside;
  while (*end) end = &(*end)->next;
  *end = calloc(1, sizeof **end);
  bench_must(*end != NULL, "memory");
  (*end)->name = name;
  (*end)->unit = unit;
  return *end;
}

void figure_done(struct figure *figure) {
  figure->median = median_of(figure->each, figure->rounds);
  printf("%-58s %12.*f %s\n", figure->name, figure->median < 100 ? 2 : 0, figure->median, figure->unit);
}

const struct figure *figure_find(const char *name) {
  const struct figure *it = figures_beside;
  while (it && strcmp(it->name, name) != 0) it = it->next;
  return it;
}

/* ---- tables ---- */

const char *report_machine(void) {
  static char text[512];
  char line[256], model[128] = "unknown CPU";
  struct utsname name;
  uname(&name);
  FILE *cpus = fopen("/proc/cpuinfo", "r");
  while (cpus && fgets(line, sizeof line, cpus))
    if (strncmp(line, "model name", 10) == 0 && strchr(line, ':'))
      snprintf(model, sizeof model, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
  if (cpus) fclose(cpus);
  snprintf(text, sizeof text, "%ld x %s, %.0f GiB of memory, %s %s", sysconf(_SC_NPROCESSORS_ONLN), model,
           (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30), name.sysname,
           name.release);
  return text;
}

static char headline[100];

void report_headline(const char *what) {
  snprintf(headline, sizeof headline, "%s", what);
}

static void put_headline(void) {
  if (!*headline) return;
  printf("\n%s\n\n%-9s %-7s %-8s %-7s %5s %9s %7s %9s %9s %9s %9s %7s %8s %8s\n", headline, "", "call",
         "value", "keys", "tasks", "calls/s", "ours", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU us",
         "written", "MiB");
  *headline = '\0';
}

void report_result(const struct result *result, const struct result *ours) {
  const struct load *load = &result->load;
  const struct figures *f = &result->median;
  char against[16] = "";
  put_headline();
  if (ours && ours != result) snprintf(against, sizeof against, "%.2fx", result_ratio(ours, result));
  printf("%-9s %-7s %-8s %-7s %5u %9.0f %7s %9.2f %9.2f %9.2f %9.2f %7.2f %8.1f %8.0f\n", result->side->name,
         load->op, shape_names[load->shape], load->zipf ? "zipf" : "uniform", load->tasks, f->rate, against,
         f->p50, f->p99, f->p999, f->worst, f->cpu_us, f->written, f->memory_mb);
}

void report_settings(const struct side *const sides[], int count) {
  for (int i = 0; i < count; i++) printf("  %-10s %s\n", sides[i]->name, sides[i]->settings);
}

/* ---- JSON ---- */

static void put_result(FILE *json, const struct result *result) {
  const struct load *load = &result->load;
  const struct figures *f = &result->median;
  fprintf(json,
          "{\"who\":\"%s\",\"op\":\"%s\",\"value\":\"%s\",\"keys\":\"%s\",\"among\":%u,\"tasks\":%u,"
          "\"seconds\":%g,"
          "\"sustained\":%s,\"rate\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,"
          "\"cpu_us\":%.3f,\"written_per_byte\":%.2f,\"memory_mib\":%.1f,\"rates\":[",
          result->side->name, load->op, shape_names[load->shape], load->zipf ? "zipf" : "uniform", load->keys,
          load->tasks, load->seconds, load->sustained ? "true" : "false", f->rate, f->p50, f->p99, f->p999,
          f->worst, f->cpu_us, f->written, f->memory_mb);
  for (int i = 0; i < result->rounds; i++) fprintf(json, "%s%.0f", i ? "," : "", result->each[i].rate);
  fprintf(json, "]}");
}

/* A word of its settings may stand in quotation marks. */
static void put_side(FILE *json, const struct side *side, bool first) {
  fprintf(json, "%s\n{\"name\":\"%s\",\"settings\":\"", first ? "" : ",", side->name);
  for (const char *at = side->settings; *at; at++) {
    if (*at == '"') fputc('\\', json);
    fputc(*at, json);
  }
  fputs("\"}", json);
}

void report_json(const char *path, int rounds, double seconds) {
  FILE *json = fopen(path, "w");
  bench_must(json != NULL, path);
  fprintf(json, "{\"machine\":\"%s\",\"rounds\":%d,\"seconds\":%g,\"results\":[", report_machine(), rounds,
          seconds);
  for (const struct result *it = results; it; it = it->next) {
    if (it->rounds == 0) continue; /* it has failed */
    fprintf(json, "%s\n", it == results ? "" : ",");
    put_result(json, it);
  }
  fprintf(json, "],\n\"sides\":[");
  for (int i = 0; i < SIDES; i++) put_side(json, all_sides[i], i == 0);
  fprintf(json, "],\n\"figures\":[");
  for (const struct figure *it = figures_beside; it; it = it->next)
    fprintf(json, "%s\n{\"name\":\"%s\",\"unit\":\"%s\",\"median\":%g}", it == figures_beside ? "" : ",",
            it->name, it->unit, it->median);
  fprintf(json, "],\n\"targets\":[");
  targets_json(json);
  fprintf(json, "]}\n");
  bench_must(fclose(json) == 0, path);
}
