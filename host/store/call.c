/* Values and calls: made, filled in, freed; and the checks of what callers give. */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "store/job.h"
#include "store/like.h"
#include "store/store.h"

struct value *value_new(const char *json, size_t len, int64_t expires_at_ms) {
  if (len > UINT32_MAX) return NULL;
  struct value *value = mem_alloc(sizeof *value + len + 1);
  if (!value) return NULL;
  value->refs = 1;
  value->len = (uint32_t)len;
  value->expires_at_ms = expires_at_ms;
  if (json) memcpy(value->json, json, len);
  value->json[len] = '\0';
  return value;
}

struct value *value_ref(struct value *value) {
  if (value) value->refs++;
  return value;
}

void value_free(struct value *value) {
  if (value && --value->refs == 0) mem_free(value);
}

struct store_call *store_call_new(enum store_op op, struct bucket *bucket, const char *key, size_t key_len) {
  struct store_call *call = mem_zero(sizeof *call + key_len + 1);
  if (!call) return NULL;
  call->op = op;
  call->bucket = bucket;
  call->key_len = key_len;
  if (key_len) memcpy(call->key, key, key_len);
  list_init(&call->link);
  return call;
}

bool store_call_pattern(struct store_call *call, const char *pattern, size_t len) {
  call->pattern = mem_copy(pattern, len);
  call->pattern_len = len;
  return call->pattern != NULL;
}

bool store_call_after(struct store_call *call, const char *key, size_t len) {
  call->after = mem_copy(key, len);
  call->after_len = len;
  return call->after != NULL;
}

void store_call_free(struct store_call *call) {
  if (!call) return;
  for (size_t i = 0; i < call->row_count; i++) {
    value_free(call->rows[i].value);
    if (call->claims) value_free(call->claims[i].seen);
  }
  mem_free(call->claims);
  mem_free(call->rows);
  mem_free(call->own_keys);
  mem_free((void *)call->pattern);
  mem_free((void *)call->after);
  mem_free(call->found_rows);
  buf_deinit(&call->text);
  value_free(call->value);
  job_err_free(call->err);
  mem_free(call);
}

enum moonkeep_code store_check_key(const char *what, const char *key, size_t len, struct err *err) {
  if (len == 0) return err_set(err, MOONKEEP_INVALID_KEY, "%s: the key is empty", what);
  if (len > STORE_KEY_BYTES)
    return err_key(err, MOONKEEP_INVALID_KEY, key, utf8_valid(key, STORE_KEY_BYTES),
                   "%s: the key has %zu bytes; at most %d are allowed", what, len, STORE_KEY_BYTES);
  if (memchr(key, '\0', len))
    return err_key(err, MOONKEEP_INVALID_KEY, key, strlen(key), "%s: the key contains a NUL character", what);
  size_t valid = utf8_valid(key, len);
  if (valid < len)
    return err_key(err, MOONKEEP_INVALID_KEY, key, valid, "%s: the key is not valid UTF-8 (at byte %zu)",
                   what, valid + 1);
  return MOONKEEP_OK;
}

enum moonkeep_code store_check_pattern(const char *what, const char *pattern, size_t len, struct err *err) {
  if (len > STORE_PATTERN_BYTES)
    return err_set(err, MOONKEEP_INVALID_PATTERN, "%s: the pattern has %zu bytes; at most %d are allowed",
                   what, len, STORE_PATTERN_BYTES);
  if (utf8_valid(pattern, len) < len)
    return err_set(err, MOONKEEP_INVALID_PATTERN, "%s: the pattern is not valid UTF-8", what);
  if (memchr(pattern, '\0', len))
    return err_set(err, MOONKEEP_INVALID_PATTERN, "%s: the pattern contains a NUL character", what);
  if (like_is_cut(pattern, len))
    return err_set(err, MOONKEEP_INVALID_PATTERN,
                   "%s: the pattern ends in a lone `\\`; write `\\\\` for the character itself", what);
  return MOONKEEP_OK;
}
