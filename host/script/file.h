/* Source files: found below the scripts folder, read, compiled. */
#ifndef SCRIPT_FILE_H
#define SCRIPT_FILE_H

#include <lua.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum { FILE_BYTES = 16 << 20 }; /* the longest source file */

/* The path of a file in a folder; NULL: no memory. The caller frees it with mem_free. */
char *file_path(const char *dir, const char *name);

/* Reads a regular file; invalid: it is none, or too long, or cannot be read. */
enum moonkeep_code file_read(const char *path, struct buf *out, struct err *err);

/* Whether the path, with all symbolic links followed, is a file below the folder. */
bool file_is_below(const char *dir, const char *path);
bool file_exists(const char *path);

/* Compiles source text under the name that messages begin with ("leveling.lua"). As lua_load it never raises:
 * it leaves a function, or the error, on the stack, and returns Lua's status. Bytecode is refused. */
int file_compile(lua_State *L, const struct buf *source, const char *name);

#endif
