#!/usr/bin/env bash
# chat and the store commands on a real terminal, driven as a person would: keys in, the screen out.
#
#   MOONKEEP=build/moonkeep tests/cli/terminal_test.sh
set -u

moonkeep=$(realpath "${MOONKEEP:-build/moonkeep}")
command -v tmux >/dev/null || {
  echo 'skipped: tmux is missing'
  exit 0
}
work=$(mktemp -d)
terminals=0
tmux=(tmux -S "$work/tmux.$terminals" -f /dev/null)
trap '"${tmux[@]}" kill-server 2>/dev/null; rm -rf "$work"' EXIT
for name in $(compgen -e MOONKEEP_) MOONKEEP NO_COLOR; do unset "$name"; done
cd "$work" || exit 1
passed=0 failed=0
why=''

screen() {
  "${tmux[@]}" capture-pane -p "$@" 2>/dev/null
}

type_line() {
  "${tmux[@]}" send-keys -l "$1"
  "${tmux[@]}" send-keys Enter
}

sees() { # PART: until the screen shows it
  local _
  for _ in $(seq 200); do
    case $(screen) in *"$1"*) return 0 ;; esac
    sleep 0.05
  done
  why="the screen lacks '$1': $(screen | grep -v '^$')"
  return 1
}

lacks() {
  case $(screen) in
  *"$1"*)
    why="the screen shows '$1': $(screen | grep -v '^$')"
    return 1
    ;;
  esac
}

# A fresh terminal, with a server of its own (the last one may still be ending) and a shell whose prompt is `ready$`.
open_terminal() {
  "${tmux[@]}" kill-server 2>/dev/null
  terminals=$((terminals + 1))
  tmux=(tmux -S "$work/tmux.$terminals" -f /dev/null)
  "${tmux[@]}" new-session -d -x 80 -y 24 "cd '$work' && PS1='ready$ ' bash --norc --noprofile -i"
  back_in_the_shell
}

back_in_the_shell() {
  local _
  for _ in $(seq 400); do
    [ "$(screen | grep -v '^$' | tail -n 1)" = 'ready$' ] && return 0
    sleep 0.05
  done
  why="the shell has not come back: $(screen | grep -v '^$')"
  return 1
}

leave() { # KEY: that ends chat
  "${tmux[@]}" send-keys "$1"
  back_in_the_shell
}

say() {
  type_line "'$moonkeep' $1"
}

mkdir bots
cat >bots/echo.lua <<'LUA'
bot.on("message", function(event)
  if event.text == "boom" then error("it went wrong") end
  if event.text == "paint" then event:reply("red \27[31m \27]0;title\7 end") return end
  if event.text == "later" then
    bot.after(0.3, function() event:reply("here it is\nin two lines") end)
    return
  end
  event:reply("hello " .. tostring(event.userId))
end)
LUA

chat_greets_talks_and_leaves() {
  open_terminal && say 'chat bots' && sees 'Ctrl-D leaves' && sees 'you>' || return 1
  type_line 'hi' && sees 'echo: hello you' || return 1
  type_line 'alice: hi' && sees 'echo: hello alice' || return 1
  leave C-d && type_line 'echo status $?' && sees 'status 0'
}

chat_keeps_its_prompt_below_what_comes_later() {
  open_terminal && say 'chat bots' && sees 'you>' || return 1
  type_line 'later' && sees 'echo: here it is' && sees '      in two lines' || return 1
  case $(screen | grep -v '^$' | tail -n 1) in
  'you>'*) ;;
  *)
    why="the prompt is not the last line: $(screen | grep -v '^$')"
    return 1
    ;;
  esac
  type_line 'boom' && sees '(echo failed)' && sees 'it went wrong' || return 1
  leave C-c && type_line 'echo status $?' && sees 'status 0'
}

chat_tells_what_was_reloaded() {
  mkdir -p saved && echo 'bot.on("message", function(e) e:reply("one " .. e.text) end)' >saved/it.lua
  open_terminal && say 'chat saved' && sees 'you>' && type_line 'hi' && sees 'it: one hi' || return 1
  sed -i 's/one/two/' saved/it.lua
  sees '(it reloaded)' && type_line 'hi' && sees 'it: two hi' || return 1
  echo 'x = = 1' >saved/it.lua
  sees 'the old version is still running' && type_line 'ho' && sees 'it: two ho'
}

ended() { # FILE PROCESS
  local _
  for _ in $(seq 200); do
    kill -0 "$2" 2>/dev/null || break
    sleep 0.05
  done
  case $(cat "$1") in *stopped) ;; *) why="$1 ends with: $(tail -n 1 "$1")" ;; esac
}

# Its terminal goes, and what it reads does not: it is not reloaded, but ends, in order.
a_terminal_that_goes_ends_the_host() {
  rm -f in.fifo && mkfifo in.fifo && open_terminal || return 1
  type_line "'$moonkeep' run bots <in.fifo 2>run.err & echo \$! >run.pid"
  exec 7>in.fifo
  local _
  for _ in $(seq 200); do
    [ -S data/control.sock ] && break
    sleep 0.05
  done
  "${tmux[@]}" kill-server
  ended run.err "$(cat run.pid)"
  exec 7>&-
}

chat_shows_control_characters_instead_of_obeying_them() {
  open_terminal && say 'chat bots' && sees 'you>' || return 1
  type_line 'paint' && sees 'red \x1b[31m \x1b]0;title\x07 end'
}

