-- What bots do besides storing: the sandbox, modules, time, events.
local check = require "_check"
local moonkeep = require "moonkeep"
local cjson = require "cjson"
local test, same, yes, raises, fails = check.test, check.same, check.yes, check.raises, check.fails

test("nothing reaches outside", function()
  for _, name in ipairs {"io", "debug", "package", "dofile", "loadfile", "loadstring", "unpack", "warn"} do
    same(_G[name], nil)
  end
  same(string.dump, nil)
  local names = {}
  for name in pairs(os) do names[#names + 1] = name end
  table.sort(names)
  same(names, {"clock", "date", "difftime", "time"})
  same({load("\27Lua")}, {nil, "attempt to load a binary chunk (mode is 't')"})
  same((load("\27Lua", "x", "b")), nil)
  same(load("return x", "chunk", "t", {x = 3})(), 3)
  same(getmetatable(""), false)
  fails("__gc", setmetatable, {}, {__gc = print})
  fails("protected", setmetatable, setmetatable({}, {__metatable = 1}), {})
  same(getmetatable(setmetatable({}, {a = 1})).a, 1)
  yes(collectgarbage("count") > 1)
  fails("only ask", collectgarbage)
  fails("only ask", collectgarbage, "stop")
end)

test("the host's tables cannot be changed", function()
  fails("cannot be changed", function() bot.x = 1 end)
  fails("cannot be changed", function() bot.log.info = 1 end)
  fails("cannot be changed", function() rootServer.dataStore = 1 end)
  fails("cannot be changed", function() rootServer.dataStore.x = 1 end)
  fails('bot has no "slep" (did you mean "sleep"?)', function() bot.slep(1) end)
  fails('did you mean "unchanged"?', function() return moonkeep.unchangd end)
  same(getmetatable(bot), false)
  same(bot.inherited, nil)
  same(bot.name, "bots")
  same(type(moonkeep.version), "string")
  same(tostring(moonkeep.absent), "moonkeep.absent")
end)

test("require", function()
  same(require "lib.text", require "lib.text")
  same(require("lib.text").upper "a", "A")
  same(require "lib.folder", "lib/folder/init.lua lib.folder")
  same(require "lib.nothing", true)
  fails('no lib/gone.lua and no lib/gone/init.lua', require, "lib.gone")
  fails("lib/broken.lua:2:", require, "lib.broken")
  fails("lib/raises.lua:1:", require, "lib.raises")
  fails("lib/raises.lua:1:", require, "lib.raises")
  fails("still being loaded", require, "lib.circle")
  for _, name in ipairs {"", ".", "..", "a..b", ".a", "a.", "../x", "/etc/passwd", "a/b", "a\0b", "lib text"} do
    fails("is no module name", require, name)
  end
end)

test("cjson", function()
  same(cjson.decode '{"a":[1,2,{"b":null}]}'.a[3].b, cjson.null)
  same(cjson.encode {1, 2, "x"}, '[1,2,"x"]')
  local cycle = {}
  cycle[1] = cycle
  fails("levels", cjson.encode, cycle)
  local wide = {"x"}
  for _ = 1, 40 do wide = {wide, wide} end
  fails("MiB", cjson.encode, wide)
  fails("MiB", cjson.encode, string.rep("x", 17 << 20))
  fails("MiB", cjson.decode, string.rep(" ", 17 << 20))
  local names = {}
  for name in pairs(cjson) do names[#names + 1] = name end
  table.sort(names)
  same(names, {"_NAME", "_VERSION", "decode", "encode", "null"})
end)

test("arrays", function()
  local t = {}
  yes(moonkeep.array(t) == t)
  yes(moonkeep.array())
  fails("metatable", moonkeep.array, setmetatable({}, {}))
  fails("table", moonkeep.array, 1)
end)

test("time is the host's", function()
  local before = os.time()
  bot.sleep(10)
  same(os.time(), before + 10)
  same(os.date("!%Y-%m-%d %H:%M:%S", 0), "1970-01-01 00:00:00")
  same(os.date("!%c"), os.date("!%c", os.time()))
  same(os.time {year = 2020, month = 1, day = 1, hour = 12} - os.time {year = 2020, month = 1, day = 1, hour = 11}, 3600)
  fails("invalid conversion", os.date, "%Ez")
end)

test("sleepers wake in order", function()
  local order = {}
  for _, s in ipairs {0.3, 0.1, 0.2, 0.1} do
    bot.spawn(function(name) bot.sleep(s) order[#order + 1] = name end, s)
  end
  bot.sleep(1)
  same(order, {0.1, 0.1, 0.2, 0.3})
  fails("negative", bot.sleep, -1)
  fails("finite", bot.sleep, 0 / 0)
  fails("number", bot.sleep, "soon")
end)

test("spawn runs beside, with its arguments", function()
  local got
  bot.spawn(function(...) got = {select("#", ...), ...} end, 1, nil, 3)
  same(got, nil)
  bot.sleep(0)
  same(got, {3, 1, nil, 3})
  fails("function", bot.spawn, 1)
end)

test("timers", function()
  local ticks, once = 0, 0
  local every = bot.every(0.5, function() ticks = ticks + 1 end)
  local after = bot.after(0.7, function() once = once + 1 end)
  local never = bot.after(0.7, function() error "cancelled" end)
  never:cancel()
  never:cancel()
  bot.sleep(2.1)
  same({ticks, once}, {4, 1})
  every:cancel()
  after:cancel()
  bot.sleep(2)
  same(ticks, 4)
  local n, self = 0, nil
  self = bot.every(0.1, function() n = n + 1 if n == 3 then self:cancel() end end)
  bot.sleep(1)
  same(n, 3)
  fails("zero", bot.every, 0, print)
  fails("function", bot.after, 1)
end)

test("events reach their handlers in order", function()
  local got = {}
  local first = bot.on("spec", function(e) e.n = e.n + 1 got[#got + 1] = "first " .. e.n end)
  local second = bot.on("spec", function(e) got[#got + 1] = "second " .. e.n .. e.event end)
  local all = bot.on("*", function(e) got[#got + 1] = "all " .. e.event end)
  bot.emit("spec", {n = 1, event = "forged"})
  bot.emit("other")
  same(got, {})
  bot.sleep(0)
  bot.sleep(0)
  same(got, {"first 2", "second 1spec", "all spec", "all other"})
  first:off()
  first:off()
  bot.emit("spec", {n = 5})
  second:off()
  bot.sleep(0)
  bot.sleep(0)
  same({table.unpack(got, 5)}, {"all spec"})
  all:off()
  fails("host's own", bot.emit, "start")
  fails("string", bot.emit, 5)
  fails("empty", bot.emit, "")
  fails("table", bot.emit, "x", 5)
  raises("invalid_value", "data.f is a function", bot.emit, "x", {f = print})
  raises("invalid_value", "list", bot.emit, "x", {1, 2})
  fails("string", bot.on, 5, print)
  fails("function", bot.on, "x")
end)

test("actions are checked", function()
  raises("invalid_value", "action.action is nil", bot.act, {})
  raises("invalid_value", "action.f is a function", bot.act, {action = "x", f = print})
  raises("invalid_value", "list", bot.act, {action = "x", 1})
  fails("table", bot.act, "x")
  raises("invalid_value", "text is nil", bot.send, "general")
  raises("invalid_value", "channel is nil", bot.send, nil, "x")
  raises("invalid_value", "UTF-8", bot.send, "general", "\xff")
end)
