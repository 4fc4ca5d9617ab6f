#!/usr/bin/env bash
# The program as its users meet it: every command with and without a running host, exit statuses, bad input, and
# what a person reads when something is wrong.
#
#   MOONKEEP=build/moonkeep tests/cli/cli_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2119,SC2154 # start_host takes no arguments of the script's; lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

# ---- options and help ----

bare_call_shows_short_help_and_is_wrong_usage() {
  mk
  is status "$status" 2
  is stdout "$out" ''
  has stderr "$err" 'moonkeep chat'
}

help_goes_to_stdout() {
  for call in --help -h help; do
    mk $call
    is status "$status" 0
    has help "$out" 'Exit status'
    has help "$out" '--data DIR'
    has help "$out" 'MOONKEEP_DATA'
  done
}

help_of_a_command_names_its_options_only() {
  mk help set
  is status "$status" 0
  has help "$out" '--ttl SECONDS'
  case $out in *--grace*) fail 'set has no --grace' ;; esac
  mk set --help
  has help "$out" '--ttl SECONDS'
}

version_is_one_line() {
  mk --version
  is status "$status" 0
  is lines "$(wc -l <out.txt)" 1
  has version "$out" 'moonkeep '
  mk -V
  is status "$status" 0
}

wrong_words_are_answered_with_the_nearest() {
  refuses 2 'unknown command "sett": did you mean set?' sett a 1
  refuses 2 'unknown option --dta: did you mean --data?' get a --dta x
  refuses 2 'did you mean deleteLike?' deletelike 'a%'
  refuses 2 'unknown command "qqqqqq"' qqqqqq
  refuses 2 'did you mean select?' help slect
  refuses 2 'unknown option -x' get -x
  refuses 2 'unknown option -x' run -x
}

wrong_numbers_of_arguments_show_the_usage() {
  refuses 2 'usage: moonkeep get KEY' get
  refuses 2 'usage: moonkeep set KEY JSON' set a
  refuses 2 'JSON with spaces needs quotes' set a '{"a":' '1}'
  refuses 2 'usage: moonkeep count [PATTERN]' count a b
  refuses 2 'usage: moonkeep run [SCRIPTS]' run a b
}

wrong_options_name_where_they_came_from() {
  refuses 2 '--data is empty' get a --data=
  refuses 2 '--data needs a value' get a --data
  refuses 2 '--json takes no value' get a --json=1
  refuses 2 '--log-level is "loud" and has to be debug, info, warn or error' run --log-level loud
  refuses 2 '--limit is "0"' keys --limit 0
  refuses 2 '--cache is "many"' run --cache many
  refuses 2 '--grace is "-1"' run --grace -1
  refuses 2 '--ttl is "0"' set a 1 --ttl 0
  refuses 2 '--ttl and --expires-at' set a 1 --ttl 1 --expires-at 2000000000
  refuses 2 'milliseconds' set a 1 --expires-at 1795425633118
  refuses 2 'get does not take --ttl' get a --ttl 5
  refuses 2 'cannot be the name of a store' get a --store sqlite_x
  MOONKEEP_LOG_LEVEL=loud refuses 2 'MOONKEEP_LOG_LEVEL in the environment is "loud"' run
  MOONKEEP_DATA='' refuses 2 'MOONKEEP_DATA in the environment is empty' get a
  is 'files left behind' "$(find . -name data)" ''
}

options_stand_anywhere_and_come_from_the_environment_too() {
  mk --data here --store economy set a 1
  is status "$status" 0
  mk get a --store=economy --data here
  is value "$out" 1
  MOONKEEP_DATA=here MOONKEEP_STORE=economy mk get a
  is value "$out" 1
  MOONKEEP_STORE=other mk get a --store economy --data=here
  is value "$out" 1
}

a_dash_begins_an_argument_and_two_end_the_options() {
  mk set k -5
  is status "$status" 0
  mk get k
  is value "$out" -5
  mk set -- --key 1
  is status "$status" 0
  mk get -- --key
  is value "$out" 1
}

# ---- the store commands, without and with a host ----

