#include "script/snippet.h"

#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/script.h"
#include "script/value.h"

struct snippet {
  struct scripts *scripts; /* owned: room for this one alone */
  struct script *script;   /* owned */
  const char *text;        /* borrowed, while it is compiled */
  size_t len;

  /* While it is called. */
  const char *key, *json; /* json: what it gets; NULL: nil */
  size_t json_len;
  struct value *made;
  enum store_verdict verdict;
  struct err err; /* of STORE_FAIL; its code is OK where the function has raised */
};

static struct snippet *snippet_of(lua_State *L) {
  return script_of(L)->scripts->options.ctx;
}

/* Runs a function on the main chunk's coroutine; false: err has what it raised. */
static bool run(struct snippet *snippet, lua_CFunction function, struct err *err) {
  struct fault_text text = {0};
  lua_pushcfunction(snippet->script->L, function);
  bool ok = fault_catch(snippet->script, &text);
  bool stopped = !ok && strstr(buf_text(&text.message), ": stopped: ");
  if (!ok) err_set(err, stopped ? MOONKEEP_TIMEOUT : MOONKEEP_INVALID, "%s", buf_text(&text.message));
  fault_text_deinit(&text);
  return ok;
}

/* ---- compiling ---- */

static int load(lua_State *L, const char *before, const char *text, size_t len) {
  lua_pushstring(L, before);
  lua_pushlstring(L, text, len);
  lua_concat(L, 2);
  size_t whole_len;
  const char *whole = lua_tolstring(L, -1, &whole_len);
  int status = luaL_loadbufferx(L, whole, whole_len, "=function", "t");
  lua_remove(L, -2);
  return status;
}

static int keep_function(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  if (!lua_isfunction(L, -1))
    return luaL_error(L, "the text gives a %s, not a function: 'function(value) return … end'",
                      luaL_typename(L, -1));
  lua_rawsetp(L, LUA_REGISTRYINDEX, snippet_of(L));
  return 0;
}

/* The words that a function may return are at hand, as they are in the console. */
static void set_words(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonkeep");
  lua_call(L, 1, 1);
  lua_setglobal(L, "moonkeep");
}

/* An expression, or else a chunk; what is wrong with the expression is told. */
static int compile(lua_State *L) {
  struct snippet *snippet = snippet_of(L);
  set_words(L);
  if (load(L, "return ", snippet->text, snippet->len) != LUA_OK) {
    if (load(L, "", snippet->text, snippet->len) != LUA_OK) {
      lua_pop(L, 1);
      return lua_error(L);
    }
    lua_remove(L, -2);
  }
  lua_callk(L, 0, 1, 0, keep_function);
  return keep_function(L, LUA_OK, 0);
}

/* ---- calling ---- */

static void take_value(lua_State *L, struct snippet *snippet) {
  struct buf *json = &snippet->scripts->scratch;
  buf_clear(json);
  size_t limit = store_value_limit(snippet->scripts->options.store);
  snippet->verdict = STORE_FAIL;
  if (value_encode(L, -1, "value", limit, json, &snippet->err) != MOONKEEP_OK) return;
  snippet->made = json->failed ? NULL : value_new(json->data, json->len, 0);
  if (snippet->made)
    snippet->verdict = STORE_WRITE;
  else
    err_memory(&snippet->err);
}

static int judge(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  struct snippet *snippet = snippet_of(L);
  if (lib_is_unchanged(L, -1))
    snippet->verdict = STORE_KEEP;
  else if (lib_is_absent(L, -1))
    snippet->verdict = STORE_ERASE;
  else if (lua_isnil(L, -1))
    err_set(&snippet->err, MOONKEEP_INVALID_VALUE,
            "the function returned nil for key \"%.200s\" (a forgotten return?)", snippet->key);
  else
    take_value(L, snippet);
  return 0;
}

static int call(lua_State *L) {
  struct snippet *snippet = snippet_of(L);
  lua_settop(L, 0);
  luaL_checkstack(L, 8, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, snippet);
  if (!snippet->json)
    lua_pushnil(L);
  else if (value_push(L, snippet->json, snippet->json_len, &snippet->err) != MOONKEEP_OK)
    return 0;
  lua_callk(L, 1, 1, 0, judge);
  return judge(L, LUA_OK, 0);
}

enum store_verdict snippet_call(struct snippet *snippet, const char *key, const struct value *current,
                                const char *preset, size_t preset_len, struct value **made, struct err *err) {
  snippet->key = key;
  snippet->json = current ? current->json : preset_len ? preset : NULL;
  snippet->json_len = current ? current->len : preset_len;
  snippet->verdict = STORE_FAIL;
  snippet->made = NULL;
  if (!run(snippet, call, &snippet->err)) snippet->verdict = STORE_FAIL;
  if (snippet->verdict == STORE_FAIL) *err = snippet->err;
  if (snippet->verdict != STORE_WRITE) value_free(snippet->made);
  *made = snippet->verdict == STORE_WRITE ? snippet->made : NULL;
  return snippet->verdict;
}

/* ---- its life ---- */

enum moonkeep_code snippet_new(struct snippet **out, struct store *store, const char *text, size_t len,
                               const struct log *log, struct err *err) {
  struct snippet *snippet = *out = mem_zero(sizeof *snippet);
  if (!snippet) return err_memory(err);
  struct scripts_options options = {.dir = "", .store = store, .log = log, .ctx = snippet};
  snippet->text = text;
  snippet->len = len;
  snippet->scripts = scripts_make(&options);
  snippet->script = snippet->scripts ? script_new(snippet->scripts, "update") : NULL;
  enum moonkeep_code code = MOONKEEP_OK;
  if (!snippet->script)
    code = err_memory(err);
  else {
    snippet->script->in_update = true; /* it makes no store call, and waits for nothing */
    code = run(snippet, compile, err) ? MOONKEEP_OK : err->code;
  }
  if (!code) return code;
  snippet_free(snippet);
  *out = NULL;
  return code;
}

void snippet_free(struct snippet *snippet) {
  if (!snippet) return;
  if (snippet->script) script_drop(snippet->script, "it has ended");
  script_free(snippet->script);
  scripts_close(snippet->scripts);
  mem_free(snippet);
}
