#!/usr/bin/env bash
# `moonkeep test` and `moonkeep check-scripts`, as the author of a bot uses them.
#
#   MOONKEEP=build/moonkeep tests/cli/author_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

greeter() { # a bot that has a bit of everything
  mkdir -p bots
  cat >bots/greet.lua <<'LUA'
bot.on("start", function() bot.send("general", "hello") end)
bot.on("stop", function() bot.send("general", "bye") end)
bot.on("message", function(event)
  print("heard " .. event.text)
  if event.text == "boom" then error("it went wrong") end
  if event.text == "later" then bot.sleep(60) end
  if event.text == "again" then while true do bot.sleep(0) end end
  event:reply("hi " .. event.userId)
end)
bot.every(3600, function() bot.send("general", "tick " .. os.date("!%H:%M")) end)
LUA
}

tests_pass_and_fail() {
  greeter
  cat >bots/greet_test.lua <<'LUA'
test("right", function() test.equal(test.say("ann", "hello"), {"hi ann"}) end)
test("wrong", function()
  test.equal(test.say("ann", "hello"), {"hi bob"})
end)
LUA
  mk test bots
  is status "$status" 1
  has stdout "$out" '  ok    right'
  has stdout "$out" '  FAIL  wrong
        greet_test.lua:3: not equal
            got     {"hi ann"}
            wanted  {"hi bob"}
            at [1]: got "hi ann", wanted "hi bob"
            3 | test.equal(test.say("ann", "hello"), {"hi bob"})
        the log:
          info greet: heard hello'
  is 'the last line' "$(tail -n 1 out.txt)" '1 passed, 1 failed'
  mk test bots right
  is status "$status" 0
  is stdout "$out" $'greet_test.lua\n  ok    right\n1 passed, 0 failed'
  mk test bots/greet_test.lua
  is status "$status" 1
}

the_time_of_day_is_the_same_everywhere() {
  local zone
  mkdir -p bots
  echo 'bot.on("message", function(event) event:reply(os.date("%A %H:%M")) end)' >bots/day.lua
  echo 'test("day", function() test.equal(test.say("ann", "?"), {"Thursday 00:00"}) end)' >bots/day_test.lua
  for zone in UTC EST5EDT JST-9; do
    TZ=$zone mk test bots
    is "the status in $zone" "$status" 0
  done
}

the_clock_is_the_tests() {
  greeter
  cat >bots/greet_test.lua <<'LUA'
test("sleepers", function()
  test.equal(test.say("ann", "later"), {})
  test.equal(test.advance(59.9), {})
  test.equal(test.advance(0.1), {"hi ann"})
end)
test("timers fire in order, each at its own time", function()
  local texts, actions = test.advance(2 * 3600 + 1)
  test.equal(texts, {"tick 01:00", "tick 02:00"})
  test.equal(actions[1], {script = "greet", action = "send", channel = "general", text = "tick 01:00"})
end)
test("keys expire", function()
  appData:set("k", 1, {ttl = 3600})
  test.advance(3599)
  test.equal(appData:get("k"), 1)
  test.advance(1)
  test.equal(appData:get("k"), nil)
end)
test("a year", function()
  local began = os.time()
  test.advance(365 * 86400)
  test.equal(os.time() - began, 365 * 86400)
end)
LUA
  mk test bots
  is status "$status" 0
  is 'the last line' "$(tail -n 1 out.txt)" '4 passed, 0 failed'
}

cases_know_nothing_of_each_other() {
  greeter
  cat >bots/count.lua <<'LUA'
local n = 0
bot.on("message", function(event)
  n = n + 1
  event:reply(n .. " " .. appData:update("n", function(m) return m + 1 end, 0))
end)
LUA
  cat >bots/both_test.lua <<'LUA'
test.bots("count", "greet")
appData:set("n", 10) -- before each case
local calls = 0
for _, name in ipairs{"a", "b"} do
  test(name, function()
    calls = calls + 1
    test.equal(calls, 1)
    test.equal(test.say("ann", "x"), {"hi ann", "1 11"})
    test.equal(test.restart(), {"bye", "hello"})
    test.equal(test.say("ann", "x"), {"hi ann", "1 12"})
  end)
end
LUA
  mkdir here
  TMPDIR=$PWD/here mk test bots
  is status "$status" 0
  is 'the last line' "$(tail -n 1 out.txt)" '2 passed, 0 failed'
  is 'what is left' "$(ls here)" ''
  [ ! -e data ] || fail 'a data folder was made'
}

