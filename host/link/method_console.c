/* A prompt for each connection: Lua in a state of its own, which goes with the connection.
 *
 *     eval        code   {"ok":true,"text":"1\n{2, 3}"}: the values as they would be written in Lua, one a
 * line (a long one takes more), or {"ok":false,"text":"console:1: …"}, with "incomplete":true where more code
 * may make it whole. What it prints meanwhile is told:
 * {"jsonrpc":"2.0","method":"print","params":{"text":"hello\n"}} complete    code
 * ["appData:select","appData:selectValue","appData:set"] for "appData:se" */
#include "base/mem.h"
#include "host.h"
#include "link/methods.h"
#include "script/prompt.h"

struct terminal {
  struct hearing hearing;
  struct prompt *prompt;
  struct request *request; /* the eval under way; NULL: none */
};

static void on_done(void *ctx, const struct prompt_outcome *outcome) {
  struct terminal *terminal = ctx;
  struct request *request = terminal->request;
  struct buf result = {0};
  terminal->request = NULL;
  buf_printf(&result, "{\"ok\":%s,\"text\":", outcome->ok ? "true" : "false");
  put_any_text(&result, outcome->text, outcome->len);
  if (outcome->incomplete) buf_puts(&result, ",\"incomplete\":true");
  buf_putc(&result, '}');
  request_result_buf(request, &result);
}

static void on_said(void *ctx, const char *text, size_t len) {
  struct terminal *terminal = ctx;
  struct buf params = {0};
  buf_puts(&params, "{\"text\":");
  put_any_text(&params, text, len);
  buf_putc(&params, '}');
  hearing_tell(&terminal->hearing, "print", params.data, params.failed ? 0 : params.len);
  buf_deinit(&params);
}

static void on_end(struct hearing *hearing) {
  struct terminal *terminal = list_of(hearing, struct terminal, hearing);
  prompt_free(terminal->prompt);
  mem_free(terminal);
}

static struct terminal *find_terminal(const struct rpc_peer *peer) {
  for (struct list *at = peer->hearings.next; at != &peer->hearings; at = at->next) {
    struct hearing *hearing = list_of(at, struct hearing, link);
    if (hearing->end == on_end) return list_of(hearing, struct terminal, hearing);
  }
  return NULL;
}

static enum moonkeep_code need_terminal(struct request *request, struct terminal **out, struct err *err) {
  struct scripts *room = host_room(request->site->host);
  if ((*out = find_terminal(request->peer))) return MOONKEEP_OK;
  if (!room) return err_set(err, MOONKEEP_INVALID, "this host has no scripts, and so no console");
  struct terminal *terminal = mem_zero(sizeof *terminal);
  struct prompt_calls calls = {.done = on_done, .said = on_said, .ctx = terminal};
  if (terminal) terminal->prompt = prompt_new(room, &calls);
  if (!terminal || !terminal->prompt) {
    mem_free(terminal);
    return err_memory(err);
  }
  hearing_begin(&terminal->hearing, request->peer, on_end);
  *out = terminal;
  return MOONKEEP_OK;
}

void method_eval(struct request *request) {
  struct terminal *terminal;
  struct buf code = {0};
  struct err err;
  enum moonkeep_code fault = request_text(request, "code", &code, &err);
  if (!fault) fault = need_terminal(request, &terminal, &err);
  if (!fault && terminal->request)
    fault = err_set(&err, MOONKEEP_BUSY, "eval: what was asked before is still at work");
  if (!fault) {
    terminal->request = request;
    fault = prompt_eval(terminal->prompt, code.data ? code.data : "", code.len, &err);
    if (fault) terminal->request = NULL;
  }
  buf_deinit(&code);
  if (fault) request_fail(request, &err);
}

void method_complete(struct request *request) {
  struct terminal *terminal;
  struct buf code = {0}, result = {0};
  struct err err;
  enum moonkeep_code fault = request_text(request, "code", &code, &err);
  if (!fault) fault = need_terminal(request, &terminal, &err);
  if (!fault) prompt_complete(terminal->prompt, code.data ? code.data : "", code.len, &result);
  buf_deinit(&code);
  if (fault)
    request_fail(request, &err);
  else
    request_result_buf(request, &result);
}
