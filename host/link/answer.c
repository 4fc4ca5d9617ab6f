#include "link/answer.h"

#include <inttypes.h>
#include <string.h>

#include "link/fields.h"

void answer_get(const struct store_call *call, struct buf *out) {
  if (!call->value) {
    buf_puts(out, "{\"found\":false}");
    return;
  }
  buf_puts(out, "{\"found\":true,\"value\":");
  buf_add(out, call->value->json, call->value->len);
  put_row_expiry(out, call->value->expires_at_ms);
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

void answer_list(const struct store_call *call, struct buf *out) {
  const char *text = call->text.data;
  buf_putc(out, '[');
  for (size_t i = 0; i < call->found_count; i++) {
    const struct store_found *row = &call->found_rows[i];
    if (i) buf_putc(out, ',');
    if (call->want == STORE_ROWS) {
      put_store_row(out, NULL, text + row->key, row->key_len, text + row->json, row->json_len,
                    row->expires_at_ms);
      buf_putc(out, '}');
    } else {
      put_any_text(out, text + row->key, row->key_len);
    }
  }
  buf_putc(out, ']');
}
