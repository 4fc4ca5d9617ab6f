#include "link/seconds.h"

#include <math.h>

/* Seconds from here on (the year 5138) are what somebody wrote who meant milliseconds. */
static const double LAST_SECOND = 1e11;

bool seconds_to_ms(double seconds, int64_t *ms) {
  if (!(seconds > 0 && seconds < LAST_SECOND)) return false;
  double exact = round(seconds * 1000);
  *ms = exact < 1 ? 1 : (int64_t)exact;
  return true;
}