store_commands() {
  mk set alice ' { "xp" : 50, "big":9223372036854775807, "f":1.0, "l":[], "name":"Zoë €" } '
  is 'set' "$status:$out:$err" '0::'
  mk get alice
  is 'get' "$status:$out:$err" '0:{"xp":50,"big":9223372036854775807,"f":1.0,"l":[],"name":"Zoë €"}:'
  mk set 'bob %' null
  mk get 'bob %'
  is 'null' "$status:$out" '0:null'
  mk get nobody
  is 'missing' "$status:$out" '3:'
  has 'missing' "$err" 'appData has no key "nobody"'
  mk set ünï '"ü"'
  mk count
  is 'count' "$status:$out" '0:3'
  mk count 'b%'
  is 'count b%' "$out" 1
  mk keys
  is 'keys' "$out" $'alice\nbob %\nünï'
  mk keys --json
  is 'keys --json' "$out" '["alice","bob %","ünï"]'
  mk keys --limit 1 --after alice
  is 'keys --after' "$out" 'bob %'
  mk select 'bob \%'
  is 'select' "$out" '{"key":"bob %","value":null}'
  mk select --json --limit=1 '%_%'
  has 'select --json' "$out" '[{"key":"alice","value":{"xp":50,'
  mk set later 1 --expires-at 4000000000
  mk select later
  is 'expires_at' "$out" '{"key":"later","value":1,"expires_at":4000000000}'
  mk set later 1 --expires-at 4000000000.25
  mk select later
  is 'expires_at' "$out" '{"key":"later","value":1,"expires_at":4000000000.25}'
  mk set gone 1 --expires-at 1000000000
  mk get gone
  is 'expired' "$status" 3
  mk delete later
  is 'delete' "$status:$out" '0:true'
  mk delete later
  is 'delete again' "$status:$out" '0:false'
  refuses 2 'needs --yes' deleteLike '%'
  mk deleteLike 'b%' --yes
  is 'deleteLike' "$status:$out" '0:1'
  mk keys
  is 'what is left' "$out" $'alice\nünï'
  mk count --store other
  is 'other store' "$status:$out" '0:0'
  printf '[1,\n 2]' >value.json
  "$moonkeep" set fromfile - <value.json || fail 'set from standard input'
  mk get fromfile
  is 'from standard input' "$out" '[1,2]'
}

bad_keys_and_values_are_wrong_usage() {
  refuses 2 'key is empty' get ''
  refuses 2 'key' set "$(printf 'k%.0s' $(seq 1025))" 1
  refuses 2 'key' get $'\xff'
  refuses 2 "a text needs its quotes: '\"hello\"'" set k hello
  refuses 2 'not JSON' set k ''
  refuses 2 'not JSON' set k '{"a":1,}'
  refuses 2 'value' set k 9223372036854775808
  refuses 2 'pattern' count "a\\"
  refuses 2 'pattern' deleteLike "a\\" --yes
  refuses 2 '1bad' get a --store 1bad
  refuses 2 'sqlite_x' get a --store sqlite_x
  refuses 2 'limit' set k '"0123456789"' --value-limit 5
}

store_commands_work_without_a_host() {
  store_commands
  mkdir -p data
  bad_keys_and_values_are_wrong_usage
  is 'sockets' "$(find data -name control.sock)" ''
}

store_commands_work_through_a_running_host() {
  start_host
  store_commands
  bad_keys_and_values_are_wrong_usage
  stop_host
  is 'host status' "$host_status" 0
  mk get fromfile
  is 'after the host' "$out" '[1,2]'
}

commands_and_bots_see_the_same_store() {
  mkdir -p bots
  cat >bots/counter.lua <<'LUA'
bot.on("message", function(event)
  event:reply("count " .. appData:update("n", function(n) return n + 1 end, 0))
end)
LUA
  start_host
  mk set n 41
  event 1 hi >&7
  wait_for grep -q '"done":"1"' host.out
  has 'bot' "$(cat host.out)" '"text":"count 42"'
  mk get n
  is 'command' "$out" 42
  stop_host
  mk get n
  is 'afterwards' "$out" 42
}

commands_at_once_all_take_effect() {
  for i in $(seq 20); do "$moonkeep" set "k$i" "$i" 2>>many.err & done
  for job in $(jobs -p); do wait "$job" || fail "a set failed: $(cat many.err)"; done
  mk count 'k%'
  is count "$out" 20
}

a_missing_data_folder_answers_as_empty_and_is_not_made() {
  mk get a --data nix
  is 'get' "$status:$out" '3:'
  has 'note' "$err" 'there is no data folder nix'
  mk count --data nix
  is 'count' "$status:$out" '0:0'
  mk keys --json --data nix
  is 'keys' "$status:$out" '0:[]'
  mk delete a --data nix
  is 'delete' "$status:$out" '0:false'
  [ ! -e nix ] || fail 'the folder was made'
}

