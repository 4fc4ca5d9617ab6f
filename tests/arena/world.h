/* The world: who is where, and how well. It lives in memory alone and is lost with the process, as in most
 * games; what has to outlast that belongs to the rules and stands in the store.
 *
 * It knows no network and no moonkeep. One thread. */
#ifndef ARENA_WORLD_H
#define ARENA_WORLD_H

#include <netinet/in.h>
#include <stdbool.h>

enum {
  TICKS_PER_SECOND = 60,
  PLAYERS_MOST = 1000,
  NAME_BYTES = 16, /* with the NUL; letters and digits */
  HEALTH_FULL = 100,
  REST_TICKS = TICKS_PER_SECOND / 2,   /* between two hits */
  RETURN_TICKS = TICKS_PER_SECOND * 2, /* from death to the field */
  LEAVE_TICKS = TICKS_PER_SECOND * 5,  /* of silence, then a player has left */
};
#define FIELD 100.0f /* its sides */
#define SPEED 0.15f  /* of a player, in a tick */
#define REACH 12.0f  /* of a hit */

struct player {
  char name[NAME_BYTES]; /* "": nobody */
  struct sockaddr_in address;
  float x, y;
  float dx, dy; /* where to, at most 1 long */
  int health;   /* 0: dead */
  long heard;   /* the tick of the last word */
  long may_hit, returns;
  long answered; /* the newest request that was answered */
};

struct world {
  long tick;
  int count; /* slots that have ever been used */
  struct player players[PLAYERS_MOST];
};

/* NULL: the name is none, or the arena is full. One who is there already keeps what he has, at a new address.
 */
struct player *world_join(struct world *world, const char *name, const struct sockaddr_in *address);
struct player *world_find(struct world *world, const char *name);
struct player *world_at(struct world *world, const struct sockaddr_in *address);

float world_distance(const struct player *a, const struct player *b);

/* Whether this player may hit that one now; then he has to rest. */
bool world_hit(struct world *world, struct player *by, const struct player *player);

/* Whether this was the end of him. */
bool world_hurt(struct world *world, struct player *player, int amount);

/* One tick: everybody moves, the dead return, the silent leave. */
void world_step(struct world *world);

#endif
