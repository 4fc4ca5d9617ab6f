/* The server's own functions for scripts. */
#include "api/api.h"

enum moonkeep_code moonkeep_provide(struct moonkeep_host *host, const char *module, const char *function,
                                    moonkeep_function *fn, void *ctx, struct moonkeep_error *error) {
  struct err err;
  enum moonkeep_code code = api_is_here(host, &err);
  if (!code) code = provided_add(host->provided, module, function, fn, ctx, &err);
  return code ? api_fail(error, &err) : MOONKEEP_OK;
}

enum moonkeep_code moonkeep_provide_module(struct moonkeep_host *host, const char *module,
                                           const struct moonkeep_entry *entries, size_t count, void *ctx,
                                           struct moonkeep_error *error) {
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = 0; i < count && !code; i++)
    code = moonkeep_provide(host, module, entries[i].name, entries[i].fn, ctx, error);
  return code;
}

void moonkeep_return(struct moonkeep_call *call, const char *json) {
  provided_return(call, json);
}

void moonkeep_raise(struct moonkeep_call *call, enum moonkeep_code code, const char *message) {
  provided_raise(call, code, message);
}

const char *moonkeep_caller(const struct moonkeep_call *call) {
  return provided_caller(call);
}
