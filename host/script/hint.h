/* What somebody may have meant whose script has called or indexed nil: a name that is near, or one that
 * scripts do not have.
 *
 * Private to host/script. */
#ifndef SCRIPT_HINT_H
#define SCRIPT_HINT_H

#include <lua.h>

#include "base/buf.h"

/* Appends ` (did you mean "appData"?)` where Lua's message names a global or a method that is nil and there
 * is one that is near. Runs no code of the script's; may raise (memory). */
void hint_add(lua_State *L, const char *message, struct buf *out);

/* The same for a global of this name that is not there: also ` (scripts have no io)`. */
void hint_name(lua_State *L, const char *name, struct buf *out);

#endif
