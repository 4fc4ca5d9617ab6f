/* What the files of the checker share: a history that has been read, and the states that a store can be in.
 */
#ifndef TESTS_HISTORY_PARTS_H
#define TESTS_HISTORY_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "history/history.h"

enum {
  MOST_KEYS = 32,       /* of all stores */
  MOST_CHANGES = 64,    /* under way at once */
  MOST_READS = 256,     /* under way at once; each key of an `each` is one */
  MOST_STATES = 200000, /* possible at once */
  MOST_MOMENTS = 64
};

typedef uint32_t
    key_set; /* a set of keys: their numbers' bits. Numbers are in the order of stores and keys. */

struct key {
  char store[64], name[64];
};

enum kind { GET, SET, UPDATE, DELETE, DELETE_LIKE, SCAN, COUNT, EACH };
enum how { WRITE, KEEP, DROP, RAISE, NOTHING };
enum { UNKNOWN = -1 };

struct shown { /* a row of an answer */
  int key;
  int64_t writer, expires_ms; /* UNKNOWN: the answer does not say */
};

struct op {
  uint32_t id;
  enum kind kind;
  enum how how;
  key_set keys;                           /* that it is about */
  int64_t called_ms, ran_ms, returned_ms; /* returned_ms of one that was cut off: when */
  int64_t from_ms; /* its moment is not before: when it was called, or what it shows was */
  bool ran, returned;
  int64_t expires_ms; /* of what it writes; 0: never */
  bool keeps_expiry;
  uint32_t saw;   /* the update's function */
  int64_t answer; /* writer, 0 or 1, a count */
  bool raised;
  uint64_t limit;
  struct shown *rows; /* owned */
  size_t row_count;
  size_t called_at, ran_at, returned_at; /* lines; SIZE_MAX: never */
  int slot;                              /* of a change under way; -1 */
  int reads[MOST_KEYS], read_count;      /* slots of reads under way */
};

enum event_kind { CALLED, RAN, RETURNED, KILLED, LOOKED, BACK };

struct event {
  enum event_kind kind;
  size_t op;
  int64_t ms, moment_ms; /* moment_ms: of BACK */
};

struct history {
  struct key keys[MOST_KEYS];
  int key_count;
  struct op *ops; /* owned */
  size_t op_count;
  struct event *events; /* owned, one a line */
  size_t event_count;
  const char **lines; /* owned; into the text */
  uint32_t *by_id;    /* owned: an open hash table of places in ops, from 1 */
  size_t by_id_cap;
};

/* read.c: false: the text is no history, or an answer in it cannot be, as `why` says. */
bool history_read(struct history *history, const char *text, size_t len, struct buf *why);
void history_free(struct history *history);
struct op *history_op(const struct history *history, uint32_t id); /* NULL: there is none */

/* model.c: what a store does. */
struct state {
  uint32_t writer[MOST_KEYS];     /* op that wrote what the key holds; 0: absent */
  uint64_t done;                  /* changes under way that have happened */
  uint64_t seen[MOST_READS / 64]; /* reads under way that have happened */
};

bool op_changes(const struct op *op); /* whether it is a change, or only reads */
/* Whether the change can happen next, and what comes of it. */
bool model_can_happen(const struct history *history, const struct state *state, const struct op *change);
void model_apply(struct state *state, const struct op *change);
/* Whether a read of these keys (all of the op's, or one of an `each`) can have seen this state. */
bool model_can_see(const struct history *history, const struct state *state, const struct op *read,
                   key_set keys);
/* Whether its answer names what one of these keys holds: no key ever holds the same again. */
bool model_names_any(const struct state *state, const struct op *op, key_set keys);

#endif
