/* The codec: Lua values to JSON text and back, exactly.
 *
 * What value_push gives back is what value_encode was given: integers of 64 bits, floats bit for bit, strings
 * byte for byte, arrays that stay arrays when they are empty. Everything that could not come back so is
 * refused with the path to it: "value.items[3].owner is a function".
 *
 * An array is a table with the keys 1..n, or one that carries the array mark (a metatable of the state's
 * own), which value_push gives to every array it makes and `moonkeep.array` to the table it is called with.
 * Metatables of the script's are never consulted: what is encoded is what rawget sees. Null is the light
 * userdata NULL, which is also cjson.null. */
#ifndef SCRIPT_VALUE_H
#define SCRIPT_VALUE_H

#include <stddef.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"

/* Makes the array mark of a state; once, before anything else here. May raise (memory). */
void value_open(lua_State *L);

/* Appends the value at index as compact JSON. `name` begins the path in a refusal ("value"). invalid_value,
 * too_large (over limit bytes), memory; what was appended before a failure stays and is to be thrown away.
 * Never raises, calls no Lua, leaves the stack as it was; needs a few free stack slots for each level and
 * answers memory when Lua has none (lua_checkstack). nil is refused. */
enum moonkeep_code value_encode(lua_State *L, int index, const char *name, size_t limit, struct buf *out,
                                struct err *err);

/* Pushes the value of the text; on failure pushes nothing. invalid_value, memory. It may raise Lua's own
 * memory error, and nothing of it leaks when it does. */
enum moonkeep_code value_push(lua_State *L, const char *text, size_t len, struct err *err);

/* Marks the table at index as an array. May raise (memory). */
void value_mark_array(lua_State *L, int index);
int value_is_marked(lua_State *L, int index); /* 1 when it carries the mark */

#endif
