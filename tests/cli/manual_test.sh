#!/usr/bin/env bash
# The manual's pages: whole, and without a fault that roff would warn of.
#
#   MOONKEEP=build/moonkeep tests/cli/manual_test.sh [WORD]
# shellcheck disable=SC2154 # lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")

formatted() { # PAGE: as plain text in page.txt
  mk manual "$1"
  is "status of $1" "$status:$err" '0:'
  groff -man -ww -Tutf8 -P-cbou -rLL=200n out.txt 2>groff.err >page.txt
  is "warnings of $1" "$(cat groff.err)" ''
}

the_pages_are_whole() {
  local word
  mk help
  grep -oE '^  moonkeep [a-zA-Z-]+' out.txt | sed 's/.* //' | grep -v '^COMMAND$' | sort -u >commands
  grep -oE '^  --[a-z-]+' out.txt | tr -d ' ' | sort -u >options
  formatted moonkeep.1
  while read -r word; do grep -qE "^ +moonkeep $word( |\$)" page.txt || fail "no $word in moonkeep.1"; done <commands
  while read -r word; do grep -qE "^ +$word( |\$)" page.txt || fail "no $word in moonkeep.1"; done <options
  for part in NAME SYNOPSIS 'EXIT STATUS' ENVIRONMENT FILES EXAMPLES 'SEE ALSO'; do
    grep -q "^$part" page.txt || fail "no $part in moonkeep.1"
  done
  has 'text that is roff elsewhere' "$(cat page.txt)" "printf 'alice: hello\\nbob: hi\\n' | moonkeep chat --echo"
  has 'other letters' "$(cat page.txt)" '{"error":…,"line":N}'
  formatted moonkeep.conf.5
  grep -qE '^ +log_level = LEVEL' page.txt || fail 'no log_level in moonkeep.conf.5'
  has 'example' "$(cat page.txt)" 'cache = 256 * 1024 * 1024'
  mk manual
  is 'the first' "$(head -c 15 out.txt)" '.TH MOONKEEP 1 '
  refuses 2 'there is no page "x"' manual x
}

it_is_installed_with_the_program() {
  local root share
  root=$(dirname "$(dirname "$here")")
  share=$PWD/there/usr/share
  env -u MAKEFLAGS make -s -C "$root" BUILD="${BUILD:-build}" DESTDIR="$PWD/there" PREFIX=/usr \
    -o "$moonkeep" install-program >make.out 2>&1 || fail "make install-program: $(cat make.out)"
  is 'program' "$(there/usr/bin/moonkeep --version)" "$("$moonkeep" --version)"
  for file in man/man1/moonkeep.1 man/man5/moonkeep.conf.5 bash-completion/completions/moonkeep \
    zsh/site-functions/_moonkeep fish/vendor_completions.d/moonkeep.fish; do
    [ -s "$share/$file" ] || fail "$file is missing"
  done
  has 'the unit' "$(cat there/usr/lib/systemd/system/moonkeep.service)" 'ExecStart=/usr/bin/moonkeep run --serve'
}

tests='
  the_pages_are_whole
  it_is_installed_with_the_program
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
