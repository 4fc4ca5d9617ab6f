#include "script/script.h"

#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/note.h"
#include "script/event.h"
#include "script/fault.h"
#include "script/file.h"
#include "script/foreign.h"
#include "script/lib.h"
#include "script/look.h"
#include "script/reload.h"
#include "script/task.h"

/* The collector waits until memory has grown to this percentage of what was in use after the last collection:
 * a long pause gives the most updates a second, a short one the smallest script at rest. It works whenever
 * two to the power of GC_STEP bytes have been allocated, and for each eight of them does GC_STEPMUL units
 * then, of which an object that is swept is one: with more of both a task that allocates some kilobytes had a
 * millisecond of it, or several. As it is, memory grows by a quarter of what is in use while a collection
 * goes on. */
enum { GC_PAUSE = 300, GC_STEPMUL = 8, GC_STEP = 9 };

/* ---- the state ---- */

static void *allocate(void *ctx, void *block, size_t old_size, size_t new_size) {
  struct script *script = ctx;
  size_t old = block ? old_size : 0; /* without a block, old_size is the type of what is being made */
  if (new_size == 0) {
    script->bytes -= old;
    arena_free(&script->arena, block, old);
    return NULL;
  }
  if (new_size > old && script->limit_bytes && script->bytes - old + new_size > script->limit_bytes)
    return NULL;
  void *moved =
      block ? arena_resize(&script->arena, block, old, new_size) : arena_alloc(&script->arena, new_size);
  if (!moved) return NULL;
  script->bytes += new_size - old;
  return moved;
}

static int panic(lua_State *L) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
  log_write(script_log(script_of(L)), LOG_ERROR, script_of(L)->name, "error outside any protected call: %s",
            text);
  return 0;
}

/* The low bits of the extra space are marks, so what it points to is aligned to more than these. */
static uintptr_t *extra(lua_State *L) {
  return (uintptr_t *)lua_getextraspace(L);
}

/* Whether the state is one that script_new has made: the extra space of others is not ours. */
static bool is_ours(lua_State *L) {
  return lua_getallocf(L, NULL) == allocate;
}

bool script_owns(lua_State *L) {
  return is_ours(L);
}

struct script *script_of(lua_State *L) {
  if (!is_ours(L)) return foreign_find(L);
  uintptr_t bits = *extra(L) & ~(uintptr_t)THREAD_MARKS;
  return (struct script *)bits;
}

bool thread_is(lua_State *L, unsigned mark) {
  return is_ours(L) && (*extra(L) & mark) != 0;
}

void thread_mark(lua_State *L, unsigned mark, bool on) {
  if (!is_ours(L)) return;
  *extra(L) = on ? *extra(L) | mark : *extra(L) & ~(uintptr_t)mark;
}

bool script_protect(struct script *script, lua_CFunction body, void *arg, struct err *err) {
  lua_State *L = script->L;
  if (!lua_checkstack(L, 4)) {
    err_memory(err);
    return false;
  }
  struct budget_frame frame;
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, arg);
  budget_enter(&frame, script, L, false);
  int status = lua_pcall(L, 1, 0, 0);
  budget_leave(&frame);
  budget_frame_deinit(&frame);
  if (status == LUA_OK) return true;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
  err_set(err, status == LUA_ERRMEM ? MOONKEEP_MEMORY : MOONKEEP_INVALID, "%s", text);
  lua_pop(L, 1);
  return false;
}

/* The registry keeps it by the address of its place. */
static int make_thread(lua_State *L) {
  lua_State **place = lua_touserdata(L, 1);
  lua_State *thread = lua_newthread(L);
  thread_mark(thread, THREAD_HOST, true);
  lua_rawsetp(L, LUA_REGISTRYINDEX, place);
  *place = thread;
  return 0;
}

bool script_need_thread(struct script *script, lua_State **place) {
  struct err err;
  return *place || script_protect(script, make_thread, place, &err);
}

static int forget_thread(lua_State *L) {
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
  return 0;
}

void script_forget_thread(struct script *script, lua_State **place) {
  struct err err;
  *place = NULL;
  script_protect(script, forget_thread, place, &err);
}

const struct log *script_log(const struct script *script) {
  return script->scripts->options.log;
}

