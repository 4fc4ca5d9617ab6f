/* Lua's string library, with its long-running parts written anew so that they answer to the CPU budget.
 *
 *   find(s, pattern [, init [, plain]])  match(s, pattern [, init])  gmatch(s, pattern [, init])
 *   gsub(s, pattern, repl [, n])  rep(s, n [, sep])   as in Lua
 *   format(format, …)                    as in Lua; refuses what would take very long
 *   byte char len lower upper reverse sub pack packsize unpack   Lua's own
 *
 * There is no dump, and the metatable of strings is locked, but for trusted scripts.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <limits.h>
#include <string.h>

#include "script/lib.h"
#include "script/match.h"

/* ---- find and match ---- */

/* Where to begin, from 0: `init` counts from 1, or from the end where it is negative. */
static size_t check_init(lua_State *L, int arg, size_t len) {
  lua_Integer init = luaL_optinteger(L, arg, 1);
  if (init > 0) return (size_t)init - 1;
  if (init == 0 || init < -(lua_Integer)len) return 0;
  return len - (size_t)-init;
}

static bool is_plain(const char *pattern, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) return false;
  return true;
}

/* memmem takes linear time, whatever the texts. */
static int find_plain(lua_State *L, const char *s, size_t len, size_t init, const char *what,
                      size_t what_len) {
  const char *at = what_len ? memmem(s + init, len - init, what, what_len) : s + init;
  if (!at) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, at - s + 1);
  lua_pushinteger(L, at - s + (lua_Integer)what_len);
  return 2;
}

static int push_found(lua_State *L, struct match *match, bool find, const char *from, const char *to) {
  if (!find) return match_push_all(match, from, to);
  lua_pushinteger(L, from - match->text + 1);
  lua_pushinteger(L, to - match->text);
  return match_push_all(match, NULL, NULL) + 2;
}

static int find_or_match(lua_State *L, bool find) {
  size_t len, pattern_len;
  struct match match;
  const char *s = luaL_checklstring(L, 1, &len), *pattern = luaL_checklstring(L, 2, &pattern_len);
  size_t init = check_init(L, 3, len);
  if (init > len) {
    lua_pushnil(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_len)))
    return find_plain(L, s, len, init, pattern, pattern_len);
  bool anchored = *pattern == '^';
  match_init(&match, s, len, pattern + anchored, pattern_len - anchored);
  for (const char *from = s + init; from <= s + len; from++) {
    const char *to = match_at(&match, L, from);
    if (to) return push_found(L, &match, find, from, to);
    if (anchored) break;
  }
  lua_pushnil(L);
  return 1;
}

static int string_find(lua_State *L) {
  return find_or_match(L, true);
}

static int string_match(lua_State *L) {
  return find_or_match(L, false);
}

/* ---- gmatch ---- */

struct matches { /* upvalue 3 of the iterator; 1 and 2 keep the texts */
  struct match match;
  const char *next;
  const char *last_end; /* of the match before; NULL: none. No match ends there again */
};

static int gmatch_next(lua_State *L) {
  struct matches *all = lua_touserdata(L, lua_upvalueindex(3));
  for (const char *from = all->next; from <= all->match.text_end; from++) {
    const char *to = match_at(&all->match, L, from);
    if (!to || to == all->last_end) continue;
    all->next = all->last_end = to;
    return match_push_all(&all->match, from, to);
  }
  return 0;
}

static int string_gmatch(lua_State *L) {
  size_t len, pattern_len;
  const char *s = luaL_checklstring(L, 1, &len), *pattern = luaL_checklstring(L, 2, &pattern_len);
  size_t init = check_init(L, 3, len);
  lua_settop(L, 2);
  struct matches *all = lua_newuserdatauv(L, sizeof *all, 0);
  match_init(&all->match, s, len, pattern, pattern_len);
  all->next = s + (init > len ? len + 1 : init);
  all->last_end = NULL;
  lua_pushcclosure(L, gmatch_next, 3);
  return 1;
}

/* ---- gsub ---- */

/* Appends the replacement text at index 3, with %0 to %9 filled in. */
static void add_filled(struct match *match, luaL_Buffer *out, const char *from, const char *to) {
  lua_State *L = match->L;
  size_t len;
  const char *text = lua_tolstring(L, 3, &len), *end = text + len;
  for (const char *mark; (mark = memchr(text, '%', (size_t)(end - text))); text = mark + 2) {
    luaL_addlstring(out, text, (size_t)(mark - text));
    if (mark[1] == '%') {
      luaL_addchar(out, '%');
    } else if (mark[1] == '0') {
      luaL_addlstring(out, from, (size_t)(to - from));
    } else if (isdigit((unsigned char)mark[1])) {
      match_push(match, mark[1] - '1', from, to);
      luaL_tolstring(L, -1, NULL); /* a position becomes text */
      lua_remove(L, -2);
      luaL_addvalue(out);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
  }
  luaL_addlstring(out, text, (size_t)(end - text));
}

/* Appends what the match becomes; false: it stays as it is. */
static bool add_replaced(struct match *match, luaL_Buffer *out, int type, const char *from, const char *to) {
  lua_State *L = match->L;
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, match_push_all(match, from, to), 1);
  } else if (type == LUA_TTABLE) {
    match_push(match, 0, from, to);
    lua_gettable(L, 3);
  } else {
    add_filled(match, out, from, to);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(out, from, (size_t)(to - from));
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(out);
  return true;
}

