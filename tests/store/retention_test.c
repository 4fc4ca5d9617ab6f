/* Which backups are kept, as time goes by. */
#include "check.h"
#include "store/retention.h"

enum { MOST = 4000, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };
static const int64_t DAY_MS = INT64_C(24) * HOUR_MS;

static int64_t moments[MOST];
static size_t count;

/* The backup of this moment is made, and those that are too many go. */
static void make(int64_t now_ms) {
  static bool keep[MOST];
  for (size_t i = count++; i > 0; i--) moments[i] = moments[i - 1];
  moments[0] = now_ms;
  retention_choose(moments, count, now_ms, keep);
  size_t left = 0;
  for (size_t i = 0; i < count; i++)
    if (keep[i]) moments[left++] = moments[i];
  count = left;
}

/* How far the nearest kept backup before this moment is from it. */
static int64_t gap_before(int64_t moment_ms) {
  for (size_t i = 0; i < count; i++)
    if (moments[i] <= moment_ms) return moment_ms - moments[i];
  return INT64_MAX;
}

TEST(every_quarter_of_an_hour_for_two_months_leaves_few_and_the_right_ones) {
  int64_t now_ms = INT64_C(1767225600000), end_ms = now_ms + 62 * DAY_MS;
  count = 0;
  for (; now_ms < end_ms; now_ms += 15 * MINUTE_MS) make(now_ms);
  now_ms -= 15 * MINUTE_MS;
  CHECK_INT(moments[3], now_ms - 45 * MINUTE_MS);
  for (int64_t age = 0; age < 23; age++)
    if (gap_before(now_ms - age * HOUR_MS) > 2 * HOUR_MS) FAIL("nothing of %lld hours ago", (long long)age);
  for (int64_t age = 1; age < 6; age++)
    if (gap_before(now_ms - age * DAY_MS) > 2 * DAY_MS) FAIL("nothing of %lld days ago", (long long)age);
  for (int64_t age = 1; age < 3; age++)
    if (gap_before(now_ms - age * 7 * DAY_MS) > 14 * DAY_MS)
      FAIL("nothing of %lld weeks ago", (long long)age);
  if (count > 4 + 24 + 7 + 5) FAIL("%zu are kept", count);
  CHECK(now_ms - moments[count - 1] < 31 * DAY_MS);
}

TEST(the_newest_four_stay_however_old_they_are) {
  int64_t old[6] = {60, 50, 40, 30, 20, 10};
  bool keep[6];
  retention_choose(old, 6, INT64_C(1767225600000), keep);
  for (int i = 0; i < 6; i++) CHECK_INT(keep[i], i < 4);
}

TEST(a_clock_that_was_wrong_takes_no_backup_away) {
  int64_t now_ms = INT64_C(1767225600000);
  int64_t some[7] = {now_ms + 300 * DAY_MS, now_ms + 200 * DAY_MS, now_ms + 100 * DAY_MS,
                     now_ms + 50 * DAY_MS,  now_ms + 40 * DAY_MS,  now_ms,
                     now_ms - HOUR_MS};
  bool keep[7];
  retention_choose(some, 7, now_ms, keep);
  for (int i = 0; i < 7; i++) CHECK(keep[i]);
}
