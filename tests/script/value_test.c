#include "script/value.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "check.h"

enum { LIMIT = 4 << 20 };

/* Lua's allocations, which fail from the nth on: after a single one Lua collects and tries again. */
struct memory {
  long left;    /* so many more go through before they fail; 0: all do */
  bool failing; /* all that would grow */
  size_t in_use;
};

static void *lua_memory(void *ctx, void *block, size_t old_size, size_t size) {
  struct memory *memory = ctx;
  if (!block) old_size = 0;
  if (size == 0) {
    memory->in_use -= old_size;
    free(block);
    return NULL;
  }
  if (size > old_size && memory->left > 0 && --memory->left == 0) memory->failing = true;
  if (size > old_size && memory->failing) return NULL;
  void *moved = realloc(block, size);
  if (moved) memory->in_use += size - old_size;
  return moved;
}

static struct memory memory;

/* Ends the failing; true when it had begun. */
static bool memory_failed(void) {
  bool failed = memory.failing;
  memory.left = 0;
  memory.failing = false;
  return failed;
}

static lua_State *open_state(void) {
  memory = (struct memory){0};
  lua_State *L = lua_newstate(lua_memory, &memory);
  memset(lua_getextraspace(L), 0, LUA_EXTRASPACE); /* no script's */
  CHECK(L);
  luaL_openlibs(L);
  value_open(L);
  lua_pushlightuserdata(L, NULL);
  lua_setglobal(L, "null");
  lua_newuserdatauv(L, 1, 0);
  lua_setglobal(L, "userdata");
  return L;
}

static int mark(lua_State *L) {
  lua_settop(L, 1);
  value_mark_array(L, 1);
  return 1;
}

/* Pushes the value of the expression. */
static void eval(lua_State *L, const char *expression) {
  char chunk[1024];
  lua_register(L, "array", mark);
  snprintf(chunk, sizeof chunk, "return %s", expression);
  if (luaL_loadstring(L, chunk) != LUA_OK) {
    lua_pop(L, 1);
    if (luaL_loadstring(L, expression) != LUA_OK) FAIL("%s", lua_tostring(L, -1));
  }
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) FAIL("%s", lua_tostring(L, -1));
}

static enum moonkeep_code encode_top(lua_State *L, size_t limit, struct buf *out, struct err *err) {
  int top = lua_gettop(L);
  enum moonkeep_code code = value_encode(L, -1, "value", limit, out, err);
  CHECK_INT(lua_gettop(L), top);
  return code;
}

/* The JSON of an expression, or why it has none. */
static const char *encoded_within(const char *expression, size_t limit) {
  static char result[4096];
  lua_State *L = open_state();
  struct buf out = {0};
  struct err err;
  eval(L, expression);
  enum moonkeep_code code = encode_top(L, limit, &out, &err);
  snprintf(result, sizeof result, "%s", code ? err.message : buf_text(&out));
  if (code) CHECK_INT(code, err.code);
  buf_deinit(&out);
  lua_close(L);
  CHECK_INT(memory.in_use, 0);
  return result;
}

static const char *encoded(const char *expression) {
  return encoded_within(expression, LIMIT);
}

/* Calls the Lua function with the value of the JSON; what it returns must be true. */
static bool holds(const char *json, const char *function) {
  lua_State *L = open_state();
  struct err err;
  eval(L, function);
  if (value_push(L, json, strlen(json), &err)) FAIL("%s: %s", json, err.message);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) FAIL("%s", lua_tostring(L, -1));
  bool truth = lua_toboolean(L, -1);
  lua_close(L);
  return truth;
}

/* What is written. */

