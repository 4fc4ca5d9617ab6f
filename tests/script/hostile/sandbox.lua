-- luacheck: ignore
---- bytecode
assert(load("\27Lua"))
---- bytecode, with the mode that allows it
assert(load("\27LuaT", "x", "b"))
---- bytecode from a reader
local given
assert(load(function() if not given then given = true return "\27LuaT" end end))
---- string.dump
string.dump(print)
---- debug
debug.getregistry()
---- io
io.open("/etc/passwd")
---- os.execute
os.execute("true")
---- os.exit
os.exit()
---- os.getenv
os.getenv("HOME")
---- os.remove
os.remove("/tmp/x")
---- dofile
dofile("/etc/passwd")
---- loadfile
loadfile("/etc/passwd")
---- package
package.loadlib("/lib/x86_64-linux-gnu/libc.so.6", "system")
---- require out of the folder
require "../../etc/passwd"
---- require an absolute path
require "/etc/passwd"
---- require with dots
require "..passwd"
---- require through a link
require "lib.out"
---- require through a link of a folder
require "lib.outside.module"
---- __gc
setmetatable({}, {__gc = function() while true do end end})
---- the metatable of strings
getmetatable("").__index = nil
---- the metatable of strings, set
setmetatable("", {})
---- the metatable of a store
getmetatable(appData).__index = nil
---- the metatable of a handle
getmetatable(bot.on("x", print)).__index = nil
---- the metatable of an error
local ok, err = pcall(appData.get, appData, "")
getmetatable(err).__tostring = print
---- the metatable of arrays
setmetatable(require "moonkeep".array {}, {})
---- the metatable of bot
setmetatable(bot, {})
---- bot's fields
bot.send = print
---- bot's fields, with rawset
rawset(bot, "send", print)
error "refused"
---- moonkeep's fields
require "moonkeep".null = 1
---- rootServer's fields
rootServer.dataStore = {}
---- collectgarbage
collectgarbage("stop")
---- collectgarbage in a loop
while true do collectgarbage() end
---- collectgarbage, counted without end
while true do collectgarbage("count") end
---- settings of cjson
require "cjson".encode_max_depth(1000000)
---- a new cjson
require "cjson".new()
---- a method on a foreign userdata
appData.get(bot.on("x", print), "k")
---- a handler's method on a store
getmetatable(appData)
bot.on("x", print).off(appData)
---- a timer's method on a handler
bot.after(1, print).cancel(bot.on("x", print))
---- a coroutine of the host, resumed
assert(coroutine.resume(coroutine.running()))
---- a coroutine of the host, closed
coroutine.close(coroutine.running())
---- a yield out of a task
bot.spawn(coroutine.yield)
---- a yield out of the main chunk
coroutine.yield()
---- a yield out of an update function
bot.spawn(function() appData:update("k", coroutine.yield) end)
---- a forged error object
local ok, err = pcall(appData.get, appData, "")
err.code, err.message, err.key = {}, setmetatable({}, {__tostring = error}), print
error(err)
---- an error whose name is a number
error(setmetatable({}, {__name = 17}))
---- an error whose tostring gives no string
error(setmetatable({}, {__tostring = function() return {} end}))
---- an error whose tostring raises itself
local e = setmetatable({}, {})
getmetatable(e).__tostring = function() error(e) end
error(e)
---- an error whose tostring yields
error(setmetatable({}, {__tostring = coroutine.yield}))
---- an error whose metatable is locked
error(setmetatable({}, {__metatable = "locked", __tostring = 5}))
---- an error whose index raises
error(setmetatable({}, {__index = error, __tostring = 5}))
---- nil as an error
error(nil)
---- a coroutine as an error
error(coroutine.create(print))
---- an error with NULs and wrong UTF-8
error("\0\xff\xfe\0")
---- print with a tostring that gives no string
print(setmetatable({}, {__tostring = function() end}))
---- print with a tostring that raises
print(setmetatable({}, {__tostring = error}))
---- a key with a tostring
appData:set(setmetatable({}, {__tostring = function() return "k" end}), 1)
---- an event without a name
bot.emit("")
---- the host's events
bot.emit("start")
---- a store with a bad name
rootServer.dataStore["sqlite_master"]:set("k", 1)
---- a store of the host's
rootServer.dataStore["_journal"]:set("k", 1)
---- a store that is an injection
rootServer.dataStore['x"; DROP TABLE appData; --']:set("k", 1)
---- globals that the host uses
next, pairs, tostring, error, setmetatable, string, table = nil
bot.emit("x", {1, 2})
---- the loaded table
require "_G"
---- load with an environment that loops
load("return x", "x", "t", setmetatable({}, {__index = function() while true do end end}))()
---- the environment of a function, replaced
local _ENV = setmetatable({}, {__index = function() while true do end end})
local _ = anything
