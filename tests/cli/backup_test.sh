#!/usr/bin/env bash
# backup and backups: with and without a running host, on a timer, and what is told of it.
#
#   MOONKEEP=build/moonkeep tests/cli/backup_test.sh [WORD]
# shellcheck disable=SC2119,SC2154 # start_host takes no arguments of the script's; lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

# The name of a backup as CONTRACT has it.
is_name() {
  [[ $1 =~ ^appdata-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z\.db$ ]] || fail "'$1' is no name of a backup"
}

holds() { # FILE KEY=VALUE…
  is 'the backup' "$(sqlite3 "$1" "SELECT key || '=' || value FROM appData ORDER BY key" | tr '\n' ' ')" "$2"
  is integrity "$(sqlite3 "$1" 'PRAGMA integrity_check')" ok
}

without_a_host() {
  mk set a 1
  mk backup
  is status "$status" 0
  is_name "$out"
  holds "data/backups/$out" 'a=1 '
  local name=$out
  mk backups
  has 'the list' "$out" "\"name\":\"$name\""
  has 'the list' "$out" '"keys":1,"verified":true'
  mk backups --json
  has 'the list' "$out" "[{\"name\":\"$name\""
}

with_a_host() {
  start_host
  mk set a 1
  mk backup --json
  is status "$status" 0
  has 'what was made' "$out" '"keys":1,"verified":true'
  mk set a 2
  mk backup
  is_name "$out"
  holds "data/backups/$out" 'a=2 '
  mk backups
  is 'how many' "$(wc -l <out.txt)" 2
  stop_host
  is 'the host' "$host_status" 0
}

on_a_timer() {
  start_host --backup-every 0.2
  mk set a 1
  wait_for sh -c 'ls data/backups/appdata-*.db'
  has 'the log' "$(cat host.err)" 'info backup: appdata-'
  stop_host
}

in_another_folder() {
  MOONKEEP_BACKUPS=elsewhere mk set a 1
  MOONKEEP_BACKUPS=elsewhere mk backup
  is_name "$out"
  holds "elsewhere/$out" 'a=1 '
  mk backups --backups elsewhere
  has 'the list' "$out" '"keys":1'
  [ ! -e data/backups ] || fail 'data/backups was made'
}

the_archive_goes_on_from_it() {
  mk set a 1 --archive sync
  mk backup
  mk set a 2
  mk backups
  has 'the list' "$out" '"until":'
  mk set a 3 --archive maybe
  is 'a mode that is none' "$status" 2
  rm data/appdata.db
  mk get a
  is 'the value' "$out" 2
  start_host
  mk status --json
  has 'the status' "$out" '"archive":{"mode":"on"'
  stop_host
}

where_there_is_nothing() {
  mk backups
  is status "$status:$out" 0:
  has stderr "$err" 'there are no backups in data/backups'
  mk backup
  is status "$status:$out" 1:
  has stderr "$err" 'there is no data folder data'
  [ ! -e data ] || fail 'the data folder was made'
}

a_folder_that_cannot_be_made_is_named() {
  mk set a 1 --archive off
  : >data/backups
  mk backup
  is status "$status:$out" 1:
  has stderr "$err" 'data/backups'
  mk get a
  is 'the value' "$out" 1
}

a_backup_that_cannot_be_opened_is_told() {
  mk set a 1
  mk backup
  echo nonsense >data/backups/appdata-20260101T000000.000Z.db
  mk backups
  has 'the list' "$out" '"verified":false,"error":"'
  is 'how many' "$(wc -l <out.txt)" 2
}

tests='
  without_a_host
  with_a_host
  on_a_timer
  in_another_folder
  the_archive_goes_on_from_it
  where_there_is_nothing
  a_folder_that_cannot_be_made_is_named
  a_backup_that_cannot_be_opened_is_told
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
