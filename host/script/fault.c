#include "script/fault.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "script/event.h"
#include "script/hint.h"
#include "script/quote.h"
#include "script/show.h"
#include "script/reload.h"

#define FAULT "moonkeep.error"

enum { MESSAGE_BYTES = 8192 }; /* of an error, in the log */

/* ---- error objects ---- */

/* Pushes a field of the error object as it was made; "" where a script has put something else there. */
static const char *field(lua_State *L, int object, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, object);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *message = field(L, 1, "message");
  const char *code = field(L, 1, "code");
  lua_pushfstring(L, "%s (%s)", message, code);
  return 1;
}

static int error_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static const luaL_Reg metamethods[] = {
    {"__tostring", error_tostring}, {"__concat", error_concat}, {NULL, NULL}};

void fault_open(lua_State *L) {
  luaL_newmetatable(L, FAULT);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

int fault_raise(lua_State *L, const struct err *err) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, moonkeep_code_name(err->code));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err->message);
  lua_setfield(L, -2, "message");
  if (err->key[0]) {
    lua_pushstring(L, err->key);
    lua_setfield(L, -2, "key");
  }
  luaL_where(L, 1);
  lua_setfield(L, -2, "where");
  luaL_setmetatable(L, FAULT);
  return lua_error(L);
}

int fault(lua_State *L, enum moonkeep_code code, const char *format, ...) {
  char message[sizeof((struct err *)0)->message];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  struct err err;
  err_set(&err, code, "%s", message);
  return fault_raise(L, &err);
}

/* ---- reports of errors that nobody caught ---- */

struct report {
  lua_State *dead; /* where the error was raised; NULL: there is no traceback */
  struct buf message, trace;
};

static void report_deinit(struct report *report) {
  buf_deinit(&report->message);
  buf_deinit(&report->trace);
}

static bool is_fault(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, FAULT);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

static void add_message(lua_State *L, struct report *report, int index) {
  bool object = is_fault(L, index);
  bool text = object || lua_isstring(L, index) || luaL_getmetafield(L, index, "__tostring") != LUA_TNIL;
  if (!text) {
    buf_printf(&report->message, "the error is a %s: ", luaL_typename(L, index));
    show_value(L, index, &report->message);
    return;
  }
  if (object) buf_puts(&report->message, field(L, index, "where"));
  size_t len;
  const char *message = luaL_tolstring(L, index, &len);
  buf_add(&report->message, message, len < MESSAGE_BYTES ? len : MESSAGE_BYTES);
  if (!object) hint_add(L, message, &report->message);
}

/* Leaves the host's own frames out, which mean nothing to whoever wrote the script. */
static void add_trace(struct report *report, const char *trace) {
  static const char ours[] = "\n\t[C]: in ?";
  size_t len = strlen(trace), ours_len = sizeof ours - 1;
  if (len >= ours_len && strcmp(trace + len - ours_len, ours) == 0) len -= ours_len;
  buf_add(&report->trace, trace, len);
}

/* (report, error): both texts. Whatever the error's metamethods do happens in here, protected. */
static int describe(lua_State *L) {
  struct report *report = lua_touserdata(L, 1);
  luaL_checkstack(L, 20, NULL);
  if (report->dead) {
    luaL_traceback(L, report->dead, NULL, 0);
    add_trace(report, lua_tostring(L, -1));
  }
  add_message(L, report, 2);
  return 0;
}

/* Describes the error on top of the main thread's stack, which it pops. */
static void make_report(struct script *script, struct report *report) {
  lua_State *L = script->L;
  lua_pushcfunction(L, describe);
  lua_pushlightuserdata(L, report);
  lua_rotate(L, -3, 2);
  struct budget_frame frame;
  budget_enter(&frame, script, L, false);
  int status = lua_pcall(L, 2, 0, 0);
  budget_leave(&frame);
  budget_frame_deinit(&frame);
  if (status == LUA_OK && !report->message.failed) return;
  if (status != LUA_OK) lua_pop(L, 1);
  buf_clear(&report->message);
  buf_puts(&report->message,
           status == LUA_ERRMEM ? "not enough memory" : "(an error that could not be turned into text)");
}

