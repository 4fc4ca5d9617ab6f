/* Writing.
 *
 *   store:set(key, value [, options])                         options: expires_at or ttl, in seconds
 *   store:set{key=, value= [, expires_at=] [, ttl=]}
 *   store:set{ {key=, value=, …}, … }                         all of them, or none
 */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script/budget.h"
#include "script/call.h"
#include "script/fault.h"
#include "script/guess.h"
#include "script/lib.h"
#include "script/lib_store.h"
#include "script/value.h"

/* ---- options ---- */

static const double most_seconds = STORE_LAST_EXPIRY_MS / 1000;

static enum moonkeep_code expiry_from(lua_State *L, const char *field, int64_t *expires_at_ms,
                                      struct err *err) {
  bool ttl = strcmp(field, "ttl") == 0;
  if (lua_type(L, -1) != LUA_TNUMBER)
    return err_set(err, MOONKEEP_INVALID_VALUE, "%s is %s, not a number", field, lib_a_type(L, -1));
  double seconds = lua_tonumber(L, -1);
  if (!isfinite(seconds)) return err_set(err, MOONKEEP_INVALID_VALUE, "%s is not a finite number", field);
  int64_t base_ms = ttl ? call_time_ms(L) : 0;
  if (fabs(seconds) > most_seconds || seconds + (double)base_ms / 1000 > most_seconds)
    return err_set(err, MOONKEEP_INVALID_VALUE, "%s looks like milliseconds; give seconds", field);
  if (*expires_at_ms != 0)
    return err_set(err, MOONKEEP_INVALID_VALUE, "expires_at and ttl are both given; give one of them");
  int64_t ms = base_ms + (int64_t)llround(seconds * 1000);
  *expires_at_ms = ms > 0 ? ms : 1; /* 0 would be no expiry; what has passed has passed */
  return MOONKEEP_OK;
}

bool expiry_take(lua_State *L, const char *field, int64_t *expires_at_ms, struct err *err) {
  if (strcmp(field, "expires_at") != 0 && strcmp(field, "ttl") != 0) return false;
  err->code = expiry_from(L, field, expires_at_ms, err);
  return true;
}

static enum moonkeep_code unknown_option(lua_State *L, int key, struct err *err) {
  char near[96];
  struct guess guess;
  if (lua_type(L, key) != LUA_TSTRING)
    return err_set(err, MOONKEEP_INVALID_VALUE, "an option has a %s as its name", luaL_typename(L, key));
  guess_init(&guess, lua_tostring(L, key));
  guess_try(&guess, "expires_at");
  guess_try(&guess, "ttl");
  return err_set(err, MOONKEEP_INVALID_VALUE, "there is no option \"%.100s\"%s", guess.word,
                 guess_text(&guess, near));
}

/* Raises the error of an option; one of the key comes before it. */
static void option_fail(lua_State *L, struct bucket *bucket, const char *method, int key_index,
                        const struct err *err) {
  size_t len;
  const char *key = store_check_key_at(L, key_index, bucket, method, &len);
  store_fail(L, bucket, method, key, len, err);
}

int64_t store_check_options(lua_State *L, int index, struct bucket *bucket, const char *method,
                            int key_index) {
  int64_t expires_at_ms = 0;
  struct err err;
  if (lua_isnoneornil(L, index)) return 0;
  err.code = MOONKEEP_OK;
  if (!lua_istable(L, index)) {
    err_set(&err, MOONKEEP_INVALID_VALUE, "options is %s, not a table", lib_a_type(L, index));
    option_fail(L, bucket, method, key_index, &err);
  }
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    bool text = lua_type(L, -2) == LUA_TSTRING;
    if (!text || !expiry_take(L, lua_tostring(L, -2), &expires_at_ms, &err)) unknown_option(L, -2, &err);
    if (err.code != MOONKEEP_OK) option_fail(L, bucket, method, key_index, &err);
  }
  return expires_at_ms;
}

/* ---- rows ---- */