TEST(scalars_are_written_exactly) {
  CHECK_STR(encoded("true"), "true");
  CHECK_STR(encoded("false"), "false");
  CHECK_STR(encoded("null"), "null");
  CHECK_STR(encoded("1"), "1");
  CHECK_STR(encoded("1.0"), "1.0");
  CHECK_STR(encoded("-0.0"), "-0.0");
  CHECK_STR(encoded("math.maxinteger"), "9223372036854775807");
  CHECK_STR(encoded("math.mininteger"), "-9223372036854775808");
  CHECK_STR(encoded("2^53"), "9007199254740992.0");
  CHECK_STR(encoded("'1'"), "\"1\"");
  CHECK_STR(encoded("''"), "\"\"");
  CHECK_STR(encoded("'a\\0b\\n\\\"\\\\/\\127\\u{e9}'"), "\"a\\u0000b\\n\\\"\\\\/\x7F\xC3\xA9\"");
}

TEST(tables_are_what_their_keys_say) {
  CHECK_STR(encoded("{}"), "{}");
  CHECK_STR(encoded("array{}"), "[]");
  CHECK_STR(encoded("{1, 2.5, 'x'}"), "[1,2.5,\"x\"]");
  CHECK_STR(encoded("array{1, 2}"), "[1,2]");
  CHECK_STR(encoded("{x = 1}"), "{\"x\":1}");
  CHECK_STR(encoded("{['1'] = 1}"), "{\"1\":1}");
  CHECK_STR(encoded("{[''] = 1}"), "{\"\":1}");
  CHECK_STR(encoded("{['a\\0b'] = {}}"), "{\"a\\u0000b\":{}}");
  CHECK_STR(encoded("{{}, {{}}, null}"), "[{},[{}],null]");
  CHECK_STR(encoded("{[1.0] = 'float keys with whole values are integers in Lua'}"),
            "[\"float keys with whole values are integers in Lua\"]");
}

TEST(arrays_are_found_however_they_were_filled) {
  CHECK_STR(encoded("local t = {} for i = 9, 1, -1 do t[i] = i end return t"), "[1,2,3,4,5,6,7,8,9]");
  CHECK_STR(encoded("local t = {1, 2} t[4] = 4 t[3] = 3 return t"), "[1,2,3,4]");
  CHECK_STR(encoded("local t = {1, 2, 3} t[3] = nil return t"), "[1,2]");
  CHECK_STR(encoded("local t = {x = 1, 1, 2} t.x = nil return t"), "[1,2]");
  CHECK_STR(encoded("local t = {1} t[1] = nil return t"), "{}");
  CHECK_STR(encoded("local t = array{1} t[1] = nil return t"), "[]");
}

TEST(metatables_of_scripts_are_not_consulted) {
  CHECK_STR(encoded("setmetatable({1}, {__len = error, __index = error, __pairs = error})"), "[1]");
  CHECK_STR(encoded("setmetatable({}, {__index = {x = 1}, __name = 'moonkeep.array'})"), "{}");
  CHECK_STR(encoded("setmetatable({x = 1}, {__metatable = 'moonkeep.array', __tostring = error})"),
            "{\"x\":1}");
  CHECK_STR(encoded("setmetatable({}, {null})"), "{}");
  CHECK_STR(encoded("setmetatable({}, {userdata})"), "{}");
}

TEST(shared_tables_are_written_each_time) {
  CHECK_STR(encoded("local t = {1} return {t, t, {t}}"), "[[1],[1],[[1]]]");
}

/* What is refused. */

TEST(what_json_has_not_is_refused_with_its_path) {
  CHECK_STR(encoded("{items = {1, 2, {owner = print}}}"), "value.items[3].owner is a function");
  CHECK_STR(encoded("print"), "value is a function");
  CHECK_STR(encoded("local t = {} t[3] = print t[2] = 2 t[1] = 1 return t"), "value[3] is a function");
  CHECK_STR(encoded("{coroutine.create(print)}"), "value[1] is a coroutine");
  CHECK_STR(encoded("{x = userdata}"), "value.x is a userdata");
  CHECK_STR(encoded("{x = io.stdout}"), "value.x is a userdata");
  CHECK_STR(encoded("nil"), "value is nil; use delete to remove a key");
}

TEST(numbers_without_json_are_refused) {
  CHECK_STR(encoded("{score = 0/0}"), "value.score is NaN");
  CHECK_STR(encoded("{score = 1/0}"), "value.score is infinite");
  CHECK_STR(encoded("{{-1/0}}"), "value[1][1] is infinite");
}

