#!/usr/bin/env bash
# The example bots, driven by events as another program would drive them, the demo, and every example in README.md
# and scripts/README.md.
#
#   MOONKEEP=build/moonkeep tests/bots/bots_test.sh [WORD]     all tests, or those whose name contains WORD
set -u

moonkeep=$(realpath "${MOONKEEP:-build/moonkeep}")
root=$(realpath "$(dirname "$0")/../..")
only=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in $(compgen -e MOONKEEP_) MOONKEEP NO_COLOR; do unset "$name"; done
passed=0 failed=0 why='' id=0 host_pid='' to='' from=''

# ---- helpers ----

fail() {
  [ -n "$why" ] || why=$*
  return 1
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

# The bots, with their data in data/, until stop or kill_host.
start() {
  coproc host { exec "$moonkeep" run "$root/scripts" --grace 1 2>>log; }
  host_pid=$!
  exec {to}>&"${host[1]}" {from}<&"${host[0]}"
  eval "exec ${host[1]}>&- ${host[0]}<&-" # copies, which subshells may use too
}

stop() {
  exec {to}>&-
  wait "$host_pid"
  is 'the status of the host' $? 0
}

kill_host() {
  kill -9 "$host_pid"
  wait "$host_pid" 2>/dev/null
  exec {to}>&-
}

# Reads what the host writes into `out` until a line that begins with this, and is not more patient than that.
read_until() { # BEGINNING
  local line
  while IFS= read -r -t 5 line <&"$from"; do
    out+=$line$'\n'
    case $line in "$1"*) return 0 ;; esac
  done
  fail "nothing began with '$1' in: $out"
}

message() { # MEMBER TEXT [CHANNEL]
  id=$((id + 1))
  printf '{"event":"message","id":%d,"channel":"%s","userId":"%s","text":"%s"}\n' "$id" "${3:-general}" "$1" "$2"
}

# One message, and in `out` what came of it.
say() { # MEMBER TEXT [CHANNEL]
  out=''
  message "$@" >&"$to"
  read_until "{\"done\":$id,\"ok\":true}"
}

# All the messages of messages.txt at once, and in `out` what came of them. They wait together for their answers.
say_all() {
  out=''
  { cat messages.txt && printf '{"event":"message","id":"last"}\n'; } >&"$to" &
  local writer=$! line count=0 all
  all=$(($(wc -l <messages.txt) + 1))
  while [ $count -lt "$all" ] && IFS= read -r -t 5 line <&"$from"; do
    out+=$line$'\n'
    case $line in '{"done":'*'"ok":true}') count=$((count + 1)) ;; esac
  done
  wait "$writer"
  is 'the number of messages that were handled' "$count" "$all"
}

count_of() { # PART: how many lines of `out` have it
  printf '%s' "$out" | grep -cF -- "$1"
}

answers() { # BOT TEXT: the last message was answered so
  has answer "$out" "{\"script\":\"$1\",\"action\":\"send\",\"channel\":\"general\",\"text\":\"$2\"}"
}

silent() { # BOT
  case $out in *"\"script\":\"$1\""*) fail "$1 said something: $out" ;; esac
}

wait_for() { # FILE TEXT: until the file has it
  local _
  for _ in $(seq 200); do
    grep -qF "$2" "$1" 2>/dev/null && return 0
    sleep 0.05
  done
  fail "$1 lacks '$2': $(cat "$1")"
}

get() { # KEY [STORE]
  "$moonkeep" get "$1" --store "${2:-appData}" 2>&1
}

# ---- leveling ----

leveling_awards_ranks_and_announces() {
  start
  say ann '!rank' && answers leveling 'ann has no XP yet: say something'
  say ann 'hello' && silent leveling
  say ann 'again' && answers leveling 'ann is now level 2!'
  say bob 'hi'
  say ann '!rank' && answers leveling 'ann: level 2 with 100 XP, place 1'
  say bob '!RANK ' && answers leveling 'bob: level 1 with 50 XP, place 2'
  say bob '!leaderboard' && answers leveling '1. ann, level 2, 100 XP\n2. bob, level 1, 50 XP'
  stop
  is 'the XP of ann' "$(get xp:ann)" 100
}

leveling_shows_the_first_ten() {
  local n
  start
  for n in $(seq -w 12); do message "m$n" hello; done >messages.txt
  say_all
  say ann '!leaderboard'
  has answer "$out" '10. m10, '
  case $out in *m11*) fail "more than ten: $out" ;; esac
  stop
}

