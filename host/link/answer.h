/* What a store call's answer looks like in JSON: each appends the "result" of one method. */
#ifndef LINK_ANSWER_H
#define LINK_ANSWER_H

#include "base/buf.h"
#include "store/store.h"

void answer_get(const struct store_call *call, struct buf *out); /* {"found":…,"value":…,"expires_at":…} */
void answer_true(const struct store_call *call, struct buf *out);  /* true */
void answer_found(const struct store_call *call, struct buf *out); /* whether the key was there */
void answer_rows(const struct store_call *call, struct buf *out);  /* how many were set */
void answer_count(const struct store_call *call, struct buf *out); /* a number */
void answer_list(const struct store_call *call, struct buf *out);  /* rows, or keys where those were wanted */

#endif
