#!/bin/bash
# The main scenario under valgrind: bots start, events come, the store is written, scanned and closed. No error, no
# leak, and an answer to every event.
set -u
BUILD=${BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/scripts"
cat >"$dir/scripts/scenario.lua" <<'LUA'
bot.on("message", function(event)
  local xp = appData:update(event.userId, function(xp) return xp + 50 end, 0)
  appData:set("seen:" .. event.userId, { at = os.time(), text = event.text, list = { 1, 2.5, "\u{e4}" } }, { ttl = 60 })
  for key, value in appData:each("seen:%") do
    assert(key and value)
  end
  if xp % 200 == 0 then
    appData:deleteLike("seen:%")
  end
  local ok, err = pcall(appData.set, appData, "", 1)
  assert(not ok and err.code == "invalid_key")
  event:reply(event.userId .. " has " .. xp .. " XP in " .. appData:count("%"))
end)
bot.spawn(function() bot.sleep(0.1) appData:set("slept", true) end)
bot.after(0.05, function() bot.log.info("fired") end)
LUA
for i in $(seq 60); do
  echo "{\"event\":\"message\",\"id\":$i,\"channel\":\"general\",\"userId\":\"user$((i % 7))\",\"text\":\"hello $i\"}"
done >"$dir/events"
echo 'not json' >>"$dir/events"

if valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=9 \
  "$BUILD/moonkeep" run --data "$dir/data" "$dir/scripts" <"$dir/events" >"$dir/out" 2>"$dir/log" &&
  [ "$(grep -c '"ok":true' "$dir/out")" = 60 ] && [ "$(grep -c '"action":"send"' "$dir/out")" = 60 ]; then
  echo "ok the_main_scenario_is_clean_under_valgrind"
  echo "1 passed, 0 failed"
else
  echo "FAILED the_main_scenario_is_clean_under_valgrind"
  tail -n 40 "$dir/log" "$dir/out"
  echo "0 passed, 1 failed"
  exit 1
fi