two_hundred_messages_at_once_lose_no_point_and_announce_each_level_once() {
  start
  for _ in $(seq 200); do message ann hello; done >messages.txt
  say_all
  is 'the number of announcements' "$(count_of 'is now level')" 10
  is 'those of level 7' "$(count_of 'ann is now level 7!')" 1
  stop
  is 'the XP of ann' "$(get xp:ann)" 10000
}

# ---- welcome ----

welcome_greets_once_and_counts() {
  start
  for _ in $(seq 100); do message ann hello; done >messages.txt
  say_all
  is 'the number of greetings' "$(count_of 'Welcome, ann!')" 1
  say bob '!stats'
  answers welcome 'Welcome, bob! Type !help to see what we can do.'
  answers welcome "bob: 1 message since $(date +%F); all together 101 messages by 2 members"
  stop
  start
  say ann hello && silent welcome
  stop
}

# ---- reminders ----

reminders_refuse_what_they_do_not_understand() {
  local text
  start
  for text in '' ' take the bread out' ' 10 x' ' 10y x' ' 10m' ' -1s x' ' 0s x' ' m x' ' 1.5h x' ' 10mx'; do
    say ann "!remind$text" && answers reminders 'like this: !remind 10m take the bread out (s, m, h or d)'
  done
  say ann '!remind 366d x' && answers reminders 'a year is the longest that I can think ahead'
  say ann "!remind $(printf '9%.0s' $(seq 400))d x" && answers reminders 'a year is the longest that I can think ahead'
  say ann '!reminders' && answers reminders 'ann, you have no reminders'
  stop
  is 'the number of reminders' "$("$moonkeep" count 'reminder:%')" 0
}

reminders_lists_ones_own_the_next_first() {
  start
  say a_n '!remind 2h later'
  answers reminders 'a_n, I will remind you in 2 hours'
  say a_n '!remind  90 m  sooner '
  say axn '!remind 1d another'
  say 'a_n:b' '!remind 1d another'
  say a_n '!reminders'
  has answer "$out" '"text":"in '
  has answer "$out" ': sooner\nin '
  has answer "$out" ': later"}'
  case $out in *another*) fail "somebody else's: $out" ;; esac
  stop
}

# Killed as soon as it has promised: the next host keeps the promise, once.
reminders_survive_a_crash() {
  start
  say ann '!remind 1s look at the moon'
  kill_host
  is 'the number of reminders' "$("$moonkeep" count 'reminder:%')" 1
  start
  out=''
  read_until '{"script":"reminders"'
  has delivery "$out" 'ann, you wanted to be reminded: look at the moon'
  stop
  is 'the number of reminders after' "$("$moonkeep" count 'reminder:%')" 0
  start
  say ann hello && silent reminders
  stop
}

overdue_reminders_come_at_the_start_and_say_so() {
  "$moonkeep" set reminder:ann:00000001 '{"due":1000000000,"channel":"general","user":"ann","text":"one"}'
  "$moonkeep" set reminder:ann:00000002 '{"due":4000000000,"channel":"general","user":"ann","text":"two"}'
  start
  out=''
  read_until '{"script":"reminders"'
  has delivery "$out" 'ann, you wanted to be reminded: one (that was due '
  has delivery "$out" ' days ago; I was away)'
  say ann hello && silent reminders
  stop
  is 'what is left' "$("$moonkeep" keys 'reminder:%')" 'reminder:ann:00000002'
}

# ---- shop ----

shop_sells_for_coins() {
  start
  say ann '!shop' && answers shop 'for sale: potion 15, shield 40, sword 60 (coins)'
  say ann '!inventory' && answers shop 'ann has nothing'
  say ann '!coins' && answers shop 'ann has 100 coins'
  say ann '!buy' && answers shop 'there is no such thing; see !shop'
  say ann '!buy moon' && answers shop 'there is no such thing; see !shop'
  say ann '!buy  Sword ' && answers shop 'ann bought a sword and has 40 coins left'
  say ann '!buy sword' && answers shop 'ann, a sword costs 60 and you have 40 coins'
  say ann '!inventory' && answers shop 'ann has sword'
  say ann '!work' && answers shop 'ann worked and has 65 coins'
  say ann '!work' && answers shop 'ann, have a rest first: you have 65 coins'
  stop
}

