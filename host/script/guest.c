#include "script/guest.h"

#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/foreign.h"
#include "script/lib.h"
#include "script/lib_store.h"
#include "script/task.h"
#include "script/which_lua.h"

#define GUEST "moonkeep.guest"

struct seat { /* the anchor's userdata, in the state */
  struct anchor anchor;
  struct guest *guest; /* NULL: detached */
};

struct guest {
  struct scripts *scripts; /* owned: its room */
  struct script *script;   /* the state's */
  struct seat *seat;
  lua_State *L; /* the main thread */
  struct lua_shape shape;
  void (*gone)(void *ctx, struct guest *guest);
};

/* ---- attaching ---- */

static struct guest *guest_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, GUEST);
  const struct seat *seat = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return seat ? seat->guest : NULL;
}

static int seat_gc(lua_State *L) {
  struct seat *seat = lua_touserdata(L, 1);
  struct guest *guest = seat->guest;
  if (guest) guest->gone(guest->scripts->options.ctx, guest);
  return 0;
}

/* What the anchor is made of: a userdata that ends the guest when the state goes. */
static int push_seat(lua_State *L) {
  struct seat *seat = lua_newuserdatauv(L, sizeof *seat, 2);
  memset(seat, 0, sizeof *seat);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, seat_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return lua_gettop(L);
}

static void set_globals(lua_State *L, int seat) {
  lua_createtable(L, 0, 1);
  store_push_names(L, seat);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, seat, 1);
  lua_getfield(L, -1, "appData");
  lua_setglobal(L, "appData");
  lua_setfield(L, -2, "dataStore");
  lua_setglobal(L, "rootServer");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "moonkeep") == LUA_TNIL) {
    lib_push_moonkeep(L);
    lua_setfield(L, -3, "moonkeep");
  }
  lua_pop(L, 2);
}

/* (guest): nothing of the state is changed before all that may fail has gone well, but for globals. */
static int attach(lua_State *L) {
  struct guest *guest = lua_touserdata(L, 1);
  luaL_checkstack(L, 16, NULL);
  which_lua_check_copy(L);
  if (guest_of(L)) return luaL_error(L, "the state is attached already");
  if (!foreign_find(L) && luaL_getmetatable(L, STORE_CLASS) != LUA_TNIL)
    return luaL_error(L, "the state has loaded the Lua module \"moonkeep\": it is that or the host");
  foreign_bind(L);
  int at = push_seat(L);
  struct seat *seat = lua_touserdata(L, at);
  guest->seat = seat;
  seat->anchor.scripts = guest->scripts;
  set_globals(L, at);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  guest->L = lua_tothread(L, -1);
  lua_pushvalue(L, at);
  lua_setfield(L, LUA_REGISTRYINDEX, GUEST);
  guest->script = foreign_find(L);
  seat->guest = guest;
  return 0;
}

static struct guest *make(const struct scripts_options *options) {
  struct guest *guest = mem_zero(sizeof *guest);
  if (!guest) return NULL;
  guest->scripts = scripts_make(options);
  if (guest->scripts) return guest;
  mem_free(guest);
  return NULL;
}

static void take_script(struct guest *guest) {
  static char name[] = "the server";
  struct script *script = guest->script;
  script->scripts = script->guest = guest->scripts;
  script->stage = SCRIPT_LIVE;
  script->name = name;
  bounds_init(script);
  guest->scripts->budget.off = true; /* its code is not ours to stop */
}

/* A text for what was raised; pops it. */
static enum moonkeep_code fail(lua_State *L, int status, const char *what, struct err *err) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
  enum moonkeep_code code =
      status == LUA_ERRMEM ? err_memory(err) : err_set(err, MOONKEEP_INVALID, "%s: %s", what, text);
  lua_pop(L, 1);
  return code;
}

enum moonkeep_code guest_attach(struct guest **out, lua_State *L, const struct scripts_options *options,
                                void (*gone)(void *ctx, struct guest *guest), struct err *err) {
  *out = NULL;
  struct lua_shape shape;
  enum moonkeep_code code = which_lua_check(err);
  if (!code) code = which_lua_made(L, &shape, err);
  if (code) return code;
  struct guest *guest = lua_checkstack(L, 4) ? make(options) : NULL;
  if (!guest) return err_memory(err);
  guest->gone = gone;
  guest->shape = shape;
  lua_pushcfunction(L, attach);
  lua_pushlightuserdata(L, guest);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    if (guest->seat) guest->seat->anchor.scripts = NULL; /* nothing has collected it since */
    code = fail(L, status, "moonkeep_attach", err);
    scripts_close(guest->scripts);
    mem_free(guest);
    return code;
  }
  take_script(guest);
  *out = guest;
  return MOONKEEP_OK;
}

void guest_detach(struct guest *guest) {
  struct script *script = guest->script;
  guest->seat->guest = NULL;
  guest->seat->anchor.scripts = NULL;
  script->scripts = guest->scripts;
  script_drop(script, "the host stopped");
  task_free_idle(script);
  script->guest = NULL;
  scripts_close(guest->scripts);
  mem_free(guest);
}

/* ---- tasks ---- */

static int spawn(lua_State *L) {
  task_start(L, lua_gettop(L) - 1, "moonkeep_spawn", NULL);
  return 0;
}

enum moonkeep_code guest_spawn(struct guest *guest, lua_State *L, int args, struct err *err) {
  if (args < 0 || lua_gettop(L) <= args || !lua_isfunction(L, -(args + 1)))
    return err_set(err, MOONKEEP_INVALID, "moonkeep_spawn: there is no function below %d arguments", args);
  if (!lua_checkstack(L, 2)) return err_memory(err);
  guest->script->scripts = guest->scripts;
  lua_pushcfunction(L, spawn);
  lua_insert(L, -(args + 2));
  int status = lua_pcall(L, args + 1, 0, 0);
  return status == LUA_OK ? MOONKEEP_OK : fail(L, status, "moonkeep_spawn", err);
}

struct scripts *guest_room(struct guest *guest) {
  return guest->scripts;
}

bool guest_is(const struct guest *guest, lua_State *L) {
  if (!which_lua_same(&guest->shape, guest->L, L) || !lua_checkstack(L, 1)) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  const lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main == guest->L;
}
