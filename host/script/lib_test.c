/* The table `test`, which a test has in place of `bot`.
 *
 *   test(name, fn)                 a case: fn runs in a world of its own, with the bots freshly started
 *   test.bots(name …)              which bots of the folder; before the first case
 *   test.say(user, text [, channel])   a message event, in the channel "general" where none is given
 *   test.emit(event)               any event: {event = "join", userId = "ann"}
 *   test.advance(seconds)          moves the clock: timers fire, sleepers wake, keys expire, at once and in
 * order test.restart()                 ends the bots in order and starts them again, over the same stores
 *                                  These four return when the bots have come to rest: the texts that they
 * have sent meanwhile, and all their actions test.equal(got, wanted [, what])   the same value, or tables
 * with the same in them test.ok(value [, what])        not nil or false test.contains(text, part)      a
 * text, or one text of a list, has this part test.raises(fn [, part])       fn() raises an error with this
 * part in its text; returns the error test.fail(what) test.errors()                  errors of bots that
 * nobody has caught, since the last call; those that no test has asked for fail the case test.log() the lines
 * that bots have logged in this case: {level=, script=, text=}
 */
#include <lauxlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "script/budget.h"
#include "script/file.h"
#include "script/lib.h"
#include "script/show.h"
#include "script/trial_parts.h"
#include "script/value.h"

static const char cases_key;

static struct trial *trial_of(lua_State *L) {
  return script_of(L)->scripts->options.trial;
}

/* ---- cases ---- */

void lib_push_case(lua_State *L, size_t i) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cases_key);
  lua_rawgeti(L, -1, (lua_Integer)i + 1);
  lua_remove(L, -2);
}

static bool is_taken(const struct trial *trial, const char *name) {
  for (size_t i = 0; i < trial->case_count; i++)
    if (strcmp(trial_case(trial, i), name) == 0) return true;
  return false;
}

/* (test, name, fn) */
static int test_call(lua_State *L) {
  struct trial *trial = trial_of(L);
  lua_remove(L, 1);
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_argcheck(L, len > 0 && strlen(name) == len, 1, "a case needs a name");
  luaL_argcheck(L, utf8_valid(name, len) == len, 1, "the name is not valid UTF-8");
  if (script_of(L)->current)
    return luaL_error(L, "test: a case inside a case; cases stand side by side in the file");
  if (is_taken(trial, name)) return luaL_error(L, "test: there is a case \"%s\" already", name);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cases_key);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)trial->case_count + 1);
  buf_add(&trial->cases, name, len + 1);
  if (trial->cases.failed) return luaL_error(L, "not enough memory");
  trial->case_count++;
  return 0;
}

static bool is_bot(lua_State *L, const char *name) {
  const char *dir = trial_of(L)->options.dir;
  if (!*name || strchr(name, '/')) return false;
  return file_exists(lua_pushfstring(L, "%s/%s.lua", dir, name)) ||
         file_exists(lua_pushfstring(L, "%s/%s/init.lua", dir, name));
}

static int test_bots(lua_State *L) {
  lib_no_colon(L, "test.bots");
  struct trial *trial = trial_of(L);
  int count = lua_gettop(L);
  if (script_of(L)->current || trial->case_count > 0)
    return luaL_error(L, "test.bots stands at the top of the file, before the first case");
  for (int i = 1; i <= count; i++) {
    const char *name = luaL_checkstring(L, i);
    if (!is_bot(L, name))
      return luaL_error(L, "test.bots: the folder has no bot \"%s\": no %s.lua and no %s/init.lua", name,
                        name, name);
    buf_add(&trial->chosen_bots, name, strlen(name) + 1);
  }
  trial->chosen = true;
  return 0;
}

/* ---- what makes the world go on ---- */

/* Pushes the object that begins at `at`, and says where the next one does. */
static const char *push_action(lua_State *L, const char *at, const char *end) {
  struct err err;
  const char *newline = memchr(at, '\n', (size_t)(end - at));
  if (value_push(L, at, (size_t)(newline - at), &err) != MOONKEEP_OK) luaL_error(L, "%s", err.message);
  return newline + 1;
}

/* Lists are marked as such, as those from a store are. */
static void push_list(lua_State *L) {
  lua_newtable(L);
  value_mark_array(L, lua_gettop(L));
}

static int answered(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const struct buf *actions = &trial_of(L)->actions;
  lua_Integer texts = 0, all = 0;
  lua_settop(L, 0);
  luaL_checkstack(L, 8, NULL);
  push_list(L);
  push_list(L);
  for (const char *at = actions->data, *end = at + actions->len; at < end;) {
    at = push_action(L, at, end);
    lua_getfield(L, -1, "action");
    bool sends = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "send") == 0;
    lua_pop(L, 1);
    if (sends) {
      lua_getfield(L, -1, "text");
      lua_rawseti(L, 1, ++texts);
    }
    lua_rawseti(L, 2, ++all);
  }
  return 2;
}

