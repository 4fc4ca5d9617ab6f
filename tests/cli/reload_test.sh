#!/usr/bin/env bash
# Reloading as its users meet it: files are saved while a host runs, and what it answers changes.
#
#   MOONKEEP=build/moonkeep tests/cli/reload_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

wait_for() { # COMMAND…: until it succeeds
  local _
  for _ in $(seq 400); do
    "$@" && return 0
    sleep 0.05
  done
  fail "gave up waiting for: $*; the log: $(cat host.err)"
}

descriptors() { # of the host itself, which the process that was started watches over
  local child
  read -r child _ <"/proc/$host/task/$host/children"
  find "/proc/$child/fd" -type l | wc -l
}
in_log() { grep -qF "$1" host.err; }
in_log_times() { [ "$(grep -cF "$1" host.err)" -ge "$2" ]; }
answered() { grep -qF "$1" host.out; }

says() { # VERSION: a bot that answers with it
  # shellcheck disable=SC2016
  echo "bot.on('message', function(e) e:reply('$1 ' .. e.text) end)"
}

start_host() {
  mkdir -p bots
  [ -e bots/bot.lua ] || says one >bots/bot.lua
  mkfifo in.fifo
  env --default-signal=HUP "$moonkeep" run bots <in.fifo >host.out 2>host.err & # also under nohup
  host=$!
  exec 7>in.fifo
  wait_for test -S data/control.sock
}

stop_host() {
  exec 7>&-
  wait "$host"
  host_status=$?
  [ "$host_status" = 0 ] || fail "the host ended with $host_status: $(cat host.err)"
}

events=0
send() { # and wait until it is done
  events=$((events + 1))
  echo '{"event":"message","id":"'$events'","channel":"c","text":"'$events'"}' >&7
  wait_for answered '"done":"'$events'"'
}

expect() { # TEXT: what the bot answers now
  send
  answered "\"$1 $events\"" || fail "the answer is not '$1 $events': $(tail -n 2 host.out)"
}

becomes() { # TEXT: what the bot answers soon
  local _
  for _ in $(seq 400); do
    send
    answered "\"$1 $events\"" && return 0
    sleep 0.05
  done
  fail "the answer does not become '$1': $(tail -n 2 host.out); the log: $(cat host.err)"
}

# ---- tests ----

every_kind_of_save_is_live() {
  start_host
  expect one
  says two >bots/bot.lua
  becomes two
  says three >new && mv new bots/bot.lua
  becomes three
  mv bots/bot.lua bots/bot.lua~ && says four >bots/bot.lua
  becomes four
  says five >bots/_five.lua && ln -s _five.lua new && mv new bots/bot.lua
  becomes five
  says six >bots/_five.lua
  becomes six
  says new >bots/other.lua
  becomes new
  rm bots/other.lua
  wait_for in_log 'other: unloaded'
  expect six
  stop_host
}

a_bad_save_is_told_and_the_old_version_answers() {
  start_host
  echo 'bot.on("message" function() end)' >bots/bot.lua
  wait_for in_log 'the old version is still running'
  in_log 'error bot: not reloaded: bot.lua:1: ' || fail "the log: $(cat host.err)"
  in_log '    1 | bot.on("message" function() end)' || fail "the log: $(cat host.err)"
  expect one
  says two >bots/bot.lua
  wait_for in_log 'bot: reloaded'
  expect two
  stop_host
}

half_a_file_is_not_loaded() {
  start_host
  {
    says half
    expect one
    sleep 0.3 # longer than a file has to stand still
    says whole
  } >bots/bot.lua
  wait_for in_log 'bot: reloaded'
  expect half
  answered "\"whole $events\"" || fail 'half of the file was loaded'
  in_log_times 'bot: reloaded' 2 && fail "it was loaded twice"
  stop_host
}

a_signal_reloads_all() {
  start_host
  says other >new
  mv new bots/other.lua
  wait_for in_log 'other: loaded'
  kill -HUP "$host"
  wait_for in_log 'other: reloaded'
  in_log 'bot: reloaded' || fail "the log: $(cat host.err)"
  expect one
  stop_host
}