bool script_add_source(struct script *script, const char *path) {
  struct scripts *scripts = script->scripts;
  if (!source_find(&script->sources, path)) {
    if (sources_count(&script->sources) >= SOURCES) return true;
    if (script->stage == SCRIPT_LIVE) look_soon(scripts); /* its folder may not be watched yet */
  }
  return source_note(&script->sources, scripts->options.dir, path) != NULL;
}

/* ---- loading ---- */

void script_init(struct script *script) {
  list_init(&script->link);
  list_init(&script->tasks);
  list_init(&script->idle);
  list_init(&script->handlers);
  list_init(&script->held);
  list_init(&script->turn.link);
  list_init(&script->timers);
  list_init(&script->sources);
  waiter_init(&script->waiter, script, NULL);
}

static struct script *make(struct scripts *scripts, const char *name) {
  struct script *script = mem_zero(sizeof *script);
  if (!script) return NULL;
  script->scripts = scripts;
  script->stage = SCRIPT_NEXT;
  script->limit_bytes = scripts->options.memory_bytes;
  script_init(script);
  bounds_init(script);
  arena_init(&script->arena, scripts->options.memory);
  script->name = mem_copy(name, strlen(name));
  script->L = script->name ? lua_newstate(allocate, script) : NULL;
  if (script->L) return script;
  arena_deinit(&script->arena);
  mem_free(script->name);
  mem_free(script);
  return NULL;
}

static int open_libs(lua_State *L) {
  fault_open(L);
  lib_open(L);
  if (script_of(L)->scripts->options.trial) lib_open_test(L);
  return 0;
}

static bool open_state(struct script *script, struct err *err) {
  lua_atpanic(script->L, panic);
  *extra(script->L) = (uintptr_t)script;
  lua_gc(script->L, LUA_GCINC, GC_PAUSE, GC_STEPMUL, GC_STEP);
  return script_protect(script, open_libs, script, err);
}

struct script *script_new(struct scripts *scripts, const char *name) {
  struct script *script = make(scripts, name);
  struct err err;
  if (!script || open_state(script, &err)) return script;
  script_drop(script, "");
  script_free(script);
  return NULL;
}

/* Reads and compiles its file: leaves the chunk on the main thread's stack. */
static bool compile(struct script *script, const char *file, struct fault_text *why) {
  struct buf source = {0};
  struct err err;
  char *path = file_path(script->scripts->options.dir, file);
  bool noted = path && script_add_source(script, file);
  enum moonkeep_code code = noted ? file_read(path, &source, &err) : err_memory(&err);
  struct budget_frame frame;
  budget_enter(&frame, script, script->L, false);
  int status = code ? LUA_OK : file_compile(script->L, &source, file);
  budget_leave(&frame);
  budget_frame_deinit(&frame);
  if (code)
    buf_puts(&why->message, err.message);
  else if (status != LUA_OK)
    fault_describe(script, why);
  buf_deinit(&source);
  mem_free(path);
  return !code && status == LUA_OK;
}

bool script_compiles(struct script *script, const char *file, struct fault_text *why) {
  if (!compile(script, file, why)) return false;
  lua_pop(script->L, 1);
  return true;
}

bool script_load(struct script *script, const char *file, struct script *before, struct fault_text *why) {
  if (!compile(script, file, why)) return false;
  if (before) lib_hand_over(before, script);
  if (!fault_catch(script, why)) return false;
  waiter_drop(&script->waiter);
  return true;
}

/* ---- the end ---- */

void script_drop(struct script *script, const char *why) {
  while (!list_empty(&script->tasks)) task_drop(list_of(script->tasks.next, struct task, link), why);
  event_drop_held(script, why);
  lib_end_timers(script);
  waiter_drop(&script->waiter);
}

/* Trusted scripts may have finalisers, which run now: they begin nothing new any more. */
static void close_state(struct script *script) {
  struct budget_frame frame;
  script->stage = SCRIPT_OVER;
  budget_enter(&frame, script, script->L, false);
  lua_close(script->L);
  budget_leave(&frame);
  budget_frame_deinit(&frame);
  waiter_drop(&script->waiter);
  bounds_deinit(script);
}

void script_free(struct script *script) {
  if (!script) return;
  reload_forget(script);
  task_free_idle(script);
  list_take(&script->link);
  note_script(script, script->name);
  close_state(script);
  note_script(NULL, NULL);
  note_forget(script);
  arena_deinit(&script->arena);
  sources_free(&script->sources);
  mem_free(script->name);
  mem_free(script);
}
