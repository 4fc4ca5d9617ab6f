/* Names that look like mistakes: globals that a script reads and nothing sets.
 *
 * Private to host/script. */
#ifndef SCRIPT_SUSPECTS_H
#define SCRIPT_SUSPECTS_H

#include "base/buf.h"
#include "script/script.h"

/* Looks at every file that the script was made from, after it has been loaded. Calls `tell` with a message
 * such as `xp.lua:3: nothing sets the global "appDta" (did you mean "appData"?)`, with its line below, once
 * for each name and file. */
void suspects_each(struct script *script, void (*tell)(void *ctx, const char *message), void *ctx);

#endif
