#include "link/report.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "link/keycount.h"
#include "link/logbook.h"

static double seconds_of(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static uint64_t resident_bytes(void) {
  unsigned long long pages = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file) return 0;
  if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
  fclose(file);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void report_gather(struct report *report, const struct rpc_site *site) {
  struct rusage usage;
  keycount_refresh(site->keys);
  *report = (struct report){.site = site, .now_ms = store_now_ms(site->store)};
  report->uptime_ms = clock_steady_ms(&clock_system) - site->started_steady_ms;
  host_state(site->host, &report->host);
  store_stats(site->store, &report->store);
  store_backup_state(site->store, &report->backup);
  store_archive_state(site->store, &report->archive);
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    report->cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  report->memory_bytes = resident_bytes();
  if (!site->book) return;
  report->warnings = logbook_count(site->book, LOG_WARN);
  report->errors = logbook_count(site->book, LOG_ERROR);
}

double report_percentile_ms(const struct store_stats *stats, unsigned percent) {
  uint64_t seen = 0, wanted = (stats->groups * percent + 99) / 100;
  if (stats->groups == 0) return 0;
  for (int i = 0; i < STORE_TIMES - 1; i++) {
    seen += stats->times[i];
    if (seen >= wanted) return store_time_bounds_us[i] / 1e3;
  }
  return store_time_bounds_us[STORE_TIMES - 2] / 1e3;
}
