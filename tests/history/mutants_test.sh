#!/usr/bin/env bash
# The history test has to find faults: each patch in mutants/ plants one in the store, and the test, linked with that,
# must say that a history does not hold. A patch that no longer applies fails too. ROUNDS says how many
# histories may be needed for it (150).
set -u
build=${BUILD:-build}
rounds=${ROUNDS:-150}
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for patch in tests/history/mutants/*.patch; do
  name=$(basename "$patch" .patch)
  if ! make --no-print-directory --silent "$build/mutants/$name" >"$log" 2>&1; then
    echo "FAILED the test finds $name: it cannot be planted"
    cat "$log"
    failed=$((failed + 1))
  elif HISTORY=$build/mutants/$name.history ROUNDS=$rounds timeout 300 "$build/mutants/$name" >"$log" 2>&1 || ! grep -q 'the history does not hold' "$log"; then
    echo "FAILED the test finds $name"
    tail -n 5 "$log"
    failed=$((failed + 1))
  else
    echo "ok the test finds $name"
    [ -z "${VERBOSE:-}" ] || grep -A 12 'the history does not hold' "$log"
    passed=$((passed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
