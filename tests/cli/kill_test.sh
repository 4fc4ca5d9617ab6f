#!/usr/bin/env bash
# A host that is killed with SIGKILL at any moment, end to end: what `{"done":…}` has acknowledged is in the store, and
# nothing is there twice. CYCLES in the environment says how often (20).
set -u
moonkeep=$(realpath "${MOONKEEP:-build/moonkeep}")
cycles=${CYCLES:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir scripts
cat >scripts/count.lua <<'LUA'
-- One key for each event says that it was handled, and one for each member counts.
bot.on("message", function(event)
  appData:update("count:" .. event.userId, function(n) return n + 1 end, 0)
  appData:set("seen:" .. event.id, event.userId)
end)
LUA

# Each cycle has events of its own, and kills the host after a while that is never the same: often before its end.
each=10000 sent=0 killed=0 why=''
: >acknowledged.txt
for cycle in $(seq "$cycles"); do
  seq "$each" | sed "s/.*/{\"event\":\"message\",\"id\":\"$cycle-&\",\"userId\":\"user&\"}/; s/\"user[0-9]*\([0-9]\)\"/\"user\1\"/" >events
  "$moonkeep" run --log-level error <events >out.txt 2>>log.txt &
  host=$!
  until [ -s out.txt ] || ! kill -0 "$host" 2>/dev/null; do sleep 0.002; done
  sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
  kill -KILL "$host" 2>/dev/null
  wait "$host" 2>/dev/null
  [ $? -ne 137 ] || killed=$((killed + 1))
  sent=$((sent + each))
  # A line that was cut off by the kill is no acknowledgement.
  grep -oE '^\{"done":"[0-9]+-[0-9]+","ok":true\}' out.txt | grep -oE '[0-9]+-[0-9]+' >>acknowledged.txt
  "$moonkeep" keys 'seen:%' | cut -d: -f2 | sort >seen.txt
  lost=$(sort acknowledged.txt | comm -23 - seen.txt | head -n 3)
  [ -z "$lost" ] || why="cycle $cycle lost what was acknowledged: $lost"
done
acknowledged=$(wc -l <acknowledged.txt)
seen=$(wc -l <seen.txt)
counted=$("$moonkeep" select 'count:%' | grep -oE '"value":[0-9]+' | cut -d: -f2 | awk '{ n += $1 } END { print n }')
# Both changes of an event may have been saved without its acknowledgement, but none twice, and the count comes first.
[ "$counted" -ge "$seen" ] && [ "$counted" -le "$sent" ] || why=${why:-"$counted were counted, $seen seen, $sent sent"}
[ "$acknowledged" -gt 0 ] || why=${why:-nothing was acknowledged}
[ "$killed" -gt 0 ] || why=${why:-every host had ended before it was killed}
[ "$(sqlite3 data/appdata.db 'PRAGMA integrity_check')" = ok ] || why=${why:-the file is not whole}

if [ -z "$why" ]; then
  echo "ok acknowledged_events_survive_kill"
  echo "$killed kills, $acknowledged of $sent events acknowledged"
  echo "1 passed, 0 failed"
else
  echo "FAILED acknowledged_events_survive_kill: $why"
  tail -n 5 log.txt
  echo "0 passed, 1 failed"
  exit 1
fi
