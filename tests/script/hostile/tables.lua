-- luacheck: ignore
---- a lying length: concat
table.concat(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return "" end}))
---- a lying length: concat of a C function's
table.concat(setmetatable({}, {__len = function() return 1 << 60 end, __index = rawlen}))
---- a lying length: insert
table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, "x")
---- a lying length: remove
table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)
---- a lying length: sort
table.sort(setmetatable({}, {__len = function() return (1 << 31) - 2 end, __index = rawlen, __newindex = rawequal}))
---- a lying length: sort of Lua's
table.sort(setmetatable({}, {__len = function() return 1 << 30 end, __index = function() return 1 end}))
---- a lying length: unpack
table.unpack(setmetatable({}, {__len = function() return 1 << 30 end}))
---- a length that loops
while true do local _ = #setmetatable({}, {__len = function() while true do end end}) end
---- a huge range: move
table.move({}, 1, 1 << 62, 2)
---- a huge range: move to another
table.move({1}, 1, 1 << 62, 1, {})
---- a huge range: move with pcall
while true do pcall(table.move, {}, 1, 1 << 62, 2) end
---- a huge range: concat of nothing
table.concat({}, "", 1, 1 << 62)
---- a huge range: unpack
table.unpack({}, 1, 1 << 40)
---- a huge range: unpack to the limit
while true do pcall(table.unpack, {}, 1, 990000) end
---- a move between tables with metamethods
table.move(setmetatable({}, {__index = rawlen}), 1, 1 << 40, 1, setmetatable({}, {__newindex = rawequal}))
---- a sort of many
local t = {}
for i = 1, 300000 do t[i] = (i * 7919) % 300007 end
while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end
---- a sort with a comparator of C
local t = {}
for i = 1, 300000 do t[i] = i end
while true do pcall(table.sort, t, rawequal) end
---- a sort with a comparator that loops
table.sort({3, 2, 1}, function() while true do end end)
---- a sort with a comparator that lies
while true do pcall(table.sort, {5, 3, 1, 4, 2}, function() return true end) end
---- a sort in a sort
local function compare(a, b) table.sort({3, 2, 1}, compare) return a < b end
while true do pcall(table.sort, {3, 2, 1}, compare) end
---- a sort with comparisons that loop
local mt = {__lt = function() while true do end end}
table.sort {setmetatable({}, mt), setmetatable({}, mt)}
---- a sort with comparisons of C
local mt = {__lt = rawequal}
local t = {}
for i = 1, 50000 do t[i] = setmetatable({}, mt) end
while true do pcall(table.sort, t) end
---- index that loops
local _ = setmetatable({}, {__index = function() while true do end end}).x
---- index of index of index
local t = {}
setmetatable(t, {__index = function(_, k) return t[k] end})
while true do pcall(function() return t.x end) end
---- a chain of indexes
local t = {}
for i = 1, 1500 do t = setmetatable({}, {__index = t}) end
while true do local _ = t.x end
---- newindex that loops
setmetatable({}, {__newindex = function() while true do end end}).x = 1
---- call that loops
setmetatable({}, {__call = function() while true do end end})()
---- arithmetic that loops
local _ = setmetatable({}, {__add = function() while true do end end}) + 1
---- equality that loops
local mt = {__eq = function() while true do end end}
local _ = setmetatable({}, mt) == setmetatable({}, mt)
---- pairs that loops
for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end
---- an emptied table that is walked
local t = {}
for i = 1, 200000 do t["k" .. i] = i end
for k in pairs(t) do t[k] = nil end
while true do next(t) end
---- an emptied table in a value, many times
local t = {}
for i = 1, 100000 do t["k" .. i] = i end
for k in pairs(t) do t[k] = nil end
local all = {}
for i = 1, 100000 do all[i] = t end
bot.emit("x", {all = all})
---- an emptied table in a value of the store
local t = {}
for i = 1, 100000 do t["k" .. i] = i end
for k in pairs(t) do t[k] = nil end
local all = {}
for i = 1, 100000 do all[i] = t end
while true do pcall(appData.set, appData, "k", all) end
---- an emptied table in cjson
local t = {}
for i = 1, 100000 do t["k" .. i] = i end
for k in pairs(t) do t[k] = nil end
local all = {}
for i = 1, 100000 do all[i] = t end
require "cjson".encode(all)
---- an emptied row in a list, many times
local row = {key = "k", value = 1}
for i = 1, 100000 do row["k" .. i] = i end
for k in pairs(row) do if #k > 5 then row[k] = nil end end
for i = 1, 9999 do row["k" .. i] = nil end
local all = {}
for i = 1, 100000 do all[i] = row end
appData:set(all)
---- shared tables that grow without end
local t = {"x"}
for _ = 1, 60 do t = {t, t} end
bot.act {action = "x", t = t}
---- shared tables in cjson
local t = {"x"}
for _ = 1, 60 do t = {t, t} end
require "cjson".encode(t)
---- a value too deep
local t = {}
for _ = 1, 10000 do t = {t} end
appData:set("k", t)
---- cjson too deep
local t = {}
for _ = 1, 10000 do t = {t} end
require "cjson".encode(t)
---- cjson in a loop
while true do require "cjson".encode({1, 2, 3}) require "cjson".decode("[1,2,3]") end
---- cjson of a long text
while true do pcall(require "cjson".decode, ("["):rep(100000)) end
---- events without end
while true do bot.emit("x", {y = ("z"):rep(1000)}) end
---- events of events
bot.on("x", function() while true do bot.emit("x") end end)
bot.emit("x")
---- events that answer one another
bot.on("a", function() bot.emit("b") bot.emit("b") end)
bot.on("b", function() bot.emit("a") end)
bot.emit("a")
bot.spawn(error, "refused")
---- tasks that follow one another
local function f() bot.spawn(f) end
f()
error "refused"
---- tasks that sleep for no time
bot.spawn(function() while true do bot.sleep(0) end end)
bot.spawn(error, "refused")
---- tasks that sleep for no time, ever more
local function f() while true do bot.spawn(f) bot.sleep(0) end end
bot.spawn(f)
---- timers without end
while true do bot.every(1000, print) end
---- tasks without end
while true do bot.spawn(print) end
---- tasks of tasks
local function f() bot.spawn(f) bot.spawn(f) bot.sleep(1000) end
f()
---- handlers without end
while true do bot.on("x", print) end
---- actions without end
while true do bot.send("c", ("x"):rep(100)) end
---- log lines without end
while true do print "x" end
---- a long log line
while true do print(("x"):rep(100000)) end
