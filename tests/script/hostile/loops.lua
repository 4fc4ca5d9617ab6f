-- luacheck: ignore
---- empty loop
while true do end
---- repeat
repeat until false
---- goto
::again:: goto again
---- numeric for
for i = 1, math.huge do end
---- pcall in a loop
while true do pcall(function() while true do end end) end
---- pcall that calls itself
local function f() return pcall(f) end
while true do f() end
---- pcall of pcall of pcall
while true do pcall(pcall, pcall, pcall, function() while true do end end) end
---- nested pcalls, each with a loop behind
local function nest(n) if n > 0 then pcall(nest, n - 1) end while true do end end
nest(100)
---- error in a loop
while true do pcall(error, {}) end
---- xpcall with a handler that loops
xpcall(function() while true do end end, function() while true do end end)
---- xpcall with a handler that loops after an ordinary error
xpcall(error, function() while true do end end)
---- xpcall with itself as handler
while true do xpcall(xpcall, xpcall, xpcall, xpcall) end
---- xpcall with a handler that fails
while true do xpcall(error, function() error "again" end) end
---- xpcall in a comparator, with a handler that loops
table.sort({1, 2, 3}, function() xpcall(function() while true do end end, function() while true do end end) end)
---- handler that is pcall
while true do xpcall(function() while true do end end, pcall) end
---- close that loops
local t <close> = setmetatable({}, {__close = function() while true do end end})
error "out"
---- close in a loop after the stop
while true do
  pcall(function()
    local t <close> = setmetatable({}, {__close = function() while true do end end})
    while true do end
  end)
end
---- close that makes the next close
local function again()
  local t <close> = setmetatable({}, {__close = again})
  while true do end
end
again()
---- close in a comparator
table.sort({1, 2, 3}, function()
  local t <close> = setmetatable({}, {__close = function() while true do end end})
  while true do end
end)
---- recursion without end
local function f() return 1 + f() end
while true do pcall(f) end
---- tail calls without end
local function f() return f() end
f()
---- mutual tail calls through pcall
local a, b
function a() return pcall(b) end
function b() return select(2, pcall(a)), b() end
while true do a() end
---- load in a loop
while true do load "return 1" () end
---- load of a reader that never ends
load(function() return " " end)
---- load of a reader that loops
load(function() while true do end end)
---- load of a reader that is a C function
while true do load(os.time) end
---- load of nested functions
while true do load(("function f() "):rep(150) .. ("end "):rep(150)) end
---- load of very many labels
local parts = {}
for i = 1, 60000 do parts[i] = "::l" .. i .. "::" end
local text = table.concat(parts)
while true do load(text) end
---- a long string that is loaded again and again
local text = "local x = [[" .. ("x"):rep(1000000) .. "]]"
while true do load(text) end
---- iterators
for _ in function() return 1 end do end
---- next without end
local t = {1}
while true do for k in next, t do end end
---- select from very many
local t = {}
for i = 1, 200 do t[i] = i end
while true do select(-1, table.unpack(t)) end
---- varargs that grow
local function f(...) return f(1, ...) end
while true do pcall(f) end
---- tostring loops
while true do tostring(setmetatable({}, {__tostring = function() while true do end end})) end
---- print loops
print(setmetatable({}, {__tostring = function() while true do end end}))
---- an error object whose tostring loops
error(setmetatable({}, {__tostring = function() while true do end end}))
---- an error object whose tostring catches the stop
error(setmetatable({}, {__tostring = function() while true do pcall(function() while true do end end) end end}))
---- an event handler
bot.on("m", function() while true do end end)
---- every event handler
for i = 1, 3 do bot.on("m", function() while true do pcall(function() while true do end end) end end) end
---- a start handler
bot.on("start", function() while true do end end)
---- a timer
bot.after(0, function() while true do end end)
---- spawned
bot.spawn(function() while true do end end)
---- spawned pcall
bot.spawn(pcall, function() while true do end end)
---- spawned pcall of a comparator
bot.spawn(pcall, table.sort, {1, 2, 3}, function() while true do end end)
---- spawned xpcall
bot.spawn(xpcall, function() while true do end end, function() while true do end end)
---- spawned xpcall of a comparator that then would wait
bot.spawn(function()
  pcall(table.sort, {1, 2, 3}, function() while true do end end)
  bot.sleep(1)
  print "never"
end)
---- an update function
bot.spawn(function() appData:update("k", function() while true do end end) end)
---- update functions in a comparator
table.sort({1, 2, 3}, function() pcall(appData.update, appData, "k", function() while true do end end) end)
error "refused"
---- an update function with a comparator that loops
bot.spawn(function() appData:update("k", function()
  while true do pcall(table.sort, {1, 2, 3}, function() while true do end end) end
end) end)
---- an update function with coroutines
bot.spawn(function() appData:update("k", function()
  while true do coroutine.wrap(function() while true do pcall(error) end end)() end
end) end)
---- cached reads without end
appData:set("k", 1)
while true do appData:get("k") end
---- cached reads without end in a task
appData:set("k", 1)
bot.spawn(function() appData:get("k") while true do appData:get("k") end end)
---- a module that loops
require "lib.loop"
---- a module that loops in pcall
while true do pcall(require, "lib.loop") end
---- handover that loops is not called
bot.handover(function() while true do end end)
error "refused"
