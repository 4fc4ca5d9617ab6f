#!/bin/bash
# The proof that data cannot be lost, with full counts: what `make test` tries a few times is tried here as often as a
# sceptic may ask for. Each line says what was tried, how often, and the seed with which it can be tried again.
#
# $BUILD: the build folder (build). $1: only those with this in their name. SCALE: percent of the counts (100).
set -u
build=${BUILD:-build}
only=${1:-}
scale=${SCALE:-100}
[ -w /dev/shm ] && export TMPDIR="${TMPDIR:-/dev/shm}"
MOONKEEP=$(cd "$build" && pwd)/moonkeep
export MOONKEEP
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

try() { # NAME, VARIABLE=VALUE, COMMAND…
  local name=$1 count=$2 began=$SECONDS
  shift 2
  case $name in *"$only"*) ;; *) return ;; esac
  case $count in *=[0-9]*) count=${count%=*}=$(((${count#*=} * scale + 99) / 100)) ;; esac
  echo "== $name ($count)"
  if env "$count" "$@" >"$log" 2>&1; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "FAILED"
  fi
  grep -vE '^ok |^[0-9]+ passed' "$log"
  echo "   $(grep -E '^[0-9]+ passed' "$log" | tail -n 1), $((SECONDS - began)) s"
}

tests=$build/tests
try 'killed during commits, folds, checkpoints' CYCLES=500 "$tests/store/crash_test"
try 'killed while the archive is written' ROUNDS=500 "$tests/store/archiver_test" a_kill
try 'killed, and all lost but the backups folder' ROUNDS=200 "$tests/store/archiver_test" the_backups_folder
try 'killed while backups are made' ROUNDS=250 "$tests/store/keeper_test" a_kill
try 'killed while an older file is brought up to date' ROUNDS=100 "$tests/store/migrate_test" a_kill
try 'killed while many start and restore' ROUNDS=250 "$tests/store/race_test"
try 'killed during restores, at each operation' ROUNDS=1 "$tests/store/restore_test" killed
try 'killed hosts, end to end' CYCLES=100 bash tests/cli/kill_test.sh
try 'histories with kills, losses, restores' ROUNDS=200 "$tests/history/history_test"
try 'copies of a live folder' ROUNDS=100 "$tests/store/copy_test"
try 'power loss, also where it must lose' POWER=2000 "$tests/store/power_test"
try 'power loss in archive, backup, restore, each sync' POWER=all "$tests/store/restore_power_test"
try 'power loss in archive, backup, restore' POWER=1600 "$tests/store/restore_power_test" takes_nothing
try 'full and failing disk, each operation' FAULTS=all "$tests/store/fault_test"
try 'full and failing disk during restores, each operation' FAULTS=all "$tests/store/restore_fault_test"
try 'full and failing disk during backups, each operation' ROUNDS=1 "$tests/store/snapshot_test" any_disk_error
try 'damage to store, backups, archive' ROUNDS=1000 "$tests/store/corrupt_test"
try 'flipped bits of a store file' ROUNDS=1000 "$tests/store/rot_test"
try 'the log cut at every 512 bytes, lost, of another database' ROUNDS=1 "$tests/store/restore_test" log
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