/* Appends the text with up to `most` matches replaced; says how many, and whether anything has changed. */
static lua_Integer replace_all(struct match *match, lua_State *L, luaL_Buffer *out, lua_Integer most,
                               bool anchored, bool *changed) {
  int type = lua_type(L, 3);
  lua_Integer count = 0;
  const char *at = match->text, *last_end = NULL;
  while (count < most) {
    const char *to = match_at(match, L, at);
    if (to && to != last_end) {
      count++;
      *changed |= add_replaced(match, out, type, at, to);
      at = last_end = to;
    } else if (at < match->text_end) {
      luaL_addchar(out, *at++);
    } else {
      break;
    }
    if (anchored) break;
  }
  luaL_addlstring(out, at, (size_t)(match->text_end - at));
  return count;
}

static int string_gsub(lua_State *L) {
  size_t len, pattern_len;
  struct match match;
  luaL_Buffer out;
  bool changed = false;
  const char *s = luaL_checklstring(L, 1, &len), *pattern = luaL_checklstring(L, 2, &pattern_len);
  int type = lua_type(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)len + 1);
  luaL_argexpected(L,
                   type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
                   3, "string/function/table");
  bool anchored = *pattern == '^';
  match_init(&match, s, len, pattern + anchored, pattern_len - anchored);
  luaL_buffinit(L, &out);
  lua_Integer count = replace_all(&match, L, &out, most, anchored, &changed);
  luaL_pushresult(&out);
  if (!changed) lua_pushvalue(L, 1); /* the same string, not a copy of it */
  lua_pushinteger(L, count);
  return 2;
}

/* ---- rep and format ---- */

/* Fills the room with the unit again and again; the room begins with one. */
static void fill(char *room, size_t unit, size_t total) {
  for (size_t done = unit; done < total; done *= 2)
    memcpy(room + done, room, done < total - done ? done : total - done);
}

static int string_rep(lua_State *L) {
  size_t len, sep_len;
  luaL_Buffer out;
  const char *s = luaL_checklstring(L, 1, &len);
  lua_Integer n = luaL_checkinteger(L, 2);
  const char *sep = luaL_optlstring(L, 3, "", &sep_len);
  size_t unit = len + sep_len;
  if (n <= 0 || unit == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  if (unit < len || unit > INT_MAX / (size_t)n) return luaL_error(L, "resulting string too large");
  size_t total = (size_t)n * unit - sep_len;
  char *room = luaL_buffinitsize(L, &out, total);
  memcpy(room, s, len);
  if (n > 1) {
    memcpy(room + len, sep, sep_len);
    fill(room, unit, total);
  }
  luaL_pushresultsize(&out, total);
  return 1;
}

/* No conversion costs more than this many bytes would, beside the longest of the arguments. */
enum { CONVERSION_BYTES = 4096, FORMAT_BYTES = 256 << 20 };

/* upvalue: Lua's own. It is called in this frame, as if it were this function. */
static int string_format(lua_State *L) {
  size_t len, longest = 0, conversions = 0;
  const char *at = luaL_checklstring(L, 1, &len), *end = at + len;
  while ((at = memchr(at, '%', (size_t)(end - at)))) {
    conversions++;
    at++;
  }
  for (int i = lua_gettop(L); i > 1; i--)
    if (lua_type(L, i) == LUA_TSTRING && lua_rawlen(L, i) > longest) longest = lua_rawlen(L, i);
  if (conversions > 1 && conversions > FORMAT_BYTES / (longest + CONVERSION_BYTES))
    return luaL_error(L, "string.format: the format has too many conversions for such long arguments");
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static const luaL_Reg functions[] = {{"find", string_find},     {"match", string_match},
                                     {"gmatch", string_gmatch}, {"gsub", string_gsub},
                                     {"rep", string_rep},       {NULL, NULL}};

/* Of the library on top. */
static void seal(lua_State *L) {
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

void lib_open_string(lua_State *L) {
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  luaL_setfuncs(L, functions, 0);
  lua_getfield(L, -1, "format");
  lua_pushcclosure(L, string_format, 1);
  lua_setfield(L, -2, "format");
  if (!lib_trusts(L)) seal(L);
  lua_pop(L, 1);
}
