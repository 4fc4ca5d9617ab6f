/* A Lua value as it would be written in Lua: 1.0, "a \"b\"", {1, 2, xp = 50}. For people.
 *
 * Private to host/script. Metatables are not consulted. What is long is broken into lines, what is deep or
 * very long is cut, with a comment that says so. May raise (memory); what it has appended stays. */
#ifndef SCRIPT_WRITTEN_H
#define SCRIPT_WRITTEN_H

#include <lua.h>

#include "base/buf.h"

void written_put(lua_State *L, int index, struct buf *out);

#endif