long_paths_and_paths_with_spaces_work() {
  local deep
  deep="a folder/$(printf 'long%.0s' $(seq 40))/data folder"
  mkdir -p "$deep"
  bot
  rm -f in.fifo && mkfifo in.fifo
  "$moonkeep" run bots --data "$deep" <in.fifo >host.out 2>host.err &
  exec 7>in.fifo
  wait_for test -S "$deep/control.sock"
  mk set a 1 --data "$deep"
  is 'set' "$status:$err" '0:'
  is 'mode' "$(stat -c %a "$deep/control.sock")" 600
  exec 7>&-
  wait
  [ ! -e "$deep/control.sock" ] || fail 'the socket is still there'
  mk get a --data "$deep"
  is 'get' "$out" 1
}

a_stale_socket_is_no_obstacle() {
  start_host
  kill -KILL "$host"
  wait "$host" 2>/dev/null
  exec 7>&-
  [ -S data/control.sock ] || fail 'no stale socket to begin with'
  mk set a 1
  is 'direct' "$status:$err" '0:'
  start_host
  mk get a
  is 'through the host' "$status:$out" '0:1'
  stop_host
}

a_full_or_closed_stdout_is_a_failure() {
  mk set a 1
  "$moonkeep" get a >/dev/full 2>err.txt
  is 'full' $? 1
  has 'stderr' "$(cat err.txt)" 'cannot write to standard output'
  "$moonkeep" keys >&- 2>err.txt
  is 'closed' $? 1
  "$moonkeep" --help >/dev/full 2>err.txt
  is 'help' $? 1
}

an_input_that_cannot_be_read_is_a_failure() {
  bot
  mk run bots <.
  is 'status' "$status" 1
  has 'log' "$err" 'cannot read standard input: Is a directory'
  has 'log' "$err" 'stopped'
}

colours_are_for_terminals() {
  mk set a '{"b":1}'
  mk get a
  case $out in *$'\033'*) fail 'colours in a file' ;; esac
}

# ---- run ----

event() {
  printf '{"event":"message","id":"%s","channel":"general","userId":"alice","text":"%s"}\n' "$1" "$2"
}

run_answers_events_in_order() {
  bot
  { event 1 hi; event 2 boom; printf '{"event":"other","id": [1, 2]}\r\n\n  \n'; printf '{"event":"none"}'; } >events
  mk run bots <events
  is 'status' "$status" 0
  is 'actions' "$(grep -c '"action":"send"' out.txt)" 1
  has 'action' "$out" '{"script":"echo","action":"send","channel":"general","text":"hello alice"}'
  is 'first' "$(grep -e '"send"' -e '"done":"1"' out.txt | tail -n 1)" '{"done":"1","ok":true}'
  has 'failed' "$out" '{"done":"2","ok":false,"errors":[{"script":"echo","message":"'
  has 'id as it came' "$out" '{"done":[1, 2],"ok":true}'
  is 'lines' "$(wc -l <out.txt)" 4
  has 'log' "$err" ' info moonkeep: moonkeep '
  has 'log' "$err" 'it went wrong'
  has 'log' "$err" 'stopped'
}

run_answers_bad_lines_and_goes_on() {
  bot
  {
    echo 'nonsense'
    echo '[1]'
    echo '{"no":"event"}'
    echo '{"event":5}'
    printf '{"event":"a\0b"}\n'
    printf '{"event":"\xff"}\n'
    event 9 hi
  } >events
  mk run bots <events
  is 'status' "$status" 0
  is 'errors' "$(grep -c '^{"error":' out.txt)" 6
  for n in 1 2 3 4 5 6; do has "line $n" "$out" "\"line\":$n}"; done
  has 'not JSON' "$(sed -n 1p out.txt)" 'not JSON'
  has 'not an object' "$(sed -n 2p out.txt)" 'object'
  has 'no event' "$(sed -n 3p out.txt)" 'needs a string'
  has 'goes on' "$out" '{"done":"9","ok":true}'
  has 'warned' "$err" 'warn run: line 1: not JSON'
}

run_takes_a_megabyte_and_refuses_what_is_over_the_limit() {
  bot
  {
    event big "$(head -c 1000000 /dev/zero | tr '\0' x)"
    head -c 6000000 /dev/zero | tr '\0' y
    echo
    head -c 5000000 /dev/zero
    echo
    event 9 hi
  } >events
  mk run bots <events
  is 'status' "$status" 0
  has 'a megabyte' "$out" '{"done":"big","ok":true}'
  is 'too long' "$(grep -c 'longer than' out.txt)" 2
  has 'too long' "$out" '"line":2}'
  has 'too long' "$out" '"line":3}'
  has 'goes on' "$out" '{"done":"9","ok":true}'
}

