/* Tarantool: fibers inside the server make the calls (peers/tarantool.lua), so that nothing has to be sent.
 */
#include "bench/bench.h"
#include "bench/lua_peer.h"

static struct lua_peer peer = {.program = "tarantool", .script = "tests/bench/peers/tarantool.lua"};

static bool start(const struct load *load, char why[128]) {
  return lua_peer_start(&peer, load, why);
}
static void fill(const struct load *load) {
  lua_peer_fill(&peer, load);
}
static void measure(const struct load *load, struct figures *figures) {
  lua_peer_measure(&peer, load, figures);
}
static void stop(void) {
  lua_peer_stop(&peer);
}

const struct side tarantool_side = {
    .name = "Tarantool",
    .settings =
        "wal_mode=fsync, which is what durable before acknowledged takes; at most 8 GiB of memory, since the "
        "default does not hold the documents; a hash index, its fastest; fibers inside the server, "
        "so that nothing is sent; values in its own MessagePack",
    .start = start,
    .fill = fill,
    .measure = measure,
    .stop = stop,
};