/* A set that is being put together; the call has the rows. */
struct rows {
  struct bucket *bucket;
  struct store_call *call;
  size_t bytes; /* of all keys and values so far */
  size_t row;   /* which one of a list, from 1; 0: there is no list */
};

/* Raises the error of a row. */
static int row_fail(lua_State *L, const struct rows *rows, const char *key, size_t key_len,
                    const struct err *err) {
  struct err placed;
  if (rows->row == 0) return store_fail(L, rows->bucket, "set", key, key_len, err);
  err_set(&placed, err->code, "row %zu: %s", rows->row, err->message);
  return store_fail(L, rows->bucket, "set", key, key_len, &placed);
}

/* The key at index, valid as long as it is on the stack. */
static const char *row_key(lua_State *L, const struct rows *rows, int index, size_t *len) {
  struct err err;
  if (rows->row == 0) return store_check_key_at(L, index, rows->bucket, "set", len);
  if (lua_type(L, index) != LUA_TSTRING) {
    err_set(&err, MOONKEEP_INVALID_KEY, "the key is %s, not a string", lib_a_type(L, index));
    row_fail(L, rows, NULL, 0, &err);
  }
  const char *key = lua_tolstring(L, index, len);
  char begin[96];
  snprintf(begin, sizeof begin, "%s:set: row %zu", bucket_name(rows->bucket), rows->row);
  if (store_check_key(begin, key, *len, &err) != MOONKEEP_OK) fault_raise(L, &err);
  return key;
}

/* Encodes the value at index into the next row. The key is borrowed: it stays reachable from the arguments.
 */
static void add_row(lua_State *L, struct rows *rows, int key_index, int value_index, int64_t expires_at_ms) {
  struct scripts *scripts = script_of(L)->scripts;
  struct err err;
  size_t key_len;
  const char *key = row_key(L, rows, key_index, &key_len);
  struct buf *json = &scripts->scratch;
  buf_clear(json);
  enum moonkeep_code code =
      value_encode(L, value_index, "value", store_value_limit(scripts->options.store), json, &err);
  if (code == MOONKEEP_OK && json->failed) code = err_memory(&err);
  rows->bytes += key_len + json->len;
  if (code == MOONKEEP_OK && rows->row && rows->bytes > STORE_LIST_BYTES)
    code = err_set(&err, MOONKEEP_TOO_LARGE, "the list has over %d MiB; write it in parts",
                   STORE_LIST_BYTES >> 20);
  if (code == MOONKEEP_OK && !call_take(L, json->len)) code = err_memory(&err);
  struct value *value = code == MOONKEEP_OK ? value_new(json->data, json->len, expires_at_ms) : NULL;
  if (code == MOONKEEP_OK && !value) code = err_memory(&err);
  if (code != MOONKEEP_OK) row_fail(L, rows, key, key_len, &err);
  rows->call->rows[rows->call->row_count++] = (struct store_row){key, key_len, value, NULL};
}

static void begin_rows(lua_State *L, struct rows *rows, struct bucket *bucket, size_t count) {
  *rows = (struct rows){.bucket = bucket};
  rows->call = call_begin(L, STORE_SET, bucket, NULL, 0);
  rows->call->rows = mem_alloc(count * sizeof *rows->call->rows);
  if (!rows->call->rows) fault(L, MOONKEEP_MEMORY, "%s:set: out of memory", bucket_name(bucket));
}

/* Raises the error of a field of the row at index; one of its key comes before it. */
static void field_fail(lua_State *L, const struct rows *rows, int index, const struct err *err) {
  size_t len;
  lua_pushliteral(L, "key");
  lua_rawget(L, index);
  const char *key = row_key(L, rows, lua_gettop(L), &len);
  row_fail(L, rows, key, len, err);
}

