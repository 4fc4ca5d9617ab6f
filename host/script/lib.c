#include "script/lib.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "script/guess.h"
#include "script/value.h"

void lib_open(lua_State *L) {
  value_open(L);
  lib_open_base(L);
  lib_open_os(L);
  lib_open_coroutine(L);
  lib_open_require(L);
  lib_open_moonkeep(L);
  lib_open_cjson(L);
  lib_open_store(L);
  lib_open_bot(L);
}

bool lib_trusts(lua_State *L) {
  const struct script *script = script_of(L);
  return script && script->scripts->options.trust;
}

const char *lib_guess(lua_State *L, int table, const char *word) {
  struct guess guess;
  guess_init(&guess, word);
  table = lua_absindex(L, table);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) guess_try(&guess, lua_tostring(L, -2));
  char text[96];
  return lua_pushstring(L, guess_text(&guess, text));
}

/* upvalues: the real table, its name, the one field that may be absent */
static int sealed_index(lua_State *L) {
  const char *name = lua_tostring(L, lua_upvalueindex(2));
  if (lua_rawequal(L, 2, lua_upvalueindex(3))) return 0;
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "%s has no fields but those with a name", name);
  const char *word = lua_tostring(L, 2);
  return luaL_error(L, "%s has no \"%s\"%s", name, word, lib_guess(L, lua_upvalueindex(1), word));
}

static int sealed_newindex(lua_State *L) {
  return luaL_error(L, "%s belongs to the host and cannot be changed", lua_tostring(L, lua_upvalueindex(1)));
}

static int sealed_pairs(lua_State *L) {
  lua_getglobal(L, "next");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushnil(L);
  return 3;
}

/* A script that writes into what `pairs` shows it changes only its own copy of the functions. */
void lib_seal(lua_State *L, const char *name, const char *optional) {
  int real = lua_gettop(L);
  lua_createtable(L, 0, 1); /* the real table's metatable: names that it does not have */
  lua_pushvalue(L, real);
  lua_pushstring(L, name);
  lua_pushstring(L, optional);
  lua_pushcclosure(L, sealed_index, 3);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, real);

  lua_createtable(L, 0, 0); /* what the script sees */
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, real);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, name);
  lua_pushcclosure(L, sealed_newindex, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushvalue(L, real);
  lua_pushcclosure(L, sealed_pairs, 1);
  lua_setfield(L, -2, "__pairs");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "__sealed"); /* for lib_no_colon */
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_replace(L, real);
}

void lib_no_colon(lua_State *L, const char *call) {
  if (lua_type(L, 1) == LUA_TTABLE && luaL_getmetafield(L, 1, "__sealed") != LUA_TNIL)
    luaL_error(L, "call %s with a dot: %s(…)", call, call);
}

const char *lib_a_type(lua_State *L, int index) {
  static const char *const names[] = {[LUA_TNIL] = "nil",
                                      [LUA_TBOOLEAN] = "a boolean",
                                      [LUA_TLIGHTUSERDATA] = "null",
                                      [LUA_TNUMBER] = "a number",
                                      [LUA_TSTRING] = "a string",
                                      [LUA_TTABLE] = "a table",
                                      [LUA_TFUNCTION] = "a function",
                                      [LUA_TUSERDATA] = "an object of the host",
                                      [LUA_TTHREAD] = "a coroutine"};
  int type = lua_type(L, index);
  return type < 0 ? "missing" : names[type];
}

void lib_class(lua_State *L, const char *class, const char *method, lua_CFunction function) {
  luaL_newmetatable(L, class);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, method);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void lib_copy(lua_State *L, const char *name, lua_CFunction around) {
  lua_getfield(L, -2, name);
  if (around) lua_pushcclosure(L, around, 1);
  lua_setfield(L, -2, name);
}

int64_t lib_check_ms(lua_State *L, int arg) {
  static const double most = 1000.0 * 366 * 24 * 3600; /* seconds */
  double seconds = luaL_checknumber(L, arg);
  luaL_argcheck(L, isfinite(seconds), arg, "the number of seconds is not finite");
  luaL_argcheck(L, seconds >= 0, arg, "the number of seconds is negative");
  luaL_argcheck(L, seconds <= most, arg, "the number of seconds is over a thousand years");
  return (int64_t)ceil(seconds * 1000);
}
