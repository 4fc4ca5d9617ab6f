#include "script/prompt.h"

#include <lauxlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "script/event.h"
#include "script/lib.h"
#include "script/script.h"
#include "script/task.h"
#include "script/written.h"

enum { SAID_BYTES = 64 << 10, NAMES = 200 };

struct prompt {
  struct script *script; /* owned */
  struct prompt_calls calls;
  struct buf text; /* what came of it */
  bool busy, ended, ok, incomplete;
};

static const char KEY; /* of the prompt, in the registry */

static struct prompt *prompt_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &KEY);
  struct prompt *prompt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return prompt;
}

/* ---- running ---- */

/* The values stand on the stack, or the error does. */
static int end_run(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  struct prompt *prompt = prompt_of(L);
  bool ok = status == LUA_OK || status == LUA_YIELD;
  luaL_checkstack(L, 8, NULL);
  if (ok) {
    for (int i = 1; i <= lua_gettop(L); i++) {
      if (i > 1) buf_putc(&prompt->text, '\n');
      written_put(L, i, &prompt->text);
    }
  } else {
    size_t len;
    const char *message = luaL_tolstring(L, -1, &len);
    buf_add(&prompt->text, message, len);
  }
  prompt->ok = ok;
  prompt->ended = true;
  return 0;
}

static int run(lua_State *L) {
  return end_run(L, lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, end_run), 0);
}

/* The message of the first error in [{"script":…,"message":…}]. */
static void read_why(struct prompt *prompt, const struct scripts_outcome *outcome) {
  struct json json;
  struct json_token token;
  bool found = false;
  buf_clear(&prompt->text);
  json_init(&json, outcome->errors, outcome->errors_len);
  while (!found && json_next(&json, &token) != JSON_END && token.type != JSON_ERROR) {
    bool is_message =
        token.type == JSON_KEY && token.string_len == 7 && memcmp(token.string, "message", 7) == 0;
    if (!is_message) continue;
    found = json_next(&json, &token) == JSON_STRING;
    if (found) buf_add(&prompt->text, token.string, token.string_len);
  }
  json_deinit(&json);
  if (!found) buf_puts(&prompt->text, "it was stopped");
}

static void on_done(void *ctx, const struct scripts_outcome *outcome) {
  struct prompt *prompt = ctx;
  if (!prompt->ended) read_why(prompt, outcome);
  struct prompt_outcome it = {.ok = prompt->ok, .incomplete = prompt->incomplete};
  it.text = prompt->text.failed ? "out of memory" : prompt->text.data ? prompt->text.data : "";
  it.len = prompt->text.failed ? strlen(it.text) : prompt->text.len;
  prompt->busy = false;
  prompt->calls.done(prompt->calls.ctx, &it);
}

struct start {
  struct prompt *prompt;
  struct event *event;
  const char *code;
  size_t len;
};

static int compile(lua_State *L, const char *before, const struct start *start) {
  lua_pushstring(L, before);
  lua_pushlstring(L, start->code, start->len);
  lua_concat(L, 2);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  int status = luaL_loadbufferx(L, text, len, "=console", "t");
  lua_remove(L, -2);
  return status;
}

/* Whether the message on top says that the code is not whole. */
static bool ends_early(lua_State *L) {
  size_t len;
  const char *message = lua_tolstring(L, -1, &len);
  return message && len >= 5 && strcmp(message + len - 5, "<eof>") == 0;
}

static int begin(lua_State *L) {
  struct start *start = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_pushcfunction(L, run);
  if (compile(L, "return ", start) != LUA_OK) {
    bool incomplete = ends_early(L);
    lua_pop(L, 1);
    if (compile(L, "", start) != LUA_OK) {
      start->prompt->incomplete = incomplete || ends_early(L);
      return lua_error(L);
    }
  }
  task_start(L, 1, "the console", start->event);
  return 0;
}

enum moonkeep_code prompt_eval(struct prompt *prompt, const char *code, size_t len, struct err *err) {
  static const char name[] = "console", json[] = "{\"event\":\"console\"}";
  struct scripts *scripts = prompt->script->scripts;
  if (prompt->busy) return err_set(err, MOONKEEP_BUSY, "what was entered before is still at work");
  struct start start = {.prompt = prompt, .code = code, .len = len};
  start.event = event_make(scripts, true, name, sizeof name - 1, json, sizeof json - 1);
  if (!start.event) return err_memory(err);
  start.event->done = on_done;
  start.event->ctx = prompt;
  buf_clear(&prompt->text);
  prompt->busy = true;
  prompt->ended = prompt->ok = prompt->incomplete = false;
  struct err why;
  if (!script_protect(prompt->script, begin, &start, &why)) {
    buf_puts(&prompt->text, why.message);
    prompt->ended = true;
  }
  event_free(start.event);
  return MOONKEEP_OK;
}

