#!/usr/bin/env bash
# The console: what is entered, and what is printed.
#
#   MOONKEEP=build/moonkeep tests/cli/console_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

shows() { # CODE WANTED
  printf '%s\n' "$1" >code.txt
  mk console <code.txt
  is "stderr of $1" "$err" ''
  is "$1" "$out" "$2"
  is "status of $1" "$status" 0
}

complains() { # CODE PART
  printf '%s\n' "$1" >code.txt
  mk console <code.txt
  has "stderr of $1" "$err" "$2"
  is "status of $1" "$status" 1
}

values_are_printed_as_they_would_be_written() {
  start_host
  shows '1 + 1' 2
  shows '1.0, 2^53, 1e300, -0.0' $'1.0\n9007199254740992.0\n1e+300\n-0.0'
  shows '1/0, -1/0' $'math.huge\n-math.huge'
  shows 'nil' nil
  shows '"a\"b\n\0"' '"a\"b\n\x00"'
  shows '"grün\255"' '"grün\xff"'
  shows '{1, 2, {x = 1.0}, ["a b"] = {}, ["end"] = true, xp = false}' \
    '{1, 2, {x = 1.0}, ["a b"] = {}, ["end"] = true, xp = false}'
  shows 'moonkeep.array{}, moonkeep.null' $'moonkeep.array{}\nmoonkeep.null'
  shows 'local t = {} t.t = t return t.t ~= nil' true
  shows 'local t = {} for i = 1, 30 do t[i] = "number " .. i end return #t, t' "$(
    echo 30
    echo '{'
    for i in $(seq 29); do echo "  \"number $i\","; done
    echo '  "number 30"'
    echo '}'
  )"
  shows 'local t = {} t.t = t return t' \
    "$(printf '{t = %.0s' 1 2 3 4 5 6 7 8)$(printf '{ --[[ deeper ]] }')}}}}}}}}"
  stop_host
}

the_store_is_at_hand() {
  start_host
  shows 'appData:set("k", {1, {x = 1.0}})' ''
  shows 'appData:get("k")' '{1, {x = 1.0}}'
  shows 'appData:update("n", function(n) return n + 1 end, 0)' 1
  shows 'rootServer.dataStore.economy:get("nothing", "none")' '"none"'
  shows 'bot.sleep(0.01)' ''
  mk get k
  is value "$out" '[1,{"x":1.0}]'
  stop_host
}

a_state_stays_as_long_as_the_connection() {
  start_host
  shows $'x = 5\nprint("x is", x)\nx' $'x is\t5\n5'
  shows 'x' nil
  shows $'for i = 1, 2 do\nprint(i)\nend' $'1\n2'
  shows $'1 +\n1' 2
  stop_host
}

what_goes_wrong_is_told_and_the_host_goes_on() {
  start_host
  complains 'error("bad")' 'console:1: bad'
  complains 'error(nil)' nil
  complains 'x y' 'console:1: syntax error near'
  complains 'for i = 1' 'the last statement is not whole'
  complains 'while true do end' 'stopped: it has computed for over'
  complains 'local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end' 'not enough memory'
  complains 'coroutine.yield()' 'yield'
  complains 'appData:get("")' 'invalid_key'
  shows 1 1
  stop_host
  is 'exit status' "$host_status" 0
}

values_are_printed_at_the_end_of_a_host_too() {
  start_host
  echo 'bot.sleep(1000)' | "$moonkeep" console >slept.txt 2>&1 7>&- &
  local console=$!
  wait_for eval "\"\$moonkeep\" status --json | grep -q '\"tasks_sleeping\":1'"
  stop_host
  wait "$console"
  is 'exit status of the console' $? 1
  is 'exit status' "$host_status" 0
}

run_tests values_are_printed_as_they_would_be_written the_store_is_at_hand \
  a_state_stays_as_long_as_the_connection what_goes_wrong_is_told_and_the_host_goes_on \
  values_are_printed_at_the_end_of_a_host_too
