/* Handlers of events.
 *
 *   bot.on(event, fn)   fn(event) runs in a task of its own for each event of that name; "*": every event.
 *                       Returns a handle; handle:off() ends it, also for events that are on their way to it
 *   event:reply(text)   bot.send to event.channel
 *   rootServer.lifecycle.start(onStarting [, onStopping])   bot.on("start", …), bot.on("stop", …)
 *
 * `start` and `stop` are the host's own: handlers of these names are called by nothing else, and "*" does not
 * get them. Other events wait until the script's `start` handlers have ended, or sleep. Handlers of one
 * script run in the order in which they subscribed, each with an event table of its own.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "script/event.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/task.h"
#include "script/value.h"

#define HANDLER "moonkeep.handler"
#define EVENT   "moonkeep.event"

enum { ERR_TEXT = 1024 };

struct handler {    /* a userdata; the registry keeps it as long as it is on */
  struct list link; /* in script->handlers */
  bool on;
  bool lifecycle;
  size_t name_len;
  char name[]; /* of the event */
};

/* ---- the handle ---- */

static int handler_off(lua_State *L) {
  struct handler *handler = luaL_testudata(L, 1, HANDLER);
  if (!handler) return luaL_error(L, "call off with a colon: handle:off()");
  if (!handler->on) return 0;
  handler->on = false;
  list_take(&handler->link);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, handler);
  return 0;
}

/* Subscribes the function at index to events of this name; pushes the handle. */
static void subscribe(lua_State *L, int fn, const char *name, size_t len) {
  struct handler *handler = lua_newuserdatauv(L, sizeof *handler + len + 1, 1);
  *handler = (struct handler){.name_len = len};
  list_init(&handler->link);
  memcpy(handler->name, name, len + 1);
  handler->lifecycle = strcmp(name, "start") == 0 || strcmp(name, "stop") == 0;
  luaL_setmetatable(L, HANDLER);
  lua_pushvalue(L, fn);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, handler);
  handler->on = true;
  list_add(&script_of(L)->handlers, &handler->link);
}

static int bot_on(lua_State *L) {
  size_t len;
  lib_no_colon(L, "bot.on");
  luaL_argexpected(L, lua_type(L, 1) == LUA_TSTRING, 1, "string");
  const char *name = lua_tolstring(L, 1, &len);
  luaL_argcheck(L, len > 0, 1, "the event's name is empty");
  luaL_argcheck(L, strlen(name) == len, 1, "the event's name contains a NUL");
  luaL_checktype(L, 2, LUA_TFUNCTION);
  subscribe(L, 2, name, len);
  return 1;
}

static int lifecycle_start(lua_State *L) {
  static const char *const names[] = {"start", "stop"};
  lua_settop(L, 2);
  for (int i = 1; i <= 2; i++)
    if (!lua_isnil(L, i)) luaL_checktype(L, i, LUA_TFUNCTION);
  for (int i = 1; i <= 2; i++)
    if (!lua_isnil(L, i)) subscribe(L, i, names[i - 1], strlen(names[i - 1]));
  return 0;
}

/* ---- delivery ---- */

static int event_reply(lua_State *L) {
  if (!lua_istable(L, 1)) return luaL_error(L, "call reply with a colon: event:reply(text)");
  lua_settop(L, 2);
  lua_pushliteral(L, "channel");
  if (lua_rawget(L, 1) == LUA_TNIL) return luaL_error(L, "event:reply: this event came from no channel");
  return lib_send(L, "event:reply", 3, 2);
}

static int handled(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

/* (handler, event): what a handler's task runs. The task has a reference to the event. */
static int handle(lua_State *L) {
  struct handler *handler = lua_touserdata(L, 1);
  struct event *event = lua_touserdata(L, 2);
  struct err err;
  if (!handler->on) return 0;
  lua_getiuservalue(L, 1, 1);
  if (value_push(L, event->json, event->json_len, &err) != MOONKEEP_OK) return fault_raise(L, &err);
  luaL_setmetatable(L, EVENT);
  lua_callk(L, 1, 0, 0, handled);
  return 0;
}

static bool wants(const struct handler *handler, const struct event *event) {
  bool same =
      handler->name_len == event->name_len && memcmp(handler->name, event->text, event->name_len) == 0;
  if (event->lifecycle) return same;
  return (same && !handler->lifecycle) || strcmp(handler->name, "*") == 0;
}

struct delivery {
  struct handler *handler;
  struct event *event;
};

static int start_handler(lua_State *L) {
  const struct delivery *delivery = lua_touserdata(L, 1);
  lua_pushcfunction(L, handle);
  lua_rawgetp(L, LUA_REGISTRYINDEX, delivery->handler);
  lua_pushlightuserdata(L, delivery->event);
  task_start(L, 2, "an event", delivery->event);
  return 0;
}

void lib_deliver(struct script *script, struct event *event) {
  for (struct list *node = script->handlers.next; node != &script->handlers; node = node->next) {
    struct delivery delivery = {list_of(node, struct handler, link), event};
    struct err err;
    if (!wants(delivery.handler, event)) continue;
    if (!event->lifecycle && bounds_break_ms(script) > 0) {
      event_fail(event, script, bounds_break_text);
      continue;
    }
    if (script_protect(script, start_handler, &delivery, &err)) continue;
    char text[ERR_TEXT];
    snprintf(text, sizeof text, "event \"%.100s\" not handled: %s", event->text, err.message);
    bounds_log(script, LOG_ERROR, text);
    event_fail(event, script, err.message);
  }
}

/* ---- opening ---- */

void lib_push_lifecycle(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, lifecycle_start);
  lua_setfield(L, -2, "start");
  lib_seal(L, "rootServer.lifecycle", NULL);
}

void lib_add_on(lua_State *L) {
  lib_class(L, HANDLER, "off", handler_off);
  lib_class(L, EVENT, "reply", event_reply);
  lua_pushcfunction(L, bot_on);
  lua_setfield(L, -2, "on");
}
