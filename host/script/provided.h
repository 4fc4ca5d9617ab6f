/* The server's own functions: what a program around the library provides, and scripts reach by require.
 *
 * provided_new makes the registry of one host, provided_add puts functions into its modules, scripts call
 * them through lib_provided.c, provided_free ends it. A call that a script has made (struct moonkeep_call) is
 * the server's until it is answered with provided_return or provided_raise, from any thread, also after
 * provided_free; all else belongs to the host thread. */
#ifndef SCRIPT_PROVIDED_H
#define SCRIPT_PROVIDED_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"
#include "moonkeep.h"

struct provided;
struct waiter;

/* wake is called from any thread when provided_take_in has something to do. NULL: no memory. */
struct provided *provided_new(void (*wake)(void *ctx), void *ctx);
void provided_mute(struct provided *provided); /* wake is not called any more */
void provided_free(struct provided *provided); /* after the scripts are closed; NULL is fine */

/* Makes `require "module"` give a table with this function, or, where function is NULL, the function itself.
 * The names are copied. What is there is replaced; fn NULL withdraws it: then calls raise `closed`. invalid:
 * a name that is none, or one of the host's own; memory. */
enum moonkeep_code provided_add(struct provided *provided, const char *module, const char *function,
                                moonkeep_function *fn, void *ctx, struct err *err);

/* How many update functions and transactions are at work: what they call of the server's may not call the
 * store. Counted by those who run them. */
unsigned *provided_in_update(struct provided *provided);

/* Wakes the tasks whose calls have been answered. */
void provided_take_in(struct provided *provided);

/* The answers; see moonkeep_return and moonkeep_raise. */
void provided_return(struct moonkeep_call *call, const char *json);
void provided_raise(struct moonkeep_call *call, enum moonkeep_code code, const char *message);
const char *provided_caller(const struct moonkeep_call *call);

/* ---- for lib_provided.c ---- */

struct provided_module {
  struct list link; /* in provided->modules */
  struct list functions;
  char *name; /* owned */
};

struct provided_function {
  struct list link;
  struct provided_module *module; /* borrowed */
  moonkeep_function *fn;          /* NULL: withdrawn */
  void *ctx;
  struct provided *provided; /* borrowed */
  char *name;                /* owned; NULL: the module itself is the function */
};

/* The module of this name; NULL: there is none. */
struct provided_module *provided_find(struct provided *provided, const char *name);

struct moonkeep_call {
  struct list link; /* among those that other threads have answered */
  struct provided *provided;
  struct waiter *waiter; /* whose call it is; NULL: nobody waits for it any more */
  pthread_t thread;      /* on which the function was called */
  bool calling;          /* it has not returned yet; of that thread */
  bool answered;         /* the answer is here; host thread */
  size_t bytes;          /* that count as the script's */
  enum moonkeep_code code;
  char *json;    /* owned: the answer; NULL: nothing */
  char *message; /* owned, where code says that it has failed; NULL: no memory for it */
  char *script;  /* points behind args */
  char args[];   /* a JSON array */
};

/* Calls the function for this waiter; its call is in waiter->served then, answered or not, until
 * provided_drop. False: there was no memory. */
bool provided_call(struct provided_function *function, struct waiter *waiter, const char *args, size_t len);

/* Lets go of the waiter's call, answered or not. */
void provided_drop(struct waiter *waiter);

#endif
