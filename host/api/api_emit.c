/* Events made of values. Any thread. */
#include <math.h>
#include <string.h>

#include "api/api.h"
#include "base/json.h"

static void put_text(struct buf *out, const char *text) {
  json_put_string(out, text, strlen(text));
}

static void put_value(struct buf *out, const struct moonkeep_field *field) {
  switch (field->type) {
  case MOONKEEP_TEXT: put_text(out, field->text); break;
  case MOONKEEP_INTEGER: json_put_integer(out, field->integer); break;
  case MOONKEEP_NUMBER: json_put_float(out, field->number); break;
  case MOONKEEP_BOOLEAN: buf_puts(out, field->integer ? "true" : "false"); break;
  case MOONKEEP_JSON: buf_puts(out, field->text); break;
  }
}

static void put_event(struct buf *out, const char *event, const struct moonkeep_field *fields, size_t count) {
  buf_puts(out, "{\"event\":");
  put_text(out, event);
  for (size_t i = 0; i < count; i++) {
    buf_puts(out, ",");
    put_text(out, fields[i].name);
    buf_puts(out, ":");
    put_value(out, &fields[i]);
  }
  buf_puts(out, "}");
}

/* One value and no more: what it says must not go on in the object around it. */
static bool is_json(const char *text) {
  struct json json;
  struct json_token token;
  enum json_type type;
  json_init(&json, text, strlen(text));
  do type = json_next(&json, &token);
  while (type != JSON_END && type != JSON_ERROR);
  json_deinit(&json);
  return type == JSON_END;
}

static bool is_fine(const struct moonkeep_field *field) {
  if (field->type == MOONKEEP_JSON) return is_json(field->text);
  return field->type != MOONKEEP_NUMBER || isfinite(field->number);
}

enum moonkeep_code moonkeep_emit_fields(struct moonkeep_host *host, const char *event,
                                        const struct moonkeep_field *fields, size_t count,
                                        void (*done)(void *ctx, const char *errors), void *ctx) {
  struct buf json = {0};
  enum moonkeep_code code = MOONKEEP_OK;
  for (size_t i = 0; i < count && !code; i++)
    if (!is_fine(&fields[i])) code = MOONKEEP_INVALID_VALUE;
  if (!code) put_event(&json, event, fields, count);
  if (!code && json.failed) code = MOONKEEP_MEMORY;
  if (!code && !is_json(buf_text(&json))) code = MOONKEEP_INVALID_VALUE; /* a text that is no UTF-8 */
  if (!code) code = moonkeep_emit(host, json.data, json.len, done, ctx);
  buf_deinit(&json);
  return code;
}
