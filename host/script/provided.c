#include "script/provided.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "script/call.h"
#include "script/script.h"
#include "script/task.h"

struct provided {
  struct list modules;
  void (*wake)(void *ctx);
  void *ctx;
  unsigned in_update;   /* see provided_in_update */
  pthread_mutex_t lock; /* of what follows */
  struct list answered; /* calls that wait for provided_take_in */
  bool muted;           /* nobody is woken any more */
  bool closed;          /* the host is gone: answers are thrown away */
  size_t refs;          /* the host's, and one for each call */
};

/* ---- the registry ---- */

struct provided *provided_new(void (*wake)(void *ctx), void *ctx) {
  struct provided *provided = mem_zero(sizeof *provided);
  if (!provided) return NULL;
  list_init(&provided->modules);
  list_init(&provided->answered);
  provided->wake = wake;
  provided->ctx = ctx;
  provided->refs = 1;
  pthread_mutex_init(&provided->lock, NULL);
  return provided;
}

/* Gives a reference back, and frees what nobody holds. The lock is held, and let go. */
static void release(struct provided *provided) {
  bool last = --provided->refs == 0;
  pthread_mutex_unlock(&provided->lock);
  if (!last) return;
  pthread_mutex_destroy(&provided->lock);
  mem_free(provided);
}

static void free_call(struct moonkeep_call *call) {
  struct provided *provided = call->provided;
  mem_free(call->json);
  mem_free(call->message);
  mem_free(call);
  pthread_mutex_lock(&provided->lock);
  release(provided);
}

static void free_module(struct provided_module *module) {
  for (struct list *node; (node = list_pop(&module->functions));) {
    struct provided_function *function = list_of(node, struct provided_function, link);
    mem_free(function->name);
    mem_free(function);
  }
  mem_free(module->name);
  mem_free(module);
}

void provided_mute(struct provided *provided) {
  pthread_mutex_lock(&provided->lock);
  provided->muted = true;
  pthread_mutex_unlock(&provided->lock);
}

void provided_free(struct provided *provided) {
  if (!provided) return;
  pthread_mutex_lock(&provided->lock);
  provided->closed = true;
  pthread_mutex_unlock(&provided->lock);
  provided_take_in(provided); /* no script waits any more, so this frees them */
  for (struct list *node; (node = list_pop(&provided->modules));)
    free_module(list_of(node, struct provided_module, link));
  pthread_mutex_lock(&provided->lock);
  release(provided);
}

struct provided_module *provided_find(struct provided *provided, const char *name) {
  for (struct list *node = provided->modules.next; node != &provided->modules; node = node->next) {
    struct provided_module *module = list_of(node, struct provided_module, link);
    if (strcmp(module->name, name) == 0) return module;
  }
  return NULL;
}

static struct provided_function *find(struct provided_module *module, const char *name) {
  for (struct list *node = module->functions.next; node != &module->functions; node = node->next) {
    struct provided_function *function = list_of(node, struct provided_function, link);
    if (name && function->name ? strcmp(function->name, name) == 0 : name == function->name) return function;
  }
  return NULL;
}

static struct provided_module *add_module(struct provided *provided, const char *name) {
  struct provided_module *module = mem_zero(sizeof *module);
  if (!module) return NULL;
  list_init(&module->functions);
  module->name = mem_copy(name, strlen(name));
  if (!module->name) {
    mem_free(module);
    return NULL;
  }
  list_add(&provided->modules, &module->link);
  return module;
}

static struct provided_function *add_function(struct provided_module *module, const char *name) {
  struct provided_function *function = mem_zero(sizeof *function);
  if (!function) return NULL;
  function->module = module;
  function->name = name ? mem_copy(name, strlen(name)) : NULL;
  if (name && !function->name) {
    mem_free(function);
    return NULL;
  }
  list_add(&module->functions, &function->link);
  return function;
}

/* Letters, digits and `_`, not a digit first: a Lua name. */
static bool is_name(const char *name, size_t len) {
  if (len == 0 || isdigit((unsigned char)name[0])) return false;
  for (size_t i = 0; i < len; i++)
    if (name[i] != '_' && ((unsigned char)name[i] > 127 || !isalnum((unsigned char)name[i]))) return false;
  return true;
}

/* Such names joined by dots. */
static bool is_module_name(const char *name) {
  for (;;) {
    size_t len = strcspn(name, ".");
    if (!is_name(name, len)) return false;
    if (!name[len]) return true;
    name += len + 1;
  }
}

