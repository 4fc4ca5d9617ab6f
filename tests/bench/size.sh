#!/bin/bash
# What size costs: `update` by 1,000 tasks, uniform over the keys of a large store and of a small one, in turn, in one
# run; and how long a host takes to be there on each, just after its file was closed (warm) and when the system has none
# of it in memory (cold). What counts is the ratio. It takes 2 GB of disk for ten million keys, and some minutes.
#
# A round is a host of its own, so that none folds or makes backups while the other is measured. As many updates as are
# measured go before: the first ones find an empty journal, which has room, and are up to twice as fast.
#
# LARGE, SMALL: how many keys (10,000,000 and 100,000). CALLS: how many updates a round (200,000). ROUNDS: (5).
# DIR: where the stores are; those that are there already are used, and left (a temporary folder, removed at the end).
set -eu
BUILD=${BUILD:-build}
declare -A keys=([large]="${LARGE:-10000000}" [small]="${SMALL:-100000}")
calls=${CALLS:-200000} rounds=${ROUNDS:-5}
work=$(mktemp -d "$BUILD/bench-XXXXXX")
dir=${DIR:-$work}
trap 'exec 4>&-; wait; rm -rf "$work"' EXIT

host() { # which
  "$BUILD/moonkeep" run --log-level warn --backup-every 0 --data "$dir/$1" tests/size/scripts
}

begin() { # which
  rm -f "$work/in" "$work/out"
  mkfifo "$work/in" "$work/out"
  host "$1" <"$work/in" >"$work/out" &
  exec 4>"$work/in" 3<"$work/out"
}

end() {
  exec 4>&-
  wait
}

took() { # event: in seconds
  local began=$EPOCHREALTIME
  echo "$1" >&4
  read -r _ <&3
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
}

rate() { # keys: updates a second
  took "{\"event\":\"update\",\"tasks\":1000,\"calls\":$calls,\"keys\":$1}" | awk -v n="$calls" '{ printf "%d\n", n / $1 }'
}

opened() { # which: seconds from the start of a host until an event is done and it has ended
  local began=$EPOCHREALTIME
  echo '{"event":"nothing","id":1}' | host "$1" >/dev/null
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print 1000 * (b - a) }'
}

forget() { # which: the system lets go of its file
  sync "$dir/$1/appdata.db"
  dd of="$dir/$1/appdata.db" oflag=nocache conv=notrunc,fdatasync count=0 status=none
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for which in large small; do
  [ -e "$dir/$which/appdata.db" ] && continue
  begin "$which"
  took "{\"event\":\"fill\",\"keys\":${keys[$which]}}" >/dev/null
  end
done

for _ in $(seq "$rounds"); do
  for which in large small; do
    opened "$which" >>"$work/$which-warm"
    forget "$which"
    opened "$which" >>"$work/$which-cold"
  done
done
for _ in $(seq "$rounds"); do
  for which in large small; do
    begin "$which"
    rate "${keys[$which]}" >/dev/null
    rate "${keys[$which]}" >>"$work/$which-rate"
    end
  done
done

echo "updates a second by 1,000 tasks, uniform; the host's start and end in milliseconds; median of $rounds rounds"
echo
printf '%-12s %10s %12s %12s %12s\n' keys MiB updates 'warm ms' 'cold ms'
for which in large small; do
  printf '%-12s %10d %12s %12s %12s\n' "${keys[$which]}" $(($(stat -c %s "$dir/$which/appdata.db") >> 20)) \
    "$(median <"$work/$which-rate")" "$(median <"$work/$which-warm")" "$(median <"$work/$which-cold")"
done
awk -v l="$(median <"$work/large-rate")" -v s="$(median <"$work/small-rate")" 'BEGIN { printf "%-12s %10s %11.2fx\n", "ratio", "", l / s }'
