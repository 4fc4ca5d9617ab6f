#include "script/written.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "script/value.h"

enum { COLUMNS = 76, LEVELS = 8, ITEMS = 200, MOST_BYTES = 256 << 10 };

struct writer {
  lua_State *L;
  struct buf *out;
  int depth;
  bool flat; /* on one line, and given up when it gets long */
  size_t begun;
};

static void put_value(struct writer *writer, int index);

/* ---- scalars ---- */

static void put_byte(struct buf *out, unsigned char c) {
  static const char escaped[] = "\a\b\t\n\v\f\r\"\\", letters[] = "abtnvfr\"\\";
  const char *found = c ? memchr(escaped, c, sizeof escaped - 1) : NULL;
  if (found)
    buf_printf(out, "\\%c", letters[found - escaped]);
  else
    buf_printf(out, "\\x%02x", c);
}

static void put_string(struct buf *out, const char *text, size_t len) {
  buf_putc(out, '"');
  while (len > 0) {
    size_t valid = utf8_valid(text, len);
    for (size_t i = 0; i < valid; i++) {
      unsigned char c = (unsigned char)text[i];
      if (c < 0x20 || c == 0x7F || c == '"' || c == '\\')
        put_byte(out, c);
      else
        buf_putc(out, (char)c);
    }
    if (valid < len) put_byte(out, (unsigned char)text[valid++]);
    text += valid;
    len -= valid;
  }
  buf_putc(out, '"');
}

static void put_number(lua_State *L, int index, struct buf *out) {
  if (lua_isinteger(L, index)) {
    json_put_integer(out, lua_tointeger(L, index));
    return;
  }
  double number = lua_tonumber(L, index);
  if (isnan(number))
    buf_puts(out, "0/0");
  else if (isinf(number))
    buf_puts(out, number > 0 ? "math.huge" : "-math.huge");
  else
    json_put_float(out, number);
}

/* What cannot be written: its kind, and which it is; inside a table as a comment. */
static void put_other(struct writer *writer, int index) {
  lua_State *L = writer->L;
  const char *name = luaL_typename(L, index);
  bool named = luaL_getmetafield(L, index, "__name") != LUA_TNIL;
  if (named && lua_type(L, -1) == LUA_TSTRING) name = lua_tostring(L, -1);
  if (writer->depth > 0)
    buf_printf(writer->out, "nil --[[ %s ]]", name);
  else
    buf_printf(writer->out, "%s: %p", name, lua_topointer(L, index));
  if (named) lua_pop(L, 1);
}

/* ---- tables ---- */

static bool is_name(const char *text, size_t len) {
  static const char *const words[] = {"and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
                                      "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
                                      "repeat",   "return", "then", "true", "until",  "while"};
  if (len == 0 || (text[0] >= '0' && text[0] <= '9')) return false;
  for (size_t i = 0; i < len; i++)
    if (!strchr("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", text[i]) || !text[i])
      return false;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i], text) == 0) return false;
  return true;
}

static bool is_long(const struct writer *writer) {
  return (writer->flat && writer->out->len - writer->begun > COLUMNS) || writer->out->len > MOST_BYTES;
}

static void put_between(struct writer *writer, size_t count) {
  if (count > 0) buf_putc(writer->out, ',');
  if (!writer->flat)
    buf_printf(writer->out, "\n%*s", writer->depth * 2, "");
  else if (count > 0)
    buf_putc(writer->out, ' ');
}

static void put_key(struct writer *writer, int index) {
  size_t len;
  const char *text = lua_type(writer->L, index) == LUA_TSTRING ? lua_tolstring(writer->L, index, &len) : NULL;
  if (text && is_name(text, len)) {
    buf_add(writer->out, text, len);
    buf_puts(writer->out, " = ");
    return;
  }
  buf_putc(writer->out, '[');
  if (lua_type(writer->L, index) == LUA_TTABLE)
    buf_puts(writer->out, "nil --[[ table ]]");
  else
    put_value(writer, index);
  buf_puts(writer->out, "] = ");
}

/* Of the two keys on top: numbers come before strings, and these before what has no order. */
static bool is_less(lua_State *L) {
  int a = lua_type(L, -2), b = lua_type(L, -1);
  if (a != b) return a == LUA_TNUMBER || (a == LUA_TSTRING && b != LUA_TNUMBER);
  return (a == LUA_TNUMBER || a == LUA_TSTRING) && lua_compare(L, -2, -1, LUA_OPLT);
}

