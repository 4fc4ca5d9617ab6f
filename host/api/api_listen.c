/* A host inside a program, reached from a shell: its control socket, and its metrics over HTTP. */
#include <string.h>

#include "api/api.h"
#include "link/control.h"
#include "link/http.h"

/* What nobody can have meant. */
static enum moonkeep_code check(const struct moonkeep_host *api, const struct moonkeep_listen *options,
                                struct err *err) {
  enum moonkeep_code code = api_is_here(api, err);
  if (code) return code;
  if (!api->ready)
    return err_set(err, MOONKEEP_INVALID,
                   "moonkeep_listen: the host is not open yet: call it when moonkeep_open has returned");
  if (options && options->size <= sizeof options->size)
    return err_set(err, MOONKEEP_INVALID,
                   "moonkeep_listen: options.size is not set: it has to be sizeof(struct moonkeep_listen)");
  if (api->control) return err_set(err, MOONKEEP_INVALID, "moonkeep_listen: the host listens already");
  return MOONKEEP_OK;
}

static enum moonkeep_code listen_all(struct moonkeep_host *api, const struct moonkeep_listen *options,
                                     struct err *err) {
  struct control_options with = {.host = api->host,
                                 .dir = store_dir(host_store(api->host)),
                                 .log = &api->book.log,
                                 .book = &api->book,
                                 .embedded = true};
  if (options->address && !options->token_file)
    return err_set(
        err, MOONKEEP_INVALID,
        "moonkeep_listen: options.address needs options.token_file: whoever comes there has to say "
        "what is in it");
  logbook_watch(&api->book, host_loop(api->host));
  enum moonkeep_code code = control_open(&api->control, &with, err);
  if (code) api->control = NULL;
  if (!code && options->address)
    code = control_listen(api->control, options->address, options->token_file, err);
  if (!code && options->metrics)
    code = http_open(&api->http, options->metrics, control_site(api->control), host_loop(api->host), err);
  if (code) api_unlisten(api);
  return code;
}

enum moonkeep_code moonkeep_listen(struct moonkeep_host *host, const struct moonkeep_listen *options,
                                   struct moonkeep_error *error) {
  struct err err;
  struct moonkeep_listen full = {0};
  enum moonkeep_code code = check(host, options, &err);
  if (!code && options) memcpy(&full, options, options->size < sizeof full ? options->size : sizeof full);
  if (!code) code = listen_all(host, &full, &err);
  if (!code) host_stir(host->host);
  return code ? api_fail(error, &err) : MOONKEEP_OK;
}

void api_unlisten(struct moonkeep_host *api) {
  http_close(api->http);
  api->http = NULL;
  control_close(api->control);
  api->control = NULL;
  logbook_unwatch(&api->book);
}
