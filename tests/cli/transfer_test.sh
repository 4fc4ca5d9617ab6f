#!/usr/bin/env bash
# export and import: what goes out comes back exactly, all of it or nothing, with and without a running host.
#
#   MOONKEEP=build/moonkeep tests/cli/transfer_test.sh [WORD]
# shellcheck disable=SC2119,SC2154 # start_host takes no arguments of the script's; lib.sh assigns
set -u

# shellcheck source=lib.sh disable=SC1091
. "$(dirname "$0")/lib.sh"
foreign=$(realpath "$(dirname "$0")/foreign")

# Some rows of several stores, in the order of an export.
write_rows() {
  local deep
  deep=$(printf '[%.0s' $(seq 128))$(printf ']%.0s' $(seq 128))
  cat >rows.ndjson <<ROWS
{"store":"Shop","key":"sword","value":{"price":12.50,"tags":[],"owner":{}}}
{"store":"appData","key":" ","value":"\\u0000\\t \\" \\\\ é € 😀 / \\u007f"}
{"store":"appData","key":"alice","value":{"xp":9007199254740993,"big":-9223372036854775808,"f":1.0,"n":null}}
{"store":"appData","key":"deep","value":$deep}
{"store":"appData","key":"expires","value":[1,2.0,3e+300,0.1,-0.0],"expires_at":4000000000}
{"store":"appData","key":"expires.25","value":true,"expires_at":4000000000.25}
{"store":"appData","key":"ünï %_\\\\ \\"q\\"","value":false}
{"store":"economy","key":"alice","value":5}
ROWS
  # As the host writes them: characters stay, numbers are as short as they can be.
  sed -e 's/\\u007f/\x7f/' -e 's/12\.50/12.5/' rows.ndjson >want.ndjson
}

same() { # WHAT FILE FILE
  cmp -s "$2" "$3" || fail "$1: $(diff "$2" "$3" | head -n 5)"
}

transfer() {
  write_rows
  mk import rows.ndjson
  is 'import' "$status:$out:$err" '0:8:'
  mk export
  is 'export' "$status:$err" '0:'
  same 'export' out.txt want.ndjson
  mk export again.ndjson
  is 'export to a file' "$status:$out:$err" '0::'
  same 'export to a file' again.ndjson want.ndjson
  mk export --store economy -
  is 'one store' "$out" '{"store":"economy","key":"alice","value":5}'
  MOONKEEP_STORE=Shop mk export
  is 'one store, by the environment' "$(grep -c Shop out.txt):$(wc -l <out.txt)" '1:1'
  mk export --store nothing
  is 'no such store' "$status:$out:$err" '0::'
  mk delete alice
  mk set alice 7 --store economy
  mk set other 1
  mk import - <again.ndjson
  is 'import again' "$status:$out" '0:8'
  mk delete other
  mk export
  same 'export of what came back' out.txt want.ndjson
  mk import rows.ndjson --batch 3
  is 'import in batches' "$status:$out" '0:8'
  mk export
  same 'export of what came in batches' out.txt want.ndjson
}

what_goes_out_comes_back_exactly() {
  transfer
  is 'files' "$(echo data/*-wal data/*-shm)" 'data/*-wal data/*-shm'
}

what_goes_out_through_a_host_comes_back_exactly() {
  start_host
  transfer
  stop_host
  mk export
  same 'export after the host' out.txt want.ndjson
}

a_host_crash_loses_nothing_of_an_export() {
  start_host
  mk set kept '"by the host"'
  kill -KILL "$host"
  wait "$host" 2>/dev/null
  exec 7>&-
  mk export
  is 'export' "$status:$out" '0:{"store":"appData","key":"kept","value":"by the host"}'
}

an_export_has_all_that_was_acknowledged_before_it() {
  start_host
  for i in $(seq 30); do
    mk set "key $i" "$i"
    mk export
    is "rows after $i" "$(wc -l <out.txt)" "$i"
  done
  stop_host
}

expired_keys_are_left_out() {
  mk set gone 1 --expires-at 1000000000
  mk set kept 1
  mk export
  is 'export' "$out" '{"store":"appData","key":"kept","value":1}'
  echo '{"key":"kept","value":2,"expires_at":1000000000}' >old.ndjson
  mk import old.ndjson
  is 'import' "$status:$out" '0:0'
  has 'import' "$err" '1 key had expired and was left out'
  mk get kept
  is 'kept' "$out" 1
}

nothing_to_export_is_an_empty_file() {
  mk export --data nix out.ndjson
  is 'export' "$status:$out" '0:'
  has 'note' "$err" 'there is no data folder nix'
  is 'file' "$(stat -c %s out.ndjson)" 0
  [ ! -e nix ] || fail 'the folder was made'
  mk import --data new /dev/null
  is 'import of nothing' "$status:$out" '0:0'
}

# A text that is wrong in one place changes nothing, and the place is named.
wrong() { # PART TEXT
  printf '%b' "$2" >wrong.txt
  mk import wrong.txt
  is "status of $2" "$status:$out" '1:'
  has "message of $2" "$err" "$1"
  has "message of $2" "$err" 'nothing was imported'
  mk count
  is "keys after $2" "$out" 1
}

bad_lines_are_named_and_nothing_is_imported() {
  local good='{"key":"a","value":1}\n'
  mk set before 1
  wrong 'line 2 of wrong.txt: not JSON' "$good{\"key\":\"b\",\"value\":}\n"
  wrong 'line 3 of wrong.txt: not JSON' "$good\n{\"key\":\"b\""
  wrong 'line 2 of wrong.txt: not an object' "${good}[1]\n"
  wrong 'line 2 of wrong.txt: "key" is missing' "$good{\"value\":1}\n"
  wrong 'line 1 of wrong.txt: "value" is missing' '{"key":"a"}\n'
  wrong 'line 2 of wrong.txt: unknown member "ttl"' "$good{\"key\":\"b\",\"value\":1,\"ttl\":5}\n"
  wrong 'line 2 of wrong.txt: import: the key is empty' "$good{\"key\":\"\",\"value\":1}\n"
  wrong 'line 2 of wrong.txt: "key" is not a string' "$good{\"key\":5,\"value\":1}\n"
  wrong 'line 2 of wrong.txt: "1x" cannot be the name of a store' "$good{\"store\":\"1x\",\"key\":\"b\",\"value\":1}\n"
  wrong 'line 2 of wrong.txt: the store name "APPDATA" differs' "$good{\"store\":\"APPDATA\",\"key\":\"b\",\"value\":1}\n"
  wrong 'are they milliseconds?' "$good{\"key\":\"b\",\"value\":1,\"expires_at\":1795425633118}\n"
  wrong 'line 2 of wrong.txt: not a value: 9223372036854775808' "$good{\"key\":\"b\",\"value\":9223372036854775808}\n"
  wrong 'line 2 of wrong.txt: not JSON' "$good\\0\n"
  wrong 'line 2 of wrong.txt: not JSON' "$good{\"key\":\"b\",\"value\":\"\\\\xff\"}\n"
  wrong 'line 3 of wrong.txt: import: the key is empty' '{\n"a": 1,\n"": 2}'
  wrong 'line 3 of wrong.txt: not JSON' '{\n"a": 1,\n}'
  wrong 'line 1 of wrong.txt: not JSON' 'hello\n'
  wrong 'line 1 of wrong.txt: neither an object nor an array' '5\n'
  wrong 'line 1 of wrong.txt: not JSON' '"\\\\n'
  wrong 'line 2 of wrong.txt: "key" is missing' '[\n{"value":1}]'
  printf '{"key":"big","value":"%s"}\n' "$(head -c 200 /dev/zero | tr '\0' x)" >big.ndjson
  mk import big.ndjson --value-limit 100
  is 'too large' "$status" 1
  has 'too large' "$err" 'line 1 of big.ndjson: the value of "big"'
}

bad_lines_are_named_by_a_host_too() {
  start_host
  bad_lines_are_named_and_nothing_is_imported
  stop_host
}

with_batches_what_was_saved_stays() {
  { seq 25 | sed 's/.*/{"key":"k&","value":&}/'; echo '{"key":'; } >some.ndjson
  mk import some.ndjson --batch 10
  is 'status' "$status:$out" '1:'
  has 'message' "$err" 'line 26 of some.ndjson'
  has 'message' "$err" '20 keys were imported, up to line 20; importing the file again does no harm'
  mk count
  is 'count' "$out" 20
}

objects_and_arrays_are_taken_too() {
  printf '{"alice":{"xp":50},\n "bob" : [ 1, 2.0 ],"":""}' | sed 's/,"":""//' >plain.json
  mk import plain.json
  is 'object' "$status:$out" '0:2'
  printf '{"carol":1}' >one.json
  mk import one.json --store other
  is 'object in a line' "$status:$out" '0:1'
  printf '\xef\xbb\xbf{"dave":1}\r\n' >mark.json
  mk import mark.json --store other
  is 'byte order mark' "$status:$out" '0:1'
  mk select --json
  cp out.txt selected.json
  is 'select' "$out" '[{"key":"alice","value":{"xp":50}},{"key":"bob","value":[1,2.0]}]'
  mk import selected.json --store copy
  is 'array' "$status:$out" '0:2'
  mk select >lines.ndjson
  mk select --store copy
  cp out.txt copy.txt
  mk select
  same 'copy' out.txt copy.txt
  mk import --store other copy.txt
  is 'lines' "$status:$out" '0:2'
  mk keys --store other
  is 'keys' "$out" $'alice\nbob\ncarol\ndave'
}

with_store_everything_goes_there_but_no_two_stores_together() {
  echo '{"store":"economy","key":"a","value":1}' >one.ndjson
  mk import one.ndjson --store copy
  is 'renamed' "$status:$out" '0:1'
  mk export
  is 'where it is' "$out" '{"store":"copy","key":"a","value":1}'
  echo '{"store":"shop","key":"a","value":2}' >>one.ndjson
  mk import one.ndjson --store copy
  is 'two stores' "$status" 1
  has 'two stores' "$err" 'line 2 of one.ndjson: it is of the store shop, and rows before it are of economy'
}

the_last_row_of_a_key_counts() {
  seq 3 | sed 's/.*/{"key":"a","value":&}/' >thrice.ndjson
  mk import thrice.ndjson
  mk get a
  is 'directly' "$out" 3
  start_host
  mk import thrice.ndjson --store other
  mk get a --store other
  is 'through a host' "$out" 3
  stop_host
}

a_host_takes_so_much_at_once() {
  start_host
  seq 18 | sed "s/.*/{\"key\":\"k&\",\"value\":\"$(head -c 100000 /dev/zero | tr '\0' x)\"}/" >part.ndjson
  for _ in $(seq 10); do cat part.ndjson; done >large.ndjson
  mk import large.ndjson
  is 'status' "$status:$out" '1:'
  has 'remedy' "$err" '--batch 1000'
  mk count
  is 'nothing' "$out" 0
  mk import large.ndjson --batch 50
  is 'batches' "$status:$out" '0:180'
  stop_host
  mk import large.ndjson --data fresh
  is 'without a host' "$status:$out" '0:180'
}

an_import_goes_into_the_archive_too() {
  local mode
  for mode in on sync; do
    seq 30000 | sed "s/.*/{\"key\":\"k&\",\"value\":\"$(head -c 200 /dev/zero | tr '\0' x)\"}/" >many.ndjson
    mk import many.ndjson --archive "$mode" --data "$mode"
    is "import, $mode" "$status:$out:$err" '0:30000:'
    mk set after 1 --data "$mode"
    mk export --data "$mode" before.ndjson
    rm "$mode"/appdata.*
    mk export --data "$mode" restored.ndjson
    is "restore, $mode" "$status" 0
    same "restored, $mode" restored.ndjson before.ndjson
  done
}

a_killed_import_leaves_nothing() {
  rm -f rows.fifo && mkfifo rows.fifo
  "$moonkeep" import rows.fifo >/dev/null 2>&1 &
  local importer=$!
  exec 8>rows.fifo
  seq 20000 | sed 's/.*/{"key":"k&","value":"&"}/' >&8
  kill -KILL "$importer"
  wait "$importer" 2>/dev/null
  exec 8>&-
  mk count
  is 'count' "$status:$out" '0:0'
}

an_export_that_fails_leaves_the_file_as_it_was() {
  mk set a 1
  echo precious >out.ndjson
  mk export no/such/folder.ndjson
  is 'no folder' "$status:$out" '1:'
  has 'no folder' "$err" 'cannot write to no/such/folder.ndjson'
  mk export .
  is 'a folder' "$status" 1
  sqlite3 data/appdata.db "DROP TRIGGER _appData_updated; UPDATE appData SET value='2' WHERE key='a'"
  mk export out.ndjson
  is 'damaged' "$status:$out" '1:'
  has 'damaged' "$err" 'the row of key "a" in appData'
  is 'file' "$(cat out.ndjson)" precious
  is 'nothing else' "$(find . -name '.*half*')" ''
  "$moonkeep" export >/dev/full 2>err.txt
  is 'full' $? 1
}

an_export_names_what_it_leaves_out() {
  mk set a 1
  sqlite3 data/appdata.db "INSERT INTO appData(key, value) VALUES('bad', '[1'), ('', '2'); CREATE TABLE other(id)"
  mk export
  is 'export' "$status:$out" '1:{"store":"appData","key":"a","value":1}'
  has 'a value' "$err" 'a row of appData is left out, key "bad": its value is not JSON'
  has 'a key' "$err" 'its key is empty'
  has 'a table' "$err" 'left out: other'
  mk export --store other
  is 'no store' "$status:$out" '2:'
  has 'no store' "$err" 'ALTER TABLE "other" RENAME TO'
  mk export --store appData
  is 'one store' "$status:$out" '1:{"store":"appData","key":"a","value":1}'
  mk check
  is 'check' "$status" 1
  has 'check' "$out" 'appdata.db: faulty, 2 rows of another program that cannot be used'
  has 'tables' "$out" 'in no backup: other'
  sqlite3 data/appdata.db "DELETE FROM appData WHERE key<>'a'"
  mk export
  is 'afterwards' "$status" 0
  mk check
  is 'check afterwards' "$status" 0
}

an_export_keeps_links_modes_and_pipes() {
  mk set a 1
  echo old >real.ndjson
  chmod 640 real.ndjson
  ln -s real.ndjson link.ndjson
  mk export link.ndjson
  [ -L link.ndjson ] || fail 'the link is gone'
  is 'real' "$(cat real.ndjson)" '{"store":"appData","key":"a","value":1}'
  is 'mode' "$(stat -c %a real.ndjson)" 640
  mk export /dev/stdout
  is 'device' "$status:$out" '0:{"store":"appData","key":"a","value":1}'
  mk export /dev/full
  is 'full device' "$status" 1
}

has_put_aside() { # PROCESS
  find "/proc/$1/fd" -lname '*(deleted)' 2>/dev/null | grep -q .
}

has_no_store_open() { # PROCESS
  ! find "/proc/$1/fd" -lname '*appdata.db*' 2>/dev/null | grep -q .
}

a_reader_that_does_not_read_keeps_no_host_from_its_log() {
  seq 3000 | sed "s/.*/{\"key\":\"k&\",\"value\":\"$(head -c 100 /dev/zero | tr '\0' x)\"}/" >many.ndjson
  mk import many.ndjson
  start_host
  mkfifo out.fifo
  "$moonkeep" export >out.fifo 2>export.err &
  local exporter=$!
  exec 8<out.fifo
  wait_for has_put_aside "$exporter"
  wait_for has_no_store_open "$exporter"
  kill -0 "$exporter" || fail "the export has ended: $(cat export.err)"
  mk set later 1
  cat <&8 >read.txt
  exec 8<&-
  wait "$exporter"
  is 'status' $? 0
  is 'rows' "$(wc -l <read.txt)" 3000
  is 'what came later' "$(grep -c later read.txt)" 0
  stop_host
}

a_file_that_cannot_be_read_is_refused() {
  mk import nix.ndjson
  is 'missing' "$status:$out" '1:'
  has 'missing' "$err" 'cannot read nix.ndjson: No such file'
  mk import .
  is 'folder' "$status" 1
  has 'folder' "$err" 'it is a folder'
  is 'data' "$(find . -name appdata.db)" ''
}

a_database_of_the_root_sdk_is_taken() {
  sqlite3 rootsdk.sqlite3 <"$foreign/rootsdk.sql"
  mk import rootsdk.sqlite3
  is 'import' "$status:$out" '0:3'
  has 'expired' "$err" '1 key had expired'
  mk export
  is 'rows' "$out" '{"store":"appData","key":"a","value":{"xp":60}}
{"store":"appData","key":"b","value":"text é","expires_at":4000000000.25}
{"store":"appData","key":"n","value":2}'
  sqlite3 rootsdk.sqlite3 "INSERT INTO __rootapp_kv VALUES('a', 'community', '7', NULL),
    ('b', NULL, '0', 1), ('c', NULL, '1.50', '2200-01-01T00:00:00.500Z')"
  mk import rootsdk.sqlite3 --store economy
  is 'import into another store' "$status:$out" '0:3'
  mk export --store economy
  is 'its rows' "$out" '{"store":"economy","key":"a","value":7}
{"store":"economy","key":"c","value":1.5,"expires_at":7258118400.5}
{"store":"economy","key":"n","value":2}'
  sqlite3 rootsdk.sqlite3 "INSERT INTO __rootapp_kv VALUES('z', NULL, 'no JSON', NULL)"
  mk import rootsdk.sqlite3 --store economy2
  is 'not JSON' "$status" 1
  has 'not JSON' "$err" 'row 6 of rootsdk.sqlite3: the value of "z": not JSON'
}

a_store_file_is_not_written_over() {
  "$moonkeep" set alice 1
  cp data/appdata.db before.db
  refuses 1 'cannot write to data/appdata.db: it is a database; give another file' export data/appdata.db
  printf 'no longer a database' >broken.db
  refuses 1 'cannot write to ./broken.db: it is the file that is read' salvage broken.db ./broken.db
  cmp -s data/appdata.db before.db || fail 'the store file is another one'
  is 'the other' "$(cat broken.db)" 'no longer a database'
}

a_mod_storage_of_luanti_is_taken() {
  sqlite3 mod_storage.sqlite <"$foreign/mod_storage.sql"
  mk import mod_storage.sqlite
  is 'import' "$status:$out:$err" '0:5:'
  mk export
  is 'rows' "$out" '{"store":"shop_mod","key":"alice","value":"fifty é"}
{"store":"shop_mod","key":"count","value":"42"}
{"store":"shop_mod","key":"json","value":"{\"xp\":5.0}"}
{"store":"shop_mod","key":"list","value":"return {1,2,{a=\"b\"}}"}
{"store":"shop_mod","key":"ratio","value":"0.25"}'
  sqlite3 digit.sqlite "CREATE TABLE entries(modname, key, value); INSERT INTO entries VALUES('3d_armor', 'k', 'v')"
  mk import digit.sqlite
  is 'a mod whose name is none of a store' "$status:$out:$err" '0:1:'
  is 'its store' "$("$moonkeep" get k --store mod_3d_armor)" '"v"'
  mk deleteLike % --store mod_3d_armor --yes
  start_host
  mk import mod_storage.sqlite --store copy
  is 'through a host' "$status:$out" '0:5'
  stop_host
  sqlite3 mod_storage.sqlite "INSERT INTO entries VALUES('shop_mod', x'7a', x'ff00')"
  mk import mod_storage.sqlite --store other
  is 'no text' "$status" 1
  has 'no text' "$err" 'row 6 of mod_storage.sqlite: the value of "z" is not valid UTF-8'
}

other_databases_are_refused() {
  sqlite3 other.db 'CREATE TABLE a(b)'
  mk import other.db
  is 'another' "$status" 1
  has 'another' "$err" 'other.db is a database, but neither'
  mk import <other.db
  has 'standard input' "$err" "give the file's name"
  mk set a 1
  mk import data/appdata.db
  has 'our own' "$err" "a store of moonkeep's own"
  head -c 100 other.db >cut.db
  mk import cut.db
  is 'damaged' "$status:$out" '1:'
}

tests='
  what_goes_out_comes_back_exactly
  what_goes_out_through_a_host_comes_back_exactly
  a_host_crash_loses_nothing_of_an_export
  an_export_has_all_that_was_acknowledged_before_it
  expired_keys_are_left_out
  nothing_to_export_is_an_empty_file
  bad_lines_are_named_and_nothing_is_imported
  bad_lines_are_named_by_a_host_too
  with_batches_what_was_saved_stays
  objects_and_arrays_are_taken_too
  with_store_everything_goes_there_but_no_two_stores_together
  the_last_row_of_a_key_counts
  a_host_takes_so_much_at_once
  an_import_goes_into_the_archive_too
  a_killed_import_leaves_nothing
  an_export_that_fails_leaves_the_file_as_it_was
  an_export_names_what_it_leaves_out
  an_export_keeps_links_modes_and_pipes
  a_reader_that_does_not_read_keeps_no_host_from_its_log
  a_file_that_cannot_be_read_is_refused
  a_database_of_the_root_sdk_is_taken
  a_store_file_is_not_written_over
  a_mod_storage_of_luanti_is_taken
  other_databases_are_refused
'
# shellcheck disable=SC2086 # the names are meant to be split
run_tests $tests