shop_moves_things_and_remembers_it() {
  start
  say ann '!buy sword'
  say ann '!give' && answers shop 'like this: !give @bob sword'
  say ann '!give @bob' && answers shop 'like this: !give @bob sword'
  say ann '!give @ann sword' && answers shop 'ann, you have it already'
  say ann '!give @bob shield' && answers shop 'ann, you have no shield to give'
  say bob '!give @ann sword' && answers shop 'bob, you have no sword to give'
  say ann '!give @bob sword' && answers shop 'ann gave bob a sword'
  stop
  start
  say ann '!inventory' && answers shop 'ann has nothing'
  say bob '!inventory' && answers shop 'bob has sword'
  say bob '!give ann sword' && answers shop 'bob gave ann a sword'
  stop
}

two_hundred_gives_at_once_leave_one_owner() {
  local n owner
  start
  say ann '!buy sword'
  for n in $(seq 200); do message ann "!give @m$n sword"; done >messages.txt
  say_all
  is 'the number of moves' "$(count_of ' gave ')" 1
  is 'the number of refusals' "$(count_of 'you have no sword to give')" 199
  owner=$(printf '%s' "$out" | sed -n 's/.*ann gave \(m[0-9]*\) a sword.*/\1/p')
  stop
  is 'the number of things' "$("$moonkeep" count 'item:%' --store economy)" 1
  has 'the thing' "$(get item:00000001 economy)" "\"owner\":\"$owner\""
}

# Six potions for a hundred coins, however many are asked for at once.
two_hundred_purchases_at_once_spend_no_coin_twice() {
  start
  for _ in $(seq 200); do message ann '!buy potion'; done >messages.txt
  say_all
  is 'the number of purchases' "$(count_of 'bought a potion')" 6
  say ann '!coins' && answers shop 'ann has 10 coins'
  stop
  is 'the number of things' "$("$moonkeep" count 'item:%' --store economy)" 6
  has 'the purse' "$(get purse:ann economy)" '"owed":{}'
}

# The state that a crash between paying and handing over leaves behind.
what_is_paid_for_is_handed_over_after_a_crash() {
  "$moonkeep" set --store economy purse:ann '{"coins":40,"owed":{"00000001":"sword"},"worked":0}'
  start
  say ann hello
  stop
  start
  say ann '!inventory' && answers shop 'ann has sword'
  stop
  has 'the purse' "$(get purse:ann economy)" '"owed":{}'
}

# Wherever the host is killed, coins and potions add up.
purchases_survive_being_killed() {
  local round coins things
  for round in 1 2 3 4 5 6; do
    start
    say ann hello
    for _ in 1 2 3 4; do message "ann$round" '!buy potion'; done >&"$to"
    sleep "0.00$round"
    kill_host
  done
  start
  say ann hello
  stop
  for round in 1 2 3 4 5 6; do
    coins=$(get "purse:ann$round" economy | sed -n 's/.*"coins":\([0-9]*\).*/\1/p')
    things=$("$moonkeep" select 'item:%' --store economy | grep -c "\"ann$round\"")
    is "coins and potions of ann$round" $((${coins:-100} + 15 * things)) 100
  done
}

# ---- poll ----

poll_opens_counts_and_closes() {
  start
  say ann '!results' && answers poll 'there is no poll here'
  say ann '!vote 1' && answers poll 'there is no poll here'
  say ann '!close' && answers poll 'there is no poll here'
  say ann '!poll' && answers poll 'like this: !poll Tea or coffee? | Tea | Coffee (2 to 9 options)'
  say ann '!poll Tea? | Tea | ' && has answer "$out" 'like this:'
  say ann '!poll Q|1|2|3|4|5|6|7|8|9|10' && has answer "$out" 'like this:'
  say ann '!poll Tea or coffee? | Tea |Coffee'
  answers poll 'Tea or coffee?\n1. Tea: 0 votes\n2. Coffee: 0 votes\nVote with !vote and a number.'
  say bob '!poll a | b | c' && answers poll 'there is a poll already: Tea or coffee? (!close ends it)'
  for text in '' ' 0' ' 3' ' 1.5' ' x' ' -1' ' 99999999999999999999'; do
    say bob "!vote$text" && answers poll 'vote with a number from 1 to 2'
  done
  say bob '!vote 1' && answers poll 'bob votes for Tea'
  say bob '!vote 2' && answers poll 'bob votes for Coffee'
  say bob '!results' elsewhere && has answer "$out" '"channel":"elsewhere","text":"there is no poll here"'
  stop
  start
  say bob '!results' && answers poll 'Tea or coffee?\n1. Tea: 0 votes\n2. Coffee: 1 vote'
  say bob '!close' && answers poll 'only ann can close this poll'
  say ann '!close' && answers poll 'The poll is closed. Tea or coffee?\n1. Tea: 0 votes\n2. Coffee: 1 vote'
  say ann '!vote 1' && answers poll 'there is no poll here'
  stop
}

