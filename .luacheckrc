-- luacheck's settings: scripts run in the Lua that the host gives them.
stds.moonkeep = {read_globals = {"bot", "rootServer", "appData"}}
std = "lua54+moonkeep"
not_globals = {"io", "debug", "package", "dofile", "loadfile", "warn"} -- these are not there, see scripts/README.md
max_line_length = 120

files["**/*_test.lua"] = {read_globals = {"test"}, not_globals = {"bot"}}
files["tests/bench/scripts"] = {read_globals = {"bench"}}
files["tests/bench/peers"] = { -- other hosts give other things
  read_globals = {"io", "shapes", "redis", "cjson", "box"}, globals = {"package"},
}

-- Specs do on purpose what a script should not.
files["tests/script/specs"] = {ignore = {"122", "211", "212", "311", "512", "631"}}
exclude_files = {"tests/script/specs/lib/broken.lua", "scripts/types/*.lua"} -- the latter are for editors