errors_of_bots_fail_a_case_that_does_not_ask() {
  greeter
  cat >bots/greet_test.lua <<'LUA'
test("asks", function()
  test.equal(test.say("ann", "boom"), {})
  local errors = test.errors()
  test.equal(#errors, 1)
  test.contains(errors, "greet.lua:5: it went wrong")
  test.equal(test.errors(), {})
  test.equal(test.log()[1], {level = "info", script = "greet", text = "heard boom"})
end)
test("does not", function() test.say("ann", "boom") end)
test("never rests", function() test.say("ann", "again") end)
LUA
  mk test bots
  is status "$status" 1
  has stdout "$out" '  ok    asks'
  has stdout "$out" '  FAIL  does not
        greet: error in the event "message": greet.lua:5: it went wrong
            5 | if event.text == "boom" then error("it went wrong") end'
  has stdout "$out" '  FAIL  never rests
        the bots do not come to rest'
  is 'the last line' "$(tail -n 1 out.txt)" '1 passed, 2 failed'
}

mistakes_in_a_test_are_told() {
  greeter
  echo 'test("a", function( end)' >bots/syntax_test.lua
  echo 'local x = nil + 1' >bots/load_test.lua
  cat >bots/greet_test.lua <<'LUA'
test("typo", function() test.eqal(1, 1) end)
test("bot", function() bot.send("general", "x") end)
test("spin", function() while true do end end)
test("inside", function() appData:update("k", function() test.say("a", "b") return 1 end) end)
test("raises", function() test.raises(function() end) end)
LUA
  echo 'test("alone", function() test.say("ann", "x") end)' >bots/nobody_test.lua
  mk test bots --cpu-budget 0.1
  is status "$status" 1
  has stdout "$out" 'test has no "eqal" (did you mean "equal"?)'
  has stdout "$out" 'greet_test.lua:3: stopped: it has computed for over 0.1 s'
  has stdout "$out" "(global 'bot') (a test has \`test\` in its place)"
  has stdout "$out" 'test.say cannot wait here'
  has stdout "$out" 'no error was raised'
  has stdout "$out" 'no bot is here to hear it: nobody_test.lua is named after none'
  has stdout "$out" 'load_test.lua:1: attempt to perform arithmetic on a nil value'
  has stdout "$out" 'syntax_test.lua:1: '
  is 'the last line' "$(tail -n 1 out.txt)" '0 passed, 8 failed'
}

a_folder_without_tests_is_a_failure() {
  mkdir none
  refuses 1 'no tests in none: a test is a file like hello_test.lua there' test none
  refuses 1 'there is no folder nowhere' test nowhere
}

scripts_are_checked_before_they_run() {
  greeter
  mk check-scripts bots
  is status "$status" 0
  is stdout "$out" '1 script can be loaded, 0 cannot'
  echo 'local x = y.z' >bots/broken.lua
  printf 'local a = 1\nreturn function(\n' >bots/half.lua
  mk check-scripts bots
  is status "$status" 1
  has stdout "$out" "error broken: broken.lua:1: attempt to index a nil value (global 'y')
    1 | local x = y.z"
  has stdout "$out" 'error half: half.lua:'
  is 'the last line' "$(tail -n 1 out.txt)" '1 script can be loaded, 2 cannot'
  [ ! -e data ] || fail 'a data folder was made'
}

names_that_nothing_sets_are_warned_of() {
  mkdir -p bots/lib
  cat >bots/typos.lua <<'LUA'
local lib = require "lib.set"
counter = 0
bot.on("message", function(event)
  counter = counter + lib.one
  appDta:set("x", from_lib)
  if event.text == "x" then io.write(late()) end
  appDta:set("y", 1)
end)
function late() return _G.no_such_field end
LUA
  printf 'from_lib = 1\nreturn {one = 1, two = function()\n  return undefined end}\n' >bots/lib/set.lua
  mk check-scripts bots
  is status "$status" 0
  is stdout "$out" 'warn typos: typos.lua:5: nothing sets the global "appDta" (did you mean "appData"?)
    5 | appDta:set("x", from_lib)
warn typos: typos.lua:6: nothing sets the global "io" (scripts have no io)
    6 | if event.text == "x" then io.write(late()) end
warn typos: lib/set.lua:3: nothing sets the global "undefined"
    3 | return undefined end}
1 script can be loaded, 0 cannot'
}

run_tests tests_pass_and_fail the_time_of_day_is_the_same_everywhere the_clock_is_the_tests \
  cases_know_nothing_of_each_other errors_of_bots_fail_a_case_that_does_not_ask mistakes_in_a_test_are_told \
  a_folder_without_tests_is_a_failure scripts_are_checked_before_they_run names_that_nothing_sets_are_warned_of
