#include "wire.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int wire_open(void) {
  enum { BUFFER_BYTES = 4 << 20 };
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int bytes = BUFFER_BYTES;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

int wire_port(int socket) {
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  getsockname(socket, (struct sockaddr *)&address, &size);
  return ntohs(address.sin_port);
}

/* ---- out ---- */

static void send_line(int socket, const struct sockaddr_in *to, const char *line) {
  sendto(socket, line, strlen(line), 0, (const struct sockaddr *)to,
         sizeof *to); /* what gets lost gets lost */
}

void wire_tell(int socket, const struct player *player, const char *line) {
  send_line(socket, &player->address, line);
}

static void send_state(int socket, struct world *world, const struct player *player) {
  enum { ENTRY_BYTES = NAME_BYTES + 2 * 8 };
  char line[DATAGRAM_BYTES];
  int len = snprintf(line, sizeof line, "state %ld %.1f %.1f %d", world->tick, (double)player->x,
                     (double)player->y, player->health);
  for (int i = 0; i < world->count && len < DATAGRAM_BYTES - ENTRY_BYTES; i++) {
    const struct player *other = &world->players[i];
    if (!other->name[0] || other == player || other->health == 0) continue;
    if (fabsf(other->x - player->x) > REACH || fabsf(other->y - player->y) > REACH) continue;
    len += snprintf(line + len, sizeof line - (size_t)len, " %s %.1f %.1f", other->name, (double)other->x,
                    (double)other->y);
  }
  send_line(socket, &player->address, line);
}

void wire_send_states(int socket, struct world *world) {
  enum { EVERY_TICKS = TICKS_PER_SECOND / 20 };
  for (int i = (int)(world->tick % EVERY_TICKS); i < world->count; i += EVERY_TICKS)
    if (world->players[i].name[0]) send_state(socket, world, &world->players[i]);
}

/* ---- in ---- */

static void on_join(int socket, struct world *world, struct rules *rules, const char *name,
                    const struct sockaddr_in *from) {
  const struct player *player = world_join(world, name, from);
  if (player)
    rules_joined(rules, player);
  else
    send_line(socket, from, "told no room, or no name");
}

/* What a client says is a wish: a direction has a length, and a hit is looked at by the world first. */
static void on_move(struct player *player, const char *words) {
  float dx, dy;
  if (sscanf(words, "%f %f", &dx, &dy) != 2 || !isfinite(dx) || !isfinite(dy)) return;
  float length = hypotf(dx, dy);
  player->dx = length > 1 ? dx / length : dx;
  player->dy = length > 1 ? dy / length : dy;
}

static void on_hit(struct world *world, struct rules *rules, struct player *by, const char *name) {
  struct player *player = world_find(world, name);
  if (player && world_hit(world, by, player)) rules_hit(rules, by, player);
}

static void on_line(int socket, struct world *world, struct rules *rules, char *line,
                    const struct sockaddr_in *from) {
  char *rest = line + strcspn(line, " ");
  if (*rest) *rest++ = '\0';
  if (strcmp(line, "join") == 0) on_join(socket, world, rules, rest, from);
  struct player *player = world_at(world, from);
  if (!player) {
    send_line(socket, from, "who");
    return;
  }
  player->heard = world->tick;
  if (strcmp(line, "move") == 0) on_move(player, rest);
  if (strcmp(line, "hit") == 0) on_hit(world, rules, player, rest);
  if (strcmp(line, "ask") == 0) rules_ask(rules, player, rest);
}

void wire_receive(int socket, struct world *world, struct rules *rules) {
  char line[DATAGRAM_BYTES + 1];
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  ssize_t len;
  while ((len = recvfrom(socket, line, DATAGRAM_BYTES, 0, (struct sockaddr *)&from, &size)) >= 0) {
    line[len] = '\0';
    on_line(socket, world, rules, line, &from);
    size = sizeof from;
  }
}
