/* Which Lua is at work here: whether the functions that we call are those of Lua 5.4, and whether a state
 * that a program gives us is one of theirs. A state of another Lua looks like any pointer, and the first call
 * with it would end the process.
 *
 * Any thread. */
#ifndef SCRIPT_WHICH_LUA_H
#define SCRIPT_WHICH_LUA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct lua_State;

/* How a state of our Lua is made, as seen from outside: at `at` each of its threads points to what all of
 * them share, which is `distance` behind the main thread. */
struct lua_shape {
  size_t at; /* 0: our Lua is made in another way, and nothing can be told of a state */
  size_t distance;
};

/* invalid: another Lua has taken the place of ours in this process; the message says which. */
enum moonkeep_code which_lua_check(struct err *err);

/* Whether this is a thread of a state that our Lua has made; *shape is for which_lua_same. Errors: invalid
 * (the message says what it seems to be, and what to do), memory, io (no descriptors). */
enum moonkeep_code which_lua_made(struct lua_State *L, struct lua_shape *shape, struct err *err);

/* Of such a state: raises where it was filled by a second copy of Lua 5.4, which has other functions and
 * would not know its own tables. */
void which_lua_check_copy(struct lua_State *L);

/* Whether both are threads of one state; of L nothing has to be known. */
bool which_lua_same(const struct lua_shape *shape, struct lua_State *known, struct lua_State *L);

#endif
