#!/bin/bash
# Many hosts that are started at the same moment on one folder, as two systemd units or an impatient person do.
# shellcheck disable=SC2154,SC2034 # lib.sh assigns, and uses
# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

hosts=5

# They read a pipe that has no end until descriptor 7 is closed.
start_hosts() {
  rm -rf in.fifo host.*
  mkfifo in.fifo
  exec 7<>in.fifo
  pids=()
  local i
  for i in $(seq $hosts); do
    "$moonkeep" run bots <in.fifo >"host.$i.out" 2>"host.$i.err" 7>&- &
    pids+=($!)
  done
}

serves() { "$moonkeep" status >/dev/null 2>&1; }
are_left() { [ "$(jobs -pr | wc -l)" -eq "$1" ]; }

# All but one end, and say who that is.
one_serves() {
  wait_for are_left 1
  wait_for serves
  winner=$(jobs -pr)
  local i
  for i in $(seq $hosts); do
    [ "${pids[$((i - 1))]}" != "$winner" ] || continue
    wait "${pids[$((i - 1))]}"
    is "status of host $i" $? 1
    has "host $i" "$(cat "host.$i.err")" "in use by process $winner (moonkeep run bots)"
  done
}

end_winner() { # SIGNAL
  kill "-$1" "$winner"
  wait "$winner" 2>/dev/null
  exec 7>&-
}

one_of_many_hosts_serves() {
  bot
  start_hosts
  one_serves
  mk set a 1
  is status "$status" 0
  end_winner TERM
}

many_hosts_start_where_one_was_killed() {
  bot
  "$moonkeep" set a 1
  start_hosts
  one_serves
  mk set b 2
  end_winner KILL
  start_hosts
  one_serves
  mk keys
  is keys "$out" $'a\nb'
  end_winner TERM
}

many_hosts_start_where_the_store_file_is_lost() {
  bot
  "$moonkeep" set a 1 && "$moonkeep" backup && "$moonkeep" set b 2
  rm data/appdata.db
  start_hosts
  one_serves
  mk keys
  is keys "$out" $'a\nb'
  is restores "$(cat host.*.err | grep -c 'the store was restored')" 1
  end_winner TERM
}

# The commands go to a host where one runs, open the store themselves where none does, and wait for one another.
commands_beside_hosts_that_come_and_go_lose_nothing() {
  bot
  "$moonkeep" set n 0
  local i changes=()
  for i in $(seq 8); do
    "$moonkeep" update n 'function(n) return n + 1 end' >"change.$i" 2>&1 &
    changes+=($!)
    [ "$i" != 3 ] || start_hosts
  done
  local well=0
  for i in "${changes[@]}"; do
    if wait "$i"; then well=$((well + 1)); fi
  done
  one_serves
  mk get n
  if [ "$out" -ne "$well" ] || [ "$well" -eq 0 ]; then
    fail "$out changes, of which $well were acknowledged: $(cat change.*)"
  fi
  end_winner TERM
}

tests='
  one_of_many_hosts_serves
  many_hosts_start_where_one_was_killed
  many_hosts_start_where_the_store_file_is_lost
  commands_beside_hosts_that_come_and_go_lose_nothing
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
