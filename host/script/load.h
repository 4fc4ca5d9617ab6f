/* Compiling Lua text, which is one long C call: in small pieces, so that it answers to the CPU budget.
 *
 * Private to host/script. Never bytecode. Both leave the chunk or a message on top, as lua_load does, whose
 * status they return. */
#ifndef SCRIPT_LOAD_H
#define SCRIPT_LOAD_H

#include <lua.h>
#include <stddef.h>

int load_text(lua_State *L, const char *text, size_t len, const char *name);

/* The text comes in pieces from the function at index, until that returns nil or "". */
int load_function(lua_State *L, int index, const char *name);

#endif
