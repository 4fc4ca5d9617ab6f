/* Reads the text of a history, and looks at each answer by itself: whether any store could give it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history/history_parts.h"

struct reader {
  struct history *history;
  const char *at, *end; /* what is left of the line */
  int64_t ms;
  struct buf *why;
};

static bool wrong(struct reader *reader, const char *what) {
  const char *line = reader->history->lines[reader->history->event_count];
  buf_printf(reader->why, "%s: %.*s\n", what, (int)(reader->end - line), line);
  return false;
}

/* ---- words ---- */

struct word {
  const char *text;
  size_t len;
};

static struct word next_word(struct reader *reader) {
  while (reader->at < reader->end && *reader->at == ' ') reader->at++;
  struct word word = {reader->at, 0};
  while (reader->at < reader->end && *reader->at != ' ') reader->at++;
  word.len = (size_t)(reader->at - word.text);
  return word;
}

static bool is(struct word word, const char *text) {
  return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

/* "-" is UNKNOWN. */
static int64_t number(struct word word) {
  return is(word, "-") ? UNKNOWN : strtoll(word.text, NULL, 10);
}

static size_t index_of(struct word word, const char *const *names, size_t count) {
  size_t i = 0;
  while (i < count && !is(word, names[i])) i++;
  return i;
}

/* ---- keys ---- */

static bool has_name(const char *name, struct word word) {
  return strlen(name) == word.len && memcmp(name, word.text, word.len) == 0;
}

static int find_key(const struct history *history, struct word store, struct word name) {
  for (int i = 0; i < history->key_count; i++)
    if (has_name(history->keys[i].store, store) && has_name(history->keys[i].name, name)) return i;
  return -1;
}

static bool know_key(struct reader *reader, struct word store, struct word name) {
  struct history *history = reader->history;
  struct key key = {{0}, {0}};
  if (find_key(history, store, name) >= 0) return true;
  if (history->key_count == MOST_KEYS || store.len >= sizeof key.store || name.len >= sizeof key.name)
    return wrong(reader, "too many keys, or too long");
  memcpy(key.store, store.text, store.len);
  memcpy(key.name, name.text, name.len);
  history->keys[history->key_count++] = key;
  return true;
}

/* The keys that changes and reads of one key name; what scans show has to be among them. */
static bool know_keys_of_line(struct reader *reader) {
  static const char *const with_keys[] = {"get", "set", "update", "delete"};
  next_word(reader);
  if (!is(next_word(reader), "+")) return true;
  next_word(reader);
  struct word kind = next_word(reader), store = next_word(reader);
  if (index_of(kind, with_keys, 4) == 4) return true;
  if (!is(kind, "set")) return know_key(reader, store, next_word(reader));
  next_word(reader);
  for (struct word key; (key = next_word(reader)).len > 0;)
    if (!know_key(reader, store, key)) return false;
  return true;
}

static int compare_keys(const void *a, const void *b) {
  const struct key *one = a, *other = b;
  int order = strcmp(one->store, other->store);
  return order ? order : strcmp(one->name, other->name);
}

/* SQL's LIKE for the patterns of the workload: `%` and `_`, bytes. */
static bool like(const char *pattern, size_t len, const char *name) {
  if (len == 0) return !*name;
  if (*pattern == '%') return like(pattern + 1, len - 1, name) || (*name && like(pattern, len, name + 1));
  return *name && (*pattern == '_' || *pattern == *name) && like(pattern + 1, len - 1, name + 1);
}

static key_set matching(const struct history *history, struct word store, struct word pattern,
                        struct word after) {
  key_set found = 0;
  char behind[64] = "";
  if (after.len > 0 && after.len < sizeof behind && !is(after, ".")) memcpy(behind, after.text, after.len);
  for (int i = 0; i < history->key_count; i++) {
    const struct key *key = &history->keys[i];
    if (has_name(key->store, store) && like(pattern.text, pattern.len, key->name) &&
        strcmp(key->name, behind) > 0)
      found |= (key_set)1 << i;
  }
  return found;
}

/* ---- operations by their numbers ---- */

static uint32_t *place_of(const struct history *history, uint32_t id) {
  size_t i = (id * UINT32_C(2654435761)) & (history->by_id_cap - 1);
  while (history->by_id[i] && history->ops[history->by_id[i] - 1].id != id)
    i = (i + 1) & (history->by_id_cap - 1);
  return &history->by_id[i];
}

struct op *history_op(const struct history *history, uint32_t id) {
  uint32_t place = *place_of(history, id);
  return place ? &history->ops[place - 1] : NULL;
}

/* ---- lines ---- */

static int64_t expiry(const struct reader *reader, struct word word) {
  if (word.len > 0 && word.text[0] == '+') return reader->ms + strtoll(word.text + 1, NULL, 10);
  return number(word);
}

static bool read_call(struct reader *reader, struct op *op) {
  static const char *const kinds[] = {"get",    "set",         "update", "delete", "deleteLike",
                                      "select", "selectValue", "keys",   "count",  "each"};
  static const enum kind meaning[] = {GET, SET, UPDATE, DELETE, DELETE_LIKE, SCAN, SCAN, SCAN, COUNT, EACH};
  static const char *const hows[] = {"write", "keep", "drop", "raise", "nothing"};
  const struct history *history = reader->history;
  size_t kind = index_of(next_word(reader), kinds, 10);
  if (kind == 10) return wrong(reader, "no such call");
  op->kind = meaning[kind];
  struct word store = next_word(reader), first = next_word(reader);
  if (op->kind == GET || op->kind == UPDATE || op->kind == DELETE)
    op->keys = (key_set)1 << find_key(history, store, first);
  if (op->kind == UPDATE) {
    size_t how = index_of(next_word(reader), hows, 5);
    if (how == 5) return wrong(reader, "no such end of an update");
    op->how = (enum how)how;
    op->expires_ms = expiry(reader, next_word(reader));
    op->keeps_expiry = op->expires_ms == 0;
  }
  if (op->kind == SET) {
    op->expires_ms = expiry(reader, first);
    for (struct word key; (key = next_word(reader)).len > 0;)
      op->keys |= (key_set)1 << find_key(history, store, key);
  }
  if (op->kind < DELETE_LIKE) return true;
  struct word limit = next_word(reader), after = next_word(reader);
  op->limit = limit.len > 0 ? (uint64_t)number(limit) : 0;
  op->keys = matching(history, store, first, after);
  return true;
}

/* Whether the operation can have written the key. */
static bool is_writer(const struct history *history, int64_t id, int key) {
  const struct op *op = history_op(history, (uint32_t)id);
  bool writes = op && (op->kind == SET || (op->kind == UPDATE && op->how == WRITE));
  return writes && (op->keys >> key & 1);
}

static bool is_writer_of(const struct history *history, int64_t id, const struct op *op) {
  for (int key = 0; key < history->key_count; key++)
    if ((op->keys >> key & 1) && is_writer(history, id, key)) return true;
  return false;
}

static bool read_run(struct reader *reader, struct op *op) {
  if (op->kind != UPDATE) return wrong(reader, "no update");
  if (op->ran) return wrong(reader, "the function runs a second time");
  op->ran = true;
  op->ran_ms = reader->ms;
  op->saw = (uint32_t)number(next_word(reader));
  if (op->saw && !is_writer_of(reader->history, op->saw, op))
    return wrong(reader, "the function is given what nobody has written");
  if (op->keeps_expiry) op->expires_ms = op->saw ? history_op(reader->history, op->saw)->expires_ms : 0;
  return true;
}

/* KEY=WRITER:EXPIRY */
static bool read_row(struct reader *reader, struct op *op, struct word word) {
  const char *equals = memchr(word.text, '=', word.len);
  const char *colon = equals ? memchr(equals, ':', (size_t)(word.text + word.len - equals)) : NULL;
  if (!colon) return wrong(reader, "no row");
  struct word key = {word.text, (size_t)(equals - word.text)};
  struct shown row = {.key = -1};
  for (int i = 0; i < reader->history->key_count; i++)
    if ((op->keys >> i & 1) && has_name(reader->history->keys[i].name, key)) row.key = i;
  if (row.key < 0) return wrong(reader, "a key is shown that was not asked for");
  row.writer = number((struct word){equals + 1, (size_t)(colon - equals - 1)});
  row.expires_ms = number((struct word){colon + 1, (size_t)(word.text + word.len - colon - 1)});
  if (row.writer != UNKNOWN && !is_writer(reader->history, row.writer, row.key))
    return wrong(reader, "a value is shown that nobody has written");
  if (op->row_count > 0 && op->rows[op->row_count - 1].key >= row.key)
    return wrong(reader, "the keys are not in order");
  const struct op *writer = row.writer == UNKNOWN ? NULL : history_op(reader->history, (uint32_t)row.writer);
  if (writer && row.expires_ms != UNKNOWN && row.expires_ms != writer->expires_ms)
    return wrong(reader, "a value is shown with an expiry that is not its own");
  if (writer && op->kind == SCAN && writer->called_ms > op->from_ms) op->from_ms = writer->called_ms;
  op->rows[op->row_count++] = row;
  return true;
}

static bool read_rows(struct reader *reader, struct op *op) {
  op->rows = malloc(MOST_KEYS * sizeof *op->rows);
  if (!op->rows) return wrong(reader, "no memory");
  for (struct word word; (word = next_word(reader)).len > 0;)
    if (!read_row(reader, op, word)) return false;
  if (op->limit && op->row_count > op->limit) return wrong(reader, "more than the limit");
  return true;
}

/* What an update answers follows from what its function was given and did. */
static bool check_update(struct reader *reader, const struct op *op) {
  bool raises = op->how == RAISE || op->how == NOTHING;
  int64_t want = op->how == WRITE ? op->id : op->how == KEEP ? op->saw : 0;
  if (!op->ran) return wrong(reader, "the function has never run");
  if (op->raised != raises) return wrong(reader, "it had to raise an error, or had not");
  if (!raises && op->answer != want) return wrong(reader, "update answers something else");
  return true;
}

static bool read_return(struct reader *reader, struct op *op) {
  if (op->returned) return wrong(reader, "it returns a second time");
  op->returned = true;
  op->returned_ms = reader->ms;
  if (op->kind == SCAN || op->kind == EACH) return read_rows(reader, op);
  struct word answer = next_word(reader);
  op->raised = is(answer, "raised");
  if (is(answer, "error")) return wrong(reader, "the call fails");
  op->answer = answer.len > 0 ? number(answer) : 0;
  if (op->kind == UPDATE) return check_update(reader, op);
  if (op->kind == GET && op->answer && !is_writer_of(reader->history, op->answer, op))
    return wrong(reader, "a value is read that nobody has written");
  return true;
}

static struct op *new_op(struct history *history, uint32_t id, int64_t ms) {
  uint32_t *place = place_of(history, id);
  if (*place) return NULL;
  struct op *op = &history->ops[history->op_count++];
  *place = (uint32_t)history->op_count;
  *op = (struct op){.id = id,
                    .called_ms = ms,
                    .from_ms = ms,
                    .called_at = history->event_count,
                    .ran_at = SIZE_MAX,
                    .returned_at = SIZE_MAX,
                    .slot = -1};
  return op;
}

static bool read_op_line(struct reader *reader, char mark, struct op **op) {
  struct history *history = reader->history;
  uint32_t id = (uint32_t)number(next_word(reader));
  *op = mark == '+' ? new_op(history, id, reader->ms) : history_op(history, id);
  if (!*op) return wrong(reader, mark == '+' ? "the number is taken" : "nobody has called this");
  if (mark == '+') return read_call(reader, *op);
  if ((*op)->returned) return wrong(reader, "the call has returned already");
  if (mark == '~') {
    (*op)->ran_at = history->event_count;
    return read_run(reader, *op);
  }
  (*op)->returned_at = history->event_count;
  return read_return(reader, *op);
}

/* What a kill, or the end of the history, has cut off. */
static void cut_off(struct history *history, int64_t ms) {
  for (size_t i = history->op_count; i > 0; i--) {
    struct op *op = &history->ops[i - 1];
    if (op->returned_at == SIZE_MAX && op->returned_ms == 0) op->returned_ms = ms;
  }
}

static bool read_line(struct reader *reader) {
  static const char marks[] = "+~-!=<";
  static const enum event_kind kinds[] = {CALLED, RAN, RETURNED, KILLED, LOOKED, BACK};
  struct history *history = reader->history;
  struct op *op = NULL;
  reader->ms = number(next_word(reader));
  struct word mark = next_word(reader);
  const char *which = mark.len == 1 ? strchr(marks, mark.text[0]) : NULL;
  if (!which) return wrong(reader, "no line of a history");
  if (which - marks < 3 && !read_op_line(reader, *which, &op)) return false;
  if (*which == '!') cut_off(history, reader->ms);
  int64_t moment_ms = *which == '<' ? number(next_word(reader)) : 0;
  history->events[history->event_count++] =
      (struct event){kinds[which - marks], op ? (size_t)(op - history->ops) : 0, reader->ms, moment_ms};
  return true;
}

static bool each_line(struct reader *reader, const char *text, size_t len, bool (*take)(struct reader *)) {
  const char *end = text + len;
  reader->history->event_count = 0;
  for (const char *line = text; line < end;) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    reader->at = line;
    reader->end = newline ? newline : end;
    reader->history->lines[reader->history->event_count] = line;
    if (!take(reader)) return false;
    line = reader->end + 1;
  }
  return true;
}

