#!/usr/bin/env bash
# Settings: from the configuration file, the environment and the command line, in that order; and `config`.
#
#   MOONKEEP=build/moonkeep tests/cli/config_test.sh [WORD]
# shellcheck disable=SC2119,SC2154 # start_host takes no arguments of the script's; lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"

the_file_is_read_and_overruled_by_environment_and_options() {
  echo 'data = "from file"; store = "economy"' >moonkeep.conf
  mk set a 1
  is 'set' "$status:$err" '0:'
  [ -d 'from file' ] || fail 'the data is elsewhere'
  mk get a --store economy --data 'from file' --config /dev/null
  has '/dev/null is no file' "$err" '/dev/null is not a regular file'
  : >empty.conf
  mk get a --store economy --data 'from file' --config empty.conf
  is 'where it is' "$status:$out" '0:1'
  MOONKEEP_DATA='from environment' mk set a 2
  mk get a --data 'from environment'
  is 'environment' "$out" 2
  MOONKEEP_DATA='from environment' mk set a 3 --data 'from option'
  mk get a --data 'from option'
  is 'option' "$out" 3
  printf 'return { store = "other", data = "from " .. 2 * 2, ["log-level"] = "warn", json = true }' >other.conf
  MOONKEEP_CONFIG=other.conf mk set b 4
  mk get b --store other --data 'from 4' --config=empty.conf
  is 'named by the environment' "$out" 4
  mk run nix --config other.conf
  is 'a host too' "$status" 1
}

config_says_what_is_in_force_and_where_from() {
  printf 'data = "d"\ncache = 64 * 1024\njson = false\n' >moonkeep.conf
  MOONKEEP_LOG_LEVEL=warn mk config --store economy
  is 'status' "$status:$err" '0:'
  has 'file' "$(grep '^data' out.txt)" 'data = "d"'
  has 'file' "$(grep '^data' out.txt)" '-- moonkeep.conf'
  has 'numbers' "$(grep '^cache' out.txt)" 'cache = "65536"'
  has 'environment' "$(grep '^log_level' out.txt)" '-- MOONKEEP_LOG_LEVEL'
  has 'option' "$(grep '^store' out.txt)" '-- --store'
  has 'default' "$(grep '^grace' out.txt)" '-- default'
  has 'not set' "$(grep 'limit = N' out.txt)" '-- not set'
  cp out.txt printed.conf
  mk config --config printed.conf
  has 'what it prints can be read' "$(grep '^log_level' out.txt)" 'log_level = "warn"'
  mk config --json
  is 'one line' "$(wc -l <out.txt)" 1
  has 'json' "$out" '{"data":{"value":"d","from":"moonkeep.conf"}'
  has 'json' "$out" '"limit":{"value":null,"from":"default"}'
  MOONKEEP_DATA=$'a "b" \\ c\td' mk config
  has 'quoted' "$(grep '^data' out.txt)" 'data = "a \"b\" \\ c\x09d"'
  MOONKEEP_DTA=x mk config
  is 'unknown variable' "$status" 0
  has 'unknown variable' "$err" 'MOONKEEP_DTA in the environment is no setting: did you mean MOONKEEP_DATA?'
  is 'no data was touched' "$(find . -name appdata.db)" ''
}

wrong() { # PART TEXT
  printf '%b' "$2" >moonkeep.conf
  refuses 2 "$1" get a
  refuses 2 "$1" config
}

a_wrong_file_is_refused_with_a_sentence() {
  wrong 'moonkeep.conf: unknown setting "dta": did you mean data?' 'dta = 1'
  wrong 'moonkeep.conf: unknown setting "loglevel": did you mean log_level?' 'loglevel = "warn"'
  wrong 'unknown setting "zzzzzzzz"' 'zzzzzzzz = 1'
  wrong 'unknown setting "config"' 'config = "x"'
  wrong 'cache in moonkeep.conf is "many" and has to be a number of bytes' 'cache = "many"'
  wrong 'log_level in moonkeep.conf is "loud"' 'log_level = "loud"'
  wrong 'grace in moonkeep.conf is "-1"' 'grace = -1'
  wrong 'data in moonkeep.conf is empty' 'data = ""'
  wrong 'data is a table' 'data = {}'
  wrong 'a setting has a name' 'return { "data" }'
  wrong 'it returns a number, not a table' 'return 5'
  wrong 'there is nothing called "nowhere"' 'data = nowhere'
  wrong 'moonkeep.conf:2:' 'data = "x"\ndata = ='
  wrong 'moonkeep.conf:1: there is nothing called "os" here' 'data = os.getenv("HOME")'
  wrong 'moonkeep.conf:1: attempt to' 'data = ("x"):rep(5)'
  wrong 'it computes for too long' 'while true do end'
  wrong 'not enough memory' 'local s = "x" while true do s = s .. s end'
  wrong 'attempt to load a binary chunk' '\033Lua'
  mk help
  is 'help goes on' "$status" 0
  rm moonkeep.conf
  refuses 2 'cannot open nix.conf' get a --config nix.conf
  refuses 2 '--config is empty' get a --config=
}

tests='
  the_file_is_read_and_overruled_by_environment_and_options
  config_says_what_is_in_force_and_where_from
  a_wrong_file_is_refused_with_a_sentence
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