run_reads_every_kind_of_input() {
  bot
  event 1 hi >events
  mk run bots </dev/null
  is '/dev/null' "$status:$out" '0:'
  mk run bots <&-
  is 'closed' "$status:$out" '0:'
  mk run bots <events
  has 'file' "$out" '"done":"1"'
  event 1 hi | "$moonkeep" run bots 2>/dev/null >out.txt
  has 'pipe' "$(cat out.txt)" '"done":"1"'
  rm -f late.fifo && mkfifo late.fifo
  cat events >late.fifo &
  mk run bots <late.fifo
  has 'fifo' "$out" '"done":"1"'
}

run_leaves_shared_pipes_as_they_were() {
  bot
  command -v perl >/dev/null || return 0
  # shellcheck disable=SC2016
  event 1 hi | { "$moonkeep" run bots 2>/dev/null >/dev/null
    perl -MFcntl -e 'exit(fcntl(STDIN, F_GETFL, 0) & O_NONBLOCK ? 1 : 0)'; } || fail 'standard input is non-blocking now'
}

run_ends_when_its_reader_is_gone() {
  bot
  seq 20000 | sed 's/.*/{"event":"message","id":"&","userId":"alice","channel":"c"}/' >events
  { "$moonkeep" run bots <events 2>err.txt; echo $? >status.txt; } | head -n 1 >out.txt
  is 'status' "$(cat status.txt)" 1
  has 'log' "$(cat err.txt)" 'cannot write to standard output: Broken pipe'
  "$moonkeep" run bots <events >/dev/full 2>err.txt
  is 'full' $? 1
}

run_waits_for_a_slow_reader_and_loses_nothing() {
  bot
  seq 50000 | sed 's/.*/{"event":"message","id":"&","userId":"alice","channel":"c"}/' >events
  "$moonkeep" run bots <events 2>err.txt | { sleep 1; grep -c '"done"'; } >out.txt
  is 'done' "$(cat out.txt)" 50000
}

what_runs_at_the_end_of_input_finishes_without_any_grace() {
  mkdir b
  echo 'bot.on("start", function() for i = 1, 200 do appData:set("k", i) end print "finished" end)' >b/a.lua
  echo 'bot.on("start", function() while true do bot.sleep(0.01) appData:set("s", 1) end end)' >b/b.lua
  mk run --grace 0 b </dev/null
  is status "$status" 0
  has stderr "$err" 'a: finished'
  mk get k
  is value "$out" 200
}

timers_that_are_due_soon_fire_before_the_end() {
  mkdir b
  echo 'bot.after(0.3, function() print "fired" end) bot.after(100, function() print "never" end)' >b/a.lua
  local began=$SECONDS
  mk run b </dev/null
  has stderr "$err" 'a: fired'
  [ $((SECONDS - began)) -lt 4 ] || fail 'the host waited for more than the timer'
}

signals_end_a_host_in_order() {
  for signal in TERM INT; do
    start_host
    kill -"$signal" "$host"
    stop_host
    is "$signal" "$host_status" 0
    has "$signal" "$(cat host.err)" 'stopped'
    [ ! -e data/control.sock ] || fail "the socket is still there after $signal"
  done
}

an_idle_host_ends_at_once() {
  start_host
  local begun=$SECONDS
  kill -TERM "$host"
  wait "$host"
  is status $? 0
  [ $((SECONDS - begun)) -lt 3 ] || fail "it took $((SECONDS - begun)) seconds"
  exec 7>&-
}

a_second_signal_kills() {
  mkdir -p stuck
  echo 'bot.on("message", function() while true do end end)' >stuck/stuck.lua
  rm -f in.fifo && mkfifo in.fifo
  "$moonkeep" run stuck <in.fifo >host.out 2>host.err &
  host=$!
  exec 7>in.fifo
  wait_for test -S data/control.sock
  event 1 hi >&7
  sleep 0.3
  kill -TERM "$host"
  sleep 0.3
  kill -0 "$host" || fail 'the first signal killed it'
  kill -TERM "$host"
  wait "$host" 2>/dev/null
  is status $? 143
  exec 7>&-
}

