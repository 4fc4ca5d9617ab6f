#!/usr/bin/env bash
# What the command line does with a running host: its log, its end.
#
#   MOONKEEP=build/moonkeep tests/cli/control_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

without_a_host_the_remedy_is_told() {
  local command
  for command in logs stop metrics; do
    # shellcheck disable=SC2016 # the backquotes are in the sentence
    refuses 1 'no host runs on data: start one with `moonkeep run --data data`' "$command"
    refuses 2 "$command takes no arguments" "$command" x
  done
}

stop_ends_the_host_and_waits_for_it() {
  start_host
  mk stop
  is status "$status" 0
  is stdout "$out" ''
  kill -0 "$host" 2>/dev/null && [ "$(ps -o stat= -p "$host")" != Z ] && fail 'the host still runs'
  wait "$host"
  is 'exit status' $? 0
  has log "$(cat host.err)" 'a client has asked for it'
  mk run bots </dev/null
  is status "$status" 0
}

logs_show_what_was_and_what_comes() {
  start_host --log-level warn
  "$moonkeep" logs --follow >log.txt 2>&1 &
  local follower=$!
  wait_for grep -q '1 script from bots' log.txt # though the host itself keeps quiet about it
  echo '{"event":"message","text":"boom","id":1}' >&7
  wait_for grep -q 'error echo: .*it went wrong' log.txt
  mk logs --lines 1 --json
  has stdout "$out" '"level":"error","source":"echo","text":'
  is lines "$(wc -l <out.txt)" 1
  MOONKEEP_LINES=1 mk logs
  has stdout "$out" 'stack traceback'
  mk stop
  wait "$follower"
  is 'exit status of the follower' $? 0
  has log "$(cat log.txt)" 'stopping'
}

two_states() { [ "$(grep -c '"state":"running"' watched.txt)" -ge 2 ]; }

status_tells_of_scripts_and_store() {
  echo 'nonsense here' >bad.txt
  mkdir -p bots && cp bad.txt bots/bad.lua
  start_host
  printf '%s\n' '{"event":"message","text":"boom"}' '{"event":"message","userId":"u","channel":"c","id":1}' >&7
  wait_for grep -q '"done":1' host.out
  "$moonkeep" set alice 1 && "$moonkeep" set bob 2 --store economy
  mk status
  is status "$status" 0
  has stdout "$out" "process $host, running for"
  has stdout "$out" 'bad                  does not run'
  has stdout "$out" "bad.lua:1: syntax error"
  has stdout "$out" '2 done, 1 failed, 0 under way'
  has stdout "$out" '2 keys ('
  has stdout "$out" 'appData 1'
  has stdout "$out" 'economy 1'
  has stdout "$out" 'backups  there is none yet'
  "$moonkeep" backup >/dev/null
  mk status
  has stdout "$out" 'backups  the newest holds the moment'
  mk status --json
  has stdout "$out" '"backups":{"dir":'
  has stdout "$out" '"events_failed":1'
  has stdout "$out" '"uptime_seconds":'
  has stdout "$out" '"name":"echo","file":"echo.lua","version":1,'
  "$moonkeep" status --watch --json >watched.txt 2>watched.err 7>&- &
  local watcher=$!
  wait_for two_states
  stop_host
  wait "$watcher"
  is 'exit status of the watcher' $? 1
}

status_without_a_host_tells_of_the_folder() {
  mk status
  is status "$status" 1
  is stdout "$out" 'no host runs on data, which does not exist'
  "$moonkeep" set alice 1 && "$moonkeep" set bob 2 --store economy
  mk status
  is status "$status" 1
  has stdout "$out" 'no host runs on data'
  has stdout "$out" 'appData 1'
  has stdout "$out" 'economy 1'
  mk status --json
  has stdout "$out" '"state":"none","data":"data","store":{"keys":{'
  is status "$status" 1
}

metrics_are_what_prometheus_reads() {
  start_host
  echo '{"event":"message","userId":"u","channel":"c","id":1}' >&7
  wait_for grep -q '"done":1' host.out
  "$moonkeep" set alice 1
  mk metrics
  is status "$status" 0
  has stdout "$out" 'moonkeep_events_total 1'
  has stdout "$out" 'moonkeep_script_up{script="echo"} 1'
  has stdout "$out" 'moonkeep_store_changes_total 1'
  has stdout "$out" 'moonkeep_store_commit_seconds_count 1'
  # Every sample stands behind a TYPE of its family, and nothing else is there.
  awk '/^# TYPE/ { family = $3; next } /^# HELP/ { next }
       !/^[a-z_]+(\{[^}]*\})? -?[0-9.e+-]+$/ { print; bad = 1 }
       index($1, family) != 1 { print; bad = 1 }
       END { exit bad }' out.txt >wrong.txt || fail "these are no metrics: $(cat wrong.txt)"
  stop_host
}

run_tests status_tells_of_scripts_and_store status_without_a_host_tells_of_the_folder \
  metrics_are_what_prometheus_reads without_a_host_the_remedy_is_told stop_ends_the_host_and_waits_for_it logs_show_what_was_and_what_comes
