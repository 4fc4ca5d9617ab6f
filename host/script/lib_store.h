/* What the files that bind a store's methods share.
 *
 * Private to host/script. Each method is one C function `store_NAME` in one of these files: lib_store.c get,
 * delete, deleteLike; lib_set.c; lib_update.c; lib_scan.c select, selectValue, keys, count, each. */
#ifndef SCRIPT_LIB_STORE_H
#define SCRIPT_LIB_STORE_H

#include <lua.h>

#include "base/err.h"
#include "script/script.h"

/* What the stores of a state that is not ours reach their data folder by: see foreign.h. */
struct anchor {
  struct scripts *scripts; /* NULL: closed */
};

struct handle { /* the userdata that a store is in Lua; where it has an anchor, its first user value is that
                 */
  const char *mark;
  struct bucket *bucket; /* borrowed: lives as long as the host's store */
  struct anchor *anchor; /* NULL: the host's store, which lives longer than the script */
};

/* The handle at an index; NULL: it is none. */
struct handle *store_handle(lua_State *L, int index);

/* Adds the class of handles to the state; may raise, as all here. Its methods are left on top. */
void store_add_class(lua_State *L);
#define STORE_CLASS "moonkeep.store"

/* Pushes the table that gives stores by name. anchor: the index of the anchor's userdata, 0: none. */
void store_push_names(lua_State *L, int anchor);

/* Before a store with this anchor (NULL: none) is used: raises `closed`, and `nested` inside an update
 * function. */
void store_enter(lua_State *L, struct anchor *anchor, const char *name, const char *method);

/* The bucket of the store at index 1; raises where it is none (`appData.get(…)`) and inside an update
 * function. */
struct bucket *store_check(lua_State *L, const char *method);

/* The key or pattern at an index; raises invalid_key, invalid_pattern. Valid as long as it stays on the
 * stack. */
const char *store_check_key_at(lua_State *L, int index, struct bucket *bucket, const char *method,
                               size_t *len);
const char *store_check_pattern_at(lua_State *L, int index, struct bucket *bucket, const char *method,
                                   size_t *len);

/* Raises err's sentence behind "appData:set: ", with the key where there is one. */
int store_fail(lua_State *L, struct bucket *bucket, const char *method, const char *key, size_t key_len,
               const struct err *err);

/* Pushes the value of JSON text from the store; raises. */
void store_push(lua_State *L, struct bucket *bucket, const char *method, const char *json, size_t len);

/* One field of `options` or of a row, the value on top: takes expires_at and ttl into *expires_at_ms. False:
 * it is neither. A field that is wrong fills err. */
bool expiry_take(lua_State *L, const char *field, int64_t *expires_at_ms, struct err *err);

/* The expiry that the options at index ask for, 0 when they ask for none; raises, with the key at key_index.
 */
int64_t store_check_options(lua_State *L, int index, struct bucket *bucket, const char *method,
                            int key_index);

/* Adds the methods of a file to the table on top. */
void lib_add_set(lua_State *L);
void lib_add_update(lua_State *L);
void lib_add_scan(lua_State *L);
void lib_add_transaction(lua_State *L);

#endif
