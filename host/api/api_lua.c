/* The program's own Lua. */
#include "api/api.h"
#include "base/mem.h"

struct attached {
  struct list link; /* in api->guests */
  struct guest *guest;
  struct host_room room;
};

static void detach(struct attached *attached) {
  list_take(&attached->link);
  host_drop_room(&attached->room);
  guest_detach(attached->guest);
  mem_free(attached);
}

void api_detach(struct moonkeep_host *api) {
  while (!list_empty(&api->guests)) detach(list_of(api->guests.next, struct attached, link));
}

static struct attached *find(struct moonkeep_host *api, const struct guest *guest, struct lua_State *L) {
  for (struct list *at = api->guests.next; at != &api->guests; at = at->next) {
    struct attached *attached = list_of(at, struct attached, link);
    if (guest ? attached->guest == guest : guest_is(attached->guest, L)) return attached;
  }
  return NULL;
}

/* ---- what a room calls ---- */

/* The state has been closed. */
static void on_gone(void *ctx, struct guest *guest) {
  struct attached *attached = find(ctx, guest, NULL);
  if (attached) detach(attached);
}

static void on_fault(void *ctx, const char *script, const char *what, const char *message,
                     const char *trace) {
  const struct moonkeep_host *api = ctx;
  const struct moonkeep_failure failure = {script, what, message, trace};
  if (api->options.failed) api->options.failed(api->options.ctx, &failure);
}

static enum moonkeep_code on_enter(void *ctx, bool waits, struct err *err) {
  struct moonkeep_host *api = ctx;
  enum moonkeep_code code = waits ? api_may_call(api) : api_may_wait(api);
  if (code) return err_set(err, code, "%s", api->refused.message);
  host_stir(api->host);
  if (waits || !api->ticking || !api->options.refuse_blocking) return MOONKEEP_OK;
  return err_set(err, MOONKEEP_INVALID,
                 "it would hold up the tick: make it in a function that moonkeep_spawn has started");
}

/* ---- attach and spawn ---- */

enum moonkeep_code moonkeep_attach(struct moonkeep_host *host, struct lua_State *L,
                                   struct moonkeep_error *error) {
  struct err err;
  enum moonkeep_code code = api_is_here(host, &err);
  struct attached *attached = code ? NULL : mem_zero(sizeof *attached);
  if (!code && !attached) code = err_memory(&err);
  if (code) return api_fail(error, &err);
  struct scripts_options options = host_room_options(host->host);
  options.ctx = host;
  options.enter = on_enter;
  options.fault = on_fault;
  options.provided = host->provided;
  if (guest_attach(&attached->guest, L, &options, on_gone, &err)) {
    mem_free(attached);
    return api_fail(error, &err);
  }
  attached->room.scripts = guest_room(attached->guest);
  host_add_room(host->host, &attached->room);
  list_add(&host->guests, &attached->link);
  return MOONKEEP_OK;
}

enum moonkeep_code moonkeep_spawn(struct moonkeep_host *host, struct lua_State *L, int args,
                                  struct moonkeep_error *error) {
  struct err err;
  enum moonkeep_code code = api_is_here(host, &err);
  const struct attached *attached = code ? NULL : find(host, NULL, L);
  if (attached)
    code = guest_spawn(attached->guest, L, args, &err);
  else if (!code)
    code = err_set(&err, MOONKEEP_INVALID, "moonkeep_spawn: the state is not attached to this host");
  if (code) return api_fail(error, &err);
  host_stir(host->host);
  return MOONKEEP_OK;
}
