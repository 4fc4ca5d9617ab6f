#!/usr/bin/env bash
# Programs in other languages at a running host: those of this folder, each where its language is there.
#
#   MOONKEEP=build/moonkeep tests/clients/clients_test.sh [WORD]     all tests, or those whose name contains WORD
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=../cli/lib.sh disable=SC1091
. "$(dirname "$0")/../cli/lib.sh"
here=$(realpath "$(dirname "$0")")

talks() { # NAME COMMAND…
  local name=$1
  shift
  start_host
  is "what the bot says to $name" "$(timeout 60 "$@" data/control.sock hi 2>&1)" "hello $name"
  timeout 60 "$@" data/control.sock boom >out.txt 2>&1
  is "status of $name when a handler fails" $? 1
  stop_host
  is 'exit status' "$host_status" 0
}

in_lua() {
  lua5.4 -e 'require "cjson" require "socket.unix"' 2>/dev/null || return 0
  talks lua lua5.4 "$here/client.lua"
}

in_python() {
  command -v python3 >/dev/null || return 0
  talks python python3 "$here/client.py"
}

in_node() {
  command -v node >/dev/null || return 0
  talks node node "$here/client.js"
}

run_tests in_lua in_python in_node
