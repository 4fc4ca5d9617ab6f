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

# Two bots with one --backups, as it is set for all of them in one environment file.
two_stores_do_not_share_a_folder() {
  local listing
  mk set a 1 --backups shared
  mk backup --backups shared
  mk set a 2 --data other
  listing=$(cd shared && sha256sum -- *)
  for command in 'get a' 'set a 3' backup 'run bots' check 'restore --yes' 'restore --dry-run'; do
    # shellcheck disable=SC2086 # a command and its arguments
    refuses 1 "$PWD/data" $command --data other --backups shared
    has stderr "$err" "$PWD/other"
    has stderr "$err" '--backups'
  done
  is 'the folder' "$(cd shared && sha256sum -- *)" "$listing"
  start_host --backups shared
  mkdir new
  refuses 1 'in use by a host of the store in' get a --data new --backups shared
  stop_host
  is 'the host' "$host_status" 0
  mk get a --data other
  is 'the other value' "$out" 2
  rm -r data
  mk get a --data new --backups shared
  is 'what is restored' "$out" 1
  mk set a 4 --data new --backups shared
  is status "$status" 0
  has stderr "$err" "those of the store in $PWD/data; from now on they are those of the one in $PWD/new"
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

# What other programs change is not in the archive: a backup goes before what comes after it there.
edits_by_other_programs_are_backed_up() {
  mk set a 1
  sqlite3 data/appdata.db "UPDATE appData SET value='7' WHERE key='a'"
  mk get a
  is 'the edit' "$out" 7
  mk set b 2
  mk check
  is 'check' "$status" 0
  is 'how many' "$("$moonkeep" backups | wc -l)" 1
  sqlite3 data/appdata.db "UPDATE appData SET value='8' WHERE key='a'"
  mkdir bots
  mk run bots </dev/null
  mk set b 3
  rm data/appdata.db
  mk select
  is 'what comes back' "$out" $'{"key":"a","value":8}\n{"key":"b","value":3}'
}

tests='
  without_a_host
  with_a_host
  on_a_timer
  in_another_folder
  two_stores_do_not_share_a_folder
  the_archive_goes_on_from_it
  where_there_is_nothing
  a_folder_that_cannot_be_made_is_named
  edits_by_other_programs_are_backed_up
  a_backup_that_cannot_be_opened_is_told
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