TEST(invalid_utf8_is_refused) {
  CHECK_STR(encoded("{name = '\\xff'}"), "value.name is not valid UTF-8");
  CHECK_STR(encoded("{name = 'ok\\xc3'}"), "value.name is not valid UTF-8");
  CHECK_STR(encoded("{a = {['\\xff\\n\"\\u{e9}'] = 1}}"),
            "value.a[\"\\xFF\\x0A\\\"\xC3\xA9\"] has a key that is not valid UTF-8");
}

TEST(holes_are_refused) {
  CHECK_STR(encoded("{list = {1, nil, 3}}"),
            "value.list has a hole at [2]; an array has the keys 1..n, other numbers can be strings");
  CHECK_STR(encoded("{[12345] = true}"),
            "value has a hole at [1]; an array has the keys 1..n, other numbers can be strings");
  CHECK_STR(encoded("{[math.maxinteger] = true, 1}"),
            "value has a hole at [2]; an array has the keys 1..n, other numbers can be strings");
  CHECK_STR(encoded("array{nil, 2}"),
            "value has a hole at [1]; an array has the keys 1..n, other numbers can be strings");
}

TEST(mixed_keys_are_refused) {
  CHECK_STR(encoded("{1, 2, x = 3}"), "value has mixed keys: a string key \"x\" beside array items");
  CHECK_STR(encoded("{a = {1, ['two words'] = 3}}"),
            "value.a has mixed keys: a string key \"two words\" beside array items");
  CHECK_STR(encoded("local t = array{} t.x = 1 return t"),
            "value has mixed keys: a string key \"x\" beside array items");
}