static bool make_room(struct history *history, const char *text, size_t len) {
  size_t lines = 1;
  for (size_t i = 0; i < len; i++) lines += text[i] == '\n';
  for (history->by_id_cap = 64; history->by_id_cap < 2 * lines;) history->by_id_cap *= 2;
  history->ops = malloc(lines * sizeof *history->ops);
  history->events = malloc(lines * sizeof *history->events);
  history->lines = malloc((lines + 1) * sizeof *history->lines);
  history->by_id = calloc(history->by_id_cap, sizeof *history->by_id);
  return history->ops && history->events && history->lines && history->by_id;
}

bool history_read(struct history *history, const char *text, size_t len, struct buf *why) {
  struct reader reader = {.history = history, .why = why};
  *history = (struct history){0};
  if (!make_room(history, text, len)) return false;
  if (!each_line(&reader, text, len, know_keys_of_line)) return false;
  qsort(history->keys, (size_t)history->key_count, sizeof *history->keys, compare_keys);
  if (!each_line(&reader, text, len, read_line)) return false;
  cut_off(history, reader.ms);
  return true;
}

void history_free(struct history *history) {
  for (size_t i = 0; i < history->op_count; i++) free(history->ops[i].rows);
  free(history->ops);
  free(history->events);
  free(history->lines);
  free(history->by_id);
}
