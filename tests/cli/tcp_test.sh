#!/usr/bin/env bash
# The control socket over TCP: for those who know the token, on this machine alone.
#
#   MOONKEEP=build/moonkeep tests/cli/tcp_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154,SC2119 # lib.sh assigns; start_host takes what is given here
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

token=0123456789abcdef0123

write_token() {
  (umask 077 && echo "${1:-$token}" >token)
}

# Says the lines of standard input on a connection of its own, and prints what comes until it is closed.
converse() {
  exec 9<>"/dev/tcp/127.0.0.1/$port"
  cat >&9
  timeout 20 head -n "$1" <&9
  exec 9>&-
}

request() { # METHOD PARAMS
  echo '{"jsonrpc":"2.0","id":1,"method":"'"$1"'","params":'"$2"'}'
}

open_tcp() {
  start_host --listen 127.0.0.1:0 --token-file token
  wait_for grep -q 'listening on port' host.err
  port=$(sed -n 's/.*listening on port \([0-9]*\) of.*/\1/p' host.err)
}

who_knows_the_token_may_ask() {
  write_token
  open_tcp
  { request auth '{"token":"'$token'"}'; request set '{"key":"a","value":1}'; request get '{"key":"a"}'; } >asked
  converse 3 <asked >told
  is told "$(cat told)" '{"jsonrpc":"2.0","id":1,"result":true}
{"jsonrpc":"2.0","id":1,"result":true}
{"jsonrpc":"2.0","id":1,"result":{"found":true,"value":1}}'
  stop_host
  is 'exit status' "$host_status" 0
}

others_are_refused_and_closed() {
  write_token
  open_tcp
  request get '{"key":"a"}' >asked
  { cat asked; request auth '{"token":"'$token'"}'; cat asked; } >all.txt
  converse 9 <all.txt >told # it ends by itself, with one line
  is lines "$(wc -l <told)" 1
  has told "$(cat told)" 'get: say the token first'
  for wrong in 0123456789abcdef012 0123456789abcdef01234 x '' 0123456789abcdef0124; do
    { request auth '{"token":"'$wrong'"}'; cat asked; } | converse 9 >told
    is "lines for $wrong" "$(wc -l <told)" 1
    has told "$(cat told)" 'that is not the token'
  done
  head -c 100000 /dev/zero | tr '\0' x | converse 9 >told 2>/dev/null
  has told "$(cat told)" 'the line is longer than 4096 bytes'
  mk count
  is count "$out" 0 # the socket in the data folder asks for none
  stop_host
}

what_is_not_safe_is_not_opened() {
  bot
  write_token
  mk run bots --listen 0.0.0.0:0 --token-file token </dev/null
  has stderr "$err" 'error control: 0.0.0.0:0 is not of this machine alone'
  mk run bots --listen 127.0.0.1:0 </dev/null
  has stderr "$err" '--listen needs --token-file'
  chmod 644 token
  mk run bots --listen 127.0.0.1:0 --token-file token </dev/null
  has stderr "$err" 'others may read it: chmod 600 token'
  write_token short
  chmod 600 token
  mk run bots --listen 127.0.0.1:0 --token-file token </dev/null
  has stderr "$err" 'the token has 5 characters, and has to have 16 or more'
  mk run bots --listen 127.0.0.1:0 --token-file nothing </dev/null
  has stderr "$err" 'cannot read nothing'
}

run_tests who_knows_the_token_may_ask others_are_refused_and_closed what_is_not_safe_is_not_opened
