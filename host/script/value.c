#include "script/value.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "base/utf8.h"
#include "script/budget.h"

/* The array mark. */

static const char mark_key; /* its address is the mark's key in the registry */

void value_open(lua_State *L) {
  lua_createtable(L, 0, 1);
  /* Keeps scripts from reaching the mark: a __gc put there would be called for every array that is read. */
  lua_pushliteral(L, "moonkeep.array");
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_key);
}

void value_mark_array(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_key);
  lua_setmetatable(L, index);
}

int value_is_marked(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_key);
  int marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return marked;
}

/* Encoding. */

/* A table that is being written, and which of its fields. */
struct level {
  const void *table; /* its identity */
  const char *key;   /* borrowed from Lua, which has the string on its stack; NULL: the field is `index` */
  size_t key_len;
  lua_Integer index;
};

struct encoder {
  lua_State *L;
  struct buf *out;
  size_t start, limit;
  const char *name;
  struct err *err;
  int depth; /* how many levels are open; each points out the field that is being written */
  struct level levels[JSON_DEPTH];
};

enum { FREE_SLOTS = 6 }; /* of Lua's stack: a level takes two, the rest is for a moment */

/* The path to a value, as a script would write it. Cut in the middle when it is long: where it begins and
 * where it ends is what helps. */

enum {
  PATH_TEXT = 560, /* leaves room in a struct err for what is wrong */
  PATH_KEY = 32,   /* bytes of a key that are shown */
  PATH_HEAD = 6,   /* fields at the start of a path that is cut */
  PATH_TAIL = 4,   /* and at its end */
};

struct path {
  char text[PATH_TEXT];
  size_t len;
};

/* Appends all of the bytes or none, so that no character is cut in two. */
static void path_add(struct path *path, const char *bytes, size_t len) {
  if (len >= sizeof path->text - path->len) return;
  memcpy(path->text + path->len, bytes, len);
  path->text[path->len += len] = '\0';
}

static void path_puts(struct path *path, const char *text) {
  path_add(path, text, strlen(text));
}

/* Appends the key in quotes. What is not printable or not UTF-8 is shown as Lua would escape it. */
static void path_quote(struct path *path, const char *key, size_t len) {
  const char *at = key, *end = key + len, *shown = key + PATH_KEY;
  path_puts(path, "\"");
  while (at < end && at < shown) {
    unsigned char c = (unsigned char)*at;
    size_t n = utf8_check(at, end);
    char escape[8];
    snprintf(escape, sizeof escape, c == '"' || c == '\\' ? "\\%c" : "\\x%02X", c);
    if (n == 0 || c < 0x20 || c == 0x7F || c == '"' || c == '\\')
      path_puts(path, escape);
    else
      path_add(path, at, n);
    at += n ? n : 1;
  }
  path_puts(path, at < end ? "...\"" : "\"");
}

static void path_add_index(struct path *path, lua_Integer index) {
  char text[NUMBER_TEXT + 2] = "[";
  size_t len = 1 + number_print_integer(text + 1, index);
  text[len++] = ']';
  path_add(path, text, len);
}

static bool is_word(const char *key, size_t len) {
  if (len == 0 || len > PATH_KEY || (key[0] >= '0' && key[0] <= '9')) return false;
  for (size_t i = 0; i < len; i++) {
    char letter = (char)(key[i] | 0x20);
    if (!(letter >= 'a' && letter <= 'z') && !(key[i] >= '0' && key[i] <= '9') && key[i] != '_') return false;
  }
  return true;
}

static void path_add_field(struct path *path, const struct level *level) {
  if (!level->key) {
    path_add_index(path, level->index);
  } else if (is_word(level->key, level->key_len)) {
    path_puts(path, ".");
    path_add(path, level->key, level->key_len);
  } else {
    path_puts(path, "[");
    path_quote(path, level->key, level->key_len);
    path_puts(path, "]");
  }
}

/* The path to the field that the first `depth` levels point out. */
static const char *path_to(const struct encoder *e, int depth, struct path *path) {
  path->len = 0;
  path_puts(path, e->name);
  for (int i = 0; i < depth; i++) {
    if (depth > PATH_HEAD + PATH_TAIL && i == PATH_HEAD) {
      path_puts(path, "...");
      i = depth - PATH_TAIL;
    }
    path_add_field(path, &e->levels[i]);
  }
  return path->text;
}

/* Refuses the value that is being written. */
static enum moonkeep_code refuse(struct encoder *e, const char *why) {
  struct path path;
  return err_set(e->err, MOONKEEP_INVALID_VALUE, "%s %s", path_to(e, e->depth, &path), why);
}

