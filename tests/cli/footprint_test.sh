#!/usr/bin/env bash
# What an idle host takes: ten scripts that have worked and now wait, within 10 MiB over all its processes. PSS
# counts a page that processes share once.
set -u
moonkeep=$(realpath "${MOONKEEP:-build/moonkeep}")
work=$(mktemp -d)
trap 'exec 3>&- 4<&-; wait; rm -rf "$work"' EXIT

if grep -qa __asan_init "$moonkeep" || ! grep -q ^Pss: /proc/self/smaps_rollup 2>/dev/null; then
  echo "skipped: no plain build, or a kernel that does not count PSS"
  echo "0 passed, 0 failed"
  exit 0
fi

mkdir "$work/scripts"
for i in $(seq 10); do
  cat >"$work/scripts/bot$i.lua" <<'LUA'
bot.on("message", function(event)
  local xp = appData:update(bot.name .. event.userId, function(xp) return xp + 50 end, 0)
  event:reply(event.userId .. " has " .. xp .. " XP")
end)
LUA
done

mkfifo "$work/in" "$work/out"
"$moonkeep" run --log-level warn --data "$work/data" "$work/scripts" <"$work/in" >"$work/out" &
host=$!
exec 3>"$work/in" 4<"$work/out"
for i in $(seq 100); do echo "{\"event\":\"message\",\"id\":$i,\"channel\":\"c\",\"userId\":\"user$i\"}" >&3; done
done_lines=0
while [ $done_lines -lt 100 ] && read -r line <&4; do
  case $line in '{"done"'*) done_lines=$((done_lines + 1)) ;; esac
done

pss=0
for pid in $host $(cat /proc/$host/task/*/children); do
  pss=$((pss + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
done
if [ $done_lines -eq 100 ] && [ $pss -gt 0 ] && [ $pss -lt 10240 ]; then
  echo "ok ten_idle_scripts_take_less_than_10_MiB ($pss KiB)"
  echo "1 passed, 0 failed"
else
  echo "FAILED ten_idle_scripts_take_less_than_10_MiB: $pss KiB after $done_lines events"
  echo "0 passed, 1 failed"
  exit 1
fi
