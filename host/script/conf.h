/* A configuration file: Lua that assigns settings, or returns a table of them, and can do nothing else.
 *
 *     data = "/var/lib/moonkeep"
 *     cache = 256 * 1024 * 1024
 *
 * It runs in a state without any function, with a limit on what it computes and what it takes. */
#ifndef SCRIPT_CONF_H
#define SCRIPT_CONF_H

#include <stddef.h>

#include "base/err.h"

enum { CONF_BYTES = 1 << 20 }; /* the largest file */

/* Calls visit for each setting, in the order of their names, with its value as text: a string as it is,
 * numbers with all their digits, true or false. It goes on while visit returns MOONKEEP_OK. invalid: it is
 * not such a file; the message has its line. io; memory. */
enum moonkeep_code conf_read(const char *path,
                             enum moonkeep_code (*visit)(void *ctx, const char *name, const char *text,
                                                         struct err *),
                             void *ctx, struct err *err);

#endif
