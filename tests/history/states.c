#include "history/states.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const struct state *state) {
  const uint64_t *words = (const uint64_t *)(const void *)state;
  uint64_t hash = 0;
  for (size_t i = 0; i < sizeof *state / sizeof *words; i++) {
    hash = (hash ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
    hash ^= hash >> 32;
  }
  return hash;
}

/* The table's place of an equal state, or a free one. */
static uint32_t *place_of(const struct states *states, const struct state *state) {
  size_t i = hash_of(state) & (states->places_cap - 1);
  while (states->places[i] && memcmp(&states->items[states->places[i] - 1], state, sizeof *state) != 0)
    i = (i + 1) & (states->places_cap - 1);
  return &states->places[i];
}

static void grow(struct states *states) {
  states->cap = states->cap ? states->cap * 2 : 64;
  states->items = realloc(states->items, states->cap * sizeof *states->items);
  free(states->places);
  states->places_cap = states->cap * 2;
  states->places = calloc(states->places_cap, sizeof *states->places);
  if (!states->items || !states->places) abort();
  for (size_t i = 0; i < states->count; i++) *place_of(states, &states->items[i]) = (uint32_t)i + 1;
}

void states_add(struct states *states, const struct state *state) {
  if (states->count == states->cap) grow(states);
  uint32_t *place = place_of(states, state);
  if (*place) return;
  states->items[states->count] = *state;
  *place = (uint32_t)++states->count;
}

void states_clear(struct states *states) {
  states->count = 0;
  if (states->places) memset(states->places, 0, states->places_cap * sizeof *states->places);
}

void states_free(struct states *states) {
  free(states->items);
  free(states->places);
  *states = (struct states){0};
}
