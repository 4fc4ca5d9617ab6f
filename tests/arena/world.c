#include "world.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* Where a player enters: by his name, so that there is no chance in it. */
static void place(struct player *player) {
  unsigned hash = 2166136261u;
  for (const char *at = player->name; *at; at++) hash = (hash ^ (unsigned char)*at) * 16777619u;
  player->x = (float)(hash % 97) / 97 * FIELD;
  player->y = (float)(hash / 97 % 97) / 97 * FIELD;
  player->health = HEALTH_FULL;
}

static bool is_name(const char *name) {
  size_t len = strlen(name);
  for (const char *at = name; *at; at++)
    if (!isalnum((unsigned char)*at)) return false;
  return len > 0 && len < NAME_BYTES;
}

struct player *world_find(struct world *world, const char *name) {
  for (int i = 0; i < world->count; i++)
    if (strcmp(world->players[i].name, name) == 0 && name[0]) return &world->players[i];
  return NULL;
}

struct player *world_at(struct world *world, const struct sockaddr_in *address) {
  for (int i = 0; i < world->count; i++) {
    struct player *player = &world->players[i];
    if (player->address.sin_port == address->sin_port && player->name[0] &&
        player->address.sin_addr.s_addr == address->sin_addr.s_addr)
      return player;
  }
  return NULL;
}

static struct player *free_slot(struct world *world) {
  for (int i = 0; i < world->count; i++)
    if (!world->players[i].name[0]) return &world->players[i];
  return world->count < PLAYERS_MOST ? &world->players[world->count++] : NULL;
}

struct player *world_join(struct world *world, const char *name, const struct sockaddr_in *address) {
  if (!is_name(name)) return NULL;
  struct player *player = world_find(world, name);
  if (!player) {
    player = free_slot(world);
    if (!player) return NULL;
    *player = (struct player){.heard = world->tick};
    strcpy(player->name, name);
    place(player);
  }
  player->address = *address;
  return player;
}

float world_distance(const struct player *a, const struct player *b) {
  return hypotf(a->x - b->x, a->y - b->y);
}

bool world_hit(struct world *world, struct player *by, const struct player *player) {
  if (by == player || by->health == 0 || player->health == 0) return false;
  if (world->tick < by->may_hit || world_distance(by, player) > REACH) return false;
  by->may_hit = world->tick + REST_TICKS;
  return true;
}

bool world_hurt(struct world *world, struct player *player, int amount) {
  if (player->health == 0 || amount <= 0) return false;
  player->health = amount < player->health ? player->health - amount : 0;
  player->returns = world->tick + RETURN_TICKS;
  return player->health == 0;
}

static float inside(float at) {
  return at < 0 ? 0 : at > FIELD ? FIELD : at;
}

static void step(const struct world *world, struct player *player) {
  if (world->tick - player->heard > LEAVE_TICKS) {
    player->name[0] = '\0';
  } else if (player->health > 0) {
    player->x = inside(player->x + player->dx * SPEED);
    player->y = inside(player->y + player->dy * SPEED);
  } else if (world->tick >= player->returns) {
    place(player);
  }
}

void world_step(struct world *world) {
  world->tick++;
  for (int i = 0; i < world->count; i++)
    if (world->players[i].name[0]) step(world, &world->players[i]);
}
