#include "script/show.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

enum {
  SHOWN_BYTES = 4000,
  SHOWN_FIELDS = 200, /* of one table */
  SHOWN_LEVELS = 20,
  LEVELS = 150, /* that are compared: more than a value of a store has */
};

/* ---- text ---- */

static void show_string(const char *bytes, size_t len, struct buf *out) {
  buf_putc(out, '"');
  for (size_t i = 0; i < len && out->len < SHOWN_BYTES; i++) {
    unsigned char c = (unsigned char)bytes[i];
    if (c == '"' || c == '\\')
      buf_printf(out, "\\%c", c);
    else if (c == '\n')
      buf_puts(out, "\\n");
    else if (c < 32 || c == 127)
      buf_printf(out, "\\%03d", c);
    else
      buf_putc(out, (char)c);
  }
  buf_putc(out, '"');
}

static bool is_name(const char *text, size_t len) {
  if (len == 0 || isdigit((unsigned char)text[0])) return false;
  for (size_t i = 0; i < len; i++)
    if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
  return true;
}

static void show(lua_State *L, int index, struct buf *out, int level);

/* A key of a field, or a step of a path. */
static void show_key(lua_State *L, int index, struct buf *out, bool in_path) {
  size_t len = 0;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
  if (text && is_name(text, len)) {
    if (in_path) buf_putc(out, '.');
    buf_add(out, text, len);
  } else {
    buf_putc(out, '[');
    show(L, index, out, SHOWN_LEVELS);
    buf_putc(out, ']');
  }
}

/* ---- tables ---- */

static bool comes_before(lua_State *L, int a, int b) {
  int x = lua_type(L, a), y = lua_type(L, b);
  if (x != y) return x < y;
  return (x == LUA_TNUMBER || x == LUA_TSTRING) && lua_compare(L, a, b, LUA_OPLT);
}

/* Pushes a list of those keys of the table at index that are not 1 to n, in order. */
static void push_keys(lua_State *L, int index, lua_Integer n) {
  lua_newtable(L);
  int keys = lua_gettop(L);
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pop(L, 1);
    if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= n) continue;
    if (count == SHOWN_FIELDS) {
      lua_pop(L, 1);
      break;
    }
    lua_Integer place = ++count;
    for (; place > 1; place--) {
      lua_rawgeti(L, keys, place - 1);
      bool moves = comes_before(L, -2, -1);
      if (!moves) {
        lua_pop(L, 1);
        break;
      }
      lua_rawseti(L, keys, place);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, keys, place);
  }
}

static void show_fields(lua_State *L, int index, struct buf *out, int level, bool first) {
  int keys = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, keys);
  for (lua_Integer i = 1; i <= count; i++) {
    if (!first) buf_puts(out, ", ");
    first = false;
    lua_rawgeti(L, keys, i);
    show_key(L, lua_gettop(L), out, false);
    buf_puts(out, " = ");
    lua_rawget(L, index);
    show(L, lua_gettop(L), out, level + 1);
    lua_pop(L, 1);
    if (out->len >= SHOWN_BYTES) break;
  }
  if (count == SHOWN_FIELDS) buf_puts(out, ", …");
}

static void show_table(lua_State *L, int index, struct buf *out, int level) {
  luaL_checkstack(L, 10, NULL);
  if (level >= SHOWN_LEVELS) {
    buf_puts(out, "{…}");
    return;
  }
  lua_Integer n = (lua_Integer)lua_rawlen(L, index), shown = n < SHOWN_FIELDS ? n : SHOWN_FIELDS;
  buf_putc(out, '{');
  for (lua_Integer i = 1; i <= shown && out->len < SHOWN_BYTES; i++) {
    if (i > 1) buf_puts(out, ", ");
    lua_rawgeti(L, index, i);
    show(L, lua_gettop(L), out, level + 1);
    lua_pop(L, 1);
  }
  if (shown < n) buf_puts(out, ", …");
  push_keys(L, index, n);
  show_fields(L, index, out, level, n == 0);
  lua_pop(L, 1);
  buf_putc(out, '}');
}

static void show(lua_State *L, int index, struct buf *out, int level) {
  size_t len;
  const char *text;
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    text = lua_tolstring(L, index, &len);
    show_string(text, len, out);
    break;
  case LUA_TTABLE: show_table(L, index, out, level); break;
  case LUA_TLIGHTUSERDATA: buf_puts(out, lua_touserdata(L, index) ? "userdata" : "moonkeep.null"); break;
  case LUA_TNUMBER:
  case LUA_TBOOLEAN:
  case LUA_TNIL:
    buf_puts(out, luaL_tolstring(L, index, NULL));
    lua_pop(L, 1);
    break;
  default: buf_printf(out, "(a %s)", luaL_typename(L, index));
  }
}

void show_value(lua_State *L, int index, struct buf *out) {
  size_t before = out->len;
  show(L, lua_absindex(L, index), out, 0);
  if (out->len - before <= SHOWN_BYTES) return;
  out->len = before + SHOWN_BYTES;
  while (out->len > before && ((unsigned char)out->data[out->len] & 0xC0) == 0x80) out->len--;
  buf_puts(out, "…");
}

/* ---- comparing ---- */

static bool is_nan(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TNUMBER && !lua_rawequal(L, index, index);
}

/* The key on top leads to the two below it, which are different: `path` gets one more step in front. */
static void put_step(lua_State *L, int key, struct buf *path) {
  struct buf rest = *path;
  *path = (struct buf){0};
  show_key(L, key, path, true);
  buf_add(path, rest.data, rest.len);
  buf_deinit(&rest);
}

static bool equal(lua_State *L, int a, int b, struct buf *path, int level);

/* Compares the fields of a with those of b; where `back`, only whether b has them. */
static bool fields_equal(lua_State *L, int a, int b, bool back, struct buf *path, int level) {
  for (lua_pushnil(L); lua_next(L, a);) {
    int key = lua_gettop(L) - 1;
    lua_pushvalue(L, key);
    bool there = lua_rawget(L, b) != LUA_TNIL;
    if (back && !there) {
      lua_insert(L, -2);
      put_step(L, key, path);
      return false;
    }
    if (!back && !equal(L, key + 1, key + 2, path, level)) {
      put_step(L, key, path);
      return false;
    }
    lua_settop(L, key);
  }
  return true;
}

static bool equal(lua_State *L, int a, int b, struct buf *path, int level) {
  luaL_checkstack(L, 12, "the values are too deep");
  if (level > LEVELS) luaL_error(L, "the values are over %d levels deep, or cycles", LEVELS);
  if (lua_rawequal(L, a, b) || (is_nan(L, a) && is_nan(L, b))) return true;
  if (!lua_istable(L, a) || !lua_istable(L, b)) {
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    return false;
  }
  return fields_equal(L, a, b, false, path, level + 1) && fields_equal(L, b, a, true, path, level + 1);
}

bool show_equal(lua_State *L, int a, int b, struct buf *path) {
  return equal(L, lua_absindex(L, a), lua_absindex(L, b), path, 0);
}
