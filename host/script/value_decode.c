#include <stdbool.h>
#include <string.h>

#include "base/json.h"
#include "script/value.h"

enum { FREE_SLOTS = 6 }; /* of Lua's stack, for a moment */

/* So many items, or keys and values, wait on the stack until their number is known, so that the table of most
 * values is made once and in its right size. */
enum { BATCH = 16 };

static bool push_value(lua_State *L, struct json *json, const struct json_token *token);

static bool ensure_stack(lua_State *L, struct json *json) {
  if (lua_checkstack(L, 2 * BATCH + FREE_SLOTS)) return true;
  err_memory(&json->err);
  return false;
}

/* Puts an array into the place `table`, of the n items that lie there. */
static void gather_array(lua_State *L, int table, lua_Integer n) {
  lua_createtable(L, (int)n, 0);
  lua_insert(L, table);
  for (; n > 0; n--) lua_rawseti(L, table, n);
}

/* Puts an object into the place `table`, of the n keys and values that lie there. In their order: of a
 * doubled key the last one counts. */
static void gather_object(lua_State *L, int table, int n) {
  lua_createtable(L, 0, n);
  lua_insert(L, table);
  for (int key = table + 1; n > 0; n--, key += 2) {
    lua_pushvalue(L, key);
    lua_pushvalue(L, key + 1);
    lua_rawset(L, table);
  }
  lua_settop(L, table);
}

static bool push_array(lua_State *L, struct json *json) {
  if (!ensure_stack(L, json)) return false;
  int table = lua_gettop(L) + 1;
  lua_Integer n = 0;
  struct json_token token;
  while (json_next(json, &token) != JSON_ARRAY_END) {
    if (!push_value(L, json, &token)) return false;
    if (++n > BATCH)
      lua_rawseti(L, table, n);
    else if (n == BATCH)
      gather_array(L, table, n);
  }
  if (n < BATCH) gather_array(L, table, n);
  value_mark_array(L, table);
  return true;
}

static bool push_object(lua_State *L, struct json *json) {
  if (!ensure_stack(L, json)) return false;
  int table = lua_gettop(L) + 1, n = 0;
  struct json_token token;
  while (json_next(json, &token) == JSON_KEY) {
    lua_pushlstring(L, token.string, token.string_len);
    json_next(json, &token);
    if (!push_value(L, json, &token)) return false;
    if (n == BATCH)
      lua_rawset(L, table);
    else if (++n == BATCH)
      gather_object(L, table, n);
  }
  if (token.type != JSON_OBJECT_END) return false;
  if (n < BATCH) gather_object(L, table, n);
  return true;
}

/* Pushes the value that begins with the token; on failure what it pushed is the caller's to take away. */
static bool push_value(lua_State *L, struct json *json, const struct json_token *token) {
  switch (token->type) {
  case JSON_NULL: lua_pushlightuserdata(L, NULL); return true;
  case JSON_FALSE: lua_pushboolean(L, 0); return true;
  case JSON_TRUE: lua_pushboolean(L, 1); return true;
  case JSON_INTEGER: lua_pushinteger(L, token->integer); return true;
  case JSON_FLOAT: lua_pushnumber(L, token->number); return true;
  case JSON_STRING: lua_pushlstring(L, token->string, token->string_len); return true;
  case JSON_ARRAY: return push_array(L, json);
  case JSON_OBJECT: return push_object(L, json);
  default: return false;
  }
}

static bool push_text(lua_State *L, struct json *json) {
  struct json_token token;
  if (!ensure_stack(L, json)) return false;
  json_next(json, &token);
  return push_value(L, json, &token) && json_next(json, &token) == JSON_END;
}

/* Its argument is the scanner; it returns nothing when that has met an error. */
static int push_protected(lua_State *L) {
  struct json *json = lua_touserdata(L, 1);
  return push_text(L, json) ? 1 : 0;
}

/* The scanner owns memory as soon as it has met an escape: a memory error of Lua's is held up until that is
 * freed. */
static bool push_guarded(lua_State *L, struct json *json) {
  if (!ensure_stack(L, json)) return false;
  int top = lua_gettop(L);
  lua_pushcfunction(L, push_protected);
  lua_pushlightuserdata(L, json);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  json_deinit(json);
  if (status != LUA_OK) lua_error(L);
  return lua_gettop(L) > top;
}

enum moonkeep_code value_push(lua_State *L, const char *text, size_t len, struct err *err) {
  struct json json;
  json_init(&json, text, len);
  int top = lua_gettop(L);
  bool escapes = len > 0 && memchr(text, '\\', len);
  if (escapes ? push_guarded(L, &json) : push_text(L, &json)) return MOONKEEP_OK;
  lua_settop(L, top);
  return err_set(err, json.err.code, "%s", json.err.message);
}
