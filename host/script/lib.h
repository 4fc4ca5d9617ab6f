/* What scripts can call. Each function below makes one piece of it; all may raise (memory).
 *
 * Private to host/script. */
#ifndef SCRIPT_LIB_H
#define SCRIPT_LIB_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "script/script.h"

void lib_open(lua_State *L); /* all of them */

void lib_open_base(lua_State *L);      /* globals: Lua's own, less what reaches outside, and the next two */
void lib_open_string(lua_State *L);    /* global string */
void lib_open_table(lua_State *L);     /* global table */
void lib_open_os(lua_State *L);        /* global os */
void lib_open_coroutine(lua_State *L); /* global coroutine */
void lib_open_require(lua_State *L);   /* global require */
void lib_open_moonkeep(lua_State *L);  /* require "moonkeep" */
void lib_open_cjson(lua_State *L);     /* require "cjson" */
void lib_open_store(lua_State *L);     /* globals rootServer, appData */
void lib_open_bot(lua_State *L);       /* global bot */
void lib_open_test(lua_State *L);      /* global test, in place of bot; not by lib_open */

void lib_push_moonkeep(lua_State *L); /* what require "moonkeep" gives, as a plain table; once a state */

/* Pushes what the server provides by this name (provided.h); false: it provides none, and nothing is pushed.
 */
bool lib_push_provided(lua_State *L, const char *name);

/* Whether this state's script has all of Lua's libraries (--trust). */
bool lib_trusts(lua_State *L);

/* Pops a table and makes it what require gives for this name. */
void lib_provide(lua_State *L, const char *name);

/* Replaces the table on top by one that reads like it, cannot be written, and raises on names that it does
 * not have, but for the one that is `optional` (NULL: none). name: "bot". */
void lib_seal(lua_State *L, const char *name, const char *optional);

/* Raises where the function was called with a colon on a table of lib_seal's: `bot:on(…)`. call: "bot.on". */
void lib_no_colon(lua_State *L, const char *call);

/* "a table", "nil", as in "the key is nil, not a string". Valid while the value stands there. */
const char *lib_a_type(lua_State *L, int index);

/* Makes the class of a handle: objects of this registered metatable have one method. */
void lib_class(lua_State *L, const char *class, const char *method, lua_CFunction function);

/* Copies a field of the table below the top to the table on top; a function that goes `around` it gets it as
 * upvalue. */
void lib_copy(lua_State *L, const char *name, lua_CFunction around);

/* Pushes all arguments as print writes them, with tabs between, and `end` behind them. */
const char *lib_line(lua_State *L, const char *end);

/* Pushes ` (did you mean "update"?)` or "" for a word that is not in the table at index. */
const char *lib_guess(lua_State *L, int table, const char *word);

/* A number of seconds as milliseconds, rounded up; raises unless it is finite and from 0 to a thousand years.
 */
int64_t lib_check_ms(lua_State *L, int arg);

/* The pieces of bot that have files of their own: each adds its functions to the table on top. */
void lib_add_on(lua_State *L);       /* on */
void lib_add_timers(lua_State *L);   /* after, every */
void lib_add_act(lua_State *L);      /* act, send, emit */
void lib_add_log(lua_State *L);      /* log; and the global print */
void lib_add_handover(lua_State *L); /* handover, and a place for inherited */

/* Makes the action {script=, action="send", channel=, text=} of the values at these indices. */
int lib_send(lua_State *L, const char *method, int channel, int text);

/* Handlers of bot.on: starts a task for each of the script's handlers that wants this event. */
void lib_deliver(struct script *script, struct event *event);

/* rootServer.lifecycle's table, pushed. */
void lib_push_lifecycle(lua_State *L);

/* What the function of bot.handover gives becomes bot.inherited of the next version. Where there is one,
 * events wait from now on (`handing_over`). An error in it is logged, and nothing is inherited. */
void lib_hand_over(struct script *before, struct script *next);

/* When the first timer of a script is due, or INT64_MAX. */
int64_t lib_next_timer(const struct script *script);

/* Ends all timers of a script. */
void lib_end_timers(struct script *script);

/* moonkeep.unchanged and moonkeep.absent. */
bool lib_is_unchanged(lua_State *L, int index);
bool lib_is_absent(lua_State *L, int index);

#endif
