/* Reading many keys.
 *
 *   store:select(pattern [, {limit=, after=}])        array of {key=, value=, expires_at=}, in key order
 *   store:selectValue(pattern [, {limit=, after=}])   array of values
 *   store:keys(pattern [, {limit=, after=}])          array of keys
 *   store:count(pattern)                              a number
 *   for key, value in store:each(pattern) do          page by page
 */
#include <lauxlib.h>
#include <string.h>

#include "script/call.h"
#include "script/fault.h"
#include "script/guess.h"
#include "script/lib.h"
#include "script/lib_store.h"
#include "script/value.h"

#ifndef EACH_PAGE_ROWS
#define EACH_PAGE_ROWS 512 /* tests make it small */
#endif
#define EACH_PAGE_BYTES (256u << 10)

/* ---- options and the call ---- */

struct range {
  uint64_t limit;
  const char *after; /* on the stack, in the options */
  size_t after_len;
  bool limited;
};

static enum moonkeep_code take_limit(lua_State *L, struct range *range, struct err *err) {
  int whole;
  lua_Integer limit = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : (whole = 0);
  if (!whole || limit < 0) return err_set(err, MOONKEEP_INVALID_VALUE, "limit is no whole number from 0 up");
  range->limit = (uint64_t)limit;
  range->limited = true;
  return MOONKEEP_OK;
}

static enum moonkeep_code take_after(lua_State *L, struct range *range, struct err *err) {
  if (lua_type(L, -1) != LUA_TSTRING)
    return err_set(err, MOONKEEP_INVALID_VALUE, "after is %s, not a string", lib_a_type(L, -1));
  range->after = lua_tolstring(L, -1, &range->after_len);
  return MOONKEEP_OK;
}

static enum moonkeep_code take_option(lua_State *L, struct range *range, struct err *err) {
  char near[96];
  struct guess guess;
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
  if (strcmp(name, "limit") == 0) return take_limit(L, range, err);
  if (strcmp(name, "after") == 0) return take_after(L, range, err);
  guess_init(&guess, name);
  guess_try(&guess, "limit");
  guess_try(&guess, "after");
  return err_set(err, MOONKEEP_INVALID_VALUE, "there is no option \"%.100s\"%s", name,
                 guess_text(&guess, near));
}

static void check_range(lua_State *L, int index, struct bucket *bucket, const char *method,
                        struct range *range) {
  struct err err = {.code = MOONKEEP_OK};
  *range = (struct range){0};
  if (lua_isnoneornil(L, index)) return;
  if (!lua_istable(L, index))
    err_set(&err, MOONKEEP_INVALID_VALUE, "options is %s, not a table", lib_a_type(L, index));
  for (lua_pushnil(L); err.code == MOONKEEP_OK && lua_next(L, index); lua_pop(L, 1))
    if (take_option(L, range, &err) != MOONKEEP_OK) break;
  if (err.code != MOONKEEP_OK) store_fail(L, bucket, method, NULL, 0, &err);
}

static struct store_call *begin_scan(lua_State *L, struct bucket *bucket, const char *pattern, size_t len,
                                     const struct range *range) {
  struct store_call *call = call_begin(L, STORE_SCAN, bucket, NULL, 0);
  bool ok = store_call_pattern(call, pattern, len);
  if (ok && range->after) ok = store_call_after(call, range->after, range->after_len);
  if (!ok) fault(L, MOONKEEP_MEMORY, "%s: out of memory", bucket_name(bucket));
  call->limit = range->limit;
  return call;
}

/* ---- results ---- */

static void push_found_key(lua_State *L, const struct store_call *call, size_t row) {
  const struct store_found *found = &call->found_rows[row];
  lua_pushlstring(L, call->text.data + found->key, found->key_len);
}

static void push_found_value(lua_State *L, const struct store_call *call, const char *method, size_t row) {
  const struct store_found *found = &call->found_rows[row];
  store_push(L, call->bucket, method, call->text.data + found->json, found->json_len);
}

