/* require "NAME", where the server provides NAME
 *
 *   NAME.function(…)   what moonkeep_provide has given it, or NAME(…) where NAME is a function itself
 *
 * Arguments go as a JSON array, the answer comes as JSON. In a task the call waits for it; elsewhere it has
 * to be there at once. Where the server has failed it, that is raised.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "script/call.h"
#include "script/fault.h"
#include "script/lib.h"
#include "script/provided.h"
#include "script/task.h"
#include "script/value.h"

/* The function's name as scripts write it: "arena.move". */
static const char *name_of(const struct provided_function *function, char out[160]) {
  const char *own = function->name ? function->name : "";
  snprintf(out, 160, "%.80s%s%.70s", function->module->name, function->name ? "." : "", own);
  return out;
}

static const struct provided_function *function_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* All arguments as a JSON array, in the scratch buffer. nil becomes null. */
static struct buf *put_args(lua_State *L, const char *name) {
  struct scripts *scripts = script_of(L)->scripts;
  struct buf *out = &scripts->scratch;
  enum moonkeep_code code = MOONKEEP_OK;
  struct err err;
  buf_clear(out);
  buf_putc(out, '[');
  for (int i = 1, count = lua_gettop(L); i <= count && !code; i++) {
    char which[32];
    snprintf(which, sizeof which, "argument %d", i);
    if (i > 1) buf_putc(out, ',');
    if (lua_isnil(L, i))
      buf_puts(out, "null");
    else
      code = value_encode(L, i, which, store_value_limit(scripts->options.store), out, &err);
  }
  buf_putc(out, ']');
  if (!code && out->failed) code = err_memory(&err);
  if (code) fault(L, code, "%s: %s", name, err.message);
  return out;
}

static int answer_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  char name[160];
  struct err err = {0};
  struct waiter *waiter = waiter_of(L);
  const struct moonkeep_call *call = waiter->served;
  name_of(function_of(L), name);
  if (call->code == MOONKEEP_MEMORY && !call->message)
    err_set(&err, MOONKEEP_MEMORY, "%s: out of memory", name);
  else if (call->code)
    err_set(&err, call->code, "%s: %s", name, call->message ? call->message : "it has failed");
  else if (call->json && value_push(L, call->json, strlen(call->json), &err))
    err_set(&err, MOONKEEP_INVALID_VALUE, "%s: the server's answer is no value: %s", name,
            (const char *)lua_pushstring(L, err.message));
  bool given = call->json != NULL;
  provided_drop(waiter);
  return err.code ? fault_raise(L, &err) : given;
}

static int call_provided(lua_State *L) {
  char name[160];
  struct provided_function *function = lua_touserdata(L, lua_upvalueindex(1));
  struct waiter *waiter = waiter_of(L);
  name_of(function, name);
  if (function->name) lib_no_colon(L, name);
  if (!function->fn) return fault(L, MOONKEEP_CLOSED, "%s: the server does not offer it any more", name);
  luaL_checkstack(L, 8, NULL);
  const struct buf *args = put_args(L, name);
  if (!provided_call(function, waiter, args->data, args->len))
    return fault(L, MOONKEEP_MEMORY, "%s: out of memory", name);
  if (waiter->served->answered) return answer_end(L, LUA_OK, 0);
  if (task_can_wait(L)) return task_wait(L, answer_end);
  provided_drop(waiter);
  return fault(
      L, MOONKEEP_INVALID,
      "%s: the server answers later, and here nothing can wait: call it in an event handler, a timer "
      "or bot.spawn",
      name);
}

static void push_function(lua_State *L, struct provided_function *function) {
  lua_pushlightuserdata(L, function);
  lua_pushcclosure(L, call_provided, 1);
}

bool lib_push_provided(lua_State *L, const char *name) {
  struct provided *provided = script_of(L)->scripts->options.provided;
  struct provided_module *module = provided ? provided_find(provided, name) : NULL;
  if (!module || list_empty(&module->functions)) return false;
  lua_newtable(L);
  for (struct list *node = module->functions.next; node != &module->functions; node = node->next) {
    struct provided_function *function = list_of(node, struct provided_function, link);
    push_function(L, function);
    if (!function->name) {
      lua_remove(L, -2);
      return true;
    }
    lua_setfield(L, -2, function->name);
  }
  lib_seal(L, name, NULL);
  return true;
}
