/* The line of a script that an error names, to be shown below the error. */
#ifndef SCRIPT_QUOTE_H
#define SCRIPT_QUOTE_H

#include "base/buf.h"

struct script;

/* Appends "\n    12 | local x = y.z" where the message begins with "file.lua:12:" and the file is one that
 * the script was made from, and as it was then: no message can have another file shown. */
void quote_line(const struct script *script, const char *message, struct buf *out);

#endif
