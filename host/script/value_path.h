/* The path to a value inside a value, as a script would write it, for errors. Cut in the middle when it is
 * long: where it begins and where it ends is what helps. */
#ifndef SCRIPT_VALUE_PATH_H
#define SCRIPT_VALUE_PATH_H

#include <lua.h>
#include <stddef.h>

/* A table that is being written, and which of its fields. */
struct value_level {
  const void *table; /* its identity */
  const char *key;   /* borrowed from Lua, which has the string on its stack; NULL: the field is `index` */
  size_t key_len;
  lua_Integer index;
};

enum { VALUE_PATH_TEXT = 560 }; /* leaves room in a struct err for what is wrong */

struct value_path {
  char text[VALUE_PATH_TEXT];
  size_t len;
};

/* Begins with the name of the value, and goes to the field that the levels point out. */
const char *value_path_to(struct value_path *path, const char *name, const struct value_level *levels,
                          int depth);

/* Appends a key in quotes; what is not printable or not UTF-8 is shown as Lua would escape it. */
void value_path_quote(struct value_path *path, const char *key, size_t len);

/* Appends the key at index that is no string: a number or a boolean, nothing else. */
void value_path_add_key(struct value_path *path, lua_State *L, int index);

#endif
