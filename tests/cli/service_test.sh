#!/usr/bin/env bash
# moonkeep as a service: what systemd is told, what its journal gets, what the unit allows.
#
#   MOONKEEP=build/moonkeep tests/cli/service_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"
unit=$(realpath "$(dirname "$0")/../../host/moonkeep.service")

# A manager: writes down each datagram as a line of its own.
listen() {
  cat >listen.py <<'PY'
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify.sock")
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)
PY
  python3 listen.py >told.txt &
  manager=$!
  wait_for test -S notify.sock
}

told() { grep -q "$1" told.txt; }
told_twice() { [ "$(grep -c "$1" told.txt)" -ge 2 ]; }

the_manager_is_told_of_start_life_and_end() {
  command -v python3 >/dev/null || return 0
  bot
  listen
  NOTIFY_SOCKET=$PWD/notify.sock WATCHDOG_USEC=100000 "$moonkeep" run --serve bots </dev/null >host.out 2>host.err &
  host=$!
  wait_for told '^READY=1 STATUS=1 script runs$'
  mk status
  is status "$status" 0 # whoever is told that it is ready can speak with it
  wait_for told_twice '^WATCHDOG=1$'
  kill -TERM "$host"
  wait "$host"
  is 'exit status' $? 0
  wait_for told '^STOPPING=1$'
  is stdout "$(cat host.out)" ''
  kill "$manager"
}

a_served_host_lives_without_input() {
  bot
  "$moonkeep" run --serve bots </dev/null >host.out 2>host.err &
  host=$!
  wait_for test -S data/control.sock
  mk set alice 1
  is status "$status" 0
  mk stop
  is status "$status" 0
  wait "$host"
  is 'exit status' $? 0
}

log_lines_are_json_where_that_is_wanted() {
  bot
  mk run bots --log-format json </dev/null
  is status "$status" 0
  grep -qv '^{"time":[0-9.]*,"level":"[a-z]*","source":"[^"]*","text":".*"}$' err.txt && fail "the log is: $err"
  has log "$err" '"level":"info","source":"moonkeep","text":"stopped"'
  refuses 2 '--log-format is "xml" and has to be text or json' run bots --log-format xml
}

the_journal_gets_priorities() {
  bot
  echo '{"event":"message","channel":"c","text":"boom"}' >events
  JOURNAL_STREAM=$(stat -c %d:%i /dev/null) mk run bots <events
  has log "$err" 'moonkeep: stopped' # standard error is a file: that is not the journal
  has log "$err" ' info '
  : >journal
  local stream
  stream=$(stat -c %d:%i journal)
  JOURNAL_STREAM=$stream "$moonkeep" run bots <events >out.txt 2>journal
  grep -qv '^<[0-7]>' journal && fail "a line without a priority: $(cat journal)"
  has journal "$(cat journal)" '<3>echo: error in the event "message": echo.lua:2: it went wrong'
  has journal "$(cat journal)" '<6>moonkeep: stopped'
}

get() { # PATH [curl's options…]: the body in $body, the status in $code
  local path=$1
  shift
  code=$(curl -s -o body.txt -w '%{http_code}' "$@" "http://127.0.0.1:$port$path")
  body=$(cat body.txt)
}

counted() { get /metrics && grep -q '^moonkeep_events_total 1$' body.txt; }

metrics_are_served_over_http() {
  command -v curl >/dev/null || return 0
  start_host --metrics 127.0.0.1:0
  wait_for grep -q 'metrics: http://127.0.0.1:' host.err
  port=$(sed -n 's|.*http://127.0.0.1:\([0-9]*\)/metrics.*|\1|p' host.err)
  echo '{"event":"message","userId":"u","channel":"c","id":1}' >&7
  wait_for counted
  is code "$code" 200
  has metrics "$body" 'moonkeep_script_up{script="echo"} 1'
  get /healthz
  is healthz "$code $body" '200 ok'
  get /readyz
  is readyz "$code $body" '200 ok'
  get /else
  is else "$code" 404
  get /metrics -X POST -d 'something'
  is POST "$code" 405
  get /metrics -I
  is HEAD "$code" 200
  head -c 100000 /dev/urandom | timeout 20 curl -s --max-time 5 "telnet://127.0.0.1:$port" >/dev/null
  get /healthz
  is 'after garbage' "$code" 200
  stop_host
  is 'exit status' "$host_status" 0
  get /healthz
  is 'after the end' "$code" 000
}

metrics_that_cannot_be_served_are_told() {
  bot
  mk run bots --metrics nowhere </dev/null
  is status "$status" 0
  has stderr "$err" 'error metrics: "nowhere" is no HOST:PORT, such as 127.0.0.1:9464'
}

the_unit_is_sound_and_allows_little() {
  command -v systemd-analyze >/dev/null || return 0
  systemd-analyze --help | grep -q offline || return 0
  sed "s|@PREFIX@/bin/moonkeep|$moonkeep|" "$unit" >moonkeep.service
  systemd-analyze security --offline=true --threshold=20 ./moonkeep.service >security.txt 2>&1 ||
    fail "$(tail -n 3 security.txt)"
}

run_tests the_manager_is_told_of_start_life_and_end a_served_host_lives_without_input \
  log_lines_are_json_where_that_is_wanted the_journal_gets_priorities \
  metrics_are_served_over_http metrics_that_cannot_be_served_are_told the_unit_is_sound_and_allows_little