/* Adds the row that the table at index describes. */
static void add_table(lua_State *L, struct rows *rows, int index) {
  int64_t expires_at_ms = 0;
  struct err err = {.code = MOONKEEP_OK};
  luaL_checkstack(L, 8, NULL);
  budget_check(L); /* the same row may stand in the list often, and have been emptied: see value.c */
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *field = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (field && (strcmp(field, "key") == 0 || strcmp(field, "value") == 0)) continue;
    if (!field)
      err_set(&err, MOONKEEP_INVALID_VALUE,
              "a row has key, value, expires_at, ttl, and no field named by a %s", luaL_typename(L, -2));
    else if (!expiry_take(L, field, &expires_at_ms, &err))
      err_set(&err, MOONKEEP_INVALID_VALUE, "a row has key, value, expires_at, ttl, and no \"%.100s\"",
              field);
    if (err.code != MOONKEEP_OK) field_fail(L, rows, index, &err);
  }
  int top = lua_gettop(L);
  lua_pushliteral(L, "key");
  lua_rawget(L, index);
  lua_pushliteral(L, "value");
  lua_rawget(L, index);
  add_row(L, rows, top + 1, top + 2, expires_at_ms);
  lua_settop(L, top);
}

/* ---- set ---- */

static int set_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  call_answer(L, "set");
  waiter_drop(waiter_of(L));
  return 0;
}

/* How many rows the table at index lists; raises unless its keys are 1..n. */
static size_t check_list(lua_State *L, int index, struct bucket *bucket) {
  size_t count = 0, items = lua_rawlen(L, index);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    bool in_list = lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && (size_t)lua_tointeger(L, -2) <= items;
    if (!in_list && lua_type(L, -2) == LUA_TSTRING)
      fault(L, MOONKEEP_INVALID_VALUE, "%s:set: the list of rows has a field \"%.100s\"", bucket_name(bucket),
            lua_tostring(L, -2));
    if (in_list)
      count++;
    else
      items = SIZE_MAX;
    if (items == SIZE_MAX) break;
  }
  if (count == items) return count;
  fault(L, MOONKEEP_INVALID_VALUE, "%s:set: the list of rows has a hole", bucket_name(bucket));
  return 0;
}

static int set_list(lua_State *L, struct bucket *bucket) {
  struct rows rows;
  size_t count = check_list(L, 2, bucket);
  if (count == 0) return 0;
  begin_rows(L, &rows, bucket, count);
  for (rows.row = 1; rows.row <= count; rows.row++) {
    struct err err;
    if (lua_rawgeti(L, 2, (lua_Integer)rows.row) != LUA_TTABLE) {
      err_set(&err, MOONKEEP_INVALID_VALUE, "it is %s, not a table", lib_a_type(L, -1));
      row_fail(L, &rows, NULL, 0, &err);
    }
    add_table(L, &rows, lua_gettop(L));
    lua_pop(L, 1);
  }
  return call_run(L, set_end);
}

static bool has_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  bool has = lua_rawget(L, index) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

static int set_table(lua_State *L, struct bucket *bucket) {
  struct rows rows;
  if (lua_gettop(L) > 2)
    return fault(L, MOONKEEP_INVALID_KEY,
                 "%s:set: the key is a table; the table forms of set take no second argument",
                 bucket_name(bucket));
  if (!has_field(L, 2, "key") && !has_field(L, 2, "value")) return set_list(L, bucket);
  begin_rows(L, &rows, bucket, 1);
  add_table(L, &rows, 2);
  return call_run(L, set_end);
}

static int store_set(lua_State *L) {
  struct rows rows;
  struct bucket *bucket = store_check(L, "set");
  call_await_room(L);
  if (lua_istable(L, 2)) return set_table(L, bucket);
  lua_settop(L, 4);
  int64_t expires_at_ms = store_check_options(L, 4, bucket, "set", 2);
  begin_rows(L, &rows, bucket, 1);
  add_row(L, &rows, 2, 3, expires_at_ms);
  return call_run(L, set_end);
}

void lib_add_set(lua_State *L) {
  lua_pushcfunction(L, store_set);
  lua_setfield(L, -2, "set");
}
