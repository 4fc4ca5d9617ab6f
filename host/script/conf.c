#include "script/conf.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/number.h"
#include "script/file.h"

enum { STEPS = 1000000, MEMORY_BYTES = 32 << 20 };

struct conf {
  const char *path;
  struct buf source;        /* owned */
  size_t used;              /* bytes of its state */
  struct setting *settings; /* owned */
  size_t count, cap;
};

struct setting { /* texts that the table holds */
  const char *name, *text;
};

static void *allocate(void *ctx, void *block, size_t old_size, size_t new_size) {
  struct conf *conf = ctx;
  size_t old = block ? old_size : 0;
  if (new_size == 0) {
    mem_free(block);
    conf->used -= old;
    return NULL;
  }
  if (new_size > old && conf->used - old + new_size > MEMORY_BYTES) return NULL;
  void *moved = mem_resize(block, new_size);
  if (moved) conf->used += new_size - old;
  return moved;
}

static void on_steps(lua_State *L, lua_Debug *ar) {
  (void)ar;
  luaL_error(L, "it computes for too long");
}

/* A name that was never assigned would give nil, and the setting would silently be absent. */
static int no_such_name(lua_State *L) {
  return luaL_error(L, "there is nothing called \"%s\" here", luaL_tolstring(L, 2, NULL));
}

static void guard_globals(lua_State *L) {
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, no_such_name);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* (conf): runs the file and leaves the table of its settings. */
static int run(lua_State *L) {
  struct conf *conf = lua_touserdata(L, 1);
  if (file_compile(L, &conf->source, conf->path) != LUA_OK) return lua_error(L);
  guard_globals(L);
  lua_sethook(L, on_steps, LUA_MASKCOUNT, STEPS);
  lua_call(L, 0, 1);
  lua_sethook(L, NULL, 0, 0);
  if (lua_isnil(L, -1)) lua_pushglobaltable(L);
  if (!lua_istable(L, -1)) return luaL_error(L, "it returns a %s, not a table", luaL_typename(L, -1));
  return 1;
}

static int in_order(const void *a, const void *b) {
  return strcmp(((const struct setting *)a)->name, ((const struct setting *)b)->name);
}

static const char *check_text(lua_State *L, const char *name) {
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (strlen(text) != len) luaL_error(L, "%s has a NUL in it", name);
  return text;
}

/* A whole number is one however it was computed: 64 * 1024^2 is a float to Lua. */
static size_t print_number(lua_State *L, const char *name, char *out) {
  int whole;
  lua_Integer integer = lua_tointegerx(L, -1, &whole);
  if (whole) return number_print_integer(out, integer);
  lua_Number number = lua_tonumber(L, -1);
  if (!isfinite(number)) luaL_error(L, "%s is not a finite number", name);
  return number_print_float(out, number);
}

/* Makes the value on top a text, which takes its place in the table at index 2 (key below the value). */
static const char *make_text(lua_State *L, const char *name) {
  char number[NUMBER_TEXT];
  switch (lua_type(L, -1)) {
  case LUA_TSTRING: return check_text(L, name);
  case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false"); break;
  case LUA_TNUMBER: lua_pushlstring(L, number, print_number(L, name, number)); break;
  default: luaL_error(L, "%s is a %s, not a text, a number, true or false", name, luaL_typename(L, -1));
  }
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -2);
  lua_rawset(L, 2);
  lua_replace(L, -2);
  return lua_tostring(L, -1);
}

static void add(lua_State *L, struct conf *conf, const char *name, const char *text) {
  if (conf->count == conf->cap) {
    size_t cap = conf->cap ? conf->cap * 2 : 16;
    void *grown = mem_resize(conf->settings, cap * sizeof *conf->settings);
    if (!grown) luaL_error(L, "not enough memory");
    conf->settings = grown;
    conf->cap = cap;
  }
  conf->settings[conf->count++] = (struct setting){name, text};
}

/* (conf, table): its settings, whose texts stay in the table. */
static int list(lua_State *L) {
  struct conf *conf = lua_touserdata(L, 1);
  luaL_checkstack(L, 10, NULL);
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      return luaL_error(L, "a setting has a name, and one of these is a %s", luaL_typename(L, -2));
    const char *name = lua_tostring(L, -2);
    add(L, conf, name, make_text(L, name));
  }
  if (conf->count > 0) qsort(conf->settings, conf->count, sizeof *conf->settings, in_order);
  return 0;
}

/* Calls the function with conf and what is on top, protected. */
static bool protect(struct conf *conf, lua_State *L, lua_CFunction function, int args, int results,
                    struct err *err) {
  lua_pushcfunction(L, function);
  lua_insert(L, -1 - args);
  lua_pushlightuserdata(L, conf);
  lua_insert(L, -1 - args);
  int status = lua_pcall(L, args + 1, results, 0);
  if (status == LUA_OK) return true;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "it raises what is no text";
  if (strncmp(text, conf->path, strlen(conf->path)) == 0)
    err_set(err, MOONKEEP_INVALID, "%s", text);
  else
    err_set(err, MOONKEEP_INVALID, "%s: %s", conf->path, text);
  return false;
}

/* The state has no libraries, and so no functions and no globals. */
static enum moonkeep_code read_in(struct conf *conf, lua_State *L,
                                  enum moonkeep_code (*visit)(void *, const char *, const char *,
                                                              struct err *),
                                  void *ctx, struct err *err) {
  if (!protect(conf, L, run, 0, 1, err)) return err->code;
  lua_pushvalue(L, -1);
  if (!protect(conf, L, list, 1, 0, err)) return err->code;
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = 0; !code && i < conf->count; i++)
    code = visit(ctx, conf->settings[i].name, conf->settings[i].text, err);
  return code;
}

enum moonkeep_code conf_read(const char *path,
                             enum moonkeep_code (*visit)(void *ctx, const char *name, const char *text,
                                                         struct err *),
                             void *ctx, struct err *err) {
  struct conf conf = {.path = path};
  enum moonkeep_code code = file_read(path, &conf.source, err);
  lua_State *L = NULL;
  if (!code && conf.source.len > CONF_BYTES)
    code = err_set(err, MOONKEEP_TOO_LARGE, "%s has more than %d bytes", path, CONF_BYTES);
  if (!code && !(L = lua_newstate(allocate, &conf))) code = err_memory(err);
  if (!code) code = read_in(&conf, L, visit, ctx, err);
  if (L) lua_close(L);
  mem_free(conf.settings);
  buf_deinit(&conf.source);
  return code;
}