/* Refuses the table that is being written for a hole in it. */
static enum moonkeep_code refuse_hole(struct encoder *e, lua_Integer at) {
  struct path path;
  return err_set(e->err, MOONKEEP_INVALID_VALUE,
                 "%s has a hole at [%lld]; an array has the keys 1..n, other numbers can be strings",
                 path_to(e, e->depth - 1, &path), at);
}

/* Refuses an array for its string key at index. */
static enum moonkeep_code refuse_mixed(struct encoder *e, int index) {
  struct path path, key = {.len = 0};
  size_t len;
  const char *text = lua_tolstring(e->L, index, &len);
  path_quote(&key, text, len);
  return err_set(e->err, MOONKEEP_INVALID_VALUE, "%s has mixed keys: a string key %s beside array items",
                 path_to(e, e->depth - 1, &path), key.text);
}

static void path_add_key(struct path *path, lua_State *L, int index) {
  char number[NUMBER_TEXT];
  if (lua_isinteger(L, index)) {
    path_add_index(path, lua_tointeger(L, index));
  } else if (lua_type(L, index) == LUA_TNUMBER && isfinite(lua_tonumber(L, index))) {
    size_t len = number_print_float(number, lua_tonumber(L, index));
    path_puts(path, "[");
    path_add(path, number, len);
    path_puts(path, "]");
  } else if (lua_isboolean(L, index)) {
    path_puts(path, lua_toboolean(L, index) ? "[true]" : "[false]");
  }
}

/* Refuses the table that is being written for the key at index, which no JSON has. */
static enum moonkeep_code refuse_key(struct encoder *e, int index) {
  struct path path;
  path_to(e, e->depth - 1, &path);
  path_add_key(&path, e->L, index);
  return err_set(e->err, MOONKEEP_INVALID_VALUE,
                 "%s has a %s as its key; keys are strings, or 1..n in an array", path.text,
                 lua_typename(e->L, lua_type(e->L, index)));
}

static enum moonkeep_code refuse_size(struct encoder *e) {
  return err_set(e->err, MOONKEEP_TOO_LARGE, "%s is larger than the limit of %zu bytes", e->name, e->limit);
}

/* Asked after every value: what is too large stops early, also where shared tables would be written for ever.
 */
static enum moonkeep_code check_size(struct encoder *e) {
  if (e->out->failed) return err_memory(e->err);
  return e->out->len - e->start > e->limit ? refuse_size(e) : MOONKEEP_OK;
}

/* Writes the string at index; `fault` is said of one that is not UTF-8. */
static enum moonkeep_code encode_string(struct encoder *e, int index, const char *fault) {
  size_t len;
  const char *text = lua_tolstring(e->L, index, &len);
  if (e->out->len - e->start + len > e->limit) return refuse_size(e);
  if (json_put_plain(e->out, text, len)) return MOONKEEP_OK;
  if (utf8_valid(text, len) != len) return refuse(e, fault);
  json_put_string(e->out, text, len);
  return MOONKEEP_OK;
}

static enum moonkeep_code encode_number(struct encoder *e) {
  if (lua_isinteger(e->L, -1)) {
    json_put_integer(e->out, lua_tointeger(e->L, -1));
    return MOONKEEP_OK;
  }
  double number = lua_tonumber(e->L, -1);
  if (isnan(number)) return refuse(e, "is NaN");
  if (isinf(number)) return refuse(e, "is infinite");
  json_put_float(e->out, number);
  return MOONKEEP_OK;
}

static enum moonkeep_code encode_value(struct encoder *e);

/* Writes the object at `table`. Its first key and value are on the stack. */
static enum moonkeep_code encode_object(struct encoder *e, int table) {
  struct level *level = &e->levels[e->depth - 1];
  char before = '{';
  do {
    if (lua_type(e->L, -2) != LUA_TSTRING) return refuse_key(e, -2);
    level->key = lua_tolstring(e->L, -2, &level->key_len);
    buf_putc(e->out, before);
    before = ',';
    enum moonkeep_code code = encode_string(e, -2, "has a key that is not valid UTF-8");
    if (code) return code;
    buf_putc(e->out, ':');
    if ((code = encode_value(e))) return code;
    lua_pop(e->L, 1);
  } while (lua_next(e->L, table));
  buf_putc(e->out, '}');
  return MOONKEEP_OK;
}

/* Writes the value on top of the stack as the item at `index`, and takes it away. */
static enum moonkeep_code encode_item(struct encoder *e, lua_Integer index) {
  e->levels[e->depth - 1].index = index;
  if (index > 1) buf_putc(e->out, ',');
  enum moonkeep_code code = encode_value(e);
  if (code == MOONKEEP_OK) lua_pop(e->L, 1);
  return code;
}