static void push_seconds(lua_State *L, int64_t ms) {
  if (ms % 1000 == 0)
    lua_pushinteger(L, ms / 1000);
  else
    lua_pushnumber(L, (lua_Number)ms / 1000);
}

static void push_row(lua_State *L, const struct store_call *call, size_t row) {
  int64_t expires_at_ms = call->found_rows[row].expires_at_ms;
  lua_createtable(L, 0, expires_at_ms ? 3 : 2);
  push_found_key(L, call, row);
  lua_setfield(L, -2, "key");
  push_found_value(L, call, "select", row);
  lua_setfield(L, -2, "value");
  if (!expires_at_ms) return;
  push_seconds(L, expires_at_ms);
  lua_setfield(L, -2, "expires_at");
}

/* An array of `count` items to come: marked as one, so that it stays one when it is stored empty. */
static void push_array(lua_State *L, size_t count) {
  lua_createtable(L, (int)count, 0);
  value_mark_array(L, -1);
}

/* A result that is larger than the script may be has ended early, instead of filling the host's memory. */
static const struct store_call *whole_answer(lua_State *L, const char *method) {
  const struct store_call *call = call_answer(L, method);
  if (call->page_bytes && call->more && call->text.len >= call->page_bytes)
    fault(L, MOONKEEP_MEMORY, "%s:%s: there is not enough memory for all of it; use each, or limit and after",
          bucket_name(call->bucket), method);
  return call;
}

