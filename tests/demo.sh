#!/bin/sh
# What `make run` shows once the program is built: a recorded conversation with the bots in scripts/, then, on a
# terminal, the prompt.
#
#   tests/demo.sh BINARY
set -eu

binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/.."

say() { printf '%s\n' "-- $*"; }

# At its end the host waits half a second for timers: too short for the reminder.
play() { "$binary" chat --echo --grace 0.5 --data data scripts <"$1"; }

if [ -e data/appdata.db ]; then
  say "A recorded conversation with the bots in scripts/. They have met before: see data/."
else
  say "A recorded conversation with the bots in scripts/. What they remember goes to data/."
fi
play tests/bots/conversation.txt
say "The host has ended, with a reminder still to come. It starts again a second later:"
sleep 1
play tests/bots/afterwards.txt
say "That came from disk. What the bots know of ann ($1 select '%:ann'):"
"$binary" select --data data '%:ann'

if [ -t 0 ] && [ -t 1 ]; then
  say "Now you. Try !help, and save a change in scripts/ while you talk. To come back later: $1 chat"
  exec "$binary" chat --data data scripts
fi
say "To talk with them yourself: $1 chat"