static enum moonkeep_code check_names(struct provided *provided, const char *module, const char *function,
                                      struct err *err) {
  if (!is_module_name(module))
    return err_set(err, MOONKEEP_INVALID,
                   "\"%.100s\" is no module name; it is like \"arena\" or \"arena.map\"", module);
  if (strcmp(module, "moonkeep") == 0 || strcmp(module, "cjson") == 0)
    return err_set(err, MOONKEEP_INVALID, "the module \"%s\" is moonkeep's own: choose another name", module);
  if (function && !is_name(function, strlen(function)))
    return err_set(err, MOONKEEP_INVALID, "%s: \"%.100s\" is no name of a function; it is like \"move\"",
                   module, function);
  struct provided_module *found = provided_find(provided, module);
  bool mixed = found && !list_empty(&found->functions) &&
               !list_of(found->functions.next, struct provided_function, link)->name != !function;
  if (mixed)
    return err_set(err, MOONKEEP_INVALID, "the module \"%s\" is a function or has functions, not both",
                   module);
  return MOONKEEP_OK;
}

enum moonkeep_code provided_add(struct provided *provided, const char *module, const char *function,
                                moonkeep_function *fn, void *ctx, struct err *err) {
  enum moonkeep_code code = check_names(provided, module, function, err);
  if (code) return code;
  struct provided_module *to = provided_find(provided, module);
  if (!to) to = add_module(provided, module);
  if (!to) return err_memory(err);
  struct provided_function *place = find(to, function);
  if (!place) place = add_function(to, function);
  if (!place) return err_memory(err);
  place->provided = provided;
  place->fn = fn;
  place->ctx = ctx;
  return MOONKEEP_OK;
}

/* ---- calls ---- */

static struct moonkeep_call *make_call(struct provided_function *function, struct waiter *waiter,
                                       const char *args, size_t len) {
  const char *script = waiter->script->name;
  size_t script_len = strlen(script);
  size_t bytes = sizeof(struct moonkeep_call) + len + 1 + script_len + 1;
  bool taken = bounds_take(waiter->script, bytes);
  struct moonkeep_call *call = taken ? mem_alloc(bytes) : NULL;
  if (!call) {
    if (taken) bounds_give(waiter->script, bytes);
    return NULL;
  }
  *call = (struct moonkeep_call){
      .provided = function->provided, .thread = pthread_self(), .calling = true, .bytes = bytes};
  list_init(&call->link);
  memcpy(call->args, args, len);
  call->args[len] = '\0';
  call->script = memcpy(call->args + len + 1, script, script_len + 1);
  pthread_mutex_lock(&call->provided->lock);
  call->provided->refs++;
  pthread_mutex_unlock(&call->provided->lock);
  return call;
}

/* The function may let others' update functions run, which may have calls of their own: so the call is the
 * waiter's only when it has returned. */
bool provided_call(struct provided_function *function, struct waiter *waiter, const char *args, size_t len) {
  struct moonkeep_call *call = make_call(function, waiter, args, len);
  if (!call) return false;
  call->waiter = waiter;
  function->fn(function->ctx, call, call->args);
  call->calling = false;
  provided_drop(waiter);
  waiter->served = call;
  return true;
}

void provided_drop(struct waiter *waiter) {
  struct moonkeep_call *call = waiter->served;
  waiter->served = NULL;
  if (!call) return;
  bounds_give(waiter->script, call->bytes);
  call->waiter = NULL;
  if (call->answered) free_call(call);
}

unsigned *provided_in_update(struct provided *provided) {
  return &provided->in_update;
}

/* ---- answers ---- */

/* On the thread and inside the function that was called it is there at once. */
static void answer(struct moonkeep_call *call) {
  struct provided *provided = call->provided;
  if (pthread_equal(call->thread, pthread_self()) && call->calling) {
    call->answered = true;
    return;
  }
  pthread_mutex_lock(&provided->lock);
  bool late = provided->closed;
  if (!late) {
    list_add(&provided->answered, &call->link);
    if (!provided->muted) provided->wake(provided->ctx);
  }
  pthread_mutex_unlock(&provided->lock);
  if (late) free_call(call);
}

void provided_return(struct moonkeep_call *call, const char *json) {
  call->json = json ? mem_copy(json, strlen(json)) : NULL;
  if (json && !call->json) call->code = MOONKEEP_MEMORY;
  answer(call);
}

void provided_raise(struct moonkeep_call *call, enum moonkeep_code code, const char *message) {
  call->code = code ? code : MOONKEEP_INVALID;
  call->message = mem_copy(message, strlen(message));
  answer(call);
}

const char *provided_caller(const struct moonkeep_call *call) {
  return call->script;
}

static void take_in(struct moonkeep_call *call) {
  struct waiter *waiter = call->waiter;
  call->answered = true;
  if (!waiter)
    free_call(call);
  else if (waiter->task && waiter->task->state == TASK_WAITING)
    task_wake(waiter->task);
}

void provided_take_in(struct provided *provided) {
  struct list mine;
  list_init(&mine);
  pthread_mutex_lock(&provided->lock);
  list_join(&mine, &provided->answered);
  pthread_mutex_unlock(&provided->lock);
  for (struct list *node; (node = list_pop(&mine));) take_in(list_of(node, struct moonkeep_call, link));
}
