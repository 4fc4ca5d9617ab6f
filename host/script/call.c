#include "script/call.h"

#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/fault.h"
#include "script/provided.h"
#include "script/script.h"
#include "script/task.h"

void waiter_init(struct waiter *waiter, struct script *script, struct task *task) {
  *waiter = (struct waiter){.script = script, .task = task};
}

struct waiter *waiter_of(lua_State *L) {
  struct script *script = script_of(L);
  return script->current ? &script->current->waiter : &script->waiter;
}

/* The answer of a call whose task is gone. */
static void abandoned(struct store_call *call) {
  struct scripts *scripts = call->ctx;
  scripts->calls--;
  store_call_free(call);
}

static enum store_verdict refuse(struct store_call *call, const struct value *current) {
  (void)current;
  call->err = mem_alloc(sizeof *call->err);
  err_set(call->err, MOONKEEP_CLOSED, "the script that made this call has been stopped");
  return STORE_FAIL;
}

void waiter_drop(struct waiter *waiter) {
  struct store_call *call = waiter->call;
  provided_drop(waiter);
  waiter->call = NULL;
  bounds_give(waiter->script, waiter->taken_bytes);
  waiter->taken_bytes = 0;
  if (waiter->stopped) mem_free(waiter->stopped);
  waiter->stopped = NULL;
  if (waiter->default_json.data) buf_deinit(&waiter->default_json);
  if (!waiter->under_way) {
    store_call_free(call);
    return;
  }
  waiter->under_way = false;
  call->ctx = waiter->script->scripts;
  call->done = abandoned;
  call->apply = refuse;
}

/* The method that has waited for room begins anew: its frame is as it was. */
static int begin_anew(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_Debug frame;
  lua_getstack(L, 0, &frame);
  lua_getinfo(L, "f", &frame);
  lua_CFunction method = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  waiter_of(L)->admitted = true;
  return method(L);
}

void call_await_room(lua_State *L) {
  struct waiter *waiter = waiter_of(L);
  struct scripts *scripts = waiter->script->scripts;
  struct store *store = scripts->options.store;
  bool admitted = waiter->admitted;
  waiter->admitted = false;
  if (admitted) return;
  waiter->called_ms = 0;
  if (store_has_room(store) && list_empty(&scripts->slowed)) return;
  waiter->called_ms = store_now_ms(store);
  if (task_can_wait(L)) {
    task_slow(waiter->task);
    task_wait(L, begin_anew);
  }
  while (!store_has_room(store)) store_wait(store, -1);
}

void call_without_room(lua_State *L) {
  waiter_of(L)->admitted = false;
}

int64_t call_time_ms(lua_State *L) {
  const struct waiter *waiter = waiter_of(L);
  return waiter->called_ms ? waiter->called_ms : store_now_ms(waiter->script->scripts->options.store);
}

bool call_take(lua_State *L, size_t bytes) {
  struct waiter *waiter = waiter_of(L);
  if (!bounds_take(waiter->script, bytes)) return false;
  waiter->taken_bytes += bytes;
  return true;
}

struct store_call *call_begin(lua_State *L, enum store_op op, struct bucket *bucket, const char *key,
                              size_t key_len) {
  struct waiter *waiter = waiter_of(L);
  waiter_drop(waiter);
  if (call_take(L, sizeof(struct store_call) + key_len))
    waiter->call = store_call_new(op, bucket, key, key_len);
  if (!waiter->call) fault(L, MOONKEEP_MEMORY, "%s: out of memory", bucket_name(bucket));
  waiter->L = L;
  waiter->ran = waiter->raised = false;
  return waiter->call;
}

static void answered(struct store_call *call) {
  struct waiter *waiter = call->ctx;
  waiter->under_way = false;
  waiter->script->scripts->calls--;
  if (waiter->task && waiter->task->state == TASK_WAITING) task_wake(waiter->task);
}

bool call_submit(lua_State *L) {
  struct waiter *waiter = waiter_of(L);
  struct scripts *scripts = waiter->script->scripts;
  waiter->call->done = answered;
  waiter->call->ctx = waiter;
  waiter->under_way = true;
  scripts->calls++;
  if (!store_submit(scripts->options.store, waiter->call)) return false;
  waiter->under_way = false;
  scripts->calls--;
  return true;
}

int call_wait_with(lua_State *L, lua_KFunction finish, lua_KContext ctx) {
  struct waiter *waiter = waiter_of(L);
  if (task_can_wait(L)) return task_wait_with(L, finish, ctx);
  while (waiter->under_way) store_wait(waiter->script->scripts->options.store, -1);
  return finish(L, LUA_OK, ctx);
}

int call_wait(lua_State *L, lua_KFunction finish) {
  return call_wait_with(L, finish, 0);
}

int call_run(lua_State *L, lua_KFunction finish) {
  return call_submit(L) ? finish(L, LUA_OK, 0) : call_wait(L, finish);
}

struct store_call *call_answer(lua_State *L, const char *method) {
  struct waiter *waiter = waiter_of(L);
  struct store_call *call = waiter->call;
  if (!call->err) return call;
  const char *store = bucket_name(call->bucket);
  const struct err *from = call->err;
  struct err err;
  const char *key = from->key[0] ? from->key : call->key;
  err_key(&err, from->code, key, strnlen(key, STORE_KEY_BYTES), "%s:%s: %s", store, method, from->message);
  waiter_drop(waiter);
  fault_raise(L, &err);
  return NULL;
}
