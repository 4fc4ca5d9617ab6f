#!/bin/sh
# Runs every test program and script and adds up what they counted. The last line is `N passed, N failed`.
#
# $BUILD: the build folder (build). $1: only tests whose path contains this.
set -u
BUILD=${BUILD:-build}
only=${1:-}
MOONKEEP=$(cd "$BUILD" && pwd)/moonkeep
export BUILD MOONKEEP

passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() { # name, command…
  name=$1
  shift
  case $name in *"$only"*) ;; *) return ;; esac
  if [ -n "${VERBOSE:-}" ]; then echo "== $name"; fi
  "$@" </dev/null >"$log" 2>&1
  status=$?
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
  p=$(echo "$counts" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
  f=$(echo "$counts" | sed -n 's/.* \([0-9]*\) failed.*/\1/p')
  # A program that ended without its counts has crashed, and one that failed none must not end badly.
  if [ -z "$counts" ] || { [ $status -ne 0 ] && [ "$f" = 0 ]; }; then f=$((${f:-0} + 1)); fi
  passed=$((passed + ${p:-0})) failed=$((failed + f))
  printf '%-40s %s\n' "$name" "${counts:-ended with status $status}"
  if [ "$f" -ne 0 ] || [ -n "${VERBOSE:-}" ]; then grep -v '^ok ' "$log"; fi
}

for source in tests/*/*_test.c; do
  [ -e "$source" ] || continue
  program=$BUILD/${source%.c}
  [ -x "$program" ] && run "${source%.c}" "$program"
done
if [ -z "${ONLY_PROGRAMS:-}" ]; then
  for script in tests/*/*_test.sh; do
    [ -e "$script" ] && run "$script" bash "$script"
  done
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