/* ---- print ---- */

static int print(lua_State *L) {
  lib_line(L, "\n");
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  struct prompt *prompt = prompt_of(L);
  if (prompt->calls.said) prompt->calls.said(prompt->calls.ctx, text, len < SAID_BYTES ? len : SAID_BYTES);
  return 0;
}

/* ---- completion ---- */

struct naming {
  const char *code;
  size_t len;
  struct buf *out;
  unsigned count;
};

static bool is_part(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has_names(lua_State *L) {
  if (!lua_istable(L, -1)) return false;
  lua_pushnil(L);
  if (!lua_next(L, -2)) return false;
  lua_pop(L, 2);
  return true;
}

/* The table in which names of the value on top are found takes its place: itself, or, where it is none or
 * empty, what its metatable has as __index. */
static void find_table(lua_State *L) {
  while (!has_names(L) && lua_getmetatable(L, -1)) {
    lua_pushliteral(L, "__index");
    lua_rawget(L, -2);
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
}

static void put_names(lua_State *L, struct naming *naming, size_t prefix_begin, size_t name_begin) {
  const char *code = naming->code;
  size_t part = naming->len - name_begin;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    size_t len;
    if (lua_type(L, -2) != LUA_TSTRING || naming->count >= NAMES) continue;
    const char *name = lua_tolstring(L, -2, &len);
    if (len < part || memcmp(name, code + name_begin, part) != 0 || !is_part(name[0])) continue;
    lua_pushlstring(L, code + prefix_begin, name_begin - prefix_begin);
    lua_pushvalue(L, -3);
    lua_concat(L, 2);
    const char *whole = lua_tolstring(L, -1, &len);
    if (naming->count++ > 0) buf_putc(naming->out, ',');
    json_put_string(naming->out, whole, len);
    lua_pop(L, 1);
  }
}

/* Walks a.b:c from the globals; nothing of the script's runs. */
static int name(lua_State *L) {
  struct naming *naming = lua_touserdata(L, 1);
  size_t begin = naming->len, at;
  while (begin > 0 && (is_part(naming->code[begin - 1]) || strchr(".:", naming->code[begin - 1]))) begin--;
  lua_settop(L, 0);
  lua_pushglobaltable(L);
  for (at = begin;;) {
    size_t end = at;
    while (end < naming->len && is_part(naming->code[end])) end++;
    if (end == naming->len) break;
    lua_pushlstring(L, naming->code + at, end - at);
    lua_rawget(L, -2);
    lua_replace(L, 1);
    find_table(L);
    if (!lua_istable(L, 1)) return 0;
    at = end + 1;
  }
  put_names(L, naming, begin, at);
  return 0;
}

void prompt_complete(struct prompt *prompt, const char *code, size_t len, struct buf *out) {
  struct naming naming = {.code = code, .len = len, .out = out};
  struct err err;
  buf_putc(out, '[');
  script_protect(prompt->script, name, &naming, &err);
  buf_putc(out, ']');
}

/* ---- its life ---- */

static int furnish(lua_State *L) {
  lua_rawsetp(L, LUA_REGISTRYINDEX, &KEY);
  lua_pushcfunction(L, print);
  lua_setglobal(L, "print");
  static const char *const modules[] = {"moonkeep", "cjson"};
  for (int i = 0; i < 2; i++) {
    lua_getglobal(L, "require");
    lua_pushstring(L, modules[i]);
    lua_call(L, 1, 1);
    lua_setglobal(L, modules[i]);
  }
  return 0;
}

struct prompt *prompt_new(struct scripts *scripts, const struct prompt_calls *calls) {
  struct prompt *prompt = mem_zero(sizeof *prompt);
  struct script *script = prompt ? script_new(scripts, "console") : NULL;
  struct err err;
  if (!script) {
    mem_free(prompt);
    return NULL;
  }
  script->stage = SCRIPT_LIVE; /* it has no versions */
  prompt->script = script;
  prompt->calls = *calls;
  if (script_protect(script, furnish, prompt, &err)) return prompt;
  prompt_free(prompt);
  return NULL;
}

void prompt_free(struct prompt *prompt) {
  if (!prompt) return;
  prompt->calls.said = NULL;
  prompt->script->stage = SCRIPT_OVER;
  script_drop(prompt->script, "the console was closed");
  script_free(prompt->script);
  buf_deinit(&prompt->text);
  mem_free(prompt);
}
