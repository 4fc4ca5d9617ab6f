#include "script/head.h"

#include <string.h>

#include "base/json.h"

enum moonkeep_code scripts_read_event(const char *json, size_t len, struct buf *name, struct buf *id,
                                      struct err *err) {
  struct json scanner;
  struct json_token token;
  bool named = false;
  json_init(&scanner, json, len);
  enum json_type type = json_next(&scanner, &token);
  enum moonkeep_code code = type == JSON_OBJECT  ? MOONKEEP_OK
                            : type == JSON_ERROR ? scanner.err.code
                                                 : err_set(err, MOONKEEP_INVALID_VALUE,
                                                           "an event is a JSON object, this is not one");
  while (!code && (type = json_next(&scanner, &token)) == JSON_KEY) {
    bool is_event = token.string_len == 5 && memcmp(token.string, "event", 5) == 0;
    bool is_id = token.string_len == 2 && memcmp(token.string, "id", 2) == 0;
    type = json_next(&scanner, &token);
    const char *begin = token.begin;
    if (is_event) {
      named = type == JSON_STRING && token.string_len > 0;
      buf_clear(name);
      if (named) buf_add(name, token.string, token.string_len);
    }
    if (!json_skip(&scanner, type)) break;
    if (is_id) {
      buf_clear(id);
      buf_add(id, begin, (size_t)(scanner.at - begin));
    }
  }
  if (!code) code = scanner.err.code;
  if (!code && json_next(&scanner, &token) != JSON_END) code = scanner.err.code;
  if (code && scanner.err.code) *err = scanner.err;
  if (!code && !named)
    code = err_set(err, MOONKEEP_INVALID_VALUE,
                   "an event needs a string \"event\", such as \"event\":\"message\"");
  if (!code && (name->failed || id->failed)) code = err_memory(err);
  json_deinit(&scanner);
  return code;
}
