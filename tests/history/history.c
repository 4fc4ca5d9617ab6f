/* The walk along a history, with all states that the store could be in: history.h says how. */
#include "history/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history/states.h"

struct read_slot {
  const struct op *op; /* NULL: free */
  key_set keys;
};

struct walk {
  struct history history;
  const struct op *changes[MOST_CHANGES]; /* under way, also cut off and not settled; NULL: free */
  struct read_slot reads[MOST_READS];
  int read_slots; /* those in use are below */
  struct states now, next, tried;
  struct moment {
    int64_t ms;
    struct states states;
  } moments[MOST_MOMENTS]; /* when somebody had looked: a store can be brought back to these */
  int moment_count;
  size_t line;
  struct history_stats stats;
};

/* ---- what is under way ---- */

static bool is_done(const struct state *state, int slot) {
  return state->done >> slot & 1;
}

static bool is_seen(const struct state *state, int slot) {
  return state->seen[slot / 64] >> (slot % 64) & 1;
}

static void set_seen(struct state *state, int slot) {
  state->seen[slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* False: too many. */
static bool begin_read(struct walk *walk, struct op *op, key_set keys) {
  int slot = 0;
  while (slot < MOST_READS && walk->reads[slot].op) slot++;
  if (slot == MOST_READS) return false;
  walk->reads[slot] = (struct read_slot){op, keys};
  op->reads[op->read_count++] = slot;
  if (slot >= walk->read_slots) walk->read_slots = slot + 1;
  return true;
}

static bool begin_change(struct walk *walk, struct op *op) {
  int slot = 0;
  while (slot < MOST_CHANGES && walk->changes[slot]) slot++;
  if (slot == MOST_CHANGES) return false;
  walk->changes[op->slot = slot] = op;
  return true;
}

/* What a read sees that never returns, nobody knows. */
static bool begin(struct walk *walk, struct op *op) {
  if (op_changes(op)) return begin_change(walk, op);
  if (!op->returned) return true;
  if (op->kind != EACH) return begin_read(walk, op, op->keys);
  for (key_set left = op->keys; left; left &= left - 1)
    if (!begin_read(walk, op, left & -left)) return false;
  return true;
}

static void end(struct walk *walk, const struct op *op) {
  if (op->slot >= 0) walk->changes[op->slot] = NULL;
  for (int i = 0; i < op->read_count; i++) walk->reads[op->reads[i]].op = NULL;
}

/* Takes away from the states what is no longer under way; some may then be the same. */
static void forget_ended(struct walk *walk) {
  uint64_t done = 0, seen[MOST_READS / 64] = {0};
  for (int slot = 0; slot < MOST_CHANGES; slot++) done |= (uint64_t)(walk->changes[slot] != NULL) << slot;
  for (int slot = 0; slot < walk->read_slots; slot++)
    seen[slot / 64] |= (uint64_t)(walk->reads[slot].op != NULL) << (slot % 64);
  states_clear(&walk->next);
  for (size_t i = 0; i < walk->now.count; i++) {
    struct state state = walk->now.items[i];
    state.done &= done;
    for (int word = 0; word < MOST_READS / 64; word++) state.seen[word] &= seen[word];
    states_add(&walk->next, &state);
  }
  struct states swap = walk->now;
  walk->now = walk->next;
  walk->next = swap;
}

/* ---- what could have happened ---- */

/* The change happens: before it does, reads under way see what it will change. */
static struct state happen(const struct walk *walk, const struct state *before, const struct op *change) {
  struct state after = *before;
  for (int slot = 0; slot < walk->read_slots; slot++) {
    const struct read_slot *read = &walk->reads[slot];
    if (read->op && (read->keys & change->keys) && !is_seen(before, slot) &&
        model_can_see(&walk->history, before, read->op, read->keys))
      set_seen(&after, slot);
  }
  model_apply(&after, change);
  after.done |= UINT64_C(1) << change->slot;
  return after;
}

/* The keys that hang together with these, by way of changes and scans that have not happened yet. */
static key_set tied_to(const struct walk *walk, const struct state *state, key_set keys) {
  uint32_t before;
  do {
    before = keys;
    for (int slot = 0; slot < MOST_CHANGES; slot++) {
      const struct op *change = walk->changes[slot];
      if (change && (change->keys & keys) && !is_done(state, slot)) keys |= change->keys;
    }
    for (int slot = 0; slot < walk->read_slots; slot++) {
      const struct read_slot *read = &walk->reads[slot];
      if (read->op && (read->keys & keys) && !is_seen(state, slot)) keys |= read->keys;
    }
  } while (keys != before);
  return keys;
}

/* Whether the function of an update has run by now, and for what was cut off, whether it ever did. */
static bool has_begun(const struct walk *walk, const struct op *change) {
  return change->kind != UPDATE || (change->ran && change->ran_at < walk->line);
}

/* Whether somebody under way will answer with what the change has just put out of sight: such a state leads
 * nowhere. */
static bool is_too_early(const struct walk *walk, const struct state *before, const struct state *after,
                         const struct op *change) {
  for (int slot = 0; slot < MOST_CHANGES; slot++) {
    const struct op *other = walk->changes[slot];
    key_set both = other && other->returned && !is_done(after, slot) ? other->keys & change->keys : 0;
    if (both && model_names_any(before, other, both)) return true;
  }
  for (int slot = 0; slot < walk->read_slots; slot++) {
    const struct read_slot *read = &walk->reads[slot];
    key_set both = read->op && !is_seen(after, slot) ? read->keys & change->keys : 0;
    if (both && model_names_any(before, read->op, both)) return true;
  }
  return false;
}

static void try_each_change(struct walk *walk, const struct state *state, key_set keys) {
  keys = tied_to(walk, state, keys);
  for (int slot = 0; slot < MOST_CHANGES; slot++) {
    const struct op *change = walk->changes[slot];
    if (!change || !(change->keys & keys) || is_done(state, slot) || !has_begun(walk, change)) continue;
    if (!model_can_happen(&walk->history, state, change)) continue;
    struct state after = happen(walk, state, change);
    if (!is_too_early(walk, state, &after, change)) states_add(&walk->tried, &after);
  }
}

/* What has happened in a state: the change with this slot, or the read. */
struct wanted {
  int change, read; /* -1: not this */
  key_set keys;
};

static bool has_happened(const struct walk *walk, const struct state *state, const struct wanted *wanted) {
  if (wanted->change >= 0) return is_done(state, wanted->change);
  const struct read_slot *read = &walk->reads[wanted->read];
  return is_seen(state, wanted->read) || model_can_see(&walk->history, state, read->op, read->keys);
}

/* Goes from each state to those in which it has happened; `now` are these then. */
static enum history_verdict must_have_happened(struct walk *walk, const struct wanted *wanted) {
  states_clear(&walk->tried);
  states_clear(&walk->next);
  for (size_t i = 0; i < walk->now.count; i++) states_add(&walk->tried, &walk->now.items[i]);
  for (size_t i = 0; i < walk->tried.count; i++) {
    struct state state = walk->tried.items[i];
    if (has_happened(walk, &state, wanted)) {
      if (wanted->read >= 0) set_seen(&state, wanted->read);
      states_add(&walk->next, &state);
    } else {
      try_each_change(walk, &state, wanted->keys);
    }
    if (walk->tried.count > MOST_STATES) return HISTORY_TOO_WIDE;
  }
  if (walk->tried.count > walk->stats.states) walk->stats.states = walk->tried.count;
  if (walk->next.count == 0) return HISTORY_VIOLATED;
  struct states swap = walk->now;
  walk->now = walk->next;
  walk->next = swap;
  return HISTORY_HOLDS;
}

static enum history_verdict return_from(struct walk *walk, const struct op *op) {
  enum history_verdict verdict = HISTORY_HOLDS;
  if (op->slot >= 0) verdict = must_have_happened(walk, &(struct wanted){op->slot, -1, op->keys});
  for (int i = 0; i < op->read_count && verdict == HISTORY_HOLDS; i++) {
    int slot = op->reads[i];
    verdict = must_have_happened(walk, &(struct wanted){-1, slot, walk->reads[slot].keys});
  }
  if (verdict != HISTORY_HOLDS) return verdict;
  end(walk, op);
  forget_ended(walk);
  return HISTORY_HOLDS;
}

/* ---- lines ---- */

/* The next host has looked: what it did not find of what was cut off has never happened. */
static void drop_cut_off(struct walk *walk, size_t line) {
  for (int slot = 0; slot < MOST_CHANGES; slot++) {
    const struct op *change = walk->changes[slot];
    if (change && change->returned_at == SIZE_MAX && change->called_at < line) walk->changes[slot] = NULL;
  }
  forget_ended(walk);
}

static void keep_moment(struct walk *walk, int64_t ms) {
  if (walk->moment_count == MOST_MOMENTS) return;
  struct moment *moment = &walk->moments[walk->moment_count++];
  moment->ms = ms;
  for (size_t i = 0; i < walk->now.count; i++) states_add(&moment->states, &walk->now.items[i]);
}

/* The store is what it was then. What a kill has cut off since is not in it. */
static enum history_verdict go_back(struct walk *walk, int64_t ms) {
  drop_cut_off(walk, walk->line);
  for (int i = walk->moment_count; i-- > 0;) {
    const struct states *then = &walk->moments[i].states;
    if (walk->moments[i].ms != ms) continue;
    states_clear(&walk->now);
    for (size_t at = 0; at < then->count; at++) states_add(&walk->now, &then->items[at]);
    return HISTORY_HOLDS;
  }
  return HISTORY_VIOLATED;
}

static enum history_verdict step(struct walk *walk, const struct event *event) {
  struct op *op = &walk->history.ops[event->op];
  switch (event->kind) {
  case CALLED:
    walk->stats.calls++;
    walk->stats.unanswered += !op->returned;
    return begin(walk, op) ? HISTORY_HOLDS : HISTORY_TOO_WIDE;
  case RETURNED: return return_from(walk, op);
  case KILLED: walk->stats.kills++; break;
  case LOOKED:
    drop_cut_off(walk, walk->line);
    keep_moment(walk, event->ms);
    break;
  case BACK: return go_back(walk, event->moment_ms);
  case RAN: break;
  }
  return HISTORY_HOLDS;
}

/* ---- saying why ---- */

static void print_line(const struct walk *walk, size_t line, struct buf *why) {
  const char *text = walk->history.lines[line];
  buf_puts(why, "  ");
  buf_add(why, text, strcspn(text, "\n"));
  buf_putc(why, '\n');
}

static bool concerns(const struct walk *walk, size_t line, key_set keys) {
  const struct event *event = &walk->history.events[line];
  if (event->kind == KILLED || event->kind == LOOKED || event->kind == BACK) return true;
  return (walk->history.ops[event->op].keys & keys) != 0;
}

/* What has not returned by then, with what it will: that may be what cannot be. */
static void print_under_way(const struct walk *walk, key_set keys, struct buf *why) {
  const struct history *history = &walk->history;
  for (size_t i = 0; i < history->op_count; i++) {
    const struct op *op = &history->ops[i];
    bool under_way = op->returned && op->called_at < walk->line && op->returned_at > walk->line;
    if (!under_way || !(op->keys & keys)) continue;
    print_line(walk, op->called_at, why);
    print_line(walk, op->returned_at, why);
  }
}

static void explain(const struct walk *walk, struct buf *why) {
  enum { LINES = 40 };
  const struct op *op = &walk->history.ops[walk->history.events[walk->line].op];
  size_t from = walk->line;
  for (int left = LINES; from > 0 && left > 0; from--) left -= concerns(walk, from - 1, op->keys);
  buf_printf(why, "line %zu cannot be, whatever the order of what was under way:\n", walk->line + 1);
  print_line(walk, op->called_at, why);
  print_line(walk, walk->line, why);
  buf_puts(why, "or what came back later:\n");
  print_under_way(walk, op->keys, why);
  buf_puts(why, "before it, a state that could be:\n ");
  for (int key = 0; key < walk->history.key_count; key++)
    if ((op->keys >> key & 1) && walk->now.count > 0)
      buf_printf(why, " %s.%s=%u", walk->history.keys[key].store, walk->history.keys[key].name,
                 walk->now.items[0].writer[key]);
  buf_puts(why, "\nwhat led to it:\n");
  for (; from <= walk->line; from++)
    if (concerns(walk, from, op->keys)) print_line(walk, from, why);
}

enum history_verdict history_check(const char *text, size_t len, struct buf *why,
                                   struct history_stats *stats) {
  struct walk *walk = calloc(1, sizeof *walk);
  enum history_verdict verdict = HISTORY_VIOLATED;
  if (!walk) abort();
  if (history_read(&walk->history, text, len, why)) {
    static const struct state empty;
    states_add(&walk->now, &empty);
    verdict = HISTORY_HOLDS;
    for (; walk->line < walk->history.event_count && verdict == HISTORY_HOLDS; walk->line++) {
      verdict = step(walk, &walk->history.events[walk->line]);
      if (verdict != HISTORY_HOLDS) break;
    }
    if (verdict == HISTORY_VIOLATED) explain(walk, why);
    if (verdict == HISTORY_TOO_WIDE) buf_printf(why, "too wide at line %zu\n", walk->line + 1);
  }
  if (stats) *stats = walk->stats;
  states_free(&walk->now);
  states_free(&walk->next);
  states_free(&walk->tried);
  for (int i = 0; i < walk->moment_count; i++) states_free(&walk->moments[i].states);
  history_free(&walk->history);
  free(walk);
  return verdict;
}
