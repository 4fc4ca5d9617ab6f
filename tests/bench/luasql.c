/* Lua 5.4 with LuaSQL and SQLite, as the author of a bot would write it: peers/luasql.lua. */
#include "bench/bench.h"
#include "bench/lua_peer.h"

static struct lua_peer peer = {.program = "lua5.4",
                               .script = "tests/bench/peers/luasql.lua",
                               .probe = "require \"cjson\" require \"luasql.sqlite3\""};

static bool start(const struct load *load, char why[128]) {
  return lua_peer_start(&peer, load, why);
}
static void fill(const struct load *load) {
  lua_peer_fill(&peer, load);
}

/* 64 are neither what one bot does nor what many collect. */
static bool can(const struct load *load) {
  return load->tasks != 64 && !load->sustained;
}

static void measure(const struct load *load, struct figures *figures) {
  lua_peer_measure(&peer, load, figures);
}
static void stop(void) {
  lua_peer_stop(&peer);
}

const struct side luasql_side = {
    .name = "LuaSQL",
    .settings = "WAL and synchronous=FULL, else as it comes; statements as text, since LuaSQL prepares none; "
                "lua-cjson",
    .start = start,
    .fill = fill,
    .can = can,
    .measure = measure,
    .stop = stop,
};
