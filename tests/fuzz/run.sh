#!/bin/bash
# Builds every fuzz target with clang's libFuzzer and runs each for FUZZ_SECONDS. What a run finds is kept in
# $BUILD/fuzz/; its corpus too, so that a longer run goes on from it. With COVERAGE=1 it ends by saying which part of
# the lines each target's corpus comes through. $1: only targets whose name contains this.
set -u
BUILD=${BUILD:-build}
seconds=${FUZZ_SECONDS:-20}
passed=0 failed=0
coverage=()
[ -n "${COVERAGE:-}" ] && coverage=(-fprofile-instr-generate -fcoverage-mapping)
mkdir -p "$BUILD/fuzz"

# Runs the corpus once more and prints its share of the lines of each file that it has come to.
show_coverage() { # name
  local at=$BUILD/fuzz/$1
  LLVM_PROFILE_FILE=$at.profraw "$at" -runs=0 "$at.corpus" >/dev/null 2>&1
  llvm-profdata merge -o "$at.profdata" "$at.profraw"
  llvm-cov report "$at" -instr-profile="$at.profdata" host/base host/store host/script/value*.c |
    awk '/\.c / && $10 != "0.00%" { printf "    %-24s %s of %d lines\n", $1, $10, $8 }' | sort
}

for source in tests/fuzz/*_fuzz.c; do
  name=$(basename "${source%.c}")
  case $name in *"${1:-}"*) ;; *) continue ;; esac
  corpus=$BUILD/fuzz/$name.corpus
  mkdir -p "$corpus"
  dictionary=tests/fuzz/${name%_fuzz}.dict
  [ "$name" = rows_fuzz ] && dictionary=tests/fuzz/json.dict
  options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$BUILD/fuzz/$name-" -print_final_stats=1)
  [ -e "$dictionary" ] && options+=(-dict="$dictionary")
  # shellcheck disable=SC2046 # pkg-config's words are meant to be split
  if clang -std=c11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all "${coverage[@]}" \
    -Iinclude -Ihost -Itests $(pkg-config --cflags lua5.4-cjson lua5.4 libuv sqlite3) -o "$BUILD/fuzz/$name" "$source" \
    $(find host/base host/store -name '*.c') host/script/value*.c tests/fuzz/alone.c host/cli/rows.c host/link/fields.c \
    host/link/seconds.c $(pkg-config --libs lua5.4-cjson lua5.4 libuv sqlite3) -lpthread -lm &&
    LLVM_PROFILE_FILE=/dev/null "$BUILD/fuzz/$name" "${options[@]}" "$corpus" >"$BUILD/fuzz/$name.log" 2>&1; then
    echo "ok $name ($(grep -o 'number_of_executed_units: [0-9]*' "$BUILD/fuzz/$name.log" | grep -o '[0-9]*$') inputs)"
    [ -n "${COVERAGE:-}" ] && show_coverage "$name"
    passed=$((passed + 1))
  else
    echo "FAILED $name"
    tail -n 40 "$BUILD/fuzz/$name.log"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