static void check_can_wish(lua_State *L, const char *name) {
  struct script *script = script_of(L);
  if (!script->current && !script->in_update)
    luaL_error(L, "%s: only in a case: the bots have not started while the file is read", name);
  if (!task_can_wait(L))
    luaL_error(L,
               "%s cannot wait here: not in an update function, nor in a callback of table.sort and the like",
               name);
}

/* An event that nobody can hear is a mistake. */
static void check_has_bots(lua_State *L, const char *name) {
  struct trial *trial = trial_of(L);
  if (scripts_count(trial->bots.scripts) > 0) return;
  if (trial->chosen)
    luaL_error(L, "%s: no bot is here to hear it: test.bots has named none", name);
  else
    luaL_error(L,
               "%s: no bot is here to hear it: %s is named after none; test.bots(name …) says which to take",
               name, trial->options.file);
}

static int wish(lua_State *L, enum trial_wish what) {
  struct trial *trial = trial_of(L);
  trial->wish = what;
  trial->caller = script_of(L)->current;
  return task_wait(L, answered);
}

static void put_field(lua_State *L, int index, const char *name, struct buf *json) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  luaL_argcheck(L, utf8_valid(text, len) == len, index, "not valid UTF-8");
  buf_printf(json, ",\"%s\":", name);
  json_put_string(json, text, len);
}

static int test_say(lua_State *L) {
  lib_no_colon(L, "test.say");
  struct trial *trial = trial_of(L);
  check_can_wish(L, "test.say");
  check_has_bots(L, "test.say");
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_pushliteral(L, "general");
    lua_replace(L, 3);
  }
  buf_clear(&trial->name);
  buf_puts(&trial->name, "message");
  buf_clear(&trial->event);
  buf_puts(&trial->event, "{\"event\":\"message\"");
  put_field(L, 3, "channel", &trial->event);
  put_field(L, 1, "userId", &trial->event);
  put_field(L, 2, "text", &trial->event);
  buf_putc(&trial->event, '}');
  return wish(L, TRIAL_EMIT);
}

static int test_emit(lua_State *L) {
  lib_no_colon(L, "test.emit");
  struct trial *trial = trial_of(L);
  struct err err;
  size_t len;
  check_can_wish(L, "test.emit");
  check_has_bots(L, "test.emit");
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "event");
  if (lua_rawget(L, 1) != LUA_TSTRING)
    return luaL_error(L, "test.emit: an event has a string `event`: test.emit{event = \"message\", …}");
  const char *name = lua_tolstring(L, -1, &len);
  if (len == 0 || strlen(name) != len || strcmp(name, "start") == 0 || strcmp(name, "stop") == 0)
    return luaL_error(L, "test.emit: \"%s\" is no event that comes from outside%s", name,
                      len ? "; test.restart() raises start and stop" : "");
  buf_clear(&trial->name);
  buf_add(&trial->name, name, len);
  buf_clear(&trial->event);
  size_t limit = store_value_limit(script_of(L)->scripts->options.store);
  if (value_encode(L, 1, "event", limit, &trial->event, &err) != MOONKEEP_OK)
    return luaL_error(L, "test.emit: %s", err.message);
  return wish(L, TRIAL_EMIT);
}

static int test_advance(lua_State *L) {
  lib_no_colon(L, "test.advance");
  check_can_wish(L, "test.advance");
  trial_of(L)->advance_ms = lib_check_ms(L, 1);
  return wish(L, TRIAL_ADVANCE);
}

static int test_restart(lua_State *L) {
  lib_no_colon(L, "test.restart");
  check_can_wish(L, "test.restart");
  return wish(L, TRIAL_RESTART);
}

/* ---- what should be so ---- */

static struct buf *scratch(lua_State *L) {
  struct buf *text = &trial_of(L)->text;
  buf_clear(text);
  buf_clear(&trial_of(L)->path);
  return text;
}

/* Raises the text as an error of whoever called the function. */
static int refuse(lua_State *L, struct buf *text) {
  luaL_where(L, 1);
  lua_pushstring(L, buf_text(text));
  lua_concat(L, 2);
  return lua_error(L);
}

/* `what` of the caller, or a sentence of ours. */
static void put_what(lua_State *L, int index, const char *otherwise, struct buf *text) {
  if (lua_isnoneornil(L, index))
    buf_puts(text, otherwise);
  else
    buf_puts(text, luaL_tolstring(L, index, NULL));
}

static int test_equal(lua_State *L) {
  lib_no_colon(L, "test.equal");
  struct buf *text = scratch(L), *path = &trial_of(L)->path;
  luaL_checkany(L, 1);
  luaL_checkany(L, 2);
  lua_settop(L, 3);
  if (show_equal(L, 1, 2, path)) return 0;
  int got = lua_gettop(L) - 1;
  put_what(L, 3, "not equal", text);
  buf_puts(text, "\n    got     ");
  show_value(L, 1, text);
  buf_puts(text, "\n    wanted  ");
  show_value(L, 2, text);
  if (path->len) {
    buf_printf(text, "\n    at %s: got ", buf_text(path));
    show_value(L, got, text);
    buf_puts(text, ", wanted ");
    show_value(L, got + 1, text);
  }
  return refuse(L, text);
}

