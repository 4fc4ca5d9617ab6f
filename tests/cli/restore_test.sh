#!/bin/bash
# Restoring, as a person does it: what a start does by itself, `moonkeep restore`, `moonkeep check`.
# shellcheck disable=SC2154 # lib.sh assigns
# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

filled() { # a store with a backup of a=1 b=2, and c=3 behind it
  "$moonkeep" set a 1 && "$moonkeep" set b 2 && backup=$("$moonkeep" backup) && "$moonkeep" set c 3
}

restore_brings_a_backup_back_and_can_be_undone() {
  filled
  mk restore --yes "$backup"
  is status "$status" 0
  has stdout "$out" "restored from the backup $backup"
  local undo=${out##*restore }
  mk keys
  is keys "$out" $'a\nb'
  mk restore --yes "$undo"
  mk keys
  is keys "$out" $'a\nb\nc'
}

restore_without_a_name_brings_the_newest_backup_of_a_whole_store() {
  filled
  "$moonkeep" set a 9
  mk restore --yes
  has stdout "$out" "restored from the backup $backup, up to"
  mk select
  is rows "$out" $'{"key":"a","value":1}\n{"key":"b","value":2}'
}

restore_without_a_name_brings_all_there_is_of_a_lost_or_damaged_store() {
  filled
  rm data/appdata.db
  mk restore --yes
  has stdout "$out" "restored from the backup $backup and 1 commit of the archive"
  mk keys
  is keys "$out" $'a\nb\nc'
  "$moonkeep" set d 4
  sqlite3 data/appdata.db "PRAGMA writable_schema=ON; DROP TRIGGER _appData_updated; UPDATE appData SET value='66' WHERE key='b'"
  mk restore --yes
  mk select
  has rows "$out" '{"key":"b","value":2}'
  has rows "$out" '{"key":"d","value":4}'
}

restore_asks_and_needs_yes() {
  filled
  refuses 2 'needs --yes' restore
  mk keys
  is keys "$out" $'a\nb\nc'
}

dry_run_changes_nothing() {
  filled
  mk restore --dry-run --json
  is status "$status" 0
  has stdout "$out" '"keys":2'
  has stdout "$out" '"dry_run":true'
  mk keys
  is keys "$out" $'a\nb\nc'
  is backups "$("$moonkeep" backups | wc -l)" 1
}

restore_says_what_is_wrong() {
  filled
  refuses 1 'there is no backup nonesuch' restore nonesuch --yes
  refuses 2 'has to be a moment' restore --at yesterday --yes
  refuses 1 'from before that moment' restore --at 2001-01-01 --yes
  refuses 1 'there are no backups' restore --yes --backups elsewhere
  mk keys
  is keys "$out" $'a\nb\nc'
}

restore_is_refused_while_a_host_runs() {
  filled
  start_host
  refuses 1 'in use by' restore --yes
  stop_host
}

missing_file_is_restored_at_the_start() {
  filled
  rm data/appdata.db
  mk keys
  is status "$status" 0
  is keys "$out" $'a\nb\nc'
  has log "$err" 'the store file is missing'
}

what_is_missing_after_a_restore_is_said() {
  filled
  rm data/appdata.db data/backups/*.archive
  mk keys
  is keys "$out" $'a\nb'
  has log "$err" 'MISSING: 1 commit'
}

scripts_are_told() {
  filled
  mkdir -p bots
  cat >bots/tell.lua <<'LUA'
bot.on("restored", function(event) bot.send("general", event.backup .. " " .. event.missing) end)
LUA
  rm data/appdata.db data/backups/*.archive
  mk run bots </dev/null
  has actions "$out" "\"$backup 1\""
}

scripts_are_told_of_a_restore_that_was_asked_for() {
  filled
  mkdir -p bots
  cat >bots/tell.lua <<'LUA'
bot.on("restored", function(event) bot.send("general", event.kind .. " " .. event.why .. " " .. event.backup) end)
LUA
  mk restore --yes "$backup"
  mk get a
  mk run bots </dev/null
  has actions "$out" "\"restored it was asked for $backup\""
  mk run bots </dev/null
  is actions "$out" ''
}

status_shows_the_last_restore() {
  filled
  rm data/appdata.db data/backups/*.archive
  start_host
  mk status
  has status "$out" 'restored: the store file is missing; from appdata-'
  has status "$out" '1 commit MISSING'
  mk status --json
  has json "$out" '"restored":{"kind":"restored"'
  stop_host
  mk status
  has 'without a host' "$out" 'restored: the store file is missing; from appdata-'
  mk status --json
  has 'json without a host' "$out" '},"restored":{"kind":"restored"'
  is 'no progress' "$err" ''
}

check_finds_damage() {
  filled
  mk check --full
  is status "$status" 0
  has stdout "$out" 'appdata.db: ok, 3 keys'
  has stdout "$out" "$backup: ok, 2 keys"
  printf 'XXXX' | dd of="data/backups/$backup" bs=1 seek=5000 conv=notrunc 2>/dev/null
  dd if=/dev/zero of="data/backups/$backup" bs=4096 seek=2 count=1 conv=notrunc 2>/dev/null
  mk check --json
  is status "$status" 1
  has stdout "$out" '"ok":false'
  refuses 1 'there is no data folder' check --data elsewhere
}

check_reads_the_archive() {
  filled
  mk check
  is status "$status" 0
  has stdout "$out" 'archive: ok, 3 commits in 2 files, up to 20'
  local files=(data/backups/*.archive)
  dd if=/dev/zero of="${files[0]}" bs=1 seek=72 count=8 conv=notrunc 2>/dev/null
  mk check
  is status "$status" 1
  has stdout "$out" "${files[0]#data/backups/}: damaged: "
  has stdout "$out" 'archive: damaged, 1 commit in 2 files'
  has stdout "$out" '1 of its'
  mk check --json
  has stdout "$out" '"kind":"archive file","ok":false'
  has stdout "$out" '"groups":1'
}

what_a_crash_tears_off_the_archive_is_no_fault() {
  filled
  local files=(data/backups/*.archive)
  truncate -s -3 "${files[-1]}"
  mk check
  is status "$status" 0
  has stdout "$out" 'archive: ok, 2 commits in 2 files'
}

check_tells_a_gap_of_the_archive() {
  filled
  local later files
  for key in d e; do # a file each: none reaches across a backup
    later="$later data/backups/$("$moonkeep" backup)" && "$moonkeep" set "$key" 4
  done
  files=(data/backups/*.archive)
  # shellcheck disable=SC2086 # two names
  rm "${files[-2]}" $later
  mk check
  is status "$status" 1
  has stdout "$out" "the archive lacks the changes"
  "$moonkeep" backup
  mk check
  is status "$status" 0
}

check_beside_a_host() {
  filled
  start_host
  mk check --full
  is status "$status" 0
  has stdout "$out" 'appdata.db: ok, 3 keys'
  stop_host
}

salvaged_rows_can_be_imported() {
  filled
  dd if=/dev/zero of=data/appdata.db bs=4096 count=1 conv=notrunc 2>/dev/null
  mk salvage data/appdata.db rows.ndjson
  is status "$status" 0
  has stderr "$err" '3 keys could be read'
  mk import --data other rows.ndjson
  mk select --data other
  is rows "$out" $'{"key":"a","value":1}\n{"key":"b","value":2}\n{"key":"c","value":3}'
  refuses 1 'cannot open nonesuch' salvage nonesuch
}

tests='
  restore_brings_a_backup_back_and_can_be_undone
  restore_without_a_name_brings_the_newest_backup_of_a_whole_store
  restore_without_a_name_brings_all_there_is_of_a_lost_or_damaged_store
  restore_asks_and_needs_yes
  dry_run_changes_nothing
  restore_says_what_is_wrong
  restore_is_refused_while_a_host_runs
  missing_file_is_restored_at_the_start
  what_is_missing_after_a_restore_is_said
  scripts_are_told
  scripts_are_told_of_a_restore_that_was_asked_for
  status_shows_the_last_restore
  check_finds_damage
  check_reads_the_archive
  check_tells_a_gap_of_the_archive
  what_a_crash_tears_off_the_archive_is_no_fault
  check_beside_a_host
  salvaged_rows_can_be_imported
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
