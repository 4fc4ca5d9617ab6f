/* What a store does: when a change can happen and what it makes, and what reads can see. */
#include "history/history_parts.h"

bool op_changes(const struct op *op) {
  if (op->kind == UPDATE) return op->how == WRITE || op->how == DROP;
  return op->kind == SET || op->kind == DELETE || op->kind == DELETE_LIKE;
}

/* What a key holds may be there, may be gone, or, where its expiry falls between, both. */
struct life {
  bool may_live, may_be_gone;
};

static struct life life_of(const struct history *history, uint32_t writer, int64_t from_ms, int64_t to_ms) {
  if (writer == 0) return (struct life){false, true};
  int64_t expires_ms = history_op(history, writer)->expires_ms;
  if (expires_ms == 0) return (struct life){true, false};
  return (struct life){expires_ms > from_ms, expires_ms <= to_ms};
}

static struct life life_for(const struct history *history, const struct state *state, int key,
                            const struct op *op) {
  return life_of(history, state->writer[key], op->from_ms, op->returned_ms);
}

static int key_of(key_set keys) {
  return __builtin_ctz(keys);
}

/* ---- changes ---- */

static bool saw(const struct history *history, const struct state *state, const struct op *op) {
  uint32_t writer = state->writer[key_of(op->keys)];
  struct life life = life_of(history, writer, op->ran_ms, op->ran_ms);
  return op->saw ? writer == op->saw && life.may_live : life.may_be_gone;
}

static bool counts(const struct history *history, const struct state *state, const struct op *op,
                   key_set keys) {
  int64_t least = 0, most = 0;
  for (; keys; keys &= keys - 1) {
    struct life life = life_for(history, state, key_of(keys), op);
    least += !life.may_be_gone;
    most += life.may_live;
  }
  return least <= op->answer && op->answer <= most;
}

bool model_can_happen(const struct history *history, const struct state *state, const struct op *op) {
  if (op->kind == UPDATE) return saw(history, state, op);
  if (!op->returned) return true;
  if (op->kind == DELETE_LIKE) return counts(history, state, op, op->keys);
  if (op->kind != DELETE) return true;
  struct life life = life_for(history, state, key_of(op->keys), op);
  return op->answer ? life.may_live : life.may_be_gone;
}

void model_apply(struct state *state, const struct op *op) {
  bool writes = op->kind == SET || (op->kind == UPDATE && op->how == WRITE);
  for (key_set keys = op->keys; keys; keys &= keys - 1) state->writer[key_of(keys)] = writes ? op->id : 0;
}

/* ---- reads ---- */

static bool shows(const struct history *history, const struct state *state, const struct op *op, int key,
                  const struct shown *row) {
  if (row && row->writer != UNKNOWN && row->writer != state->writer[key]) return false;
  struct life life = life_for(history, state, key, op);
  return row ? life.may_live : life.may_be_gone;
}

/* Key by key in order: what is shown has to be there, what is passed over not, and behind the limit anything.
 */
static bool scans(const struct history *history, const struct state *state, const struct op *op,
                  key_set keys) {
  size_t next = 0;
  for (; keys; keys &= keys - 1) {
    int key = key_of(keys);
    if (op->limit && next == op->limit) return true;
    const struct shown *row = next < op->row_count && op->rows[next].key == key ? &op->rows[next] : NULL;
    if (!shows(history, state, op, key, row)) return false;
    next += row != NULL;
  }
  return next == op->row_count;
}

static bool visits(const struct history *history, const struct state *state, const struct op *op, int key) {
  const struct shown *row = NULL;
  for (size_t i = 0; i < op->row_count; i++)
    if (op->rows[i].key == key) row = &op->rows[i];
  return shows(history, state, op, key, row);
}

bool model_can_see(const struct history *history, const struct state *state, const struct op *op,
                   key_set keys) {
  struct shown row = {.writer = op->answer};
  if (!op->returned) return true;
  switch (op->kind) {
  case UPDATE: return saw(history, state, op);
  case GET: return shows(history, state, op, key_of(keys), op->answer ? &row : NULL);
  case COUNT: return counts(history, state, op, keys);
  case EACH: return visits(history, state, op, key_of(keys));
  default: return scans(history, state, op, keys);
  }
}

/* ---- what only one state shows ---- */

static int64_t names(const struct op *op, int key) {
  if (op->kind == UPDATE) return op->saw;
  if (op->kind == GET) return op->answer;
  for (size_t i = 0; i < op->row_count; i++)
    if (op->rows[i].key == key) return op->rows[i].writer;
  return 0;
}

bool model_names_any(const struct state *state, const struct op *op, key_set keys) {
  for (; keys; keys &= keys - 1) {
    uint32_t writer = state->writer[key_of(keys)];
    if (writer && names(op, key_of(keys)) == writer) return true;
  }
  return false;
}