TEST(keys_of_other_types_are_refused) {
  const char *rule = "as its key; keys are strings, or 1..n in an array";
  static const struct {
    const char *expression, *path, *type;
  } cases[] = {
      {"{[1.5] = 1}", "value[1.5]", "number"},
      {"{[0] = 1}", "value[0]", "number"},
      {"{[-1] = 1}", "value[-1]", "number"},
      {"{[true] = 1}", "value[true]", "boolean"},
      {"{[false] = 1}", "value[false]", "boolean"},
      {"{a = {[{}] = 1}}", "value.a", "table"},
      {"{[print] = 1}", "value", "function"},
      {"{[1/0] = 1}", "value", "number"},
      {"{1, [0.5] = 1}", "value[0.5]", "number"},
      {"{[null] = 1}", "value", "userdata"},
      {"{[math.mininteger] = 1}", "value[-9223372036854775808]", "number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char want[200];
    snprintf(want, sizeof want, "%s has a %s %s", cases[i].path, cases[i].type, rule);
    CHECK_STR(encoded(cases[i].expression), want);
  }
}

TEST(cycles_are_refused) {
  CHECK_STR(encoded("local t = {} t.self = t return t"), "value.self is part of a cycle");
  CHECK_STR(encoded("local t = {a = {}} t.a.b = t.a return t"), "value.a.b is part of a cycle");
  CHECK_STR(encoded("local t = {a = {b = {}}} t.a.b[1] = t return t"), "value.a.b[1] is part of a cycle");
}

TEST(exactly_128_levels_are_taken) {
  CHECK(strncmp(encoded("local t = 1 for i = 1, 128 do t = {t} end return t"), "[[[[", 4) == 0);
  CHECK(strncmp(encoded("local t = 1 for i = 1, 128 do t = {a = t} end return t"), "{\"a\":{", 6) == 0);
  CHECK_STR(encoded("local t = 1 for i = 1, 129 do t = {t} end return t"),
            "value[1][1][1][1][1][1]...[1][1][1][1] is nested deeper than 128 levels");
  CHECK_STR(encoded("local t = {} for i = 1, 128 do t = {a = t} end return t"),
            "value.a.a.a.a.a.a....a.a.a.a is nested deeper than 128 levels");
}

TEST(paths_quote_what_is_no_identifier_and_are_cut) {
  CHECK_STR(encoded("{['two words'] = {x = print}}"), "value[\"two words\"].x is a function");
  CHECK_STR(encoded("{['1a'] = {[''] = print}}"), "value[\"1a\"][\"\"] is a function");
  CHECK_STR(encoded("{_a1 = {['a-b'] = print}}"), "value._a1[\"a-b\"] is a function");
  CHECK_STR(encoded("{[('x'):rep(100)] = print}"),
            "value[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"] is a function");
  CHECK_STR(encoded("{['a\\0\\\\'] = print}"), "value[\"a\\x00\\\\\"] is a function");
}

TEST(the_longest_path_leaves_room_for_the_reason) {
  const char *text = encoded("local t = print for i = 1, 128 do t = {[('\\1'):rep(100)] = t} end return t");
  CHECK(strlen(text) > 200);
  CHECK_STR(text + strlen(text) - 14, " is a function");
  text = encoded("local t = {1, [('\\1'):rep(100)] = 2} for i = 1, 120 do t = {[('\\u{20ac}'):rep(99)] = t} "
                 "end return t");
  CHECK_STR(text + strlen(text) - 19, " beside array items");
  CHECK_INT(utf8_valid(text, strlen(text)), strlen(text));
}

TEST(the_limit_is_on_the_bytes_of_json) {
  CHECK_STR(encoded_within("{1, 2, 3}", 7), "[1,2,3]");
  CHECK_STR(encoded_within("{1, 2, 3}", 6), "value is larger than the limit of 6 bytes");
  CHECK_STR(encoded_within("'abc'", 5), "\"abc\"");
  CHECK_STR(encoded_within("'abc'", 4), "value is larger than the limit of 4 bytes");
  CHECK_STR(encoded_within("{abc = true}", 12), "{\"abc\":true}");
  CHECK_STR(encoded_within("{abc = true}", 11), "value is larger than the limit of 11 bytes");
}

TEST(shared_tables_stop_at_the_limit) {
  CHECK_STR(encoded_within("local t = {} for i = 1, 100 do t = {t, t} end return t", 100000),
            "value is larger than the limit of 100000 bytes");
  CHECK_STR(encoded_within("local t = {} for i = 1, 100 do t = {a = t, b = t} end return t", 100000),
            "value is larger than the limit of 100000 bytes");
}

TEST(refusals_are_invalid_value_or_too_large) {
  lua_State *L = open_state();
  struct buf out = {0};
  struct err err;
  eval(L, "print");
  CHECK_INT(encode_top(L, LIMIT, &out, &err), MOONKEEP_INVALID_VALUE);
  CHECK_INT(encode_top(L, LIMIT, &out, NULL), MOONKEEP_INVALID_VALUE);
  eval(L, "('x'):rep(1000)");
  CHECK_INT(encode_top(L, 1000, &out, &err), MOONKEEP_TOO_LARGE);
  CHECK_INT(encode_top(L, 1002, &out, &err), MOONKEEP_OK);
  buf_deinit(&out);
  lua_close(L);
}

/* What comes back. */

TEST(numbers_keep_their_type) {
  CHECK(holds("1", "function(v) return math.type(v) == 'integer' and v == 1 end"));
  CHECK(holds("1.0", "function(v) return math.type(v) == 'float' and v == 1 end"));
  CHECK(holds("1e2", "function(v) return math.type(v) == 'float' and v == 100 end"));
  CHECK(holds("-0", "function(v) return math.type(v) == 'integer' end"));
  CHECK(holds("-0.0", "function(v) return 1 / v == -1 / 0 end"));
  CHECK(holds("9223372036854775807", "function(v) return v == math.maxinteger end"));
}

TEST(null_and_marks_come_back) {
  CHECK(holds("null", "function(v) return v == null end"));
  CHECK(holds("[null]", "function(v) return #v == 1 and v[1] == null end"));
  CHECK(holds("[]", "function(v) return getmetatable(v) == 'moonkeep.array' and next(v) == nil end"));
  CHECK(holds("{}", "function(v) return getmetatable(v) == nil and next(v) == nil end"));
  CHECK(holds("{\"a\":[1]}", "function(v) return getmetatable(v.a) == 'moonkeep.array' end"));
}

TEST(the_mark_is_out_of_reach_of_scripts) {
  CHECK(holds("[]", "function(v) return not pcall(setmetatable, v, {}) end"));
}

TEST(marks_are_seen) {
  lua_State *L = open_state();
  lua_newtable(L);
  CHECK(!value_is_marked(L, -1));
  value_mark_array(L, -1);
  CHECK(value_is_marked(L, -1));
  lua_pushinteger(L, 1);
  CHECK(!value_is_marked(L, -1));
  eval(L, "setmetatable({}, {})");
  CHECK(!value_is_marked(L, -1));
  lua_close(L);
}

TEST(of_doubled_keys_the_last_counts) {
  CHECK(holds("{\"a\":1,\"b\":2,\"a\":3}", "function(v) return v.a == 3 and v.b == 2 end"));
  CHECK(holds("{\"a\":1,\"\\u0061\":3}", "function(v) return v.a == 3 end"));
}

/* The number of fields is guessed by the first key, and mostly wrong here. */
TEST(objects_that_begin_alike_have_as_many_fields_as_they_have) {
  static const char *const objects[] = {"{\"id\":1}", "{\"id\":1,\"a\":2,\"b\":3,\"c\":4,\"d\":5}", "{}",
                                        "{\"id\":1,\"a\":{\"id\":2,\"a\":{\"id\":3}}}"};
  struct buf many = {0};
  buf_puts(&many, "{\"id\":0");
  for (int i = 1; i < 300; i++) buf_printf(&many, ",\"k%d\":%d", i, i);
  buf_puts(&many, "}");
  for (int turn = 0; turn < 3; turn++) {
    CHECK(holds(objects[0], "function(v) return next(v, next(v)) == nil and v.id == 1 end"));
    CHECK(holds(objects[1],
                "function(v) return v.id == 1 and v.a == 2 and v.b == 3 and v.c == 4 and v.d == 5 end"));
    CHECK(holds(objects[2], "function(v) return next(v) == nil end"));
    CHECK(holds(buf_text(&many),
                "function(v) local n = 0 for k in pairs(v) do n = n + v[k] end return n == 44850 end"));
    CHECK(holds(objects[3], "function(v) return v.a.a.id == 3 and v.a.id == 2 and v.a.a.a == nil end"));
  }
  buf_deinit(&many);
}

TEST(strings_may_hold_nul_and_escapes) {
  CHECK(holds("\"a\\u0000b\"", "function(v) return v == 'a\\0b' end"));
  CHECK(holds("{\"\\u0000\":\"\\ud83d\\ude00\"}", "function(v) return v['\\0'] == '\\u{1F600}' end"));
}

/* Around the sizes at which the way a table is made changes. */
TEST(tables_of_every_size_come_back) {
  lua_State *L = open_state();
  for (int size = 0; size < 80; size++) {
    struct buf array = {0}, object = {0}, again = {0};
    struct err err;
    for (int i = 0; i < size; i++) {
      buf_printf(&array, "%s%d", i ? "," : "[", i);
      buf_printf(&object, "%s\"k%d\":[%d]", i ? "," : "{", i, i);
    }
    buf_puts(&array, size ? "]" : "[]");
    buf_puts(&object, size ? "}" : "{}");
    CHECK_INT(value_push(L, array.data, array.len, &err), MOONKEEP_OK);
    CHECK_INT(lua_rawlen(L, -1), size);
    CHECK_INT(encode_top(L, LIMIT, &again, &err), MOONKEEP_OK);
    CHECK_BYTES(again.data, again.len, array.data, array.len);
    CHECK_INT(value_push(L, object.data, object.len, &err), MOONKEEP_OK);
    for (int i = 0; i < size; i++) {
      lua_pushfstring(L, "k%d", i);
      CHECK_INT(lua_rawget(L, -2), LUA_TTABLE);
      lua_rawgeti(L, -1, 1);
      CHECK_INT(lua_tointeger(L, -1), i);
      lua_pop(L, 2);
    }
    lua_settop(L, 0);
    buf_deinit(&array);
    buf_deinit(&object);
    buf_deinit(&again);
  }
  lua_close(L);
}

TEST(what_is_not_json_pushes_nothing) {
  static const char *const texts[] = {
      "",          "[1,2",       "{\"a\":1,}",  "[1] x",      "{\"a\":[1,{\"b\":tru}]}",
      "[\"\\q\"]", "[1,\"\\n\"", "\"\\ud800\"", "{\"\\n\":1", "{\"a\":}"};
  lua_State *L = open_state();
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct err err;
    CHECK_INT(value_push(L, texts[i], strlen(texts[i]), &err), MOONKEEP_INVALID_VALUE);
    CHECK(strncmp(err.message, "not JSON: ", 10) == 0);
    CHECK_INT(lua_gettop(L), 0);
    CHECK_INT(value_push(L, texts[i], strlen(texts[i]), NULL), MOONKEEP_INVALID_VALUE);
  }
  lua_close(L);
}

