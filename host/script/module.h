/* The Lua module: require "moonkeep" in a Lua 5.4 program that is not a host.
 *
 * Private to host/script, but for luaopen_moonkeep, which Lua calls when it loads moonkeep.so. Its reference
 * is the section "From Lua without a host" of scripts/README.md. */
#ifndef SCRIPT_MODULE_H
#define SCRIPT_MODULE_H

#include <lua.h>

struct anchor;

/* Closes the folder of an anchor; twice is fine. Raises what could not be written. */
void module_close(lua_State *L, struct anchor *anchor);

int luaopen_moonkeep(lua_State *L);

#endif