static int test_ok(lua_State *L) {
  lib_no_colon(L, "test.ok");
  struct buf *text = scratch(L);
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  if (lua_toboolean(L, 1)) return 0;
  put_what(L, 2, "not true", text);
  buf_puts(text, "\n    got     ");
  show_value(L, 1, text);
  return refuse(L, text);
}

static bool has_part(lua_State *L, int index, const char *part) {
  return lua_type(L, index) == LUA_TSTRING && strstr(lua_tostring(L, index), part);
}

static bool list_has_part(lua_State *L, int list, const char *part) {
  bool has = false;
  for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, list); i <= n && !has; i++) {
    lua_rawgeti(L, list, i);
    has = has_part(L, lua_gettop(L), part);
    lua_pop(L, 1);
  }
  return has;
}

static int test_contains(lua_State *L) {
  lib_no_colon(L, "test.contains");
  struct buf *text = scratch(L);
  luaL_argexpected(L, lua_istable(L, 1) || lua_type(L, 1) == LUA_TSTRING, 1, "text or list of texts");
  const char *part = luaL_checkstring(L, 2);
  if (lua_istable(L, 1) ? list_has_part(L, 1, part) : has_part(L, 1, part)) return 0;
  buf_puts(text, "not in there\n    got     ");
  show_value(L, 1, text);
  buf_puts(text, "\n    wanted  … ");
  show_value(L, 2, text);
  buf_puts(text, " …");
  return refuse(L, text);
}

static int test_fail(lua_State *L) {
  lib_no_colon(L, "test.fail");
  struct buf *text = scratch(L);
  put_what(L, 1, "failed", text);
  return refuse(L, text);
}

/* (fn, part [, error]) */
static int raised(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (budget_is_over(L)) return lua_error(L); /* it is being stopped; nobody catches that */
  struct buf *text = scratch(L);
  if (status == LUA_OK || status == LUA_YIELD) {
    buf_puts(text, "no error was raised");
    return refuse(L, text);
  }
  const char *message = luaL_tolstring(L, 3, NULL);
  const char *part = luaL_optstring(L, 2, "");
  lua_pushvalue(L, 3);
  if (strstr(message, part)) return 1;
  buf_printf(text, "another error was raised\n    got     %s\n    wanted  … %s …", message, part);
  return refuse(L, text);
}

static int test_raises(lua_State *L) {
  lib_no_colon(L, "test.raises");
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_optstring(L, 2, "");
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  return raised(L, lua_pcallk(L, 0, 0, 0, 0, raised), 0);
}

/* ---- what was told ---- */

static int test_errors(lua_State *L) {
  struct buf *faults = &trial_of(L)->faults;
  lua_Integer n = 0;
  push_list(L);
  for (const char *at = faults->data, *end = at + faults->len; at < end; at += strlen(at) + 1) {
    lua_pushstring(L, at);
    lua_rawseti(L, -2, ++n);
  }
  buf_clear(faults);
  return 1;
}

static void push_line(lua_State *L, enum log_level level, const char *source, const char *text) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, log_level_name(level));
  lua_setfield(L, -2, "level");
  lua_pushstring(L, source);
  lua_setfield(L, -2, "script");
  lua_pushstring(L, text);
  lua_setfield(L, -2, "text");
}

/* Copies the lines first: the store's threads may add some. */
static int test_log(lua_State *L) {
  struct trial *trial = trial_of(L);
  struct buf *text = scratch(L);
  lua_Integer n = 0;
  pthread_mutex_lock(&trial->lock);
  buf_add(text, trial->lines.data, trial->lines.len);
  pthread_mutex_unlock(&trial->lock);
  push_list(L);
  for (const char *at = text->data, *end = at + text->len; at < end;) {
    const char *source = at + 1, *line = source + strlen(source) + 1;
    push_line(L, (enum log_level)(*at - '0'), source, line);
    lua_rawseti(L, -2, ++n);
    at = line + strlen(line) + 1;
  }
  return 1;
}

static const luaL_Reg functions[] = {{"bots", test_bots},
                                     {"say", test_say},
                                     {"emit", test_emit},
                                     {"advance", test_advance},
                                     {"restart", test_restart},
                                     {"equal", test_equal},
                                     {"ok", test_ok},
                                     {"contains", test_contains},
                                     {"raises", test_raises},
                                     {"fail", test_fail},
                                     {"log", test_log},
                                     {"errors", test_errors},
                                     {NULL, NULL}};

void lib_open_test(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &cases_key);
  luaL_newlib(L, functions);
  lib_seal(L, "test", NULL);
  lua_getmetatable(L, -1);
  lua_pushcfunction(L, test_call);
  lua_setfield(L, -2, "__call");
  lua_pop(L, 1);
  lua_setglobal(L, "test");
  lua_pushnil(L);
  lua_setglobal(L, "bot");
}
