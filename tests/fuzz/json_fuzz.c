/* The codec on any bytes.
 *
 * What value_push takes, json_compact takes too, and the other way round. What it gives encodes, and from
 * then on text and value stay as they are: decoding the text and encoding again gives the same value and the
 * same text up to the order of keys. Build with -fsanitize=fuzzer,address,undefined; json.dict has the words.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "script/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 16 << 20 };

static lua_State *L;

#define ENSURE(x)                                                                                            \
  do {                                                                                                       \
    if (!(x)) {                                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                                \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

static int count(int table) {
  int n = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) n++;
  return n;
}

static void ensure_same(int a, int b);

static void ensure_same_tables(int a, int b) {
  ENSURE(value_is_marked(L, a) == value_is_marked(L, b));
  ENSURE(count(a) == count(b));
  for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 2)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    ensure_same(lua_gettop(L) - 1, lua_gettop(L));
  }
}

static void ensure_same(int a, int b) {
  luaL_checkstack(L, 10, NULL);
  int type = lua_type(L, a);
  ENSURE(type == lua_type(L, b));
  if (type == LUA_TTABLE) {
    ensure_same_tables(a, b);
  } else if (type == LUA_TNUMBER) {
    double x = lua_tonumber(L, a), y = lua_tonumber(L, b);
    ENSURE(lua_isinteger(L, a) == lua_isinteger(L, b));
    ENSURE(lua_rawequal(L, a, b) && memcmp(&x, &y, sizeof x) == 0);
  } else {
    ENSURE(lua_rawequal(L, a, b));
  }
}

/* The value on the stack at 1 goes to text, back to a value, and to text again. */
static void ensure_fixed(void) {
  struct buf once = {0}, compact = {0}, twice = {0};
  struct err err;
  ENSURE(value_encode(L, 1, "value", LIMIT, &once, &err) == MOONKEEP_OK);
  ENSURE(utf8_valid(once.data, once.len) == once.len);
  ENSURE(value_push(L, once.data, once.len, &err) == MOONKEEP_OK);
  ensure_same(1, 2);
  ENSURE(json_compact(&compact, once.data, once.len, LIMIT, &err) == MOONKEEP_OK);
  ENSURE(compact.len == once.len && memcmp(compact.data, once.data, once.len) == 0);
  ENSURE(value_encode(L, 2, "value", LIMIT, &twice, &err) == MOONKEEP_OK);
  ENSURE(twice.len == once.len);
  buf_deinit(&once);
  buf_deinit(&compact);
  buf_deinit(&twice);
}

/* Compacting keeps the order of keys, so that a second time changes nothing at all. */
static bool ensure_compacts(const char *text, size_t len) {
  struct buf once = {0}, twice = {0};
  struct err err;
  bool taken = json_compact(&once, text, len, LIMIT, &err) == MOONKEEP_OK;
  if (taken) {
    ENSURE(json_compact(&twice, once.data, once.len, LIMIT, &err) == MOONKEEP_OK);
    ENSURE(twice.len == once.len && memcmp(twice.data, once.data, once.len) == 0);
  } else {
    ENSURE(err.code == MOONKEEP_INVALID_VALUE);
    ENSURE(utf8_valid(err.message, strlen(err.message)) == strlen(err.message));
  }
  buf_deinit(&once);
  buf_deinit(&twice);
  return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  struct err err;
  if (!L) {
    L = luaL_newstate();
    memset(lua_getextraspace(L), 0, LUA_EXTRASPACE); /* no script's */
    value_open(L);
  }
  bool taken = value_push(L, text, size, &err) == MOONKEEP_OK;
  ENSURE(lua_gettop(L) == taken);
  ENSURE(ensure_compacts(text, size) == taken);
  if (taken) ensure_fixed();
  lua_settop(L, 0);
  return 0;
}
