#include "link/rpc.h"

#include <string.h>

#include "base/mem.h"
#include "link/fields.h"
#include "link/methods.h"

void rpc_peer_init(struct rpc_peer *peer) {
  list_init(&peer->requests);
  list_init(&peer->hearings);
}

/* ---- the end of a request ---- */

/* Hands the line out and ends the request's life. Without memory for an answer there is a short one, which
 * leaves open what has become of the request. */
static void send_and_free(struct request *request, struct buf *line) {
  static const char no_memory[] = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":"
                                  "\"out of memory for the answer\","
                                  "\"data\":{\"code\":\"unknown\"}}}\n";
  struct rpc_peer *peer = request->peer;
  bool whole = !line->failed && request->id;
  list_take(&request->link);
  if (request->silent)
    peer->answer(peer, "", 0, request->cost);
  else
    peer->answer(peer, whole ? line->data : no_memory, whole ? line->len : sizeof no_memory - 1,
                 request->cost);
  buf_deinit(line);
  mem_free(request->id);
  mem_free(request);
}

static void end_with_error(struct request *request, int number, const struct err *err) {
  struct buf line = {0};
  rpc_put_error(&line, request->id, request->id_len, number, err);
  send_and_free(request, &line);
}

static void end_with_result(struct request *request, const char *json, size_t len) {
  struct buf line = {0};
  buf_puts(&line, "{\"jsonrpc\":\"2.0\",\"id\":");
  buf_add(&line, request->id, request->id ? request->id_len : 0);
  buf_puts(&line, ",\"result\":");
  buf_add(&line, json, len);
  buf_puts(&line, "}\n");
  send_and_free(request, &line);
}

void request_result(struct request *request, const char *json) {
  end_with_result(request, json, strlen(json));
}

void request_result_buf(struct request *request, struct buf *json) {
  struct err err;
  if (json->failed) {
    err_memory(&err);
    end_with_error(request, RPC_FAILED, &err);
  } else {
    end_with_result(request, json->data, json->len);
  }
  buf_deinit(json);
}

void request_fail(struct request *request, const struct err *err) {
  end_with_error(request, RPC_FAILED, err);
}

void request_refuse(struct request *request, const struct err *err) {
  end_with_error(request, RPC_INVALID_PARAMS, err);
}

void rpc_put_error(struct buf *out, const char *id, size_t id_len, int number, const struct err *err) {
  buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
  if (id)
    buf_add(out, id, id_len);
  else
    buf_puts(out, "null");
  buf_printf(out, ",\"error\":{\"code\":%d,\"message\":", number);
  put_any_text(out, err->message, strlen(err->message));
  buf_printf(out, ",\"data\":{\"code\":\"%s\"", moonkeep_code_name(err->code));
  if (err->key[0]) {
    buf_puts(out, ",\"key\":");
    put_any_text(out, err->key, strlen(err->key));
  }
  buf_puts(out, "}}}\n");
}

/* ---- its beginning ---- */

static enum moonkeep_code read_params(struct request *request, const struct field *params, struct err *err) {
  const struct method *method = request->method;
  size_t count = 0;
  for (; count < METHOD_PARAMS && method->takes[count]; count++)
    request->params[count] = (struct field){.name = method->takes[count], .type = JSON_END};
  if (params->type != JSON_END && params->type != JSON_OBJECT)
    return err_set(err, MOONKEEP_INVALID, "%s: params has to be an object", method->name);
  struct err unknown;
  if (params->type == JSON_OBJECT &&
      fields_read(params->at, params->len, request->params, count, true, &unknown) == FIELDS_UNKNOWN)
    return err_set(err, MOONKEEP_INVALID, "%s: %s", method->name, unknown.message);
  for (int i = 0; i < method->needs; i++)
    if (request->params[i].type == JSON_END)
      return err_set(err, MOONKEEP_INVALID, "%s needs \"%s\"", method->name, method->takes[i]);
  return MOONKEEP_OK;
}

