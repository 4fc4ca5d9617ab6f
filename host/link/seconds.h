/* Seconds, as people and programs write moments. */
#ifndef LINK_SECONDS_H
#define LINK_SECONDS_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds since 1970 to milliseconds. False: not a moment that can be meant: not above 0, or so large that
 * they can only be milliseconds. */
bool seconds_to_ms(double seconds, int64_t *ms);

#endif
