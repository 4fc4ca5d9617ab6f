#!/bin/bash
# The Lua module: the specs in a stock lua5.4, other Luas, and the rock.
set -u
make_build=${BUILD:-build} # as make knows it: its names have no spaces
BUILD=$(cd "$make_build" && pwd)
if [ ! -e "$BUILD/moonkeep.so" ]; then # a build with sanitizers, which a stock lua5.4 cannot load
  echo "0 passed, 0 failed"
  exit 0
fi
passed=0 failed=0
work=$(mktemp -d)
host=
trap '[ -z "$host" ] || kill "$host"; rm -rf "$work"' EXIT
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

export MODULE_DATA=$work/data MODULE_HOST=$work/host
export LUA_CPATH="$BUILD/?.so;;"
mkdir "$work/bots" "$work/data"
mkfifo "$work/events"
"$BUILD/moonkeep" run "$work/bots" --data "$MODULE_HOST" <"$work/events" 2>/dev/null &
host=$!
exec 3>"$work/events"
for _ in $(seq 600); do
  [ ! -S "$MODULE_HOST/control.sock" ] || break
  sleep 0.1
done

lua5.4 /usr/bin/busted -o TAP tests/module/module_spec.lua >"$work/tap" 2>&1
grep -E '^(ok|not ok)' "$work/tap" | sed 's/^not ok/FAILED/'
passed=$((passed + $(grep -c '^ok' "$work/tap")))
if grep -q '^not ok' "$work/tap" || ! grep -q '^ok' "$work/tap"; then
  cat "$work/tap"
  failed=$((failed + 1))
fi

exports_one_function() { [ "$(nm -D --defined-only "$BUILD/moonkeep.so" | awk '{print $3}')" = luaopen_moonkeep ]; }
is_not_linked_with_a_lua() { ! ldd "$BUILD/moonkeep.so" | grep -q liblua; }
another_lua_is_told_why() {
  lua5.1 -e 'require "moonkeep"' 2>&1 | grep -q 'moonkeep needs Lua 5.4, and this program has Lua 5.1' &&
    luajit -e 'require "moonkeep"' 2>&1 | grep -q 'moonkeep needs Lua 5.4, and this program has LuaJIT'
}
the_end_of_the_program_closes() {
  lua5.4 -e 'store = require "moonkeep".open(os.getenv "MODULE_DATA" .. "/end") store:set("k", 7)' &&
    [ "$("$BUILD/moonkeep" get k --data "$MODULE_DATA/end")" = 7 ]
}
# shellcheck disable=SC2016 # the shell that os.execute starts knows its parent
what_was_set_survives_a_kill() {
  lua5.4 -e 'local store = require "moonkeep".open(os.getenv "MODULE_DATA" .. "/kill")
    for n = 1, 100 do store:set("k", n) print(n) io.stdout:flush() end
    os.execute("kill -9 $PPID")' >"$work/last"
  [ "$("$BUILD/moonkeep" get k --data "$MODULE_DATA/kill")" = "$(tail -n 1 "$work/last")" ]
}
rock_lints() { luarocks --lua-version 5.4 lint moonkeep-0.1.0-1.rockspec; }
rock_installs() {
  HOME=$work BUILD=$make_build luarocks --lua-version 5.4 make --tree "$work/tree" --no-doc \
    moonkeep-0.1.0-1.rockspec BUILD="$make_build" &&
    LUA_CPATH="$work/tree/lib/lua/5.4/?.so" lua5.4 -e 'print(require "moonkeep".version)'
}

check exports_one_function exports_one_function
check is_not_linked_with_a_lua is_not_linked_with_a_lua
check another_lua_is_told_why another_lua_is_told_why
check the_end_of_the_program_closes the_end_of_the_program_closes
check what_was_set_survives_a_kill what_was_set_survives_a_kill
check rock_lints rock_lints
check rock_installs rock_installs
exec 3>&-
wait "$host"
host=
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
