/* Store calls that scripts make: submitted, waited for, read.
 *
 * Private to host/script. A waiter is the place where the one store call lives that a task (or a main chunk)
 * may have at a time. The call belongs to the waiter until it is read or replaced, so that nothing leaks
 * where Lua raises in between. The answer is only ever read from the call, never from what a resume passes
 * in, so no script can forge it. */
#ifndef SCRIPT_CALL_H
#define SCRIPT_CALL_H

#include <lua.h>
#include <stdbool.h>

#include "store/store.h"

struct script;
struct task;

struct waiter {
  struct script *script;        /* borrowed */
  struct task *task;            /* borrowed; NULL: the script's main chunk */
  struct store_call *call;      /* owned, but the store's while it is under way */
  struct moonkeep_call *served; /* a call on a function of the server's, see provided.h; NULL: none */
  size_t taken_bytes;           /* of the script's memory, for the call */
  bool under_way;
  lua_State *in_transaction; /* where the function of one runs: no store call but that transaction's own */
  bool admitted;             /* its task has waited for room and may make a call */
  int64_t called_ms;         /* when the call was made that has waited for room; 0: it has not waited */
  lua_State *L;              /* an update's caller; its arguments stand in the frame of its store call */
  int64_t expires_at_ms;     /* the new expiry that the update asks for; 0: none */
  struct buf default_json;   /* of the update's default, where that is a table and the call has to wait */
  bool ran;                  /* the update's function was called; what came of it is on top of L */
  bool raised;               /*   and that is an error */
  char *stopped;             /* owned: the function was stopped, as this says; NULL: it was not */
};

void waiter_init(struct waiter *waiter, struct script *script, struct task *task);

/* Where the calling coroutine's store call lives. */
struct waiter *waiter_of(lua_State *L);

/* Frees the call, or leaves it to free itself when its answer comes. An update function that has not run is
 * not run any more. */
void waiter_drop(struct waiter *waiter);

/* To be called by a method, before it has touched its arguments: waits until the store has room for one more
 * call, in line with other tasks. In a task it may not return: then the task yields to the host, and the
 * method begins anew when its turn has come. So what waits in line has no call yet, only its task. */
void call_await_room(lua_State *L);

/* The same for a method that has found out that it needs no call: the room it may have waited for is not
 * kept. */
void call_without_room(lua_State *L);

/* The wall time at which the method was called, before it waited for room: what a ttl counts from. */
int64_t call_time_ms(lua_State *L);

/* Counts memory of the call as the script's, until it is dropped; false: it has no more. */
bool call_take(lua_State *L, size_t bytes);

/* Begins a call: makes it, in the caller's waiter. Raises `memory`. */
struct store_call *call_begin(lua_State *L, enum store_op op, struct bucket *bucket, const char *key,
                              size_t key_len);

/* Submits the call and, when the answer is there, goes on with `finish`: at once, after yielding to the host,
 * or, where Lua cannot yield, after blocking. The return statement of a C function. */
int call_run(lua_State *L, lua_KFunction finish);

/* The two halves of call_run: true when the answer is there; waiting for it. */
bool call_submit(lua_State *L);
int call_wait(lua_State *L, lua_KFunction finish);
int call_wait_with(lua_State *L, lua_KFunction finish, lua_KContext ctx); /* finish gets ctx */

/* The answered call; raises its error, prefixed with "appData:get: ". */
struct store_call *call_answer(lua_State *L, const char *method);

#endif
