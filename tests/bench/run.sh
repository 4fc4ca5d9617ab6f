#!/bin/bash
# update, set and get from Lua with 1, 64 and 1,000 tasks, beside plain C with SQLite doing upserts in transactions of the
# same size, in turn, in one run. What counts is the ratio: the rates are this machine's, at this moment.
#
# ROUNDS: how often (3; the median counts). SECONDS_EACH: how long each measurement of the yardstick takes (1).
set -eu
BUILD=${BUILD:-build}
rounds=${ROUNDS:-3} each=${SECONDS_EACH:-1}
dir=$(mktemp -d "$BUILD/bench-XXXXXX")
trap 'kill "$host" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

coproc HOST { exec "$BUILD/moonkeep" run --log-level warn --data "$dir/data" tests/bench/scripts; }
host=$HOST_PID

# One load, and how many calls a second it came to.
load() { # op, tasks, calls
  local line began=$EPOCHREALTIME
  echo "{\"event\":\"load\",\"op\":\"$1\",\"tasks\":$2,\"calls\":$3}" >&"${HOST[1]}"
  while read -r line <&"${HOST[0]}"; do
    case $line in *loaded*) break ;; esac
  done
  awk -v a="$began" -v b="$EPOCHREALTIME" -v n="$3" 'BEGIN { printf "%.0f\n", n / (b - a) }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

declare -A rates
add() { rates[$1]+="$2"$'\n'; }
rate() { printf '%s' "${rates[$1]}" | median; }

load set 1000 200000 >/dev/null # the keys are there
for _ in $(seq "$rounds"); do
  for tasks in 1 64 1000; do
    calls=$((tasks == 1 ? 5000 : tasks == 64 ? 60000 : 200000))
    for op in update set; do add "$op $tasks" "$(load $op $tasks $calls)"; done
    add "get $tasks" "$(load get $tasks 300000)"
    add "c $tasks" "$("$BUILD/tests/bench/plain" sqlite $tasks "$each" "$dir")"
  done
  for kind in append overwrite; do add "disk $kind" "$("$BUILD/tests/bench/plain" disk $kind "$each" "$dir")"; done
done

echo "calls a second, each durable before it is answered; objects of about 100 bytes, 100,000 keys, uniform"
echo "median of $rounds rounds; in brackets: against plain C with SQLite, upserts in transactions of that size"
echo
printf '%-10s %20s %20s %12s %14s\n' tasks update set get 'plain C'
for tasks in 1 64 1000; do
  c=$(rate "c $tasks")
  row=("$tasks")
  for op in update set; do
    r=$(rate "$op $tasks")
    row+=("$(awk -v r="$r" -v c="$c" 'BEGIN { printf "%d (%.2fx)", r, r / c }')")
  done
  printf '%-10s %20s %20s %12s %14s\n' "${row[@]}" "$(rate "get $tasks")" "$c"
done
echo
echo "4 KiB with fdatasync, a second: $(rate 'disk append') appending, $(rate 'disk overwrite') overwriting"
