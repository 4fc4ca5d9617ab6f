#include "link/answer.h"

#include <inttypes.h>
#include <string.h>

#include "link/fields.h"

static void put_expiry(struct buf *out, int64_t ms) {
  if (ms == 0) return;
  buf_puts(out, ",\"expires_at\":");
  put_seconds(out, ms);
}

void answer_get(const struct store_call *call, struct buf *out) {
  if (!call->value) {
    buf_puts(out, "{\"found\":false}");
    return;
  }
  buf_puts(out, "{\"found\":true,\"value\":");
  buf_add(out, call->value->json, call->value->len);
  put_expiry(out, call->value->expires_at_ms);
  buf_putc(out, '}');
}

void answer_true(const struct store_call *call, struct buf *out) {
  (void)call;
  buf_puts(out, "true");
}

void answer_found(const struct store_call *call, struct buf *out) {
  buf_puts(out, call->found ? "true" : "false");
}

void answer_rows(const struct store_call *call, struct buf *out) {
  buf_printf(out, "%zu", call->row_count);
}

void answer_count(const struct store_call *call, struct buf *out) {
  buf_printf(out, "%" PRIu64, call->count);
}

static void put_row(const struct store_call *call, const struct store_found *row, struct buf *out) {
  buf_puts(out, "{\"key\":");
  put_any_text(out, call->text.data + row->key, row->key_len);
  buf_puts(out, ",\"value\":");
  buf_add(out, call->text.data + row->json, row->json_len);
  put_expiry(out, row->expires_at_ms);
  buf_putc(out, '}');
}

void answer_list(const struct store_call *call, struct buf *out) {
  buf_putc(out, '[');
  for (size_t i = 0; i < call->found_count; i++) {
    const struct store_found *row = &call->found_rows[i];
    if (i) buf_putc(out, ',');
    if (call->want == STORE_ROWS)
      put_row(call, row, out);
    else
      put_any_text(out, call->text.data + row->key, row->key_len);
  }
  buf_putc(out, ']');
}
