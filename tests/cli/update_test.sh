#!/usr/bin/env bash
# update: a value changed by a function of it, atomically, with and without a running host.
#
#   MOONKEEP=build/moonkeep tests/cli/update_test.sh [WORD]
# shellcheck disable=SC2119,SC2154 # start_host takes no arguments of the script's; lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

updates() {
  mk update alice 'function(xp) return xp + 50 end' --default 0
  is 'default' "$status:$out:$err" '0:50:'
  mk update alice 'function(xp) return xp + 50 end' --default 0
  is 'again' "$status:$out" '0:100'
  mk get alice
  is 'get' "$out" 100
  mk set big 9007199254740993 --expires-at 4000000000
  mk update big 'function(n) return n + 1 end' --json
  is 'integers' "$status:$out" '0:9007199254740994'
  mk select big
  is 'keeps the expiry' "$out" '{"key":"big","value":9007199254740994,"expires_at":4000000000}'
  mk update list 'function(l) l[#l + 1] = {1.0} return l end' --default '[]' --store other
  is 'tables' "$status:$out" '0:[[1.0]]'
  mk update 'l' 'local m = require "moonkeep" return function(l) return m.array {} end'
  is 'a chunk' "$status:$out" '0:[]'
  mk update alice 'function(v) return require "moonkeep".unchanged end'
  is 'unchanged' "$status:$out" '0:100'
  mk update new 'function(v) return require "moonkeep".unchanged end' --default '{"a":1}'
  is 'unchanged default' "$status:$out" '0:{"a":1}'
  mk update list 'function() return require "moonkeep".absent end' --store other
  is 'absent' "$status:$out" '0:'
  mk get list --store other
  is 'deleted' "$status" 3
}

faults() {
  mk set alice 100
  for case in 'arithmetic on a nil|nobody|function(v) return v + 1 end' 'function:1:|alice|function(' \
    'not a function|alice|5' 'it went wrong|alice|function() error("it went wrong") end' \
    'returned nil for key "alice"|alice|function() end' 'nested|alice|function() appData:set("x", 1) return 1 end' \
    'value is a function|alice|function() return print end' 'stopped|alice|function() while true do end end' \
    'stopped|alice|(function() while true do pcall(function() while true do end end) end end)()' \
    'memory|alice|function() local t = {} for i = 1, 1e9 do t[i] = {i} end end' \
    'io|alice|function() return io.open("x") end' 'function:2:|alice|function(v)
      return v.x.y end'; do
    IFS='|' read -r -d '' part key code <<<"$case"
    mk update "$key" "${code%$'\n'}"
    is "status of $code" "$status:$out" '1:'
    has "message of $code" "$err" "$part"
  done
  mk get alice
  is 'nothing was written' "$out" 100
  mk count
  is 'nothing was made' "$out" 1
  refuses 2 '--default: not JSON' update alice 'function(v) return v end' --default '{'
  refuses 2 'key is empty' update '' 'function(v) return v end'
  refuses 2 'usage: moonkeep update KEY LUA-FUNCTION' update alice
}

it_updates_without_a_host() {
  updates
}

it_updates_through_a_host() {
  start_host
  updates
  stop_host
}

what_goes_wrong_changes_nothing() {
  faults
}

what_goes_wrong_changes_nothing_in_a_host_which_goes_on() {
  start_host
  faults
  mk update alice 'function(v) return v + 1 end'
  is 'and then' "$out" 101
  stop_host
  is 'host' "$host_status" 0
}

updates_at_once_lose_nothing() {
  mkdir -p bots
  echo 'bot.on("start", function() for i = 1, 200 do appData:update("n", function(n) return n + 1 end, 0) end end)' >bots/count.lua
  start_host
  for _ in $(seq 20); do "$moonkeep" update n 'function(n) return n + 1 end' --default 0 >>many.out 2>>many.err & done
  for job in $(jobs -p); do [ "$job" = "$host" ] || wait "$job" || fail "an update failed: $(cat many.err)"; done
  is 'each another' "$(sort -u many.out | wc -l)" 20
  stop_host
  mk get n
  is 'count' "$out" 220
}

# One after the other they take longer than anybody waits for a host to end.
commands_at_once_take_turns_without_a_host() {
  for _ in $(seq 40); do "$moonkeep" update n 'function(n) return n + 1 end' --default 0 >>many.out 2>>many.err & done
  for job in $(jobs -p); do wait "$job" || fail "an update failed: $(cat many.err)"; done
  mk get n
  is 'count' "$out" 40
}

tests='
  it_updates_without_a_host
  it_updates_through_a_host
  what_goes_wrong_changes_nothing
  what_goes_wrong_changes_nothing_in_a_host_which_goes_on
  updates_at_once_lose_nothing
  commands_at_once_take_turns_without_a_host
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
