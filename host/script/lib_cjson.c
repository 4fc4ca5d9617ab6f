/* require "cjson": lua-cjson, guarded.
 *
 *   cjson.encode(value)  as lua-cjson's
 *   cjson.decode(text)   as lua-cjson's, with texts up to 16 MiB
 *   cjson.null           JSON's null, the same as moonkeep.null
 *   cjson._NAME, cjson._VERSION
 *
 * Each state has an instance of its own. None of the settings are there. lua-cjson writes into memory of its
 * own, without limit, and ends the process when there is none: so what it is to encode is measured first.
 * Like it, the walk does not ask metatables.
 */
#include <lauxlib.h>
#include <lua-cjson.h>

#include "script/budget.h"
#include "script/lib.h"

enum {
  CJSON_BYTES = 16 << 20, /* the longest text, in and out */
  CJSON_DEPTH = 512,
  NUMBER_BYTES = 32, /* no number takes more */
};

struct measure {
  size_t left; /* bytes */
  int depth;
};

static void spend(lua_State *L, struct measure *measure, size_t bytes) {
  if (bytes > measure->left)
    luaL_error(L, "cjson.encode: the text would be longer than %d MiB", CJSON_BYTES >> 20);
  measure->left -= bytes;
}

static void measure_value(lua_State *L, struct measure *measure);

/* The table on top. Where keys are numbers lua-cjson writes nulls into short gaps: up to twice as many items.
 */
static void measure_table(lua_State *L, struct measure *measure) {
  if (measure->depth == CJSON_DEPTH) luaL_error(L, "cjson.encode: more than %d levels", CJSON_DEPTH);
  measure->depth++;
  luaL_checkstack(L, 4, "cjson.encode");
  budget_check(L); /* a table that has been emptied takes as long to walk as a full one, and no bytes */
  spend(L, measure, 64);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    size_t key_bytes = lua_type(L, -2) == LUA_TSTRING ? lua_rawlen(L, -2) : NUMBER_BYTES;
    spend(L, measure, key_bytes + 4);
    measure_value(L, measure);
  }
  measure->depth--;
}

/* The value on top. */
static void measure_value(lua_State *L, struct measure *measure) {
  switch (lua_type(L, -1)) {
  case LUA_TTABLE: measure_table(L, measure); break;
  case LUA_TSTRING: spend(L, measure, 2 + lua_rawlen(L, -1)); break;
  default: spend(L, measure, NUMBER_BYTES);
  }
}

/* upvalue: lua-cjson's */
static int cjson_encode(lua_State *L) {
  struct measure measure = {.left = CJSON_BYTES};
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  measure_value(L, &measure);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int cjson_decode(lua_State *L) {
  size_t len;
  luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, len <= CJSON_BYTES, 1, "the text is longer than 16 MiB");
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void lib_open_cjson(lua_State *L) {
  lua_pushcfunction(L, luaopen_cjson);
  lua_call(L, 0, 1);
  lua_createtable(L, 0, 5);
  lib_copy(L, "encode", cjson_encode);
  lib_copy(L, "decode", cjson_decode);
  lib_copy(L, "null", NULL);
  lib_copy(L, "_NAME", NULL);
  lib_copy(L, "_VERSION", NULL);
  lua_remove(L, -2);
  lib_provide(L, "cjson");
}
