/* Lua values as people write them, and what is different between two of them: for the failures of tests.
 *
 * Private to host/script. Both look at tables without their metatables, and may raise (memory). */
#ifndef SCRIPT_SHOW_H
#define SCRIPT_SHOW_H

#include <lua.h>
#include <stdbool.h>

#include "base/buf.h"

/* Appends the value at index: {"a", n = 1.0}. What is long is cut. */
void show_value(lua_State *L, int index, struct buf *out);

/* Whether the two are the same value, or tables with the same in them. False: `path` says where the first
 * difference is ("[2].name", "" for the values themselves), and both values that stand there are pushed. */
bool show_equal(lua_State *L, int a, int b, struct buf *path);

#endif
