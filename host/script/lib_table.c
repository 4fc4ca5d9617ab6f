/* Lua's table library, with what loops for as long as a table says written anew, so that it answers to the
 * CPU budget: a table may say anything (__len), and its fields may be C functions' (__index).
 *
 *   concat(t [, sep [, i [, j]]])  insert(t, [pos,] value)  move(a, f, e, t [, b])  remove(t [, pos])
 *   sort(t [, less])               as in Lua; equal items may come in another order
 *   pack unpack                    Lua's own: they are bounded by its stack
 */
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>

#include "script/budget.h"
#include "script/lib.h"

enum { STEPS_A_LOOK = 1000 }; /* at the budget */

enum { READ = 1, WRITE = 2, LENGTH = 4 }; /* what is done with the table */

static void step(lua_State *L, unsigned *steps) {
  if (++*steps % STEPS_A_LOOK == 0) budget_check(L);
}

/* Whether the metatable on top has the field. */
static bool has(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  bool has = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* What is no table has to behave like one. */
static void check_table(lua_State *L, int arg, int uses) {
  if (lua_type(L, arg) == LUA_TTABLE) return;
  if (lua_getmetatable(L, arg)) {
    bool will_do = (!(uses & READ) || has(L, "__index")) && (!(uses & WRITE) || has(L, "__newindex")) &&
                   (!(uses & LENGTH) || has(L, "__len"));
    lua_pop(L, 1);
    if (will_do) return;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
}

static lua_Integer check_length(lua_State *L, int arg, int uses) {
  check_table(L, arg, uses | LENGTH);
  return luaL_len(L, arg);
}

/* ---- concat, insert, remove, move ---- */

static void add_item(lua_State *L, luaL_Buffer *out, lua_Integer index) {
  lua_geti(L, 1, index);
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1),
               (LUAI_UACINT)index);
  luaL_addvalue(out);
}

static int table_concat(lua_State *L) {
  unsigned steps = 0;
  size_t sep_len;
  luaL_Buffer out;
  lua_Integer last = check_length(L, 1, READ);
  const char *sep = luaL_optlstring(L, 2, "", &sep_len);
  lua_Integer at = luaL_optinteger(L, 3, 1);
  last = luaL_optinteger(L, 4, last);
  luaL_buffinit(L, &out);
  for (; at < last; at++) {
    add_item(L, &out, at);
    luaL_addlstring(&out, sep, sep_len);
    step(L, &steps);
  }
  if (at == last) add_item(L, &out, at);
  luaL_pushresult(&out);
  return 1;
}

