/* Errors of scripts: the objects that store calls raise, and the report of an error that nobody caught.
 *
 * Private to host/script. */
#ifndef SCRIPT_FAULT_H
#define SCRIPT_FAULT_H

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "script/script.h"
#include "script/task.h"

/* Makes the error objects' metatable; may raise (memory). */
void fault_open(lua_State *L);

/* Raises err as an object: {code=, message=, key=, where="leveling.lua:12:"}. */
int fault_raise(lua_State *L, const struct err *err);
int fault(lua_State *L, enum moonkeep_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs the error with which this task died, with its traceback, and tells its event. Never raises. */
void fault_of_task(struct task *task);

/* The same for one that was stopped for its budget; its event is told by task_drop. Never raises. */
void fault_of_stop(struct task *task, const struct budget_frame *frame);

/* What went wrong: the message, the line that it names below it, and the traceback. Zero is empty. */
struct fault_text {
  struct buf message, trace;
};
void fault_text_deinit(struct fault_text *text);

/* Runs the function on top of the main thread's stack, without arguments or results, which it pops, on the
 * coroutine for main chunks. False: it has raised, and the text says what. Never raises. */
bool fault_catch(struct script *script, struct fault_text *text);

/* Describes the error on top of the main thread's stack, which it pops. Never raises. */
void fault_describe(struct script *script, struct fault_text *text);

#endif
