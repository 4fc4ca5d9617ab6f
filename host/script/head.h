/* What of an event the host itself needs: it is found without decoding the rest, which is the scripts'. */
#ifndef SCRIPT_HEAD_H
#define SCRIPT_HEAD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Whether the text is one JSON object with a string "event", which goes into name; id gets the JSON of "id",
 * and is left as it is where there is none. Both are empty before. invalid_value, naming the fault; memory.
 */
enum moonkeep_code scripts_read_event(const char *json, size_t len, struct buf *name, struct buf *id,
                                      struct err *err);

#endif
