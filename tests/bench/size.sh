#!/bin/bash
# What size costs: `update` by 1,000 tasks, uniform over the keys of a large store and of a small one, in turn, in one
# run; and how long a host takes to be there on each, just after its file was closed (warm) and when the system has none
# of it in memory (cold). What counts is the ratio. It takes 2 GB of disk for ten million keys, and some minutes.
#
# LARGE, SMALL: how many keys (10,000,000 and 100,000). CALLS: how many updates a round (200,000). ROUNDS: (5).
# DIR: where the stores are; those that are there already are used, and left (a temporary folder, removed at the end).
set -eu
BUILD=${BUILD:-build}
large=${LARGE:-10000000} small=${SMALL:-100000} calls=${CALLS:-200000} rounds=${ROUNDS:-5}
work=$(mktemp -d "$BUILD/bench-XXXXXX")
dir=${DIR:-$work}
trap 'exec 4>&- 6>&-; wait; rm -rf "$work"' EXIT

begin() { # which, its fd to read, its fd to write
  rm -f "$work/in" "$work/out"
  mkfifo "$work/in" "$work/out"
  "$BUILD/moonkeep" run --no-supervise --log-level warn --data "$dir/$1" tests/size/scripts <"$work/in" >"$work/out" &
  eval "exec $3>\"$work/in\" $2<\"$work/out\""
}

took() { # fd to read, fd to write, event: in seconds
  local began=$EPOCHREALTIME
  echo "$3" >&"$2"
  read -r _ <&"$1"
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
}

rate() { # fd to read, fd to write, keys: updates a second
  took "$1" "$2" "{\"event\":\"update\",\"tasks\":1000,\"calls\":$calls,\"keys\":$3}" | awk -v n="$calls" '{ printf "%d\n", n / $1 }'
}

opened() { # which: seconds from the start of a host until an event is done and it has ended
  local began=$EPOCHREALTIME
  echo '{"event":"nothing","id":1}' | "$BUILD/moonkeep" run --log-level warn --data "$dir/$1" tests/size/scripts >/dev/null
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print 1000 * (b - a) }'
}

forget() { # which: the system lets go of its file
  sync "$dir/$1/appdata.db"
  dd of="$dir/$1/appdata.db" oflag=nocache conv=notrunc,fdatasync count=0 status=none
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for which in large small; do
  [ -e "$dir/$which/appdata.db" ] && continue
  begin "$which" 3 4
  took 3 4 "{\"event\":\"fill\",\"keys\":${!which}}" >/dev/null
  exec 4>&-
  wait
done

for _ in $(seq "$rounds"); do
  for which in large small; do
    opened "$which" >>"$work/$which-warm"
    forget "$which"
    opened "$which" >>"$work/$which-cold"
  done
done
begin large 3 4
begin small 5 6
for _ in $(seq "$rounds"); do
  rate 3 4 "$large" >>"$work/large-rate"
  rate 5 6 "$small" >>"$work/small-rate"
done
exec 4>&- 6>&-
wait

echo "updates a second by 1,000 tasks, uniform; the host's start and end in milliseconds; median of $rounds rounds"
echo
printf '%-12s %10s %12s %12s %12s\n' keys MiB updates 'warm ms' 'cold ms'
for which in large small; do
  printf '%-12s %10d %12s %12s %12s\n' "${!which}" $(($(stat -c %s "$dir/$which/appdata.db") >> 20)) \
    "$(median <"$work/$which-rate")" "$(median <"$work/$which-warm")" "$(median <"$work/$which-cold")"
done
awk -v l="$(median <"$work/large-rate")" -v s="$(median <"$work/small-rate")" 'BEGIN { printf "%-12s %10s %11.2fx\n", "ratio", "", l / s }'
