/* Which globals a compiled chunk reads and sets: found in its bytecode, as lua_dump gives it (Lua 5.4).
 *
 * Private to host/script. */
#ifndef SCRIPT_GLOBALS_H
#define SCRIPT_GLOBALS_H

#include <stdbool.h>
#include <stddef.h>

/* Called for each place, in no order that matters. `name` is borrowed until it returns. */
typedef void globals_visit(void *ctx, const char *name, size_t len, int line, bool set);

/* False: the bytecode is not what this knows how to read; some places may have been visited. */
bool globals_each(const char *code, size_t len, globals_visit *visit, void *ctx);

#endif
