#!/usr/bin/env bash
# The process that watches over `moonkeep run`: after a crash of the host everything acknowledged is there, the script
# that was running is left out until it is saved, and signals and exit statuses are as if there were one process.
#
#   MOONKEEP=build/moonkeep tests/cli/supervise_test.sh [WORD]
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

# A host on the bots of `bots`; descriptor 7 is its input.
start() {
  [ -p in.fifo ] || mkfifo in.fifo
  env --default-signal=HUP "$moonkeep" run bots "$@" <in.fifo >host.out 2>>host.err & # also under nohup
  host=$!
  exec 7>in.fifo
  wait_for says 'data in data' 1
}

end() {
  exec 7>&-
  wait "$host"
  is 'the status of the host' $? 0
}

child() { tr -d ' ' <"/proc/$host/task/$host/children"; }
says() { [ "$(grep -cF -- "$1" host.err)" -ge "$2" ]; }
has_status() { mk status && [ -n "$out" ]; }
answered() { grep -qF -- "$1" host.out; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# Kills the host, and waits until there is another one, which the log has told of N times.
crash() { # SIGNAL N
  local old
  old=$(child)
  kill "-$1" "$old"
  wait_for says 'data in data' $(($2 + 1))
  [ "$(child)" != "$old" ] || fail 'it is the same process'
}

event() { # ID TEXT
  printf '{"event":"message","id":%d,"channel":"general","userId":"ann","text":"%s"}\n' "$1" "$2"
}

two_bots() {
  mkdir -p bots
  cat >bots/good.lua <<'LUA'
bot.on("message", function(event)
  appData:set("seen:" .. event.id, event.text)
  event:reply("good " .. event.text)
end)
bot.on("stop", function() bot.send("general", "bye") end)
LUA
  cat >bots/bad.lua <<'LUA'
bot.on("message", function(event)
  if event.text == "spin" then print("spinning") while true do end end
  event:reply("bad " .. event.text)
end)
LUA
}

a_script_that_ran_when_the_host_crashed_is_left_out() {
  two_bots
  start --cpu-budget 1000
  event 1 one >&7
  wait_for answered '{"done":1,"ok":true}'
  event 2 spin >&7
  wait_for says 'spinning' 1
  crash ABRT 1
  has 'the log' "$(cat host.err)" 'the host crashed (Aborted) while the script "bad" was running'
  has 'the log' "$(cat host.err)" 'bad: left out: it was running when the host crashed (Aborted); save bad.lua to let it in'
  wait_for has_status
  has status "$out" 'crashes  1; the last: the host crashed (Aborted) while the script "bad" was running'
  has status "$out" 'it was running when the host crashed (Aborted)'
  event 3 three >&7
  wait_for answered '{"done":3,"ok":true}'
  answered 'good three' || fail 'the other bot does not go on'
  answered 'bad three' && fail 'the script was not left out'
  mk get seen:1
  is 'what was acknowledged' "$out" '"one"'
  two_bots # a save lets it in
  wait_for says 'bad: loaded' 1
  event 4 four >&7
  wait_for answered '{"done":4,"ok":true}'
  answered 'bad four' || fail 'the script was not let in'
  crash ABRT 2 # while nothing runs: it stays in
  event 5 five >&7
  wait_for answered '{"done":5,"ok":true}'
  answered 'bad five' || fail 'the script was left out for nothing'
  end
}

# A C module, which only --trust lets in, stands for a function of Lua's that does not come to an end.
a_script_that_no_check_can_stop_is_left_out() {
  local _
  two_bots
  cat >spin.c <<'C'
int luaopen_spin(void *L);
int luaopen_spin(void *L) {
  for (volatile int on = 1; on;) {}
  return L != 0;
}
C
  gcc -shared -fPIC -o spin.so spin.c || fail 'no module'
  cat >bots/bad.lua <<LUA
bot.on("message", function(event)
  if event.text == "spin" then package.loadlib("$PWD/spin.so", "luaopen_spin")() end
  event:reply("bad " .. event.text)
end)
LUA
  start --trust --cpu-budget 0.1
  event 1 one >&7
  wait_for answered '{"done":1,"ok":true}'
  event 2 spin >&7
  for _ in $(seq 1200); do # two seconds of CPU, which can take long
    says 'data in data' 2 && break
    sleep 0.1
  done
  has 'the log' "$(cat host.err)" 'the script "bad" was stuck in a computation that could not be stopped'
  event 3 three >&7
  wait_for answered '{"done":3,"ok":true}'
  answered 'good three' || fail 'the other bot does not go on'
  answered 'bad three' && fail 'the script was not left out'
  mk get seen:1
  is 'what was acknowledged' "$out" '"one"'
  end
}

half_a_line_is_skipped_and_half_a_line_is_ended() {
  two_bots
  start --cpu-budget 1000
  printf '%s\n{"event":"message","id":2,"channel":"general","te' "$(event 1 one)" >&7 # one write: it is read as one
  wait_for answered '{"done":1,"ok":true}'
  crash ABRT 1
  printf 'xt":"two"}\n' >&7
  event 3 three >&7
  echo 'no event' >&7
  wait_for answered '"line":4}' # lines are counted on
  wait_for answered '{"done":3,"ok":true}'
  answered '{"done":2,' && fail 'half a line was taken for a whole one'
  is 'errors' "$(grep -c '"error"' host.out)" 1
  end
}

acknowledged_events_survive() {
  two_bots
  start
  local i
  for i in 1 2 3; do
    { for n in $(seq 200); do event "$i$n" x; done; } >&7
    wait_for answered "{\"done\":${i}100,\"ok\":true}"
    crash KILL "$i"
    grep -oE '"done":[0-9]+' host.out | sed 's/.*:/seen:/' | sort >told.txt
    "$moonkeep" keys 'seen:%' | sort >kept.txt
    is 'what is lost' "$(comm -23 told.txt kept.txt)" ''
  done
  says 'left out' 1 && fail 'a kill from outside was blamed on a script'
  end
}

a_host_that_keeps_crashing_is_given_up() {
  two_bots
  start
  for i in 1 2 3 4; do crash ABRT "$i"; done
  kill -ABRT "$(child)"
  wait_for says 'it has crashed 5 times soon after its start, and is given up' 1
  wait "$host"
  is 'the status' $? 1
  exec 7>&-
}

signals_end_it_in_order_once() {
  two_bots
  local how
  for how in TERM INT; do
    rm -f host.err
    start
    kill "-$how" "$host" # to the parent alone
    end
    answered bye || fail "no stop handlers after $how"
    rm -f host.err
    start
    kill "-$how" "$(child)" # to the host alone
    end
    answered bye || fail "no stop handlers after $how to the host"
  done
  # To both, as `kill` to a job does it: one signal, not two.
  rm -f host.err
  mkfifo group.fifo
  setsid "$moonkeep" run bots <group.fifo >host.out 2>host.err &
  host=$!
  exec 7>group.fifo
  wait_for says 'data in data' 1
  kill -TERM -- "-$host"
  end
  answered bye || fail 'no stop handlers after a signal to the group'
}

a_second_signal_kills() {
  mkdir -p bots
  cat >bots/slow.lua <<'LUA'
bot.on("stop", function() print("stopping now") bot.sleep(500) end)
LUA
  start --grace 1000
  kill -TERM "$host"
  wait_for says 'stopping now' 1
  local old
  old=$(child)
  kill -TERM "$host"
  wait "$host"
  is 'the status' $? 143
  wait_for gone "$old"
  exec 7>&-
}

hangups_reload() {
  two_bots
  start
  kill -HUP "$host"
  wait_for says 'good: reloaded' 1
  end
}

a_host_dies_with_its_parent() {
  two_bots
  start
  local old
  old=$(child)
  kill -KILL "$host"
  wait "$host"
  is 'the status' $? 137
  wait_for gone "$old"
  exec 7>&-
  mk set a 1
  is 'the status of a later command' "$status" 0
}

a_crash_at_the_end_is_passed_on() {
  mkdir -p bots
  cat >bots/slow.lua <<'LUA'
bot.on("stop", function() print("stopping now") bot.sleep(500) end)
LUA
  start --grace 1000
  exec 7>&-
  wait_for says 'stopping now' 1
  kill -ABRT "$(child)"
  wait "$host"
  is 'the status' $? 134
}

# While a host runs, the root of the table becomes no page of a table. Half a line has been read when that is noticed.
damage_a_running_host() {
  local root
  two_bots
  start
  event 1 one >&7
  wait_for answered '{"done":1,"ok":true}'
  end
  mk backup
  root=$(sqlite3 data/appdata.db "SELECT rootpage FROM sqlite_schema WHERE name='appData'")
  rm -f host.err
  start
  dd if=/dev/zero of=data/appdata.db bs=4096 seek=$((root - 1)) count=1 conv=notrunc 2>/dev/null
  event 2 two | head -c 40 >&7
  mk get seen:1
  is 'the status of a read' "$status" 1
  has 'what it says' "$err" 'malformed'
  wait_for says 'starts again, so that the store is restored' 1
}

a_crash_before_a_new_start_is_one_start() {
  damage_a_running_host
  crash ABRT 1
  end
  is 'the starts' "$(grep -cF 'data in data' host.err)" 2
}

a_damaged_file_is_restored_by_a_new_start() {
  local old it
  damage_a_running_host
  old=$(child)
  event 2 two | tail -c +41 >&7
  event 3 three >&7
  wait_for answered '{"done":3,"ok":true}'
  is 'another host' "$(child | grep -cx "$old")" 0
  answered '{"done":2,"ok":true}' || fail 'the line that was being read is lost'
  for it in 1:one 2:two 3:three; do
    mk get "seen:${it%:*}"
    is "what was said in ${it%:*}" "$out" "\"${it#*:}\""
  done
  mk status
  has status "$out" 'restored'
  case $out in *crashes*) fail 'it was taken for a crash' ;; esac
  end
}

it_can_be_left_out() {
  two_bots
  start --no-supervise
  is 'children' "$(child)" ''
  end
  rm -f host.err
  export MOONKEEP_NO_SUPERVISE=1
  start
  is 'children' "$(child)" ''
  end
  unset MOONKEEP_NO_SUPERVISE
  refuses 1 'does not exist' run nowhere
}

tests='a_script_that_ran_when_the_host_crashed_is_left_out a_script_that_no_check_can_stop_is_left_out
  half_a_line_is_skipped_and_half_a_line_is_ended
  acknowledged_events_survive a_host_that_keeps_crashing_is_given_up signals_end_it_in_order_once a_second_signal_kills
  hangups_reload a_host_dies_with_its_parent a_crash_at_the_end_is_passed_on
  a_damaged_file_is_restored_by_a_new_start a_crash_before_a_new_start_is_one_start it_can_be_left_out'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