chat_colours_names_and_no_color_turns_that_off() {
  open_terminal && say 'chat bots' && sees 'you>' || return 1
  type_line 'hi' && sees 'hello you' || return 1
  case $(screen -e) in *$'\033[36mecho'*) ;; *) why='no colour' && return 1 ;; esac
  leave C-d && type_line 'clear; export NO_COLOR=1' && back_in_the_shell || return 1
  say 'chat bots' && sees 'you>' && type_line 'hi' && sees 'hello you' || return 1
  case $(screen -e) in *$'\033[36mecho'*) why='colour in spite of NO_COLOR' && return 1 ;; esac
}

the_terminal_is_as_it_was_afterwards() {
  open_terminal && type_line 'stty -g >before' && say 'chat bots' && sees 'you>' || return 1
  leave C-d && type_line 'stty -g >after; echo do''ne' && sees 'done' || return 1
  cmp -s before after || { why='stty has other settings' && return 1; }
  type_line 'cat' && type_line 'still reads' && "${tmux[@]}" send-keys C-d && lacks 'temporarily unavailable'
}

values_and_tables_are_laid_out() {
  open_terminal && say "set alice '{\"xp\":50,\"items\":[]}'" && say 'set bob 1 --ttl 1000' || return 1
  say 'get alice' && sees '  "xp": 50,' && sees '  "items": []' || return 1
  say 'select' && sees 'KEY    EXPIRES              VALUE' && sees 'alice                       {"xp":50,"items":[]}' || return 1
  type_line 'clear' && say 'get alice --json' && sees '{"xp":50,"items":[]}'
}

delete_like_asks_first() {
  open_terminal && say 'set a1 1' && say 'set a2 2' && say "deleteLike 'a_'" || return 1
  sees '2 keys of appData match a_:' && sees '  a1' && sees 'Delete them? [y/N]' && type_line 'n' && sees 'nothing was deleted' || return 1
  type_line 'clear' && say 'set b1 1' && say "deleteLike 'b%'" && sees 'Delete it? [y/N]' && type_line '' || return 1
  sees 'nothing was deleted' && type_line 'clear' && say "deleteLike 'a_'" && sees '[y/N]' && type_line 'y' || return 1
  sees "$(printf '\n2\n')" && say 'count' && sees '$'
}

# A host beside the terminal; what is written to descriptor 7 is its input.
beside_a_host() { # BODY
  local host _ result
  rm -f in.fifo && mkfifo in.fifo && open_terminal || return 1
  "$moonkeep" run bots <in.fifo >/dev/null 2>run.err &
  host=$!
  exec 7>in.fifo
  for _ in $(seq 200); do
    [ -S data/control.sock ] && break
    sleep 0.05
  done
  "$1"
  result=$?
  exec 7>&-
  wait "$host"
  return "$result"
}

use_the_console() {
  say 'console' && sees 'Ctrl-D leaves' || return 1
  type_line '1 + 41' && sees "$(printf '\n42\n')" || return 1
  type_line 'appData:set("ann", {xp = 50})' && type_line 'appData:get("ann")' && sees '{xp = 50}' || return 1
  "${tmux[@]}" send-keys -l 'appData:cou' && "${tmux[@]}" send-keys Tab && sees 'appData:count' || return 1
  type_line '("%")' && sees "$(printf '\n1\n')" || return 1
  "${tmux[@]}" send-keys -l '100 + 11x' && "${tmux[@]}" send-keys BSpace && type_line '' && sees '111' || return 1
  type_line 'for i = 7, 8 do' && sees '>>' && type_line 'print("i is", i) end' && sees 'i is    8' || return 1
  leave C-d && type_line 'clear' && say 'console' && sees 'Ctrl-D leaves' || return 1
  "${tmux[@]}" send-keys Up Up Up && sees '> 100 + 11' && type_line '5' && sees '215' || return 1
  leave C-d
}

console_edits_remembers_and_completes() {
  export HOME=$work
  rm -f .moonkeep_history
  beside_a_host use_the_console
}

watch_the_status() {
  say 'status --watch' && sees '0 done, 0 failed' && sees 'Ctrl-C ends' || return 1
  echo '{"event":"message","channel":"c","userId":"ann","text":"hi"}' >&7
  sees '1 done, 0 failed' && lacks '0 done, 0 failed' && leave C-c
}

status_is_drawn_again_and_again() {
  beside_a_host watch_the_status
}

# A host that does not go on makes a backup last.
back_up_beside_a_host_that_stands_still() {
  local children seen
  children=$(cat "/proc/$host/task/$host/children")
  # shellcheck disable=SC2086 # one or more
  kill -STOP $children
  say 'backup' && sees 'backing up, '
  seen=$?
  # shellcheck disable=SC2086
  kill -CONT $children
  [ "$seen" = 0 ] && sees 'appdata-' && back_in_the_shell && lacks 'backing up'
}

a_backup_shows_how_long_it_takes() {
  beside_a_host back_up_beside_a_host_that_stands_still
}

for name in chat_greets_talks_and_leaves chat_keeps_its_prompt_below_what_comes_later \
  chat_shows_control_characters_instead_of_obeying_them chat_colours_names_and_no_color_turns_that_off \
  chat_tells_what_was_reloaded a_terminal_that_goes_ends_the_host \
  console_edits_remembers_and_completes status_is_drawn_again_and_again a_backup_shows_how_long_it_takes \
  the_terminal_is_as_it_was_afterwards values_and_tables_are_laid_out delete_like_asks_first; do
  why='' && rm -rf data
  if "$name" && [ -z "$why" ]; then
    echo "ok $name"
    passed=$((passed + 1))
  else
    echo "FAILED $name: $why"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
