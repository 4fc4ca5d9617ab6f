#include "store/retention.h"

enum { HOUR = 3600, DAY = 24 * HOUR, WEEK = 7 * DAY, MONTH = 31 * DAY };

static const struct tier {
  int64_t every_ms, for_ms;
} tiers[] = {{HOUR * INT64_C(1000), DAY *INT64_C(1000)},
             {DAY * INT64_C(1000), WEEK *INT64_C(1000)},
             {WEEK * INT64_C(1000), MONTH *INT64_C(1000)}};

void retention_choose(const int64_t *moments_ms, size_t count, int64_t now_ms, bool *keep) {
  for (size_t i = 0; i < count; i++) keep[i] = i < RETENTION_NEWEST;
  for (size_t t = 0; t < sizeof tiers / sizeof *tiers; t++)
    for (size_t i = 0; i < count; i++) {
      bool last = i == 0 || moments_ms[i] / tiers[t].every_ms != moments_ms[i - 1] / tiers[t].every_ms;
      if (last && now_ms - moments_ms[i] < tiers[t].for_ms) keep[i] = true;
    }
}
