#!/usr/bin/env bash
# Completion, in the shells themselves.
#
#   MOONKEEP=build/moonkeep tests/cli/completion_test.sh [WORD]
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

# What bash offers for a command line, whose last word is to be completed.
in_bash() { # WORDS…
  "$moonkeep" completion bash >moonkeep.bash
  # shellcheck disable=SC2016 # bash is to expand it
  bash --norc -c 'source ./moonkeep.bash; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    compopt() { :; }; _moonkeep; printf "%s\n" "${COMPREPLY[@]}"' bash moonkeep "$@" | sort | paste -sd ' '
}

bash_completes() {
  is 'commands' "$(in_bash ge)" 'get'
  is 'two commands' "$(in_bash ex)" 'export'
  has 'all commands' "$(in_bash '')" 'deleteLike'
  is 'after an option' "$(in_bash --data x del)" 'delete deleteLike'
  is 'options' "$(in_bash set a --tt)" '--ttl'
  is 'options of the command only' "$(in_bash get --tt)" ''
  is 'levels' "$(in_bash run --log-level '')" 'debug error info warn'
  is 'shells' "$(in_bash completion z)" 'zsh'
  is 'help' "$(in_bash help deleteL)" 'deleteLike'
  mkdir bots data2 && touch file
  is 'folders' "$(in_bash run '')" 'bots data2'
  is 'folders of an option' "$(in_bash get --data d)" 'data2'
  has 'files' "$(in_bash import f)" 'file'
}

fish_completes() {
  command -v fish >/dev/null || return 0
  "$moonkeep" completion fish >moonkeep.fish
  in_fish() {
    # shellcheck disable=SC2016 # fish is to expand it
    HOME=$PWD fish --no-config -c 'source moonkeep.fish; complete -C $argv[1]' "$1" | cut -f 1 | sort | paste -sd ' '
  }
  is 'commands' "$(in_fish 'moonkeep ge')" 'get'
  is 'options' "$(in_fish 'moonkeep set a --tt')" '--ttl'
  is 'options of the command only' "$(in_fish 'moonkeep get --tt')" ''
  is 'levels' "$(in_fish 'moonkeep run --log-level ')" 'debug error info warn'
  is 'help' "$(in_fish 'moonkeep help deleteL')" 'deleteLike'
  mkdir bots && touch file
  is 'folders' "$(in_fish 'moonkeep run ')" 'bots/'
  is 'files' "$(in_fish 'moonkeep import fi')" 'file'
}

# What the line becomes when Tab is pressed behind it, in an interactive zsh.
cat >"$work/tab.zsh" <<'ZSH'
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell "PS1='' TERM=dumb; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source ./moonkeep.zsh; print re''ady"
integer tries=0
seen=
until [[ $seen == *ready* ]] || (( ++tries > 400 )); do
  if zpty -r -t shell piece; then seen+=$piece; else sleep 0.05; fi
done
zpty -w -n shell $1$'\t'
seen=
tries=0
until [[ $seen == *$2* ]] || (( ++tries > 400 )); do
  if zpty -r -t shell piece; then seen+=$piece; else sleep 0.05; fi
done
print -r -- $seen
ZSH

zsh_completes() {
  command -v zsh >/dev/null || return 0
  "$moonkeep" completion zsh >moonkeep.zsh
  in_zsh() { # LINE, WHAT IT BECOMES
    has "$1" "$(HOME=$PWD zsh -f "$work/tab.zsh" "$1" "$2")" "$2"
  }
  in_zsh 'moonkeep ge' 'moonkeep get'
  in_zsh 'moonkeep set a --tt' '--ttl'
  in_zsh 'moonkeep run --log-level wa' 'warn'
  in_zsh 'moonkeep help exp' 'export'
  mkdir robots
  in_zsh 'moonkeep run rob' 'robots/'
}

other_shells_are_refused() {
  refuses 2 'did you mean bash?' completion bas
  refuses 2 'only for bash, zsh and fish' completion tcsh-or-so
  refuses 2 'usage: moonkeep completion bash|zsh|fish' completion
}

tests='
  bash_completes
  fish_completes
  zsh_completes
  other_shells_are_refused
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
