#!/bin/bash
# Makes the picture of `moonkeep status` in README.md: of a real host with four of the example bots, after some
# thousand messages.
#
#   tests/picture.sh [build/moonkeep]
set -eu
moonkeep=$(realpath "${1:-build/moonkeep}")
scripts=$(realpath "$(dirname "$0")/../scripts")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir bots
cp -r "$scripts"/{leveling,reminders,shop,welcome}.lua "$scripts"/lib bots/
mkfifo in
"$moonkeep" run bots <in >out 2>log &
host=$!
exec 7>in
until [ -S data/control.sock ]; do sleep 0.1; done
for i in $(seq 5000); do
  echo '{"event":"message","id":'"$i"',"channel":"general","userName":"Ann","userId":"user'$((i % 700))'","text":"hello"}'
done >&7
until grep -q '"done":5000' out; do sleep 0.1; done
"$moonkeep" backup >/dev/null
"$moonkeep" set note '"a key of another store"' --store notes
"$moonkeep" status | sed "s|$work|/srv/bots|"
exec 7>&-
wait "$host"