static int table_insert(lua_State *L) {
  unsigned steps = 0;
  lua_Integer end = (lua_Integer)((lua_Unsigned)check_length(L, 1, READ | WRITE) + 1), pos = end;
  int args = lua_gettop(L);
  if (args != 2 && args != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
  if (args == 3) {
    pos = luaL_checkinteger(L, 2);
    luaL_argcheck(L, (lua_Unsigned)pos - 1 < (lua_Unsigned)end, 2, "position out of bounds");
  }
  for (lua_Integer at = end; at > pos; at--) {
    lua_geti(L, 1, at - 1);
    lua_seti(L, 1, at);
    step(L, &steps);
  }
  lua_seti(L, 1, pos);
  return 0;
}

static int table_remove(lua_State *L) {
  unsigned steps = 0;
  lua_Integer size = check_length(L, 1, READ | WRITE), pos = luaL_optinteger(L, 2, size);
  if (lua_gettop(L) >= 2 && pos != size)
    luaL_argcheck(L, (lua_Unsigned)pos - 1 <= (lua_Unsigned)size, 1, "position out of bounds");
  lua_geti(L, 1, pos);
  for (; pos < size; pos++) {
    lua_geti(L, 1, pos + 1);
    lua_seti(L, 1, pos);
    step(L, &steps);
  }
  lua_pushnil(L);
  lua_seti(L, 1, pos);
  return 1;
}

/* Backwards where the new place overlaps with items that are still to be read. */
static void move_items(lua_State *L, lua_Integer from, lua_Integer count, lua_Integer to, int target,
                       bool backwards) {
  unsigned steps = 0;
  for (lua_Integer i = 0; i < count; i++) {
    lua_Integer at = backwards ? count - 1 - i : i;
    lua_geti(L, 1, from + at);
    lua_seti(L, target, to + at);
    step(L, &steps);
  }
}

static int table_move(lua_State *L) {
  lua_Integer from = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
  int target = lua_isnoneornil(L, 5) ? 1 : 5;
  check_table(L, 1, READ);
  check_table(L, target, WRITE);
  if (end >= from) {
    luaL_argcheck(L, from > 0 || end < LUA_MAXINTEGER + from, 3, "too many elements to move");
    lua_Integer count = end - from + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    bool apart = to > end || to <= from || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
    move_items(L, from, count, to, target, !apart);
  }
  lua_pushvalue(L, target);
  return 1;
}

/* ---- sort ---- */

/* The stack has the table at 1 and, or nil, the function at 2; items are compared where they lie on it. */
struct sort {
  lua_State *L;
  unsigned steps;
  bool by_function;
};

static bool less(struct sort *sort, int a, int b) {
  lua_State *L = sort->L;
  step(L, &sort->steps);
  if (!sort->by_function) return lua_compare(L, a, b, LUA_OPLT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a < 0 ? a - 1 : a);
  lua_pushvalue(L, b < 0 ? b - 2 : b);
  lua_call(L, 2, 1);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}

/* Sets items a and b to the two on top, the one on top to a. */
static void put_two(lua_State *L, lua_Integer a, lua_Integer b) {
  lua_seti(L, 1, a);
  lua_seti(L, 1, b);
}

/* Puts two items in order; leaves nothing. */
static void order(struct sort *sort, lua_Integer low, lua_Integer high) {
  lua_State *L = sort->L;
  lua_geti(L, 1, low);
  lua_geti(L, 1, high);
  if (less(sort, -1, -2))
    put_two(L, low, high);
  else
    lua_pop(L, 2);
}

static void wrong_order(lua_State *L) {
  luaL_error(L, "invalid order function for sorting");
}

/* The items from low to high, of which both ends and the middle are in order, are parted around the middle
 * one: what is left of the place that this returns is not greater, what is right of it not less. */
static lua_Integer part(struct sort *sort, lua_Integer low, lua_Integer high, lua_Integer middle) {
  lua_State *L = sort->L;
  lua_Integer left = low, right = high - 1;
  lua_geti(L, 1, middle);
  lua_pushvalue(L, -1);
  lua_geti(L, 1, right);
  put_two(L, middle, right); /* the pivot waits at the right end, and stays on the stack */
  for (;;) {
    while (lua_geti(L, 1, ++left), less(sort, -1, -2)) {
      if (left == high - 1) wrong_order(L);
      lua_pop(L, 1);
    }
    while (lua_geti(L, 1, --right), less(sort, -3, -1)) {
      if (right < left) wrong_order(L);
      lua_pop(L, 1);
    }
    if (right < left) break;
    put_two(L, left, right);
  }
  lua_pop(L, 1); /* the right one; the left one changes places with the pivot */
  put_two(L, high - 1, left);
  return left;
}

/* Somewhere between a quarter and three quarters: a list that is made to be slow would have to know where. */
static lua_Integer middle_of(lua_Integer low, lua_Integer high) {
  lua_Unsigned size = (lua_Unsigned)(high - low);
  if (size < 100) return low + (lua_Integer)(size / 2);
  lua_Unsigned mixed = ((lua_Unsigned)low ^ size) * 0x9E3779B97F4A7C15u >> 33;
  return low + (lua_Integer)(size / 4 + mixed % (size / 2));
}

/* The longer side goes on in the loop, so that the depth is the logarithm of the length. */
static void sort_range(struct sort *sort, lua_Integer low, lua_Integer high) {
  luaL_checkstack(sort->L, 20, "table.sort");
  while (low < high) {
    order(sort, low, high);
    if (high - low == 1) return;
    lua_Integer middle = middle_of(low, high);
    order(sort, low, middle);
    order(sort, middle, high);
    if (high - low == 2) return;
    lua_Integer place = part(sort, low, high, middle);
    if (place - low < high - place) {
      sort_range(sort, low, place - 1);
      low = place + 1;
    } else {
      sort_range(sort, place + 1, high);
      high = place - 1;
    }
  }
}

static int table_sort(lua_State *L) {
  lua_Integer size = check_length(L, 1, READ | WRITE);
  if (size <= 1) return 0;
  luaL_argcheck(L, size < INT_MAX, 1, "array too big");
  struct sort sort = {.L = L, .by_function = !lua_isnoneornil(L, 2)};
  if (sort.by_function) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  sort_range(&sort, 1, size);
  return 0;
}

static const luaL_Reg functions[] = {{"concat", table_concat}, {"insert", table_insert}, {"move", table_move},
                                     {"remove", table_remove}, {"sort", table_sort},     {NULL, NULL}};

void lib_open_table(lua_State *L) {
  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
