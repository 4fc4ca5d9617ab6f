#include "link/seconds.h"

#include <math.h>

#include "store/store.h"

bool seconds_to_ms(double seconds, int64_t *ms) {
  if (!(seconds > 0 && seconds <= STORE_LAST_EXPIRY_MS / 1000)) return false;
  double exact = round(seconds * 1000);
  *ms = exact < 1 ? 1 : (int64_t)exact;
  return true;
}
