/* reload [script]: loads one script anew, or all. It answers when each of them has taken over or failed, with
 *
 *     [{"script":"xp","result":"reloaded"},{"script":"shop","result":"failed","error":"shop.lua:3: …"}]
 *
 * where `result` may also be "loaded" (it did not run before) and "unloaded" (its file is gone).
 */
#include <string.h>

#include "host.h"
#include "link/methods.h"

static void on_reloaded(void *ctx, const char *json, size_t len) {
  struct buf text = {0};
  buf_add(&text, json, len);
  request_result_buf(ctx, &text);
}

void method_reload(struct request *request) {
  struct buf name = {0};
  struct err err;
  enum moonkeep_code code = request_text(request, "script", &name, &err);
  const char *script = request_param(request, "script")->type == JSON_END ? NULL : buf_text(&name);
  if (!code && name.failed) code = err_memory(&err);
  if (!code && script && strlen(script) != name.len)
    code = err_set(&err, MOONKEEP_INVALID, "reload: the name of a script has no NUL in it");
  if (code)
    request_refuse(request, &err);
  else if (host_reload(request->site->host, script, on_reloaded, request, &err))
    request_fail(request, &err);
  buf_deinit(&name);
}