static int select_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const struct store_call *call = whole_answer(L, "select");
  push_array(L, call->found_count);
  for (size_t i = 0; i < call->found_count; i++) {
    push_row(L, call, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  waiter_drop(waiter_of(L));
  return 1;
}

static int selectValue_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const struct store_call *call = whole_answer(L, "selectValue");
  push_array(L, call->found_count);
  for (size_t i = 0; i < call->found_count; i++) {
    push_found_value(L, call, "selectValue", i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  waiter_drop(waiter_of(L));
  return 1;
}

static int keys_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const struct store_call *call = whole_answer(L, "keys");
  push_array(L, call->found_count);
  for (size_t i = 0; i < call->found_count; i++) {
    push_found_key(L, call, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  waiter_drop(waiter_of(L));
  return 1;
}

static int count_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_pushinteger(L, (lua_Integer)call_answer(L, "count")->count);
  waiter_drop(waiter_of(L));
  return 1;
}

/* ---- the methods ---- */

/* (store, pattern, options) */
static int scan(lua_State *L, const char *method, enum store_want want, lua_KFunction finish) {
  size_t len;
  struct range range;
  struct bucket *bucket = store_check(L, method);
  lua_settop(L, 3);
  const char *pattern = store_check_pattern_at(L, 2, bucket, method, &len);
  check_range(L, 3, bucket, method, &range);
  if (range.limited && range.limit == 0) {
    push_array(L, 0);
    return 1;
  }
  call_await_room(L);
  struct store_call *call = begin_scan(L, bucket, pattern, len, &range);
  call->want = want;
  call->page_bytes = script_of(L)->limit_bytes;
  return call_run(L, finish);
}

static int store_select(lua_State *L) {
  return scan(L, "select", STORE_ROWS, select_end);
}

static int store_selectValue(lua_State *L) {
  return scan(L, "selectValue", STORE_ROWS, selectValue_end);
}

static int store_keys(lua_State *L) {
  return scan(L, "keys", STORE_KEYS, keys_end);
}

static int store_count(lua_State *L) {
  size_t len;
  static const struct range all;
  struct bucket *bucket = store_check(L, "count");
  call_await_room(L);
  const char *pattern = store_check_pattern_at(L, 2, bucket, "count", &len);
  begin_scan(L, bucket, pattern, len, &all)->want = STORE_COUNT;
  return call_run(L, count_end);
}

/* ---- each ---- */

/* The iterator's state: a userdata whose user values are the page's keys, its values, the pattern and the
 * store. */
struct each {
  struct bucket *bucket;
  struct anchor *anchor; /* the store's, which is kept alive with it */
  size_t next, count;    /* in the page, from 1 */
  bool begun;            /* a page was read: the next one begins behind its last key */
  bool more;             /* there may be another page */
  bool reading;          /* a page is on its way, to the task that asked */
};

enum { EACH_KEYS = 1, EACH_VALUES, EACH_PATTERN, EACH_STORE };

static struct each *each_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* Pushes an item of the page. */
static void push_item(lua_State *L, int which, size_t index) {
  lua_getiuservalue(L, lua_upvalueindex(1), which);
  lua_rawgeti(L, -1, (lua_Integer)index);
  lua_remove(L, -2);
}

static int next_in_page(lua_State *L, struct each *each) {
  push_item(L, EACH_KEYS, each->next);
  push_item(L, EACH_VALUES, each->next);
  each->next++;
  return 2;
}

static void take_page(lua_State *L, struct each *each, const struct store_call *call) {
  lua_createtable(L, (int)call->found_count, 0);
  lua_createtable(L, (int)call->found_count, 0);
  for (size_t i = 0; i < call->found_count; i++) {
    push_found_key(L, call, i);
    lua_rawseti(L, -3, (lua_Integer)i + 1);
    push_found_value(L, call, "each", i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setiuservalue(L, lua_upvalueindex(1), EACH_VALUES);
  lua_setiuservalue(L, lua_upvalueindex(1), EACH_KEYS);
  each->begun = true;
  each->next = 1;
  each->count = call->found_count;
  each->more = call->more && call->found_count > 0;
}

static int page_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  struct each *each = each_of(L);
  each->reading = false;
  take_page(L, each, call_answer(L, "each"));
  waiter_drop(waiter_of(L));
  if (each->count > 0) return next_in_page(L, each);
  lua_pushnil(L);
  return 1;
}

static int read_page(lua_State *L, struct each *each) {
  size_t len;
  struct range range = {.limit = EACH_PAGE_ROWS};
  lua_getiuservalue(L, lua_upvalueindex(1), EACH_PATTERN);
  const char *pattern = lua_tolstring(L, -1, &len);
  if (each->begun) {
    push_item(L, EACH_KEYS, each->count);
    range.after = lua_tolstring(L, -1, &range.after_len);
  }
  struct store_call *call = begin_scan(L, each->bucket, pattern, len, &range);
  call->want = STORE_ROWS;
  call->page_bytes = EACH_PAGE_BYTES;
  each->reading = true;
  return call_run(L, page_end);
}

static int each_next(lua_State *L) {
  struct each *each = each_of(L);
  lua_settop(L, 0);
  if (each->reading) return luaL_error(L, "each: another task is waiting in this iterator");
  if (each->next <= each->count) return next_in_page(L, each);
  if (!each->more) return 0;
  bool closed = each->anchor && !each->anchor->scripts;
  store_enter(L, each->anchor, closed ? "store" : bucket_name(each->bucket), "each");
  call_await_room(L);
  return read_page(L, each);
}

static int store_each(lua_State *L) {
  size_t len;
  struct bucket *bucket = store_check(L, "each");
  store_check_pattern_at(L, 2, bucket, "each", &len);
  struct each *each = lua_newuserdatauv(L, sizeof *each, EACH_STORE);
  *each = (struct each){.bucket = bucket, .anchor = store_handle(L, 1)->anchor, .next = 1, .more = true};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, EACH_STORE);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, EACH_PATTERN);
  lua_pushcclosure(L, each_next, 1);
  return 1;
}

void lib_add_scan(lua_State *L) {
  static const luaL_Reg methods[] = {{"select", store_select}, {"selectValue", store_selectValue},
                                     {"keys", store_keys},     {"count", store_count},
                                     {"each", store_each},     {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}
