/* Our string and table functions do what Lua's own do: see same_as_lua.lua. */
#include <lauxlib.h>
#include <lualib.h>

#include "check.h"
#include "script/lib.h"

static int next_random(lua_State *L) {
  lua_pushinteger(L, 1 + (lua_Integer)check_below((uint64_t)luaL_checkinteger(L, 1)));
  return 1;
}

/* Makes the global `name` of copies of these libraries as they are now. */
static void keep_libraries(lua_State *L, const char *name) {
  static const char *const libraries[] = {"string", "table"};
  lua_newtable(L);
  for (size_t i = 0; i < 2; i++) {
    lua_newtable(L);
    lua_getglobal(L, libraries[i]);
    for (lua_pushnil(L); lua_next(L, -2);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_settable(L, -5);
    }
    lua_pop(L, 1);
    lua_setfield(L, -2, libraries[i]);
  }
  lua_setglobal(L, name);
}

TEST(string_and_table_functions_do_what_luas_do) {
  lua_State *L = luaL_newstate(); /* no script's: nothing is over its budget */
  luaL_openlibs(L);
  keep_libraries(L, "stock");
  lib_open_string(L);
  lib_open_table(L);
  keep_libraries(L, "ours");
  lua_pushcfunction(L, next_random);
  lua_setglobal(L, "random");
  lua_pushinteger(L, check_rounds(100000));
  lua_setglobal(L, "rounds");
  if (luaL_dofile(L, "tests/script/same_as_lua.lua")) FAIL("%s", lua_tostring(L, -1));
  lua_close(L);
}