two_hundred_votes_at_once_are_all_counted() {
  local n
  start
  say ann '!poll Tea or coffee? | Tea | Coffee'
  for n in $(seq 200); do message "m$n" "!vote $((n % 4 == 0 ? 1 : 2))"; done >messages.txt
  say_all
  say ann '!results' && answers poll 'Tea or coffee?\n1. Tea: 50 votes\n2. Coffee: 150 votes'
  for n in $(seq 200); do message "m$n" '!vote 1'; done >messages.txt
  say_all
  say ann '!results' && answers poll 'Tea or coffee?\n1. Tea: 200 votes\n2. Coffee: 0 votes'
  for _ in $(seq 20); do message ann '!close'; done >messages.txt
  say_all
  is 'the number of closings' "$(count_of 'The poll is closed.')" 1
  stop
}

# ---- all of them ----

each_command_is_answered_by_one_bot() {
  local command
  start
  say ann hello
  for command in rank leaderboard remind reminders shop buy inventory give coins work poll vote results close stats help; do
    say ann "!$command"
    is "the number of answers to !$command" "$(count_of '"script":')" 1
  done
  say ann '!nothing'
  is 'the number of answers to !nothing' "$(count_of '"script":')" 0
  stop
}

messages_that_lack_something_do_no_harm() {
  start
  {
    echo '{"event":"message","id":1}'
    echo '{"event":"message","id":2,"channel":"general","text":"!rank"}'
    echo '{"event":"message","id":3,"channel":"general","userId":"ann","text":7}'
    echo '{"event":"message","id":4,"channel":7,"userId":7,"text":"!poll a|b|c"}'
    echo '{"event":"message","id":5,"channel":7,"userId":7,"text":"!vote 1"}'
    echo '{"event":"message","id":6,"channel":"general","userId":"ann","text":"!"}'
    echo '{"event":"message","id":8,"channel":"general","userId":null,"text":"!coins"}'
    echo '{"event":"message","id":9,"channel":"general","userId":["ann"],"text":"hello"}'
    echo '{"event":"joined","id":7,"userId":"ann"}'
  } >messages.txt
  say_all
  stop
  is 'the errors in the log' "$(grep -c ' error ' log)" 0
}

blanks_take_no_time() {
  start
  { printf '{"event":"message","id":1,"channel":"general","userId":"ann","text":"!buy%500000sx"}\n' ''; } >messages.txt
  say_all
  stop
}

# ---- the demo ----

demo_runs_twice_from_a_path_with_a_space() {
  local first second
  mkdir -p 'a place/build' 'a place/tests'
  cp -r "$root/scripts" 'a place/'
  cp -r "$root/tests/demo.sh" "$root/tests/bots" 'a place/tests/'
  ln -s "$moonkeep" 'a place/build/moonkeep'
  cd 'a place' || return
  first=$(sh tests/demo.sh build/moonkeep </dev/null 2>&1) || fail "the first run failed: $first"
  second=$(sh tests/demo.sh build/moonkeep </dev/null 2>&1) || fail "the second run failed: $second"
  has 'the first run' "$first" 'leveling: ann: level 1 with 50 XP, place 1'
  has 'the first run' "$first" 'bob, you wanted to be reminded: look at the moon (that was due '
  has 'the second run' "$second" 'leveling: ann: level 2 with 100 XP, place 1'
  has 'the second run' "$second" 'shop: bob has potion, potion'
}

demo_hands_the_prompt_over_on_a_terminal() {
  command -v script >/dev/null || return 0
  mkdir -p build
  ln -s "$moonkeep" build/moonkeep
  ln -s "$root/scripts" scripts
  mkdir tests
  ln -s "$root/tests/bots" tests/bots
  cp "$root/tests/demo.sh" tests/
  mkfifo keys
  TERM=dumb timeout 20 script -qfec 'sh tests/demo.sh build/moonkeep' screen.txt <keys >/dev/null 2>&1 &
  local terminal=$! keys
  exec {keys}>keys
  wait_for screen.txt 'the bots of scripts are listening'
  printf 'cat: hello there\n' >&"$keys"
  wait_for screen.txt 'Welcome, cat!'
  exec {keys}>&-
  wait "$terminal"
}

# ---- the documents ----

