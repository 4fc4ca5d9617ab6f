/* What one version of a script leaves to the next when it is reloaded.
 *
 *   bot.handover(fn)   fn() is called when the next version has been compiled and is about to run; it returns
 *                      a value for it. The last one counts; nil: none. It may be called for a version that
 *                      then fails to load, and again for the one after it
 *   bot.inherited      what the version before has returned; nil: nothing. It is there when the file runs
 *
 * From the call until the next version takes over, or fails, events wait, so that nothing happens of which
 * the value does not know.
 */
#include <lauxlib.h>

#include "script/fault.h"
#include "script/lib.h"
#include "script/value.h"

static const char bot_key;      /* the registry's real table `bot` */
static const char handover_key; /* its function */

static int bot_handover(lua_State *L) {
  lib_no_colon(L, "bot.handover");
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &handover_key);
  return 0;
}

static int give(lua_State *L) {
  struct script *script = script_of(L);
  struct buf *json = &script->legacy;
  struct err err;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handover_key);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) return 0;
  size_t limit = store_value_limit(script->scripts->options.store);
  enum moonkeep_code code = value_encode(L, -1, "the value", limit, json, &err);
  if (!code && json->failed) code = err_memory(&err);
  if (!code) return 0;
  buf_clear(json);
  return luaL_error(L, "%s", err.message);
}

/* (json) */
static int inherit(lua_State *L) {
  const struct buf *json = lua_touserdata(L, 1);
  struct err err;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &bot_key);
  if (value_push(L, json->data, json->len, &err) != MOONKEEP_OK) return luaL_error(L, "%s", err.message);
  lua_setfield(L, -2, "inherited");
  return 0;
}

static bool has_handover(struct script *script) {
  bool has = lua_rawgetp(script->L, LUA_REGISTRYINDEX, &handover_key) == LUA_TFUNCTION;
  lua_pop(script->L, 1);
  return has;
}

static void complain(struct script *script, const char *message, const char *trace) {
  log_write(script_log(script), LOG_ERROR, script->name, "error in bot.handover: %s%s%s", message,
            *trace ? "\n" : "", trace);
}

void lib_hand_over(struct script *before, struct script *next) {
  struct fault_text why = {0};
  struct err err;
  if (!lua_checkstack(before->L, 4) || !has_handover(before)) return;
  before->handing_over = true;
  buf_clear(&before->legacy);
  lua_pushcfunction(before->L, give);
  if (!fault_catch(before, &why))
    complain(before, buf_text(&why.message), buf_text(&why.trace));
  else if (before->legacy.len && !script_protect(next, inherit, &before->legacy, &err))
    complain(before, err.message, "");
  waiter_drop(&before->waiter);
  buf_deinit(&before->legacy);
  fault_text_deinit(&why);
}

void lib_add_handover(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &bot_key);
  lua_pushcfunction(L, bot_handover);
  lua_setfield(L, -2, "handover");
}
