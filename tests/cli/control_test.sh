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
  for command in logs stop; do
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

run_tests without_a_host_the_remedy_is_told stop_ends_the_host_and_waits_for_it logs_show_what_was_and_what_comes