# The fenced blocks of a language in a document, as PREFIX-1, PREFIX-2 …
blocks() { # DOCUMENT LANGUAGE PREFIX
  awk -v lang="$2" -v prefix="$3" '
    $0 == "```" lang { file = prefix "-" ++n; printf "" > file; next }
    $0 == "```" { file = ""; next }
    file { print > file }' "$1"
}

# Each Lua block of the reference is a script of its own. It is loaded, started, sent some messages and stopped, all
# without an error, and where it has comments `--> text`, it prints just these.
examples_of_the_reference_run() {
  local block name printed wanted n=0
  mkdir -p scripts/lib
  cp "$root/scripts/lib/text.lua" scripts/lib/
  for text in hello '!pay bob 5' '!top' hello; do message ann "$text"; message bob "$text"; done >messages.txt
  blocks "$root/scripts/README.md" lua block
  for block in block-*; do
    n=$((n + 1))
    name=example$n
    rm -rf data scripts/example*
    cp "$block" "scripts/$name.lua"
    timeout 10 "$moonkeep" run --grace 1 scripts <messages.txt >out.txt 2>err.txt
    is "the status of $name" $? 0
    grep -q '"ok":false' out.txt && fail "$block: $(cat err.txt)"
    grep -q ' error ' err.txt && fail "$block: $(cat err.txt)"
    wanted=$(sed -n 's/.*--> //p' "$block")
    printed=$(sed -n "s/^[^ ]* info $name: //p" err.txt)
    [ -z "$wanted" ] || is "what $block prints" "$printed" "$wanted"
  done
  [ $n -gt 10 ] || fail "only $n examples were found"
}

# What a command prints, but for the moments in the names of backups.
timeless() {
  sed -E 's/[0-9]{8}T[0-9]{6}\.[0-9]{3}Z/TIME/g' <<<"$1"
}

# README.md from top to bottom, as a reader would follow it: its bots are written to the files that their first lines
# name, its commands are run, and what they say is what stands there.
the_readme_is_real() {
  local line block='' file='' expected='' got='' n=0
  mkdir build
  ln -s "$moonkeep" build/moonkeep
  while IFS= read -r line; do
    case $block$line in
    '```lua' | '```console') block=${line#???} ;;
    'lua-- '*) file=${line#-- } && file=${file%%:*} && mkdir -p "$(dirname "$file")" && echo "$line" >"$file" ;;
    'lua```' | 'console```')
      is "the output of command $n" "$(timeless "$got")" "$(timeless "$expected")"
      block='' got='' expected=''
      ;;
    lua*) echo "$line" >>"$file" ;;
    'console$ '*)
      is "the output before '$line'" "$(timeless "$got")" "$(timeless "$expected")"
      got=$(bash -c "${line#\$ }" 2>&1)
      expected=''
      n=$((n + 1))
      ;;
    console*) expected+=${expected:+$'\n'}$line ;;
    esac
  done <"$root/README.md"
  [ $n -gt 3 ] || fail "only $n commands were found"
  got=$(printf 'bob: !seen ann\nann: hi\nbob: !seen ann\n' | build/moonkeep chat bots)
  has 'the second bot' "$got" 'seen: I have never seen ann'
  has 'the second bot' "$got" 'seen: ann spoke on '
  is 'the last line of its test' "$(build/moonkeep test bots | tail -n 1)" '1 passed, 0 failed'
}

# What the documents name is there.
files_that_the_documents_name_are_there() {
  local file document
  for document in README.md host/README.md scripts/README.md tests/README.md tests/bench/README.md; do
    # shellcheck disable=SC2013 # the names have no blanks
    for file in $(grep -oE '\]\([^)#:]+' "$root/$document" | cut -c3- | sort -u); do
      [ -e "$root/$(dirname "$document")/$file" ] || fail "$document names $file, which is not there"
    done
  done
}

# ---- run them ----

run() {
  local name=$1 folder
  case $name in *"$only"*) ;; *) return ;; esac
  folder=$(mktemp -d "$work/XXXX")
  cd "$folder" || exit 1
  why='' id=0
  "$name"
  if [ -z "$why" ]; then
    passed=$((passed + 1))
    echo "ok $name"
  else
    failed=$((failed + 1))
    echo "FAILED $name: $why"
  fi
}

# shellcheck disable=SC2013 # the names have no blanks
for test in $(grep -oE '^[a-z_]+\(\) \{$' "$root/tests/bots/bots_test.sh" | cut -d'(' -f1); do
  case $test in
  fail | is | has | start | stop | kill_host | read_until | message | say | say_all | count_of | answers | silent | \
    wait_for | get | blocks | timeless | run) ;;
  *) run "$test" ;;
  esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
