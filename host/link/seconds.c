#include "link/seconds.h"

#include <math.h>

/* Seconds behind this one, which is in the year 33658, are what somebody wrote who meant milliseconds. */
static const double LAST_SECOND = 1e12;

bool seconds_to_ms(double seconds, int64_t *ms) {
  if (!(seconds > 0 && seconds <= LAST_SECOND)) return false;
  double exact = round(seconds * 1000);
  *ms = exact < 1 ? 1 : (int64_t)exact;
  return true;
}
