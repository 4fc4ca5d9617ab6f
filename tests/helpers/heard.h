/* What a host has logged, for tests that look at it. The host's threads may all write at once. */
#ifndef TESTS_HEARD_H
#define TESTS_HEARD_H

#include <stdbool.h>

#include "base/log.h"

extern const struct log heard_log; /* takes warnings and errors */

void heard_clear(void);
bool heard(const char *part); /* a line since heard_clear has this in it */
/* All lines since heard_clear, "source: text\n" each; valid until the next call of it. */
const char *heard_text(void);

#endif