a_command_reloads_and_tells_what_came_of_it() {
  start_host
  mk() { "$moonkeep" "$@" >out.txt 2>err.txt; }
  mk reload bot || fail "reload ended with $?"
  [ "$(cat out.txt)" = '{"script":"bot","result":"reloaded"}' ] || fail "it printed $(cat out.txt)"
  in_log 'bot: reloaded' || fail "the log: $(cat host.err)"
  says other >bots/another.lua
  echo 'x = = 1' >new && mv new bots/bot.lua
  mk reload --json
  [ $? = 1 ] || fail 'a failure did not give exit status 1'
  case $(cat out.txt) in
  '[{"script":"another","result":"loaded"},{"script":"bot","result":"failed","error":"bot.lua:1: unexpected symbol'*) ;;
  *) in_log 'another: loaded' || fail "it printed $(cat out.txt)" ;; # the host may have been faster
  esac
  expect one
  mk reload nobody && fail 'a script that is not there was reloaded'
  grep -qF 'there is no script "nobody" in bots; there are another, bot' err.txt || fail "it said $(cat err.txt)"
  stop_host
  mk reload && fail 'there was no host'
  grep -qF 'no host runs on data' err.txt || fail "it said $(cat err.txt)"
}

# Events come in all the time; versions come as fast as they can be saved, every fourth of them broken. ROUNDS of them.
many_reloads_under_a_stream_of_events() {
  numbered() {
    echo "bot.on('start', function() appData:get 'x' end)"
    echo "bot.on('message', function(e) appData:update('n', function(n) return n + 1 end, 0) bot.send('c', e.text) end)"
    echo "-- $1"
    [ $(($1 % 4)) = 0 ] && echo 'error "broken"'
  }
  mkdir bots
  numbered 1 >bots/bot.lua
  start_host
  touch run
  {
    n=0
    while [ -e run ]; do
      n=$((n + 1))
      echo '{"event":"message","id":'$n',"text":"'$n'"}'
    done >&7
    echo "$n" >sent
  } &
  local i
  for i in $(seq 2 $((${ROUNDS:-30} + 1))); do
    numbered "$i" >new
    if [ $((i % 10)) = 0 ]; then cat new >bots/bot.lua; else mv new bots/bot.lua; fi
    wait_for in_log_times 'bot: ' $((i - 1))
    sleep 0.01
  done
  rm run
  wait $!
  stop_host
  in_log_times 'bot: reloaded' $((${ROUNDS:-30} * 2 / 3)) || fail "too few reloads: $(cat host.err)"
  seq "$(cat sent)" >wanted
  sed -n 's/.*"text":"\([0-9]*\)"}$/\1/p' host.out | cmp -s - wanted || fail 'an event was lost, doubled or reordered'
  sed -n 's/^{"done":\([0-9]*\),"ok":true}$/\1/p' host.out | sort -n | cmp -s - wanted || fail 'an event was not answered'
  [ "$("$moonkeep" get n)" = "$(cat sent)" ] || fail "$("$moonkeep" get n) of $(cat sent) were counted"
}

the_end_of_input_in_the_middle_of_a_reload() {
  mkdir bots
  echo 'bot.on("start", function() for i = 1, 50 do appData:set("x", i) end end)' >bots/slow.lua
  start_host
  local i
  for i in 1 2 3 4 5 6 7 8; do
    echo "bot.on('start', function() for i = 1, 50 do appData:set('x', i) end end) -- $i" >new
    mv new bots/slow.lua
    echo '{"event":"message","id":"m'$i'","channel":"c","text":"x"}' >&7
    sleep 0.03
  done
  stop_host
  [ "$(grep -c '"done":"m[1-8]","ok":true' host.out)" = 8 ] || fail "the output: $(cat host.out)"
}

descriptors_stay_as_many() {
  start_host
  local before i
  says 0 >new && mv new bots/bot.lua
  wait_for in_log_times 'bot: reloaded' 1
  before=$(descriptors)
  for i in $(seq 30); do
    says "$i" >new && mv new bots/bot.lua
    wait_for in_log_times 'bot: reloaded' $((i + 1))
  done
  [ "$(descriptors)" = "$before" ] || fail "$before became $(descriptors)"
  stop_host
}

run_tests every_kind_of_save_is_live \
  a_bad_save_is_told_and_the_old_version_answers \
  half_a_file_is_not_loaded \
  a_signal_reloads_all \
  a_command_reloads_and_tells_what_came_of_it \
  many_reloads_under_a_stream_of_events \
  the_end_of_input_in_the_middle_of_a_reload \
  descriptors_stay_as_many
