#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/json.h"
#include "script/value.h"

enum { FREE_SLOTS = 6 }; /* of Lua's stack, for a moment */

/* So many items wait on the stack until their number is known, so that the table of most arrays is made once
 * and in its right size. */
enum { BATCH = 16 };

static bool push_value(lua_State *L, struct json *json, const struct json_token *token);

static bool ensure_stack(lua_State *L, struct json *json) {
  if (lua_checkstack(L, BATCH + FREE_SLOTS)) return true;
  err_memory(&json->err);
  return false;
}

/* Makes the array of the place `table`, of the n items that lie above it. */
static void gather_array(lua_State *L, int table, lua_Integer n) {
  lua_createtable(L, (int)n, 0);
  lua_replace(L, table);
  for (; n > 0; n--) lua_rawseti(L, table, n);
}

static bool push_array(lua_State *L, struct json *json) {
  if (!ensure_stack(L, json)) return false;
  int table = lua_gettop(L) + 1;
  lua_Integer n = 0;
  struct json_token token;
  lua_pushnil(L);
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

/* Objects that begin with the same key mostly have as many fields: so many had the last one, and its table is
 * made in that size. A wrong guess costs memory or time, no more. */
static unsigned char *fields_of(const struct json_token *key) {
  static _Thread_local unsigned char fields[64];
  size_t hash = key->string_len;
  if (hash > 0)
    hash += 7 * (size_t)(unsigned char)key->string[0] + 5 * (size_t)(unsigned char)key->string[hash - 1];
  return &fields[hash % sizeof fields];
}

static bool push_object(lua_State *L, struct json *json) {
  if (!ensure_stack(L, json)) return false;
  struct json_token token;
  int table = lua_gettop(L) + 1, n = 0;
  if (json_next(json, &token) != JSON_KEY) {
    lua_createtable(L, 0, 0);
    return token.type == JSON_OBJECT_END;
  }
  unsigned char *fields = fields_of(&token);
  lua_createtable(L, 0, *fields);
  do {
    lua_pushlstring(L, token.string, token.string_len);
    json_next(json, &token);
    if (!push_value(L, json, &token)) return false;
    lua_rawset(L, table);
    n++;
  } while (json_next(json, &token) == JSON_KEY);
  *fields = (unsigned char)(n < UCHAR_MAX ? n : UCHAR_MAX);
  return token.type == JSON_OBJECT_END;
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
