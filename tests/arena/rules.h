/* The rules: scripts in Lua, in a moonkeep host, that decide what a hit costs, what is found, what is traded.
 *
 * The arena raises events for them, and provides functions that they call. This is all that a game needs of
 * moonkeep. One thread, the one that has opened them. */
#ifndef ARENA_RULES_H
#define ARENA_RULES_H

#include <moonkeep.h>

#include "world.h"

enum { LINE_BYTES = 1024 };

struct rules {
  struct moonkeep_host *host;
  struct world *world;
  int socket;
  long hits, judged; /* raised, and those whose handlers have finished */
  long asks;
};

/* Loads the scripts, and again whenever they are saved. 0, or what is wrong stands on standard error. */
int rules_open(struct rules *rules, const char *data, const char *scripts, struct world *world, int socket);
void rules_close(struct rules *rules);

void rules_joined(struct rules *rules, const struct player *player);
void rules_hit(struct rules *rules, const struct player *by, const struct player *player);
void rules_ask(struct rules *rules, const struct player *player, const char *words); /* "N WORD ARGUMENT…" */

#endif
