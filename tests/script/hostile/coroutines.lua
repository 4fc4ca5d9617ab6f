-- luacheck: ignore
---- in a coroutine
coroutine.wrap(function() while true do end end)()
---- in a coroutine, resumed in a loop
while true do coroutine.resume(coroutine.create(function() while true do end end)) end
---- in coroutines inside coroutines
local function nest(n)
  if n == 0 then while true do end end
  while true do coroutine.wrap(nest)(n - 1) end
end
nest(30)
---- made before, run over the budget by another
local co = coroutine.wrap(function() while true do coroutine.yield() end end)
while true do co() end
---- many made before
local all = {}
for i = 1, 50 do all[i] = coroutine.wrap(function() while true do coroutine.yield() end end) end
while true do for i = 1, 50 do all[i]() end end
---- new ones without end
while true do coroutine.wrap(function() end)() end
---- pcall in a coroutine in pcall
while true do pcall(function() coroutine.wrap(function() while true do pcall(function() while true do end end) end end)() end) end
---- in a comparator
table.sort({1, 2, 3}, function() coroutine.wrap(function() while true do end end)() end)
---- in a comparator, with pcall around and inside
while true do
  pcall(table.sort, {1, 2, 3}, function()
    while true do coroutine.resume(coroutine.create(function() while true do pcall(function() while true do end end) end end)) end
  end)
end
---- closed after the stop, with a close that loops
local co = coroutine.create(function()
  local t <close> = setmetatable({}, {__close = function() while true do end end})
  table.sort({1, 2, 3}, function() while true do end end)
end)
table.sort({1, 2, 3}, function() coroutine.resume(co) coroutine.close(co) end)
---- close that loops, closed by hand
local co = coroutine.create(function()
  local t <close> = setmetatable({}, {__close = function() while true do end end})
  coroutine.yield()
end)
coroutine.resume(co)
coroutine.close(co)
---- close that loops, closed by hand, in pcall
while true do
  local co = coroutine.create(function()
    local t <close> = setmetatable({}, {__close = function() while true do pcall(error) end end})
    coroutine.yield()
  end)
  coroutine.resume(co)
  pcall(coroutine.close, co)
end
---- wrap that dies with a close that loops
pcall(coroutine.wrap(function()
  local t <close> = setmetatable({}, {__close = function() while true do end end})
  error "out"
end))
---- closes inside closes
local function close()
  local co = coroutine.create(function()
    local t <close> = setmetatable({}, {__close = close})
    coroutine.yield()
  end)
  coroutine.resume(co)
  coroutine.close(co)
  while true do end
end
close()
---- ping and pong
local a, b
a = coroutine.wrap(function() while true do coroutine.yield() end end)
b = coroutine.wrap(function() while true do a() coroutine.yield() end end)
while true do b() end
---- an iterator of a coroutine
for _ in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end
---- a coroutine that resumes itself
local co
co = coroutine.create(function() while true do coroutine.resume(co) end end)
coroutine.resume(co)
---- one task's coroutine, resumed by another
local co = coroutine.create(function() while true do end end)
bot.spawn(function() coroutine.resume(co) end)
bot.spawn(function() while true do coroutine.resume(co) end end)
---- a coroutine in which an update is stopped
bot.spawn(function() while true do pcall(coroutine.wrap(function()
  appData:update("k", function() while true do end end)
end)) end end)
---- coroutines that are never finished
local keep = {}
while true do
  local co = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(co)
  keep[#keep + 1] = co
end
---- a deep chain of resumes
local function f() coroutine.wrap(f)() end
while true do pcall(f) end
---- a yield in a comparator
while true do pcall(coroutine.wrap(function() table.sort({1, 2, 3}, coroutine.yield) end)) end
---- isyieldable and friends without end
while true do coroutine.isyieldable() coroutine.running() coroutine.status(coroutine.create(print)) end
---- in a hook of nothing: a chain of wraps with values
local f = function(...) return ... end
for i = 1, 150 do local g = f f = function(...) return coroutine.wrap(g)(...) end end
while true do f(1, 2, 3) end
