-- luacheck's settings for bots: to be copied beside your own.
stds.moonkeep = {read_globals = {"bot", "rootServer", "appData"}}
std = "lua54+moonkeep"
not_globals = {"io", "debug", "package", "dofile", "loadfile", "warn"} -- these are not there
max_line_length = 120

files["**/*_test.lua"] = {read_globals = {"test"}, not_globals = {"bot"}}
exclude_files = {"types"}