a_second_host_names_the_first() {
  start_host
  refuses 1 "process $host" run bots
  has 'folder' "$err" 'data'
  kill -0 "$host" || fail 'the first host is gone'
  stop_host
}

bad_folders_are_refused_with_a_sentence() {
  refuses 1 'scripts folder nix does not exist' run nix
  touch file
  refuses 1 'not a folder' run file
  mkdir -p empty bots
  mk run empty </dev/null
  is 'empty' "$status" 0
  has 'empty' "$err" 'warn'
  refuses 1 'not a folder' run empty --data file
  refuses 1 'not a folder' get a --data file
  if [ "$(id -u)" != 0 ]; then
    mkdir -p locked && chmod 500 locked
    refuses 1 'locked' set a 1 --data locked
    chmod 700 locked
  else
    refuses 1 '/proc/nothing' set a 1 --data /proc/nothing
  fi
}

a_file_that_is_no_store_is_refused_and_left_alone() {
  mkdir -p data
  echo 'these are my notes, not a database, and they are long enough' >data/appdata.db
  cp data/appdata.db before
  refuses 1 'appdata.db' get a
  cmp -s before data/appdata.db || fail 'the file was changed'
}

a_script_with_a_syntax_error_does_not_stop_the_others() {
  bot
  echo 'this is not Lua' >bots/broken.lua
  event 1 hi >events
  mk run bots <events
  is 'status' "$status" 0
  has 'log' "$err" 'broken.lua:1:'
  has 'the others' "$out" '"text":"hello alice"'
}

# ---- chat ----

chat_reads_a_recorded_conversation() {
  bot
  cat >bots/other.lua <<'LUA'
bot.on("message", function(event)
  if event.text == "else" then bot.send("news", "one\ntwo") end
  if event.text == "dance" then bot.act { action = "dance" } end
end)
LUA
  printf 'alice: hi\nhttp://x\n\nnote that: x\r\nelse\ndance\nbob: boom' >talk.txt
  mk chat bots --echo <talk.txt
  is 'status' "$status" 0
  is 'conversation' "$out" "$(
    cat <<'TEXT'
alice> hi
echo: hello alice
you> http://x
echo: hello you
you> note that: x
echo: hello you
you> else
echo: hello you
#news other: one
             two
you> dance
echo: hello you
other: {"script":"other","action":"dance"}
bob> boom
(echo failed)
TEXT
  )"
  has 'log' "$err" 'it went wrong'
}

chat_without_echo_prints_the_bots_only() {
  bot
  mk chat bots <<<'hi'
  is 'output' "$out" 'echo: hello you'
  is 'stderr' "$err" ''
  mk chat bots <<<'Zoë: hi'
  is 'a name with other letters' "$out" 'echo: hello Zoë'
}

tests='
  bare_call_shows_short_help_and_is_wrong_usage
  help_goes_to_stdout
  help_of_a_command_names_its_options_only
  version_is_one_line
  wrong_words_are_answered_with_the_nearest
  wrong_numbers_of_arguments_show_the_usage
  wrong_options_name_where_they_came_from
  options_stand_anywhere_and_come_from_the_environment_too
  a_dash_begins_an_argument_and_two_end_the_options
  store_commands_work_without_a_host
  store_commands_work_through_a_running_host
  commands_and_bots_see_the_same_store
  commands_at_once_all_take_effect
  a_missing_data_folder_answers_as_empty_and_is_not_made
  long_paths_and_paths_with_spaces_work
  a_stale_socket_is_no_obstacle
  a_full_or_closed_stdout_is_a_failure
  an_input_that_cannot_be_read_is_a_failure
  colours_are_for_terminals
  run_answers_events_in_order
  run_answers_bad_lines_and_goes_on
  run_takes_a_megabyte_and_refuses_what_is_over_the_limit
  run_reads_every_kind_of_input
  run_leaves_shared_pipes_as_they_were
  run_ends_when_its_reader_is_gone
  run_waits_for_a_slow_reader_and_loses_nothing
  what_runs_at_the_end_of_input_finishes_without_any_grace
  timers_that_are_due_soon_fire_before_the_end
  signals_end_a_host_in_order
  an_idle_host_ends_at_once
  a_second_signal_kills
  a_second_host_names_the_first
  bad_folders_are_refused_with_a_sentence
  a_file_that_is_no_store_is_refused_and_left_alone
  a_script_with_a_syntax_error_does_not_stop_the_others
  chat_reads_a_recorded_conversation
  chat_without_echo_prints_the_bots_only
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
