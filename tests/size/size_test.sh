#!/usr/bin/env bash
# A million keys of about 100 bytes: written in lists, walked with `each`, updated at random by 1,000 tasks. At its
# peak the host takes no more than its cache may and 32 MiB, with a small cache and with the usual one.
#
# KEYS: how many (1,000,000). CALLS: how many updates (200,000).
set -u
moonkeep=$(realpath "${MOONKEEP:-build/moonkeep}")
keys=${KEYS:-1000000} calls=${CALLS:-200000}
work=$(mktemp -d)
trap 'exec 3>&- 4<&-; wait; rm -rf "$work"' EXIT
passed=0 failed=0

if grep -qa __asan_init "$moonkeep" || grep -qa __tsan_init "$moonkeep"; then
  echo "skipped: no plain build"
  echo "0 passed, 0 failed"
  exit 0
fi

check() { # name, what it came to, a command that says whether it is so
  local name=$1 came=$2
  shift 2
  if "$@"; then
    echo "ok $name ($came)"
    passed=$((passed + 1))
  else
    echo "FAILED $name: $came"
    failed=$((failed + 1))
  fi
}

begin() { # cache
  "$moonkeep" run --no-supervise --log-level warn --cache "$1" --data "$work/data" tests/size/scripts <"$work/in" >"$work/out" &
  host=$!
  exec 3>"$work/in" 4<"$work/out"
}

ask() { # event; the action that ends it is in $answer
  echo "$1" >&3
  read -r answer <&4
}

end() {
  exec 3>&-
  wait $host
  exec 4<&-
}

has_rows() { # what the script saw: all keys, and all that was added to them
  [[ "${answer//\}/,}" == *"\"rows\":$keys,"* && "${answer//\}/,}" == *"\"xp\":$xp,"* ]]
}

stays_small() { # cache in MiB
  local peak
  peak=$(awk '/^VmHWM:/ { print int($2 / 1024) }' /proc/$host/status)
  check "a_cache_of_$1_MiB_and_32_MiB_are_all_it_takes" "$peak MiB" [ "$peak" -le $(($1 + 32)) ]
}

xp=$((keys * (keys + 1) / 2))
mkfifo "$work/in" "$work/out"
begin 4M
ask "{\"event\":\"fill\",\"keys\":$keys}"
ask '{"event":"scan"}'
check each_visits_every_key_in_order "$answer" has_rows
ask "{\"event\":\"update\",\"tasks\":1000,\"calls\":$calls,\"keys\":$keys}"
stays_small 4
end
begin 64M
ask '{"event":"scan"}'
xp=$((xp + calls))
check updates_lose_nothing_and_are_there_after_a_restart "$answer" has_rows
ask "{\"event\":\"update\",\"tasks\":1000,\"calls\":$calls,\"keys\":$keys}"
stays_small 64
end

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
