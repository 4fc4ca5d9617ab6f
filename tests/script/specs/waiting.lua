-- Store calls wait wherever Lua can yield, block wherever it cannot, and nobody can get in between.
local check = require "_check"
local test, same, yes, raises, fails = check.test, check.same, check.yes, check.raises, check.fails
local store = rootServer.dataStore.waiting_spec

-- In the main chunk a call blocks.
store:set("main", 1)
local main_value = store:update("main", function(n) return n + 1 end)
local main_sleep, main_error = pcall(bot.sleep, 0)
local main_generator = coroutine.wrap(function() store:set("main", 5) coroutine.yield(store:get "main") end)()

-- Counts how often other tasks got the CPU while fn ran.
local function others_during(fn)
  local going, turns = true, 0
  bot.spawn(function() while going do turns = turns + 1 bot.sleep(0) end end)
  fn()
  going = false
  return turns
end

local function bump(key) return store:update(key or "n", function(n) return n + 1 end, 0) end

test("the main chunk blocks", function()
  same(main_value, 2)
  same(main_sleep, false)
  yes(tostring(main_error):find("cannot wait here", 1, true))
  same(main_generator, 5)
end)

test("a call lets other tasks run", function() yes(others_during(bump) > 0) end)

test("through pcall, xpcall, metamethods, iterators and close", function()
  local before = store:get("n", 0)
  local object = setmetatable({}, {
    __index = function(_, k) return bump() end, __newindex = function() bump() end, __call = function() return bump() end,
    __add = function() return bump() end, __eq = function() bump() return true end, __lt = function() bump() return true end,
    __concat = function() return bump() end, __len = function() return bump() end, __close = function() bump() end,
    __unm = function() return bump() end,
  })
  yes(others_during(function()
    same({pcall(bump)}, {true, before + 1})
    same({xpcall(bump, print)}, {true, before + 2})
    same(object.x, before + 3)
    object.y = 1
    same(object(), before + 5)
    same(object + 1, before + 6)
    yes(object == setmetatable({}, getmetatable(object)))
    yes(object < 1)
    same(object .. "x", before + 9)
    same(#object, before + 10)
    same(-object, before + 11)
    do local _ <close> = object end
    for v in bump do if v >= before + 15 then break end end
  end) > 10)
  same(store:get "n", before + 15)
end)

test("where Lua cannot yield a call blocks, with the same result", function()
  local before = store:get("n", 0)
  same(string.gsub("ab", ".", function() return tostring(bump()) end), (before + 1) .. "" .. (before + 2))
  local list = {3, 1, 2}
  table.sort(list, function(a, b) bump() return a < b end)
  same(list, {1, 2, 3})
  yes(others_during(function() string.gsub("a", ".", function() bump() end) end) <= 1)
  string.gsub("a", ".", function() fails("cannot wait here", bot.sleep, 0) end)
  local after = store:get "n"
  same(load(function() bump() return nil end)(), nil)
  same(tostring(setmetatable({}, {__tostring = function() return "t" .. bump() end})), "t" .. after + 2)
end)

test("the script's own coroutines pass the wait outward and the answer inward", function()
  local function numbers()
    return coroutine.wrap(function()
      for i = 1, 3 do
        store:set("g" .. i, i * 10)
        coroutine.yield(i, store:get("g" .. i))
      end
      return nil
    end)
  end
  local seen = {}
  yes(others_during(function() for i, v in numbers() do seen[i] = v end end) >= 3)
  same(seen, {10, 20, 30})
end)

test("two deep, with values both ways", function()
  local function inner(a)
    local v = store:update("deep", function(n) return n + a end, 0)
    local b = coroutine.yield("first", v)
    v = store:update("deep", function(n) return n + b end, 0)
    return "last", v
  end
  local outer = coroutine.create(function(a)
    local co = coroutine.create(inner)
    local b = coroutine.yield(select(2, assert(coroutine.resume(co, a))), store:get "deep")
    same({coroutine.resume(co, b)}, {true, "last", 11})
    same(coroutine.status(co), "dead")
    bot.sleep(0.001)
    return store:get "deep"
  end)
  same({coroutine.resume(outer, 1)}, {true, "first", 1})
  same(coroutine.status(outer), "suspended")
  same({coroutine.resume(outer, 10)}, {true, 11})
  same(coroutine.status(outer), "dead")
end)

test("errors after a wait", function()
  local co = coroutine.create(function() store:get "cold" error({why = 1}) end)
  local ok, err = coroutine.resume(co)
  same({ok, err}, {false, {why = 1}})
  same(coroutine.status(co), "dead")
  local closed
  local wrapped = coroutine.wrap(function()
    local _ <close> = setmetatable({}, {__close = function() closed = store:get("n") end})
    bump()
    error "wrapped"
  end)
  fails("wrapped", wrapped)
  yes(math.type(closed) == "integer", "a store call in __close blocks, since nothing can yield there")
  fails("cannot resume dead coroutine", wrapped)
  raises("invalid_value", "", coroutine.wrap(function() store:set("x", print) end))
end)

test("a coroutine inside a callback blocks", function()
  local before = store:get "n"
  string.gsub("a", ".", function()
    for _ in coroutine.wrap(function() bump() coroutine.yield(1) bump() end) do end
  end)
  same(store:get "n", before + 2)
end)

test("a waiting coroutine cannot be resumed or closed by hand", function()
  local results = {}
  local co = coroutine.create(function() results.value = bump("forge") return results.value end)
  bot.spawn(function()
    results.status = coroutine.status(co)
    results.resume = {coroutine.resume(co, "forged")}
    results.close = {pcall(coroutine.close, co)}
  end)
  local ok, value = coroutine.resume(co)
  same({ok, value}, {true, 1})
  local sleeper = coroutine.wrap(function() bot.sleep(1) return "fine" end)
  bot.spawn(function() results.wrapped = {pcall(sleeper)} end)
  same(sleeper(), "fine")
  same(results.wrapped[1], false)
  yes(results.wrapped[2]:find("goes on by itself", 1, true))
  same(results.status, "normal")
  same(results.resume[1], false)
  yes(results.resume[2]:find("goes on by itself", 1, true))
  same(results.close[1], false)
  yes(results.close[2]:find("goes on by itself", 1, true))
end)

test("a task's own coroutine belongs to the host", function()
  local task, main = coroutine.running()
  same(main, true)
  same(coroutine.isyieldable(), false)
  fails("attempt to yield outside a coroutine of the script's own", coroutine.yield)
  local results
  bot.spawn(function()
    results = {coroutine.status(task), (coroutine.resume(task)), (pcall(coroutine.close, task))}
  end)
  bump()
  same(results, {"normal", false, false})
  coroutine.wrap(function()
    same(coroutine.isyieldable(), true)
    same(select(2, coroutine.running()), false)
  end)()
end)

test("coroutines do what Lua's do", function()
  local co = coroutine.create(function(...)
    same({...}, {1, nil, 3})
    same({coroutine.yield(4, nil, 6)}, {7})
    error("oh", 0)
  end)
  same({coroutine.resume(co, 1, nil, 3)}, {true, 4, nil, 6})
  same({coroutine.resume(co, 7)}, {false, "oh"})
  same({coroutine.resume(co)}, {false, "cannot resume dead coroutine"})
  same((coroutine.close(co)), false)
  same({coroutine.close(coroutine.create(print))}, {true})
  same({coroutine.resume(coroutine.running())}, {false, "cannot resume: the coroutine of a task belongs to the host"})
  local self
  self = coroutine.wrap(function() self() end)
  fails("cannot resume non-suspended coroutine", self)
  same(coroutine.resume(coroutine.create(function() return select("#", coroutine.yield()) end)), true)
  fails("cannot close a running coroutine", coroutine.wrap(function() coroutine.close((coroutine.running())) end))
  local order = {}
  co = coroutine.create(function()
    local _ <close> = setmetatable({}, {__close = function() order[#order + 1] = "closed" end})
    coroutine.yield()
  end)
  coroutine.resume(co)
  same({coroutine.close(co)}, {true})
  same(order, {"closed"})
  co = coroutine.create(function()
    local _ <close> = setmetatable({}, {__close = function() error("in close", 0) end})
    coroutine.yield()
  end)
  coroutine.resume(co)
  same({coroutine.close(co)}, {false, "in close"})
  local function nest() local c = coroutine.create(function() local _ <close> = setmetatable({}, {__close = nest}) coroutine.yield() end)
    coroutine.resume(c) coroutine.close(c) end
  nest()
end)

test("a thousand tasks update one key", function()
  local seen, left = {}, 1000
  for _ = 1, 1000 do
    bot.spawn(function()
      local mine = store:update("hot", function(n) return n + 1 end, 0)
      yes(not seen[mine])
      seen[mine] = true
      left = left - 1
    end)
  end
  while left > 0 do bot.sleep(0) end
  same(#seen, 1000)
  same(store:get "hot", 1000)
end)

test("a thousand tasks on a thousand keys", function()
  local left = 1000
  for i = 1, 1000 do
    bot.spawn(function()
      for _ = 1, 3 do bump("many" .. i) end
      left = left - 1
    end)
  end
  while left > 0 do bot.sleep(0) end
  local sum = 0
  for _, n in store:each "many%" do sum = sum + n end
  same(sum, 3000)
end)

test("an iterator is one task's at a time", function()
  local rows = {}
  for i = 1, 600 do rows[i] = {key = string.format("each%04d", i), value = i} end
  store:set(rows)
  local iterator, refused = store:each "each%", nil
  bot.spawn(function() refused = {pcall(iterator)} end)
  same(iterator(), "each0001")
  yes(refused and not refused[1] and refused[2]:find("another task", 1, true))
end)

test("an update's default is as it was when the call was made", function()
  local default, got = {n = 1}, nil
  bot.spawn(function() got = store:update("begins", function(t) return t end, default) end)
  bot.sleep(0) -- the update waits for its key
  default.n = 2
  while not got do bot.sleep(0) end
  same(got, {n = 1})
end)

test("a default that cannot be kept ends the update, and nothing of it comes later", function()
  for _ = 1, 3 do
    raises("invalid_value", "default.x is a function", store.update, store, "never", print, {x = print})
    bot.sleep(0.01)
    same(store:get "never", nil)
  end
  same(store:update("never", function(n) return n + 1 end, 1), 2)
  same(store:update("never", function(n) return n + 1 end, {x = print}), 3) -- it is not needed
end)
