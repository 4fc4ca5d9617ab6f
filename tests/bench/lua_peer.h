/* Peers that are a Lua script in an interpreter of their own: it gets loads as lines of text and answers each
 * with its figures, which it takes with tools.c. */
#ifndef TESTS_BENCH_LUA_PEER_H
#define TESTS_BENCH_LUA_PEER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct load;
struct figures;

struct lua_peer {
  const char *program, *script, *probe; /* probe: Lua that runs where what the script needs is there; NULL */
  pid_t pid;
  FILE *to, *from;
};

bool lua_peer_start(struct lua_peer *peer, const struct load *load, char why[128]);
void lua_peer_fill(struct lua_peer *peer, const struct load *load);
void lua_peer_measure(struct lua_peer *peer, const struct load *load, struct figures *figures);
void lua_peer_stop(struct lua_peer *peer);

#endif
