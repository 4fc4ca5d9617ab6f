# shellcheck shell=bash disable=SC2034,SC2119
# What the tests of the command line share: running moonkeep, looking at what came of it, a host, the runner. To be
# sourced; the script's own argument is part of the names of the tests to run.

moonkeep=$(realpath "${MOONKEEP:-build/moonkeep}")
only=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in $(compgen -e MOONKEEP_) MOONKEEP NO_COLOR; do unset "$name"; done
passed=0 failed=0

why=''
fail() {
  [ -n "$why" ] || why=$*
  return 1
}

# Runs moonkeep; its output is then in $out, what it says on standard error in $err, its exit status in $status.
mk() {
  "$moonkeep" "$@" >out.txt 2>err.txt
  status=$?
  out=$(cat out.txt)
  err=$(cat err.txt)
}

is() { # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
}

has() { # WHAT TEXT PART
  case $2 in
  *"$3"*) ;;
  *) fail "$1 '$2' lacks '$3'" ;;
  esac
}

# mk with these arguments ends with this status and says this.
refuses() { # STATUS PART ARGUMENTS…
  local want=$1 part=$2
  shift 2
  mk "$@" </dev/null
  is status "$status" "$want"
  is stdout "$out" ''
  has stderr "$err" "$part"
  case $err in "moonkeep: "*) ;; *) fail "stderr '$err' does not begin with moonkeep:" ;; esac
}

wait_for() { # COMMAND…: until it succeeds
  local _
  for _ in $(seq 200); do
    "$@" && return 0
    sleep 0.05
  done
  fail "gave up waiting for: $*"
}

bot() { # a folder with one bot that answers
  mkdir -p bots
  cat >bots/echo.lua <<'LUA'
bot.on("message", function(event)
  if event.text == "boom" then error("it went wrong") end
  event:reply("hello " .. tostring(event.userId))
end)
LUA
}

# A host on the folder `data`, until stop_host. What is written to descriptor 7 is its input.
# shellcheck disable=SC2120 # options for a host are welcome
start_host() {
  bot
  rm -f in.fifo
  mkfifo in.fifo
  "$moonkeep" run bots "$@" <in.fifo >host.out 2>host.err &
  host=$!
  exec 7>in.fifo
  wait_for test -S data/control.sock
}

stop_host() {
  exec 7>&-
  wait "$host"
  host_status=$?
}

# ---- the runner ----

run_test() {
  local name=$1
  why=''
  mkdir "$work/$name"
  cd "$work/$name" || exit 1
  "$name" >trace.txt 2>&1 || [ -n "$why" ] || why="it ended with $?: $(tail -n 3 trace.txt)"
  if [ -z "$why" ]; then
    echo "ok $name"
    passed=$((passed + 1))
  else
    echo "FAILED $name: $why"
    failed=$((failed + 1))
  fi
}

# Runs the tests of these names, those that contain the script's argument, and ends the script.
run_tests() { # NAME…
  local name
  for name in "$@"; do
    case $name in *"$only"*) run_test "$name" ;; esac
  done
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
  exit
}
