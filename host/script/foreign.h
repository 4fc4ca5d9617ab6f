/* Lua states that are not ours: of a program that has required the module, or of a server that was attached.
 *
 * Private to host/script. Such a state knows its `struct script` by the registry, since the extra space of
 * its coroutines is not ours. That one has no tasks, handlers or budget: it is the place where the state's
 * one blocking store call lives at a time. Its `scripts` is that of the store which is called: one state may
 * have several data folders open, and each store has an anchor that says which is its own. */
#ifndef SCRIPT_FOREIGN_H
#define SCRIPT_FOREIGN_H

#include <lua.h>

#include "script/script.h"

/* What stands for a script in this state; NULL: it has none. Never raises. */
struct script *foreign_find(lua_State *L);

/* Makes it, with the classes of stores and errors, where there is none. Raises. */
void foreign_bind(lua_State *L);

/* Pushes what moonkeep.open gives: the store `appData` of the folder that `scripts` has open, with close,
 * store and dataStore. `anchor` is the index of the anchor's userdata, which has room for one user value.
 * Raises. */
void foreign_push_store(lua_State *L, int anchor);

#endif
