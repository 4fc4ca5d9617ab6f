/* What goes out, and what goes to the other scripts.
 *
 *   bot.act(action)           sends an action out: a table with a string `action`; the host adds `script`
 *   bot.send(channel, text)   bot.act{action = "send", channel = channel, text = text}
 *   bot.emit(event [, data])  raises an event for every script, this one too: data's fields, and `event`.
 *                             Its handlers run once the present task gives up the CPU
 */
#include <lauxlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "script/event.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/value.h"

/* Actions and events are as large as a value may be. */
static size_t limit(lua_State *L) {
  return store_value_limit(script_of(L)->scripts->options.store);
}

/* Raises what the codec has found wrong: "bot.act: action.items[3] is a function". */
static int refuse(lua_State *L, const char *method, const struct err *err) {
  return fault(L, err->code, "%s: %s", method, err->message);
}

/* The scratch buffer, empty. Only to be used where no Lua can run. */
static struct buf *scratch(lua_State *L) {
  struct buf *buf = &script_of(L)->scripts->scratch;
  buf_clear(buf);
  return buf;
}

/* Hands out what the scratch buffer holds. A large one is not kept. */
static void hand_out(lua_State *L, struct buf *json) {
  enum { KEEP_BYTES = 256 << 10 };
  const struct scripts_options *options = &script_of(L)->scripts->options;
  const char *text = buf_text(json);
  if (json->failed) luaL_error(L, "not enough memory");
  if (options->action) options->action(options->ctx, text, json->len);
  if (json->cap > KEEP_BYTES) buf_deinit(json);
}

static void put_own_name(lua_State *L, struct buf *json) {
  const char *name = script_of(L)->name;
  buf_puts(json, "{\"script\":");
  json_put_string(json, name, strlen(name));
}

/* Replaces the table at index by a copy of its own fields but for these. */
static void copy_without(lua_State *L, int index, const char *const *names) {
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  for (; *names; names++) {
    lua_pushstring(L, *names);
    lua_pushnil(L);
    lua_rawset(L, -3);
  }
  lua_replace(L, index);
}

/* Appends the object at index behind what is there: its fields after a comma, and the closing brace. */
static void put_rest(lua_State *L, int index, const char *method, const char *name, struct buf *json) {
  struct err err;
  size_t start = json->len;
  if (value_encode(L, index, name, limit(L), json, &err) != MOONKEEP_OK) refuse(L, method, &err);
  if (json->failed) return;
  if (json->data[start] != '{')
    fault(L, MOONKEEP_INVALID_VALUE, "%s: %s is a list; it has fields with names", method, name);
  if (json->data[start + 1] == '}') {
    json->len = start;
    buf_putc(json, '}');
  } else {
    json->data[start] = ',';
  }
}

/* ---- actions ---- */

static void check_text(lua_State *L, int index, const char *method, const char *name) {
  size_t len;
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    fault(L, MOONKEEP_INVALID_VALUE, "%s: %s is %s, not a string", method, name, lib_a_type(L, index));
  const char *text = lua_tolstring(L, index, &len);
  if (utf8_valid(text, len) != len)
    fault(L, MOONKEEP_INVALID_VALUE, "%s: %s is not valid UTF-8", method, name);
  if (len > limit(L)) fault(L, MOONKEEP_TOO_LARGE, "%s: %s has %zu bytes", method, name, len);
}

int lib_send(lua_State *L, const char *method, int channel, int text) {
  size_t len;
  bool number = lua_isinteger(L, channel); /* the channels of some platforms are numbers, and stay so */
  lua_Integer integer = number ? lua_tointeger(L, channel) : 0;
  check_text(L, channel, method, "channel");
  check_text(L, text, method, "text");
  struct buf *json = scratch(L);
  put_own_name(L, json);
  buf_puts(json, ",\"action\":\"send\",\"channel\":");
  const char *bytes = lua_tolstring(L, channel, &len);
  if (number)
    json_put_integer(json, integer);
  else
    json_put_string(json, bytes, len);
  buf_puts(json, ",\"text\":");
  bytes = lua_tolstring(L, text, &len);
  json_put_string(json, bytes, len);
  buf_putc(json, '}');
  hand_out(L, json);
  return 0;
}

static int bot_send(lua_State *L) {
  lib_no_colon(L, "bot.send");
  lua_settop(L, 2);
  return lib_send(L, "bot.send", 1, 2);
}

static int bot_act(lua_State *L) {
  static const char *const ours[] = {"action", "script", NULL};
  size_t len;
  lib_no_colon(L, "bot.act");
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushliteral(L, "action");
  if (lua_rawget(L, 1) != LUA_TSTRING)
    return fault(L, MOONKEEP_INVALID_VALUE, "bot.act: action.action is %s, not a string", lib_a_type(L, 2));
  check_text(L, 2, "bot.act", "action.action");
  copy_without(L, 1, ours);
  struct buf *json = scratch(L);
  put_own_name(L, json);
  buf_puts(json, ",\"action\":");
  const char *action = lua_tolstring(L, 2, &len);
  json_put_string(json, action, len);
  put_rest(L, 1, "bot.act", "action", json);
  hand_out(L, json);
  return 0;
}

/* ---- events ---- */

static const char *check_event(lua_State *L, size_t *len) {
  luaL_argexpected(L, lua_type(L, 1) == LUA_TSTRING, 1, "string");
  const char *name = lua_tolstring(L, 1, len);
  luaL_argcheck(L, *len > 0, 1, "the event's name is empty");
  luaL_argcheck(L, strlen(name) == *len, 1, "the event's name contains a NUL");
  luaL_argcheck(L, utf8_valid(name, *len) == *len, 1, "the event's name is not valid UTF-8");
  luaL_argcheck(L, *len <= limit(L), 1, "the event's name is too long");
  luaL_argcheck(L, strcmp(name, "start") != 0 && strcmp(name, "stop") != 0, 1,
                "start and stop are the host's own");
  luaL_argcheck(L, strcmp(name, "*") != 0, 1, "\"*\" stands for every event; an event has a name of its own");
  return name;
}

static int bot_emit(lua_State *L) {
  static const char *const ours[] = {"event", NULL};
  size_t len;
  lib_no_colon(L, "bot.emit");
  const char *name = check_event(L, &len);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  copy_without(L, 2, ours);
  struct buf *json = scratch(L);
  buf_puts(json, "{\"event\":");
  json_put_string(json, name, len);
  put_rest(L, 2, "bot.emit", "data", json);
  if (json->failed) return luaL_error(L, "not enough memory");
  bounds_check_event(L, sizeof(struct event) + len + json->len);
  struct event *event = event_queue(script_of(L)->scripts, false, name, len, json->data, json->len);
  if (!event) return luaL_error(L, "not enough memory");
  bounds_add_event(script_of(L), event);
  return 0;
}

void lib_add_act(lua_State *L) {
  lua_pushcfunction(L, bot_act);
  lua_setfield(L, -2, "act");
  lua_pushcfunction(L, bot_send);
  lua_setfield(L, -2, "send");
  lua_pushcfunction(L, bot_emit);
  lua_setfield(L, -2, "emit");
}