/* Any value comes back as it was. */

static void push_random_string(lua_State *L) {
  static const unsigned tops[] = {0x20, 0x7F, 0x80, 0x800, 0xD800, 0x10000, 0x110000};
  char text[64 * 4];
  size_t len = 0;
  unsigned top = tops[check_below(sizeof tops / sizeof *tops)];
  for (uint64_t n = check_below(check_below(8) ? 12 : 64); n > 0; n--) {
    unsigned c = (unsigned)check_below(check_below(3) ? 0x7F : top);
    if (c >= 0xD800 && c <= 0xDFFF) c = 0xFFFD;
    len += utf8_put(text + len, c);
  }
  lua_pushlstring(L, text, len);
}

static void push_random_float(lua_State *L) {
  uint64_t bits = check_random();
  double number;
  memcpy(&number, &bits, sizeof number);
  if (check_below(3) == 0) number = (double)(int64_t)check_below(100000) / 100;
  lua_pushnumber(L, isfinite(number) ? number : 1.0);
}

static void push_random(lua_State *L, int depth);

static void push_random_table(lua_State *L, int depth) {
  bool array = check_below(2);
  uint64_t size = check_below(check_below(10) ? 5 : 40);
  lua_newtable(L);
  if (array) value_mark_array(L, -1);
  for (uint64_t i = 1; i <= size; i++) {
    if (!array) push_random_string(L);
    push_random(L, depth - 1);
    if (array)
      lua_rawseti(L, -2, (lua_Integer)i);
    else
      lua_rawset(L, -3);
  }
}