static const struct method *find_method(const struct field *name, struct err *err) {
  struct buf text = {0};
  const struct method *method = NULL;
  field_text(name, &text);
  const char *plain = buf_text(&text);
  for (size_t i = 0; i < methods_count && !method; i++)
    if (strcmp(methods[i].name, plain) == 0 && text.len == strlen(plain)) method = &methods[i];
  if (!method) err_set(err, MOONKEEP_INVALID, "there is no method \"%.64s\"", plain);
  buf_deinit(&text);
  return method;
}

enum { F_JSONRPC, F_ID, F_METHOD, F_PARAMS, FIELDS };

static bool is_request(const struct field *fields) {
  enum json_type id = fields[F_ID].type;
  bool id_ok =
      id == JSON_END || id == JSON_STRING || id == JSON_INTEGER || id == JSON_FLOAT || id == JSON_NULL;
  const struct field *version = &fields[F_JSONRPC];
  return version->type == JSON_STRING && version->len == 5 && memcmp(version->at, "\"2.0\"", 5) == 0 &&
         id_ok && fields[F_METHOD].type == JSON_STRING;
}

/* 0, or the number of the error; then err is filled. */
static int prepare(struct request *request, const char *line, size_t len, struct err *err) {
  struct field fields[FIELDS] = {{.name = "jsonrpc"}, {.name = "id"}, {.name = "method"}, {.name = "params"}};
  enum fields_verdict verdict = fields_read(line, len, fields, FIELDS, false, err);
  const struct field *id = &fields[F_ID];
  bool bad = verdict != FIELDS_OK || !is_request(fields);
  request->silent = !bad && id->type == JSON_END;
  if (!bad && !request->silent)
    request->id = mem_copy(id->at, request->id_len = id->len);
  else if (bad) /* whoever sent this is told, though there is no id to tell it by */
    request->id = mem_copy("null", request->id_len = 4);
  if (verdict == FIELDS_NOT_JSON) return RPC_PARSE_ERROR;
  if (bad) {
    err_set(err, MOONKEEP_INVALID,
            "not a request: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"get\",\"params\":{\"key\":\"alice\"}} "
            "is one");
    return RPC_INVALID_REQUEST;
  }
  request->method = find_method(&fields[F_METHOD], err);
  if (!request->method) return RPC_NO_METHOD;
  return read_params(request, &fields[F_PARAMS], err) ? RPC_INVALID_PARAMS : 0;
}

/* Whether this can be asked here at all. */
static enum moonkeep_code check_site(const struct request *request, struct err *err) {
  const char *name = request->method->name;
  if (request->peer->locked && request->method->run != method_auth) {
    request->peer->refused = true;
    return err_set(err, MOONKEEP_INVALID, "%s: say the token first, with \"auth\"", name);
  }
  if (request->method->flags & METHOD_HOST && !request->site->host)
    return err_set(err, MOONKEEP_CLOSED, "%s needs a running host", name);
  if (request->method->flags & METHOD_TELLS && !request->peer->tell)
    return err_set(err, MOONKEEP_INVALID, "%s needs a connection that stays", name);
  return MOONKEEP_OK;
}

void rpc_handle(const struct rpc_site *site, struct rpc_peer *peer, const char *line, size_t len) {
  struct request *request = mem_zero(sizeof *request);
  struct err err;
  if (!request) {
    struct buf text = {0};
    err_memory(&err);
    rpc_put_error(&text, NULL, 0, RPC_FAILED, &err);
    peer->answer(peer, text.data ? text.data : "", text.failed ? 0 : text.len, len);
    buf_deinit(&text);
    return;
  }
  request->site = site;
  request->peer = peer;
  request->cost = len;
  list_add(&peer->requests, &request->link);
  int number = prepare(request, line, len, &err);
  if (!number && check_site(request, &err)) number = RPC_FAILED;
  if (number)
    end_with_error(request, number, &err);
  else
    request->method->run(request);
}

