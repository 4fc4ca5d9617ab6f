#!/bin/bash
# What `make install` puts where, and a C and a C++ program that are built against it.
set -u
make_build=${BUILD:-build} # as make knows it: its names have no spaces
BUILD=$(cd "$make_build" && pwd)
if [ ! -e "$BUILD/libmoonkeep.so.0" ]; then # a build with sanitizers
  echo "0 passed, 0 failed"
  exit 0
fi
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
check() { # name, command…
  local name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    echo "ok $name"
    passed=$((passed + 1))
  else
    echo "FAILED $name"
    cat "$work/log"
    failed=$((failed + 1))
  fi
}

cat >"$work/tool.c" <<'END'
#include <moonkeep.h>
#include <stdio.h>
#include <string.h>
static void show(void *ctx, const struct moonkeep_answer *answer) { (void)ctx; puts(answer->json); }
int main(int argc, char **argv) {
  struct moonkeep_options options;
  struct moonkeep_host *host;
  struct moonkeep_error error;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.data = argv[argc - 1];
  if (moonkeep_open(&host, &options, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  moonkeep_set(host, 0, "k", "[7]", 0, 0, 0);
  moonkeep_get(host, 0, "k", show, 0);
  moonkeep_wait(host);
  return moonkeep_close(host, &error);
}
END
cp "$work/tool.c" "$work/tool++.cpp"

# A server with LuaJIT or Lua 5.1 in it: their functions take the place of those that libmoonkeep.so means.
cat >"$work/other.c" <<'END'
#include <moonkeep.h>
#include <stdio.h>
#include <string.h>
void lua_settop(void *L, int index) { (void)L, (void)index; }
int lua_setfenv(void *L, int index) { return (void)L, index; }
int main(int argc, char **argv) {
  struct moonkeep_options options;
  struct moonkeep_host *host;
  struct moonkeep_error error;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.data = argv[argc - 1];
  options.scripts = argv[argc - 1];
  if (moonkeep_open(&host, &options, &error) != MOONKEEP_INVALID) return 1;
  puts(error.message);
  options.scripts = 0;
  if (moonkeep_open(&host, &options, &error)) return 2;
  if (moonkeep_attach(host, (struct lua_State *)argv, &error) != MOONKEEP_INVALID) return 3;
  puts(error.message);
  return moonkeep_close(host, &error);
}
END

installs() { make -s install BUILD="$make_build" PREFIX=/usr DESTDIR="$work/root"; }
flags() {
  PKG_CONFIG_SYSROOT_DIR=$work/root PKG_CONFIG_PATH=$work/root/usr/lib/pkgconfig PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs moonkeep
}
# shellcheck disable=SC2046 # the flags are meant to be split
builds_and_runs() { # compiler, source
  "$1" -Wall -Wextra -Werror -o "$2.out" "$2" $(flags) &&
    [ "$(LD_LIBRARY_PATH=$work/root/usr/lib "$2.out" "$2.data")" = '[7]' ] &&
    [ "$("$BUILD/moonkeep" get k --data "$2.data")" = '[7]' ]
}
# shellcheck disable=SC2046
# The game and its rule as README.md shows them, with the command that stands there.
the_readmes_game_builds_and_runs() {
  local game=$work/game
  mkdir -p "$game/rules"
  awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$game/game.c"
  awk '/^-- rules\/damage.lua/ { on = 1 } /^```$/ { on = 0 } on' README.md >"$game/rules/damage.lua"
  (cd "$game" && cc -Wall -Wextra -Werror game.c -o game $(flags) && LD_LIBRARY_PATH=$work/root/usr/lib ./game) &&
    [ "$("$BUILD/moonkeep" get wins:ann --data "$game/data")" = "$(sed -n 's/^    cc game.c .*# //p' README.md)" ]
}
# shellcheck disable=SC2046
has_its_manual() {
  local man=$work/root/usr/share/man/man3 name
  [ -z "$(groff -man -ww -Tutf8 -z "$man/moonkeep.3" 2>&1)" ] || return
  groff -man -Tutf8 -P-cbou -rLL=200n "$man/moonkeep.3" >"$work/page"
  for name in $(nm -D --defined-only "$BUILD/libmoonkeep.so.0" | awk '{print $3}'); do
    if ! grep -q "$name(" "$work/page" || [ "$(cat "$man/$name.3")" != '.so man3/moonkeep.3' ]; then
      echo "no page for $name"
      return 1
    fi
  done
}
# shellcheck disable=SC2046
another_lua_is_told_why() {
  local said
  cc -Wall -Wextra -Werror -rdynamic -o "$work/other" "$work/other.c" $(flags) && mkdir -p "$work/other.data" &&
    said=$(LD_LIBRARY_PATH=$work/root/usr/lib "$work/other" "$work/other.data") && echo "$said" &&
    [ "$(grep -c 'this process has Lua 5.1.*needs Lua 5.4.*control socket' <<<"$said")" = 2 ]
}
# The real ones: in the place of ours, whatever the order of the libraries; hidden in the program; loaded beside.
multiarch=/usr/lib/$(gcc -print-multiarch)
other_is_refused() { # mode, what it is called, how often that is said, flags…
  local mode=$1 name=$2 times=$3 said
  shift 3
  rm -rf "$work/other.data"
  # shellcheck disable=SC2046
  cc -Wall -Wextra -Werror -D_GNU_SOURCE -Iinclude -o "$work/other_lua" tests/api/other_lua.c "$@" &&
    said=$(LD_LIBRARY_PATH=$work/root/usr/lib "$work/other_lua" "$mode" "$work/other.data" "$work/rules" ${FILE:+"$FILE"})
  local status=$?
  echo "status $status: $said"
  [ $status = 0 ] && [ "$(grep -c "$name.*control socket" <<<"$said")" = "$times" ]
}
# shellcheck disable=SC2046
in_our_place() { # pkg-config's name, what it is called
  local other
  other=$(pkg-config --libs "$1")
  # shellcheck disable=SC2086 # flags
  other_is_refused taken "this process has $2 in .*needs Lua 5.4" 3 -DLINKED $(flags) -Wl,--no-as-needed $other -ldl &&
    other_is_refused taken "this process has $2 in .*needs Lua 5.4" 3 -DLINKED -Wl,--no-as-needed $other $(flags) -ldl
}
# shellcheck disable=SC2046
inside() { # archive, what it seems to be; the linker exports what libmoonkeep.so could use, or nothing of it
  other_is_refused taken "this process has another Lua in .*/other_lua.*needs Lua 5.4" 3 -DLINKED -no-pie "$1" $(flags) -lm -ldl &&
    other_is_refused beside "none of the Lua 5.4 that moonkeep uses.*$2" 2 -DLINKED -no-pie -Wl,--exclude-libs,ALL "$1" $(flags) -lm -ldl
}
# shellcheck disable=SC2046
loaded_beside() { # library, what it seems to be
  FILE=$1 other_is_refused beside "none of the Lua 5.4 that moonkeep uses.*$2" 2 $(flags) -ldl
}
luajit_is_refused() {
  in_our_place luajit LuaJIT && inside "$multiarch/libluajit-5.1.a" LuaJIT &&
    loaded_beside "$multiarch/libluajit-5.1.so.2" LuaJIT
}
lua_5_1_is_refused() {
  in_our_place lua5.1 'Lua 5.1' && inside "$multiarch/liblua5.1.a" 'such as 5.1' &&
    loaded_beside "$multiarch/liblua5.1.so.0" 'such as 5.1'
}
# The other way round: the program has LuaJIT and loads the library.
luajit_may_load_the_library() {
  rm -rf "$work/ffi.data"
  cat >"$work/ffi.lua" <<'END'
local ffi = require "ffi"
ffi.cdef [[
  struct error { int code; char message[768]; };
  struct options { size_t size; const char *data, *scripts; };
  int moonkeep_open(void **host, const struct options *options, struct error *error);
  int moonkeep_set_wait(void *host, const char *store, const char *key, const char *json, int64_t expires, void *result);
  int moonkeep_close(void *host, struct error *error);
]]
local moonkeep = ffi.load(arg[1])
local host, failure = ffi.new "void *[1]", ffi.new "struct error"
local options = ffi.new("struct options", {ffi.sizeof "struct options", arg[2], arg[3]})
assert(moonkeep.moonkeep_open(host, options, failure) ~= 0)
print(ffi.string(failure.message))
options.scripts = nil
assert(moonkeep.moonkeep_open(host, options, failure) == 0)
assert(moonkeep.moonkeep_set_wait(host[0], nil, "k", "8", 0, nil) == 0)
assert(moonkeep.moonkeep_close(host[0], nil) == 0)
END
  luajit "$work/ffi.lua" "$work/root/usr/lib/libmoonkeep.so.0" "$work/ffi.data" "$work/rules" >"$work/said" &&
    grep -q 'this process has LuaJIT in .*control socket' "$work/said" &&
    [ "$("$BUILD/moonkeep" get k --data "$work/ffi.data")" = 8 ]
}
exports_its_own_names_alone() {
  nm -D --defined-only "$BUILD/libmoonkeep.so.0" | awk '{print $3}' | grep -q '^moonkeep_open$' &&
    ! nm -D --defined-only "$BUILD/libmoonkeep.so.0" | awk '{print $3}' | grep -v '^moonkeep_' &&
    nm -g --defined-only "$BUILD/libmoonkeep.a" | grep -q ' moonkeep_open$' &&
    ! nm -g --defined-only "$BUILD/libmoonkeep.a" | awk 'NF == 3 {print $3}' | grep -v '^moonkeep_'
}
uninstalls() {
  make -s uninstall BUILD="$make_build" PREFIX=/usr DESTDIR="$work/root" && [ -z "$(find "$work/root" -type f -o -type l)" ]
}

check installs installs
check exports_its_own_names_alone exports_its_own_names_alone
check a_c_program_builds_and_runs builds_and_runs cc "$work/tool.c"
! command -v c++ >/dev/null || check a_cplusplus_program_builds_and_runs builds_and_runs c++ "$work/tool++.cpp"
check the_readmes_game_builds_and_runs the_readmes_game_builds_and_runs
check has_its_manual has_its_manual
check another_lua_is_told_why another_lua_is_told_why
mkdir "$work/rules"
echo 'bot.on("hit", function() appData:set("hit", {1, 2.5}) end)' >"$work/rules/hits.lua"
check luajit_is_refused luajit_is_refused
check lua_5_1_is_refused lua_5_1_is_refused
check luajit_may_load_the_library luajit_may_load_the_library
check uninstalls uninstalls
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