/* Counts the keys of an array from the one on the stack on, which it takes away. */
static enum moonkeep_code count_keys(struct encoder *e, int table, lua_Integer *count) {
  do {
    if (lua_type(e->L, -2) == LUA_TSTRING) return refuse_mixed(e, -2);
    if (!lua_isinteger(e->L, -2) || lua_tointeger(e->L, -2) < 1) return refuse_key(e, -2);
    ++*count;
    lua_pop(e->L, 1);
  } while (lua_next(e->L, table));
  return MOONKEEP_OK;
}

static bool is_index(lua_State *L, int key, lua_Integer index) {
  return lua_isinteger(L, key) && lua_tointeger(L, key) == index;
}

/* Writes the array at `table`. Its first key and value are on the stack.
 *
 * Lua walks an array in order as long as it keeps it as one, and then one walk is all. Where it hands out
 * another key than the next, the keys are counted first: if there are n, and 1..n are there, then there are
 * no others. */
static enum moonkeep_code encode_array(struct encoder *e, int table) {
  enum moonkeep_code code;
  lua_Integer n = 0;
  bool more = true;
  buf_putc(e->out, '[');
  while (more && is_index(e->L, -2, n + 1)) {
    if ((code = encode_item(e, ++n))) return code;
    more = lua_next(e->L, table);
  }
  lua_Integer count = n;
  if (more && (code = count_keys(e, table, &count))) return code;
  while (n < count) {
    if (lua_rawgeti(e->L, table, ++n) == LUA_TNIL) return refuse_hole(e, n);
    if ((code = encode_item(e, n))) return code;
  }
  buf_putc(e->out, ']');
  return MOONKEEP_OK;
}

/* A marked table is an array; of the others the first key tells, and what is empty is an object. */
static enum moonkeep_code encode_entries(struct encoder *e) {
  int table = lua_gettop(e->L), marked = value_is_marked(e->L, table);
  lua_pushnil(e->L);
  if (!lua_next(e->L, table)) {
    buf_add(e->out, marked ? "[]" : "{}", 2);
    return MOONKEEP_OK;
  }
  bool array = marked || lua_isinteger(e->L, -2);
  return array ? encode_array(e, table) : encode_object(e, table);
}

static bool is_open(const struct encoder *e, const void *table) {
  for (int i = 0; i < e->depth; i++)
    if (e->levels[i].table == table) return true;
  return false;
}

static enum moonkeep_code encode_table(struct encoder *e) {
  const void *table = lua_topointer(e->L, -1);
  if (is_open(e, table)) return refuse(e, "is part of a cycle");
  if (e->depth == JSON_DEPTH) return refuse(e, "is nested deeper than 128 levels");
  if (budget_is_over(e->L)) return err_set(e->err, MOONKEEP_TIMEOUT, "the script is over its CPU budget");
  if (!lua_checkstack(e->L, FREE_SLOTS)) return err_memory(e->err);
  e->levels[e->depth++] = (struct level){.table = table};
  enum moonkeep_code code = encode_entries(e);
  e->depth--;
  return code;
}

static enum moonkeep_code encode_other(struct encoder *e) {
  switch (lua_type(e->L, -1)) {
  case LUA_TNIL: return refuse(e, "is nil; use delete to remove a key");
  case LUA_TFUNCTION: return refuse(e, "is a function");
  case LUA_TTHREAD: return refuse(e, "is a coroutine");
  default: return refuse(e, "is a userdata");
  }
}

/* Writes the value on top of the stack. On success the stack is as it was, otherwise it may be higher. */
static enum moonkeep_code encode_value(struct encoder *e) {
  enum moonkeep_code code = MOONKEEP_OK;
  int type = lua_type(e->L, -1);
  if (type == LUA_TSTRING)
    code = encode_string(e, -1, "is not valid UTF-8");
  else if (type == LUA_TNUMBER)
    code = encode_number(e);
  else if (type == LUA_TTABLE)
    code = encode_table(e);
  else if (type == LUA_TBOOLEAN)
    buf_puts(e->out, lua_toboolean(e->L, -1) ? "true" : "false");
  else if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(e->L, -1))
    buf_add(e->out, "null", 4);
  else
    code = encode_other(e);
  return code ? code : check_size(e);
}

enum moonkeep_code value_encode(lua_State *L, int index, const char *name, size_t limit, struct buf *out,
                                struct err *err) {
  struct encoder e; /* not cleared: the levels are written as they are opened */
  e.L = L;
  e.out = out;
  e.start = out->len;
  e.limit = limit;
  e.name = name;
  e.err = err;
  e.depth = 0;
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  if (!lua_checkstack(L, FREE_SLOTS)) return err_memory(err);
  lua_pushvalue(L, index);
  enum moonkeep_code code = encode_value(&e);
  lua_settop(L, top);
  return code;
}

/* Decoding. */

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