static void log_report(struct script *script, const char *what, struct report *report) {
  const struct scripts_options *options = &script->scripts->options;
  struct buf line = {0}, quoted = {0};
  buf_puts(&quoted, buf_text(&report->message));
  quote_line(script, buf_text(&report->message), &quoted);
  const char *message = buf_text(quoted.failed ? &report->message : &quoted);
  if (options->fault) options->fault(options->ctx, script->name, what, message, buf_text(&report->trace));
  if (report->trace.len)
    buf_printf(&line, "%s: %s\n%s", what, message, buf_text(&report->trace));
  else
    buf_printf(&line, "%s: %s", what, message);
  bounds_log(script, LOG_ERROR, line.failed ? "out of memory" : buf_text(&line));
  buf_deinit(&line);
  buf_deinit(&quoted);
}

static void add_stop(struct report *report, const struct budget_frame *frame) {
  struct buf trace = {0};
  buf_puts(&report->message, frame->message);
  buf_add(&trace, frame->trace.data, frame->trace.len);
  add_trace(report, buf_text(&trace));
  buf_deinit(&trace);
}

/* What a report begins with. */
static void say_what(const struct task *task, char *out, size_t size) {
  const char *event = task->event ? task->event->text : NULL;
  snprintf(out, size, event ? "error in the event \"%.100s\"" : "error in %.100s",
           event ? event : task->what);
}

/* A `start` handler of a version that has not taken over yet is the reload's to tell of. */
static void log_task(struct task *task, struct report *report) {
  char what[160];
  if (task->starts && reload_start_failed(task->script, buf_text(&report->message), buf_text(&report->trace)))
    return;
  say_what(task, what, sizeof what);
  log_report(task->script, what, report);
}

void fault_of_task(struct task *task) {
  struct script *script = task->script;
  struct report report = {.dead = task->L};
  if (lua_checkstack(script->L, 4)) {
    lua_xmove(task->L, script->L, 1);
    make_report(script, &report);
  } else {
    buf_puts(&report.message, "not enough memory");
  }
  log_task(task, &report);
  if (task->event) event_fail(task->event, script, buf_text(&report.message));
  report_deinit(&report);
}

void fault_of_stop(struct task *task, const struct budget_frame *frame) {
  struct report report = {0};
  add_stop(&report, frame);
  log_task(task, &report);
  report_deinit(&report);
}

void fault_text_deinit(struct fault_text *text) {
  buf_deinit(&text->message);
  buf_deinit(&text->trace);
}

static void put_text(struct script *script, const struct report *report, struct fault_text *text) {
  fault_text_deinit(text);
  *text = (struct fault_text){report->message, report->trace};
  quote_line(script, buf_text(&text->message), &text->message);
}

void fault_describe(struct script *script, struct fault_text *text) {
  struct report report = {0};
  make_report(script, &report);
  put_text(script, &report, text);
}

/* What came of the chunk's coroutine. */
static void describe_chunk(struct script *script, const struct budget_frame *frame, struct report *report) {
  if (frame->told) {
    add_stop(report, frame);
  } else if (lua_checkstack(script->L, 4)) {
    report->dead = script->chunk;
    lua_xmove(script->chunk, script->L, 1);
    make_report(script, report);
  } else {
    buf_puts(&report->message, "not enough memory");
  }
}

/* On a coroutine, so that it can be stopped like a task; but in no task, so that its store calls block. */
bool fault_catch(struct script *script, struct fault_text *text) {
  int results;
  struct budget_frame frame;
  struct report report = {0};
  if (!script_need_thread(script, &script->chunk)) {
    lua_pop(script->L, 1);
    buf_puts(&report.message, "not enough memory");
    put_text(script, &report, text);
    return false;
  }
  lua_State *C = script->chunk;
  lua_xmove(script->L, C, 1);
  budget_enter(&frame, script, C, true);
  int status = lua_resume(C, NULL, 0, &results);
  budget_leave(&frame);
  if (status == LUA_OK && !frame.told) {
    lua_settop(C, 0);
    return true;
  }
  script->host_yield = false;
  describe_chunk(script, &frame, &report);
  put_text(script, &report, text);
  budget_frame_deinit(&frame);
  script_forget_thread(script, &script->chunk);
  return false;
}