static void push_random(lua_State *L, int depth) {
  luaL_checkstack(L, 10, NULL);
  switch (check_below(depth > 0 ? 9 : 6)) {
  case 0: lua_pushlightuserdata(L, NULL); break;
  case 1: lua_pushboolean(L, (int)check_below(2)); break;
  case 2: lua_pushinteger(L, (lua_Integer)(check_random() >> check_below(64))); break;
  case 3: lua_pushinteger(L, (lua_Integer)check_random()); break;
  case 4: push_random_float(L); break;
  case 5: push_random_string(L); break;
  default: push_random_table(L, depth);
  }
}

static bool same(lua_State *L, int a, int b);

static int count(lua_State *L, int table) {
  int n = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) n++;
  return n;
}

static bool same_tables(lua_State *L, int a, int b) {
  if (value_is_marked(L, a) != value_is_marked(L, b) || count(L, a) != count(L, b)) return false;
  for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 2)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    if (!same(L, lua_gettop(L) - 1, lua_gettop(L))) return false;
  }
  return true;
}

/* Strictly: the same types, the same bits. */
static bool same(lua_State *L, int a, int b) {
  luaL_checkstack(L, 10, NULL);
  int type = lua_type(L, a);
  if (type != lua_type(L, b)) return false;
  if (type == LUA_TTABLE) return same_tables(L, a, b);
  if (type != LUA_TNUMBER) return lua_rawequal(L, a, b);
  if (lua_isinteger(L, a) != lua_isinteger(L, b)) return false;
  if (lua_isinteger(L, a)) return lua_tointeger(L, a) == lua_tointeger(L, b);
  double x = lua_tonumber(L, a), y = lua_tonumber(L, b);
  return memcmp(&x, &y, sizeof x) == 0;
}