bool rpc_is_large(const struct rpc_peer *peer) {
  for (struct list *at = peer->requests.next; at != &peer->requests; at = at->next)
    if (list_of(at, struct request, link)->method->flags & METHOD_LARGE) return true;
  return false;
}

/* ---- parameters ---- */

const struct field *request_param(const struct request *request, const char *name) {
  const struct method *method = request->method;
  size_t i = 0;
  while (strcmp(method->takes[i], name) != 0) i++;
  return &request->params[i];
}

static enum moonkeep_code wrong_type(const struct request *request, const struct field *field,
                                     const char *what, struct err *err) {
  return err_set(err, MOONKEEP_INVALID, "%s: %s is %.*s, which is not %s", request->method->name, field->name,
                 (int)(field->len < 40 ? field->len : 40), field->at, what);
}

enum moonkeep_code request_text(const struct request *request, const char *name, struct buf *out,
                                struct err *err) {
  const struct field *field = request_param(request, name);
  if (field->type == JSON_END) return MOONKEEP_OK;
  if (field->type != JSON_STRING)
    return err_set(err, MOONKEEP_INVALID, "%s: %s has to be a string", request->method->name, name);
  return field_text(field, out) ? MOONKEEP_OK : err_memory(err);
}

enum moonkeep_code request_flag(const struct request *request, const char *name, bool *out, struct err *err) {
  const struct field *field = request_param(request, name);
  if (field->type == JSON_END) return MOONKEEP_OK;
  if (field->type != JSON_TRUE && field->type != JSON_FALSE)
    return wrong_type(request, field, "true or false", err);
  *out = field->type == JSON_TRUE;
  return MOONKEEP_OK;
}

enum moonkeep_code request_number(const struct request *request, const char *name, double *out,
                                  struct err *err) {
  const struct field *field = request_param(request, name);
  if (field->type == JSON_END) return MOONKEEP_OK;
  if (field->type != JSON_INTEGER && field->type != JSON_FLOAT)
    return wrong_type(request, field, "a number", err);
  struct json json;
  struct json_token token;
  json_init(&json, field->at, field->len);
  enum json_type type = json_next(&json, &token);
  *out = type == JSON_INTEGER ? (double)token.integer : token.number;
  json_deinit(&json);
  return MOONKEEP_OK;
}

enum moonkeep_code request_count(const struct request *request, const char *name, uint64_t *out,
                                 struct err *err) {
  const struct field *field = request_param(request, name);
  double number = 0;
  if (field->type == JSON_END) return MOONKEEP_OK;
  if (field->type != JSON_INTEGER || request_number(request, name, &number, err) || number < 1)
    return wrong_type(request, field, "a whole number above 0", err);
  *out = (uint64_t)number;
  return MOONKEEP_OK;
}

/* ---- telling, and going ---- */

void hearing_begin(struct hearing *hearing, struct rpc_peer *peer, void (*end)(struct hearing *)) {
  hearing->peer = peer;
  hearing->end = end;
  list_add(&peer->hearings, &hearing->link);
}

void hearing_tell(struct hearing *hearing, const char *name, const char *params, size_t len) {
  struct buf line = {0};
  buf_printf(&line, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":", name);
  buf_add(&line, params, len);
  buf_puts(&line, "}\n");
  hearing->peer->tell(hearing->peer, line.data, line.failed ? 0 : line.len);
  buf_deinit(&line);
}

void rpc_peer_gone(struct rpc_peer *peer) {
  struct list *node;
  while ((node = list_pop(&peer->hearings))) {
    struct hearing *hearing = list_of(node, struct hearing, link);
    hearing->end(hearing);
  }
  struct list all;
  list_init(&all);
  list_join(&all, &peer->requests);
  while ((node = list_pop(&all))) {
    struct request *request = list_of(node, struct request, link);
    list_add(&peer->requests, node); /* ends early or stays */
    if (request->gone) request->gone(request);
  }
}
