#!/bin/bash
# What can be said about the sources without running them. Each check is a test: it prints `ok name` or what is
# wrong, and the last line is `N passed, N failed`.
set -u
BUILD=${BUILD:-build}
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

check() { # name, command…
  local name=$1
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok $name"
    passed=$((passed + 1))
  else
    echo "FAILED $name"
    head -n 60 "$log"
    failed=$((failed + 1))
  fi
}

mapfile -t c_files < <(git ls-files 'host/*.c' 'tests/*.c')
mapfile -t all_files < <(git ls-files '*.c' '*.h')
mapfile -t lua_files < <(git ls-files '*.lua')
mapfile -t shell_files < <(git ls-files '*.sh' .ci/run)
flags="-std=c11 -D_GNU_SOURCE -Iinclude -Ihost -Itests $(pkg-config --cflags lua5.4-cjson lua5.4 libuv sqlite3) \
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
  -Wvla -Wundef -Werror"

formatted() { clang-format --dry-run -Werror "${all_files[@]}"; }

compiles() { # compiler; two at a time; gcc finds more with its optimiser on
  # shellcheck disable=SC2086 # the flags are meant to be split
  printf '%s\0' "${c_files[@]}" | xargs -0 -P 2 -n 1 "$1" $flags $2
}

# A header stands on its own: it needs nothing that another file happens to include before it.
headers_stand_alone() {
  local header bad=0
  for header in $(git ls-files 'host/*.h' 'include/*.h' 'tests/*.h'); do
    # shellcheck disable=SC2086
    gcc $flags -Wno-unused-macros -fsyntax-only -x c -include "$header" /dev/null || bad=1
  done
  return $bad
}

public_header_is_cplusplus_too() {
  ! command -v g++ >/dev/null || g++ -Wall -Wextra -Werror -fsyntax-only -x c++ include/moonkeep.h
}

analysed() {
  cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
    --suppress=missingIncludeSystem -D_GNU_SOURCE -Iinclude -Ihost -j 2 host
}

lua_checked() { luacheck --quiet "${lua_files[@]}"; }
shell_checked() { shellcheck "${shell_files[@]}"; }

# Knowledge points downward: base, store, script, host, link, api and cli. `allowed` says for each folder what its files may
# include of the host.
layers_hold() {
  local bad=0
  layer() { # folder, allowed include prefixes as a pattern
    local found
    found=$(grep -nE '^#include "' "$1"/*.[ch] | grep -vE "#include \"($2)" || true)
    [ -z "$found" ] || { echo "$1 reaches too far:"; echo "$found"; bad=1; }
  }
  layer host/base 'base/|moonkeep\.h'
  layer host 'host(_inner)?\.h|cli/cli\.h|link/stdfd\.h|script/|store/store\.h|base/|moonkeep\.h'
  layer host/store 'store/|base/|moonkeep\.h'
  layer host/script 'script/|store/store\.h|base/|moonkeep\.h'
  layer host/api 'api/|link/(control|http|logbook)\.h|host\.h|script/(guest|provided|scripts|tx|which_lua)\.h|store/(store|stats|inspect|recall)\.h|base/|moonkeep\.h'
  layer host/link 'link/|host\.h|script/(scripts|snippet|prompt)\.h|store/(store|stats)\.h|base/|moonkeep\.h'
  layer host/cli 'cli/|link/|host\.h|script/(scripts|conf|trial)\.h|store/(store|stats|moment|bulk|foreign|recall|inspect|salvage)\.h|base/|moonkeep\.h'
  layer tests/arena '(pace|rules|wire|world)\.h'
  only() { # what, where it may be: grep patterns
    local found
    found=$(grep -rnE "#include <($1)" host | grep -vE "^host/($2)" || true)
    [ -z "$found" ] || { echo "only $2 may include $1:"; echo "$found"; bad=1; }
  }
  only 'sqlite3\.h' 'store/'
  only 'lua|lauxlib|lualib' 'script/'
  only 'uv\.h' 'api/|link/|cli/|host_(turn\.c|inner\.h)|script/'
  return $bad
}

# The project speaks of itself alone.
speaks_of_itself() {
  ! git grep -nIE '/work/|issue #[0-9]|helper-[0-9]' -- . ':!tests/lint.sh'
}

check formatted formatted
check compiles_with_gcc_without_a_warning compiles gcc "-O2 -c -o /dev/null"
check compiles_with_clang_without_a_warning compiles clang "-fsyntax-only"
check headers_stand_alone headers_stand_alone
check public_header_is_cplusplus_too public_header_is_cplusplus_too
check analysed analysed
check lua_checked lua_checked
check shell_checked shell_checked
check layers_hold layers_hold
check speaks_of_itself speaks_of_itself
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
