#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "script/budget.h"
#include "script/value.h"
#include "script/value_path.h"

struct encoder {
  lua_State *L;
  struct buf *out;
  size_t start, limit;
  const char *name;
  struct err *err;
  int depth; /* how many levels are open; each points out the field that is being written */
  struct value_level levels[JSON_DEPTH];
};

enum { FREE_SLOTS = 6 }; /* of Lua's stack: a level takes two, the rest is for a moment */

/* Refuses the value that is being written. */
static enum moonkeep_code refuse(struct encoder *e, const char *why) {
  struct value_path path;
  return err_set(e->err, MOONKEEP_INVALID_VALUE, "%s %s", value_path_to(&path, e->name, e->levels, e->depth),
                 why);
}

/* Refuses the table that is being written for a hole in it. */
static enum moonkeep_code refuse_hole(struct encoder *e, lua_Integer at) {
  struct value_path path;
  return err_set(e->err, MOONKEEP_INVALID_VALUE,
                 "%s has a hole at [%lld]; an array has the keys 1..n, other numbers can be strings",
                 value_path_to(&path, e->name, e->levels, e->depth - 1), at);
}

/* Refuses an array for its string key at index. */
static enum moonkeep_code refuse_mixed(struct encoder *e, int index) {
  struct value_path path, key = {.len = 0};
  size_t len;
  const char *text = lua_tolstring(e->L, index, &len);
  value_path_quote(&key, text, len);
  return err_set(e->err, MOONKEEP_INVALID_VALUE, "%s has mixed keys: a string key %s beside array items",
                 value_path_to(&path, e->name, e->levels, e->depth - 1), key.text);
}

/* Refuses the table that is being written for the key at index, which no JSON has. */
static enum moonkeep_code refuse_key(struct encoder *e, int index) {
  struct value_path path;
  value_path_to(&path, e->name, e->levels, e->depth - 1);
  value_path_add_key(&path, e->L, index);
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

/* Writes the string; `fault` is said of one that is not UTF-8. */
static inline enum moonkeep_code encode_string(struct encoder *e, const char *text, size_t len,
                                               const char *fault) {
  if (e->out->len - e->start + len > e->limit) return refuse_size(e);
  if (json_put_plain(e->out, text, len)) return MOONKEEP_OK;
  if (utf8_valid(text, len) != len) return refuse(e, fault);
  json_put_string(e->out, text, len);
  return MOONKEEP_OK;
}

static enum moonkeep_code encode_text(struct encoder *e) {
  size_t len;
  const char *text = lua_tolstring(e->L, -1, &len);
  return encode_string(e, text, len, "is not valid UTF-8");
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
  struct value_level *level = &e->levels[e->depth - 1];
  char before = '{';
  do {
    if (lua_type(e->L, -2) != LUA_TSTRING) return refuse_key(e, -2);
    level->key = lua_tolstring(e->L, -2, &level->key_len);
    buf_putc(e->out, before);
    before = ',';
    enum moonkeep_code code =
        encode_string(e, level->key, level->key_len, "has a key that is not valid UTF-8");
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
  e->levels[e->depth++] = (struct value_level){.table = table};
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
    code = encode_text(e);
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
