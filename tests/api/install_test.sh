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
exports_its_own_names_alone() {
  nm -D --defined-only "$BUILD/libmoonkeep.so.0" | awk '{print $3}' | grep -q '^moonkeep_open$' &&
    ! nm -D --defined-only "$BUILD/libmoonkeep.so.0" | awk '{print $3}' | grep -v '^moonkeep_'
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
check uninstalls uninstalls
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
