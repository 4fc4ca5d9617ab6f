#!/usr/bin/env bash
# The example of a game server: its rules keep what they say, change in the running game, and no kill of it doubles or
# loses a thing. ROUNDS in the environment says how often it is killed (6).
# shellcheck disable=SC2034,SC2154,SC2317 # lib.sh assigns, and calls the tests by their names
set -u

root=$(pwd)
build=$(realpath "${BUILD:-build}")
MOONKEEP=$build/moonkeep
# shellcheck source=tests/cli/lib.sh disable=SC1091
. tests/cli/lib.sh
trap 'kill -KILL $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
arena=$build/tests/arena

start_server() { # RULES
  "$arena/server" data "$1" >>server.out 2>>server.err &
  server=$!
}

end_server() {
  kill -TERM "$server"
  wait "$server"
}

# Compares what the players were told with what the store has.
audit() {
  { cat told.ndjson; echo '{"event":"audit","id":1}'; } |
    "$moonkeep" run "$root/tests/arena/audit" --data data --log-level error >audit.out 2>audit.err
  has audit "$(cat audit.out)" '"action":"audited"'
  has audit "$(cat audit.out)" '{"done":1,"ok":true}'
  is 'what is wrong' "$(grep -F '"action":"wrong"' audit.out | head -n 3)" ''
}

# A thing is in one bag, none is missing, and what somebody was told is so, though the players kill the server
# again and again.
no_kill_doubles_or_loses_an_item() {
  local kills=${ROUNDS:-6} players starts=0
  "$arena/players" data --players 40 --asks $((kills * 8)) --kills "$kills" --told told.ndjson --seconds 300 >players.out &
  players=$!
  while kill -0 "$players" 2>/dev/null; do
    start_server "$root/tests/arena/rules"
    starts=$((starts + 1))
    wait -n "$server" "$players"
  done
  end_server || fail "the server ended with $?"
  is starts "$starts" $((kills + 1))
  has players "$(cat players.out)" " $kills kills"
  [ "$(grep -c '"answer [0-9]* bought' told.ndjson)" -gt 0 ] || fail "nothing was traded"
  [ "$(grep -c '"told sold' told.ndjson)" -gt 0 ] || fail "nobody was told of a trade"
  audit
}

found() { # KIND: somebody was told that he has found one
  grep -q "\"told found [^ ]* $1 " told.ndjson
}

# Crowns are found from one tick to the next; then somebody makes a mistake, which changes nothing.
rules_change_in_the_running_game() {
  local players
  cp -r "$root/tests/arena/rules" rules
  start_server rules
  "$arena/players" data --players 40 --told told.ndjson --seconds 300 >players.out &
  players=$!
  wait_for found ring
  has status "$("$moonkeep" status --json --data data)" '"name":"damage"'
  is 'what the console says' "$(echo '1 + 1' | "$moonkeep" console --data data)" 2
  ! found crown || fail "crowns were found before there were any"
  sed -i 's/^local KINDS = .*/local KINDS = {"crown"}/' rules/lib/bags.lua
  wait_for found crown
  echo 'bot.on("hit", function(event) oops' >>rules/damage.lua
  wait_for grep -q 'damage.lua:.* <eof>' server.err
  kill -TERM "$players"
  wait "$players" || fail "the players ended with $?"
  end_server || fail "the server ended with $?"
  has server "$(cat server.out)" 'loot reloaded at tick'
  has players "$(cat players.out)" ', 0 ticks missing'
  is 'hits that no rule has judged' "$(sed -nE 's/^([0-9]+) hits, ([0-9]+) judged.*/expr \1 - \2/p' server.out | sh)" 0
  audit
}

rules_have_tests_of_their_own() {
  mk test "$root/tests/arena/rules"
  is status "$status" 0
}

run_tests rules_have_tests_of_their_own rules_change_in_the_running_game no_kill_doubles_or_loses_an_item
