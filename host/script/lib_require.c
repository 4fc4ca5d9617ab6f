/* require(name)
 *
 *   "moonkeep", "cjson"  the host's own
 *   what the server provides (lib_provided.c): it goes before a file of that name
 *   "lib.text"           lib/text.lua or lib/text/init.lua in the scripts folder; run once for each script
 *
 * Where scripts are trusted, what the folder does not have is Lua's own require's.
 *
 * Names are segments of letters, digits, `_` and `-`, joined by dots: no name leads out of the folder, and
 * neither does a symbolic link. Modules run where Lua cannot yield, so none is ever seen half-loaded.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/file.h"
#include "script/lib.h"

static const char loaded_key;  /* the registry's table of loaded modules */
static const char loading_key; /* stands in it for a module that is being loaded */

void lib_provide(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

static bool is_name(const char *name, size_t len) {
  bool segment = false; /* the present one has begun */
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c == '.' && !segment) return false;
    if (c != '.' && c != '_' && c != '-' && (c > 127 || !isalnum(c))) return false;
    segment = c != '.';
  }
  return segment;
}

/* The source of one file that may be the module. False: there is no such file. Raises where there is one that
 * must not be read. The buffer is the caller's to free, also when this raises: it does so before it reads. */
static bool read_module(lua_State *L, const char *file, struct buf *source, struct err *err) {
  struct script *script = script_of(L);
  const char *dir = script->scripts->options.dir;
  const char *path = lua_pushfstring(L, "%s/%s", dir, file);
  bool noted = script_add_source(script, file); /* also where there is none: it may come */
  if (!file_exists(path)) return false;
  if (!noted)
    err_memory(err);
  else if (!file_is_below(dir, path))
    err_set(err, MOONKEEP_INVALID, "%s is a link that leads out of the scripts folder, or nowhere", file);
  else
    err->code = file_read(path, source, err);
  return true;
}

/* Pushes the module's chunk, compiled, and its file's name; raises where there is none. */
static void find_module(lua_State *L, const char *name) {
  static const char *const endings[] = {".lua", "/init.lua"};
  const char *stem = luaL_gsub(L, name, ".", "/");
  for (size_t i = 0; i < 2; i++) {
    const char *file = lua_pushfstring(L, "%s%s", stem, endings[i]);
    struct buf source = {0};
    struct err err = {0};
    if (!read_module(L, file, &source, &err)) continue;
    int status = err.code == MOONKEEP_OK ? file_compile(L, &source, file) : LUA_ERRFILE;
    buf_deinit(&source);
    if (status == LUA_ERRFILE) luaL_error(L, "require \"%s\": %s", name, err.message);
    if (status != LUA_OK) lua_error(L);
    lua_pushstring(L, file);
    return;
  }
  luaL_error(L, "module \"%s\" not found: the scripts folder has no %s.lua and no %s/init.lua", name, stem,
             stem);
}

/* Runs the chunk below the file's name on top: leaves what the module is. */
static void run_module(lua_State *L, const char *name) {
  lua_pushlightuserdata(L, (void *)&loading_key);
  lib_provide(L, name);
  lua_pushstring(L, name);
  lua_insert(L, -2);
  int status = lua_pcall(L, 2, 1, 0);
  if (status == LUA_OK && lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  if (status == LUA_OK)
    lua_pushvalue(L, -1);
  else
    lua_pushnil(L); /* so that it can be tried again */
  lib_provide(L, name);
  if (status != LUA_OK) lua_error(L);
}

/* Whether the name is one of the host's modules, or of the folder's. */
static bool is_ours(lua_State *L, const char *name, size_t len) {
  const char *dir = script_of(L)->scripts->options.dir;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
  bool ours = lua_getfield(L, -1, name) != LUA_TNIL;
  const char *stem = luaL_gsub(L, name, ".", "/");
  if (!ours && is_name(name, len))
    ours = file_exists(lua_pushfstring(L, "%s/%s.lua", dir, stem)) ||
           file_exists(lua_pushfstring(L, "%s/%s/init.lua", dir, stem));
  lua_settop(L, 1);
  return ours;
}

/* (name): makes what the server provides by it a loaded module, and pushes that; false: it provides none. */
static bool take_provided(lua_State *L, const char *name) {
  const struct script *script = script_of(L);
  const char *dir = script->scripts->options.dir;
  if (!lib_push_provided(L, name)) return false;
  const char *stem = luaL_gsub(L, name, ".", "/");
  if (file_exists(lua_pushfstring(L, "%s/%s.lua", dir, stem)) ||
      file_exists(lua_pushfstring(L, "%s/%s/init.lua", dir, stem)))
    log_write(script_log(script), LOG_INFO, script->name,
              "require \"%s\" gives what the server provides; the file of that name is not read", name);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lib_provide(L, name);
  return true;
}

/* upvalue: Lua's own, or nil */
static int base_require(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
  bool loaded = lua_getfield(L, -1, name) != LUA_TNIL;
  lua_settop(L, 1);
  if (!loaded && take_provided(L, name)) return 1;
  if (lua_isfunction(L, lua_upvalueindex(1)) && !is_ours(L, name, len)) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  if (!is_name(name, len))
    return luaL_error(L, "require: \"%s\" is no module name; it is like \"lib.text\" for lib/text.lua", name);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  if (lua_touserdata(L, -1) == &loading_key)
    return luaL_error(L, "require \"%s\": it is still being loaded; modules require each other in a circle",
                      name);
  if (!lua_isnil(L, -1)) return 1;
  lua_settop(L, 1);
  find_module(L, name);
  run_module(L, name);
  return 1;
}

void lib_open_require(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
  lua_getglobal(L, "require"); /* Lua's, for the trusted; else nil */
  lua_pushcclosure(L, base_require, 1);
  lua_setglobal(L, "require");
}