/* Pushes an array of the table's keys that are not 1..array, sorted by insertion: they are few. */
static size_t push_keys(lua_State *L, int table, lua_Integer array, size_t *left_out) {
  size_t count = 0;
  lua_newtable(L);
  int keys = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table);) {
    lua_pop(L, 1);
    if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= array) continue;
    if (count >= ITEMS) {
      ++*left_out;
      continue;
    }
    size_t at = count++;
    for (; at > 0; at--) {
      lua_pushvalue(L, -1);
      lua_rawgeti(L, keys, (lua_Integer)at);
      bool before = is_less(L);
      if (before)
        lua_rawseti(L, keys, (lua_Integer)at + 1);
      else
        lua_pop(L, 1);
      lua_pop(L, 1);
      if (!before) break;
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, keys, (lua_Integer)at + 1);
  }
  return count;
}

static size_t put_array(struct writer *writer, int table, lua_Integer array, size_t *left_out) {
  size_t count = 0;
  for (lua_Integer i = 1; i <= array && !is_long(writer); i++) {
    if (count >= ITEMS) {
      *left_out += (size_t)(array - i + 1);
      break;
    }
    put_between(writer, count++);
    lua_rawgeti(writer->L, table, i);
    put_value(writer, lua_gettop(writer->L));
    lua_pop(writer->L, 1);
  }
  return count;
}

static void put_items(struct writer *writer, int table) {
  lua_State *L = writer->L;
  size_t left_out = 0;
  lua_Integer array = (lua_Integer)lua_rawlen(L, table);
  size_t count = put_array(writer, table, array, &left_out);
  size_t keys = push_keys(L, table, array, &left_out);
  int list = lua_gettop(L);
  for (size_t i = 1; i <= keys && !is_long(writer); i++) {
    put_between(writer, count++);
    lua_rawgeti(L, list, (lua_Integer)i);
    put_key(writer, lua_gettop(L));
    lua_rawget(L, table);
    put_value(writer, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (left_out == 0) return;
  put_between(writer, 0);
  buf_printf(writer->out, " --[[ and %zu more ]]", left_out);
}

static void put_body(struct writer *writer, int table) {
  buf_putc(writer->out, '{');
  writer->depth++;
  size_t inside = writer->out->len;
  put_items(writer, table);
  writer->depth--;
  if (!writer->flat && writer->out->len > inside) buf_printf(writer->out, "\n%*s", writer->depth * 2, "");
  buf_putc(writer->out, '}');
}

/* On one line where it fits, otherwise an item a line. */
static void put_table(struct writer *writer, int table) {
  struct writer flat = *writer;
  if (writer->depth >= LEVELS) {
    buf_puts(writer->out, "{ --[[ deeper ]] }");
    return;
  }
  luaL_checkstack(writer->L, 12, NULL);
  if (value_is_marked(writer->L, table) && lua_rawlen(writer->L, table) == 0)
    buf_puts(writer->out, "moonkeep.array");
  if (writer->flat) {
    put_body(writer, table);
    return;
  }
  flat.flat = true;
  flat.begun = writer->out->len;
  put_body(&flat, table);
  if (!is_long(&flat)) return;
  writer->out->len = flat.begun;
  put_body(writer, table);
}

static void put_value(struct writer *writer, int index) {
  lua_State *L = writer->L;
  struct buf *out = writer->out;
  size_t len;
  switch (lua_type(L, index)) {
  case LUA_TNIL: buf_puts(out, "nil"); break;
  case LUA_TBOOLEAN: buf_puts(out, lua_toboolean(L, index) ? "true" : "false"); break;
  case LUA_TNUMBER: put_number(L, index, out); break;
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, index, &len);
    put_string(out, text, len < MOST_BYTES ? len : MOST_BYTES);
    break;
  }
  case LUA_TTABLE: put_table(writer, index); break;
  case LUA_TLIGHTUSERDATA:
    if (!lua_touserdata(L, index)) {
      buf_puts(out, "moonkeep.null");
      break;
    }
    put_other(writer, index);
    break;
  default: put_other(writer, index);
  }
}

void written_put(lua_State *L, int index, struct buf *out) {
  struct writer writer = {.L = L, .out = out};
  luaL_checkstack(L, 12, NULL);
  put_value(&writer, lua_absindex(L, index));
  if (out->len > MOST_BYTES) buf_puts(out, " --[[ cut off here ]]");
}
