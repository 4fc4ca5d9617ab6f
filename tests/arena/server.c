/* The arena: a game server in which players walk, hit, find things and trade them. What happens sixty times a
 * second stands here; what the game is about stands in rules/, and can be changed while it runs.
 *
 *     server DATA [RULES]
 *
 * It writes its port and process number to DATA/address. SIGTERM ends it in order. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pace.h"
#include "rules.h"
#include "wire.h"

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number) {
  (void)number;
  asked_to_end = 1;
}

/* Whole or not at all: who reads it never finds half a line. */
static void write_address(const char *data, int socket) {
  char path[4096], new_path[4100];
  snprintf(path, sizeof path, "%s/address", data);
  snprintf(new_path, sizeof new_path, "%s.new", path);
  FILE *file = fopen(new_path, "w");
  if (!file) return;
  fprintf(file, "%d %d\n", wire_port(socket), (int)getpid());
  fclose(file);
  rename(new_path, path);
}

/* One tick: what the players want, what comes of it, what the rules say to it, what the players see of it. */
static int tick(struct pace *pace, struct world *world, struct rules *rules) {
  wire_receive(rules->socket, world, rules);
  world_step(world);
  int going_on = pace_moonkeep(pace, rules->host);
  wire_send_states(rules->socket, world);
  pace_end(pace);
  return going_on;
}

static void play(struct world *world, struct rules *rules) {
  static struct pace pace;
  int going_on = 1;
  pace_start(&pace);
  while (going_on) {
    pace_wait(&pace, rules->host);
    going_on = tick(&pace, world, rules);
    if (asked_to_end) moonkeep_finish(rules->host);
  }
  pace_print(&pace);
  printf("%ld hits, %ld judged; %ld asks\n", rules->hits, rules->judged, rules->asks);
}

int main(int argc, char **argv) {
  static struct world world;
  struct rules rules;
  const char *data = argc > 1 ? argv[1] : "arena-data";
  int socket = wire_open();
  if (socket < 0) return fprintf(stderr, "arena: cannot open a socket: %s\n", strerror(errno)), 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (rules_open(&rules, data, argc > 2 ? argv[2] : "tests/arena/rules", &world, socket)) return 1;
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  write_address(data, socket);
  play(&world, &rules);
  rules_close(&rules);
  close(socket);
  return 0;
}
