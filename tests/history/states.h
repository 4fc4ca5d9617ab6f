/* A set of states, each of them once. */
#ifndef TESTS_HISTORY_STATES_H
#define TESTS_HISTORY_STATES_H

#include "history/history_parts.h"

struct states {
  struct state *items; /* owned */
  size_t count, cap;
  uint32_t *places; /* owned: an open hash table of places in items, from 1 */
  size_t places_cap;
};

void states_add(struct states *states, const struct state *state); /* what is there already is not added */
void states_clear(struct states *states);                          /* keeps the memory */
void states_free(struct states *states);

#endif
