/* Errors of scripts: the objects that store calls raise, and the report of an error that nobody caught.
 *
 * Private to host/script. */
#ifndef SCRIPT_FAULT_H
#define SCRIPT_FAULT_H

#include <lua.h>

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

/* Runs the function on top of the main thread's stack, without arguments or results, which it pops. On
 * failure logs the error with its traceback and returns false. Never raises. */
bool fault_run(struct script *script, const char *what);

/* Logs the error on top of the main thread's stack, which it pops: "what: message". Never raises. */
void fault_report(struct script *script, const char *what);

#endif
