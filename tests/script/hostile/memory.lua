-- luacheck: ignore
---- a table that grows
local t = {}
while true do t[#t + 1] = {} end
---- a table that grows, in pcall
while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end
---- a string that doubles
local s = "x"
while true do s = s .. s end
---- a string that doubles, in pcall
while true do pcall(function() local s = "x" while true do s = s .. s end end) end
---- closures
local t = {}
while true do t[#t + 1] = function() return t end end
---- keys
local t = {}
for i = 1, math.huge do t["key" .. i] = true end
---- a stack that grows
local function f(n) return 1 + f(n + 1) end
while true do pcall(f, 1) end
---- memory in a handler
bot.on("m", function() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end)
---- memory in an update function
bot.spawn(function() appData:update("k", function() local t = {} while true do t[#t + 1] = {} end end) end)
---- memory in a coroutine
coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end)()
---- memory in a comparator
table.sort({1, 2, 3}, function() local t = {} while true do t[#t + 1] = {} end end)
---- memory in close
local t <close> = setmetatable({}, {__close = function() local t = {} while true do t[#t + 1] = {} end end})
error "out"
---- memory in tostring of an error
error(setmetatable({}, {__tostring = function() local t = {} while true do t[#t + 1] = {} end end}))
---- a huge error message
error(("x"):rep(10000000))
---- memory that events keep
while true do bot.emit("x", {y = ("z"):rep(100000)}) end
---- memory that calls keep
for i = 1, math.huge do bot.spawn(function() appData:set("k" .. i, ("z"):rep(100000)) end) end
---- huge concat
table.concat({("x"):rep(8000000), ("y"):rep(8000000)})
---- huge varargs
local t = {}
for i = 1, 250 do t[i] = i end
local function f(...) return f(..., table.unpack(t)) end
while true do pcall(f) end
---- huge load
load(("x = 1 "):rep(2000000))()
---- weak tables
local t = setmetatable({}, {__mode = "k"})
local last = {}
while true do local k = {} t[k] = last last = k end
---- garbage without end
while true do local t = {{}, {}, {}} end
---- a memory error, caught again and again
local keep = {}
while true do pcall(function() keep[#keep + 1] = ("x"):rep(3000000) .. #keep end) end
---- big values from the store
appData:set("big", ("x"):rep(3000000))
local t = {}
while true do t[#t + 1] = appData:get("big") end
---- a big select
local rows = {}
for i = 1, 4 do rows[i] = {key = "k" .. i, value = ("x"):rep(2000000) .. i} end
appData:set(rows)
rows = nil
local all = {}
while true do all[#all + 1] = appData:select("%") end
---- coroutines
local t = {}
while true do t[#t + 1] = coroutine.create(print) end
---- gsub that grows
local s = ("a"):rep(1000)
while true do s = s:gsub("a", "aa") end
---- format that grows
local s = ("a"):rep(1000)
while true do s = string.format("%s%s", s, s) end