TEST(any_value_comes_back_as_it_was) {
  lua_State *L = open_state();
  for (long round = check_rounds(5000); round > 0; round--) {
    struct buf out = {0}, compact = {0};
    struct err err;
    push_random(L, 6);
    if (encode_top(L, LIMIT, &out, &err)) FAIL("%s", err.message);
    if (value_push(L, out.data, out.len, &err)) FAIL("%s", err.message);
    if (!same(L, 1, 2)) FAIL("%s", buf_text(&out));
    CHECK_INT(json_compact(&compact, out.data, out.len, LIMIT, &err), MOONKEEP_OK);
    CHECK_BYTES(compact.data, compact.len, out.data, out.len);
    lua_settop(L, 0);
    buf_deinit(&out);
    buf_deinit(&compact);
  }
  lua_close(L);
}

/* Without memory. */

static const char rich[] =
    "{\"a\":[1,2.5,{\"key\":\"a longer string that Lua does not intern, of over forty bytes\"}],"
    "\"escaped\\n\":\"\\u00e9 and more than sixty-four bytes, so that the scratch of the "
    "scanner has to grow once\",\"list\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19],"
    "\"deep\":[[[[[[[[]]]]]]]]}";

TEST(every_allocation_of_the_host_may_fail_in_the_codec) {
  lua_State *L = open_state();
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    struct buf out = {0};
    struct err err;
    check_fail_alloc(nth);
    enum moonkeep_code code = value_push(L, rich, sizeof rich - 1, &err);
    if (code == MOONKEEP_OK) code = encode_top(L, LIMIT, &out, &err);
    failed = check_alloc_failed();
    check_fail_alloc(0);
    CHECK_INT(code, failed ? MOONKEEP_MEMORY : MOONKEEP_OK);
    lua_settop(L, 0);
    buf_deinit(&out);
  }
  lua_close(L);
}

static int push_text(lua_State *L) {
  const char *text = lua_touserdata(L, 1);
  return value_push(L, text, strlen(text), NULL) == MOONKEEP_OK ? 1 : 0;
}

static void fail_each_allocation(const char *text) {
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    lua_State *L = open_state();
    lua_pushcfunction(L, push_text);
    lua_pushlightuserdata(L, (void *)(uintptr_t)text);
    lua_gc(L, LUA_GCSTOP);
    memory.left = nth;
    int status = lua_pcall(L, 1, 1, 0);
    failed = memory_failed();
    /* Where the stack cannot grow that is told, and elsewhere Lua raises it. */
    bool pushed = status == LUA_OK && !lua_isnil(L, -1);
    CHECK(status == LUA_OK || status == LUA_ERRMEM);
    CHECK_INT(pushed, !failed);
    lua_close(L);
    CHECK_INT(memory.in_use, 0);
  }
}

TEST(every_allocation_of_lua_may_fail_while_a_value_is_read) {
  fail_each_allocation(rich);
  fail_each_allocation("{\"a\":[1,{\"b\":\"c\"}]}");
}

/* The stack has to grow for the levels; where it cannot that is told, and nothing is raised. */
TEST(every_allocation_of_lua_may_fail_while_a_value_is_written) {
  bool failed = true;
  for (long nth = 1; failed; nth++) {
    lua_State *L = open_state();
    struct buf out = {0};
    struct err err;
    eval(L, "local t = 1 for i = 1, 128 do t = {t} end return t");
    lua_gc(L, LUA_GCCOLLECT);
    memory.left = nth;
    enum moonkeep_code code = encode_top(L, LIMIT, &out, &err);
    failed = memory_failed();
    CHECK_INT(code, failed ? MOONKEEP_MEMORY : MOONKEEP_OK);
    buf_deinit(&out);
    lua_close(L);
  }
}
