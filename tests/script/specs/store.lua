-- The store's calls, as a script sees them.
local check = require "_check"
local moonkeep = require "moonkeep"
local cjson = require "cjson"
local test, same, yes, raises, fails = check.test, check.same, check.yes, check.raises, check.fails
local store = rootServer.dataStore.store_spec

test("get gives the value, the default, or nil", function()
  store:set("a", {xp = 1, list = {1, 2, 3}})
  same(store:get("a"), {xp = 1, list = {1, 2, 3}})
  same(store:get("a", 7).xp, 1)
  same(store:get("none"), nil)
  same(store:get("none", 7), 7)
  local default = {}
  yes(store:get("none", default) == default, "the default is handed back as it is")
end)

test("values are exact", function()
  for _, value in ipairs {math.maxinteger, math.mininteger, 1.0, 0.1, -0.0, 1e300, "", "ä€𝄞", "\0", true, false} do
    store:set("v", value)
    same(store:get("v"), value)
  end
  store:set("v", cjson.null)
  yes(store:get("v") == moonkeep.null and moonkeep.null == cjson.null)
  store:set("v", moonkeep.array {})
  store:set("w", store:get("v"))
  local seen
  store:update("w", function(list) seen = list list[1] = "x" return list end)
  same(store:get("w"), {"x"})
  yes(seen)
end)

test("what is not a value is refused with its path", function()
  local cycle = {}
  cycle.me = cycle
  raises("invalid_value", "value is a function", store.set, store, "k", print)
  raises("invalid_value", "value.items[2].owner is a function", store.set, store, "k",
    {items = {{owner = 1}, {owner = print}}})
  raises("invalid_value", "store_spec:set: value", store.set, store, "k", cycle)
  raises("invalid_value", "value", store.set, store, "k", {1, nil, 3})
  raises("invalid_value", "value", store.set, store, "k", {1, x = 2})
  raises("invalid_value", "value", store.set, store, "k", 0 / 0)
  raises("invalid_value", "value", store.set, store, "k", math.huge)
  raises("invalid_value", "value", store.set, store, "k", "\xff")
  raises("invalid_value", "value", store.set, store, "k", moonkeep.unchanged)
  raises("invalid_value", "value", store.set, store, "k")
  local err = raises("too_large", "", store.set, store, "big", string.rep("x", 5 * 1024 * 1024))
  same(err.key, "big")
  same(store:get("k"), nil)
end)

test("keys are checked", function()
  raises("invalid_key", "number", store.get, store, 1)
  raises("invalid_key", "nil", store.get, store)
  raises("invalid_key", "empty", store.get, store, "")
  raises("invalid_key", "NUL", store.get, store, "a\0b")
  raises("invalid_key", "UTF-8", store.set, store, "\xff", 1)
  raises("invalid_key", "1025", store.delete, store, string.rep("k", 1025))
  local err = raises("invalid_key", "store_spec:update: ", store.update, store, "", function() end)
  same(tostring(err), err.message .. " (invalid_key)")
  same("x " .. err, "x " .. tostring(err))
end)

test("the table forms of set", function()
  store:set {key = "t1", value = 1}
  store:set {{key = "t2", value = 2}, {key = "t3", value = 3, ttl = 60}}
  same({store:get "t1", store:get "t2", store:get "t3"}, {1, 2, 3})
  store:set {}
  store:set {{key = "t2", value = "first"}, {key = "t2", value = "last"}}
  same(store:get "t2", "last")
  raises("invalid_key", "no second argument", store.set, store, {key = "t1", value = 1}, {})
  raises("invalid_key", "no second argument", store.set, store, {}, 1)
  raises("invalid_key", "row 2", store.set, store, {{key = "t1", value = 9}, {key = "", value = 1}})
  raises("invalid_value", "row 2: value", store.set, store, {{key = "t1", value = 9}, {key = "x"}})
  raises("invalid_value", "row 1", store.set, store, {{key = "t1", value = 9, colour = 1}})
  raises("invalid_value", "colour", store.set, store, {key = "t1", value = 9, colour = 1})
  raises("invalid_value", "hole", store.set, store, {{key = "t1", value = 9}, nil, {key = "t1", value = 9}})
  raises("invalid_value", "row 2", store.set, store, {{key = "t1", value = 9}, 5})
  raises("invalid_value", "", store.set, store, {{key = "t1", value = 9}, name = 5})
  same(store:get "t1", 1)
  local rows, text = {}, string.rep("x", 2 * 1024 * 1024)
  for i = 1, 9 do rows[i] = {key = "r" .. i, value = text} end
  raises("too_large", "", store.set, store, rows)
  same(store:count "r%", 0)
end)

test("expiry", function()
  local now = os.time()
  store:set("e", 1, {ttl = 100})
  same(store:select("e")[1], {key = "e", value = 1, expires_at = now + 100})
  store:set("e", 1, {expires_at = now + 2.5})
  same(store:select("e")[1].expires_at, now + 2.5)
  store:update("e", function(n) return n + 1 end)
  same(store:select("e")[1], {key = "e", value = 2, expires_at = now + 2.5})
  store:update("e", function(n) return n + 1 end, 0, {ttl = 9})
  same(store:select("e")[1].expires_at, now + 9)
  store:set("e", 5)
  same(store:select("e")[1], {key = "e", value = 5})
  store:set("e", 5, {ttl = -1})
  same(store:get("e"), nil)
  same(store:delete("e"), false)
  store:set("e", 5, {expires_at = 0})
  same(store:count("e"), 0)
  raises("invalid_value", "milliseconds", store.set, store, "e", 1, {expires_at = now * 1000})
  store:set("never", 1, {expires_at = 253402300799}) -- the end of the year 9999
  same(store:select("never")[1].expires_at, 253402300799)
  store:delete("never")
  raises("invalid_value", "both", store.set, store, "e", 1, {expires_at = now, ttl = 1})
  raises("invalid_value", 'did you mean "ttl"', store.set, store, "e", 1, {tll = 1})
  raises("invalid_value", "ttl is a string", store.set, store, "e", 1, {ttl = "1"})
  raises("invalid_value", "finite", store.set, store, "e", 1, {ttl = 0 / 0})
  raises("invalid_value", "options is a number", store.set, store, "e", 1, 60)
end)

test("an error that is about a key names it, whatever else is wrong", function()
  local late = {expires_at = os.time() * 1000}
  local function fn() return 1 end
  same(raises("invalid_value", "milliseconds", store.set, store, "e", 1, late).key, "e")
  same(raises("invalid_value", "options is a number", store.set, store, "e", 1, 60).key, "e")
  same(raises("invalid_value", "milliseconds", store.update, store, "e", fn, 0, late).key, "e")
  same(raises("invalid", "fn is a number", store.update, store, "e", 60).key, "e")
  same(raises("invalid_value", "default[1]", store.update, store, "none", fn, {print}).key, "none")
  same(raises("invalid_value", "colour", store.set, store, {key = "e", value = 1, colour = 1}).key, "e")
  same(raises("invalid_value", "row 2", store.set, store,
    {{key = "f", value = 1}, {key = "e", value = 1, expires_at = late.expires_at}}).key, "e")
  raises("invalid_key", "number", store.set, store, 5, 1, late)
  raises("invalid_key", "row 1", store.set, store, {{key = 5, value = 1, ttl = "1"}})
  same(store:get("f"), nil)
end)

test("a key is gone when its moment has come", function()
  store:set("soon", 1, {ttl = 5})
  store:set("later", 1, {ttl = 50})
  bot.sleep(4.999)
  same(store:get "soon", 1)
  bot.sleep(0.001)
  same(store:get "soon", nil)
  same({store:count "soon", #store:keys "soon", store:delete "soon"}, {0, 0, false})
  same(store:update("soon", function(n) return n + 1 end, 10), 11)
  same(store:select("soon")[1].expires_at, nil)
  same(store:delete "later", true)
end)

test("delete and deleteLike", function()
  store:set("d:1", 1)
  store:set("d:2", 1)
  store:set("dx", 1)
  same(store:delete "dx", true)
  same(store:delete "dx", false)
  same(store:deleteLike "d:%", 2)
  same(store:deleteLike "d:%", 0)
  raises("invalid_pattern", "number", store.deleteLike, store, 5)
  raises("invalid_pattern", "", store.deleteLike, store, "x\\")
end)

test("select, selectValue, keys, count", function()
  for i = 5, 1, -1 do store:set("s:" .. i, i * 10) end
  store:set("s:é", "e")
  same(store:keys "s:_", {"s:1", "s:2", "s:3", "s:4", "s:5", "s:é"})
  same(store:selectValue("s:%", {limit = 2}), {10, 20})
  same(store:select("s:%", {limit = 1, after = "s:2"}), {{key = "s:3", value = 30}})
  same(store:keys("s:%", {limit = 0}), {})
  same(store:keys("S:%"), {})
  same(store:count "s:%", 6)
  store:set("s%", 1)
  same(store:keys "s\\%", {"s%"})
  raises("invalid_value", 'did you mean "limit"', store.keys, store, "%", {limt = 1})
  raises("invalid_value", "limit", store.keys, store, "%", {limit = 1.5})
  raises("invalid_value", "limit", store.keys, store, "%", {limit = -1})
  raises("invalid_value", "after", store.keys, store, "%", {after = 1})
  raises("invalid_pattern", "nil", store.select, store)
  raises("invalid_pattern", "", store.each, store, "\\")
end)

test("each goes over everything, page by page", function()
  local rows = {}
  for i = 1, 1500 do rows[i] = {key = string.format("p:%05d", i), value = i} end
  store:set(rows)
  local n, last = 0, ""
  for key, value in store:each "p:%" do
    n = n + 1
    yes(key > last)
    last = key
    same(value, n)
  end
  same(n, 1500)
  for _ in store:each "p:%" do break end
  for _ in store:each "none:%" do error "there is none" end
  same(store:deleteLike "p:%", 1500)
end)

test("update", function()
  same(store:update("u", function(n) return n + 1 end, 41), 42)
  same(store:update("u", function(n) return n + 1 end, 41), 43)
  local default = {xp = 0}
  local made = store:update("u2", function(t) t.xp = t.xp + 1 return t end, default)
  same(made, {xp = 1})
  same(default, {xp = 0})
  same(store:update("u", function() return moonkeep.unchanged end), 43)
  same(store:update("u3", function(v) return moonkeep.unchanged end, default), {xp = 0})
  yes(store:update("u3", function(v) return moonkeep.unchanged end, default) ~= default)
  same(store:get "u3", nil)
  same(store:update("u", function() return moonkeep.absent end), nil)
  same(store:get "u", nil)
  local err = raises("invalid_value", "forgotten return", store.update, store, "u", function() end)
  same(err.key, "u")
  yes(err.message:find('"u"', 1, true))
  raises("invalid_value", "default.x is a function", store.update, store, "u", print, {x = print})
  raises("invalid_value", "value.f is a function", store.update, store, "u", function() return {f = print} end)
  raises("invalid", "fn is nil", store.update, store, "u")
  same(store:get "u", nil)
end)

test("what an update function raises goes on to the caller, and nothing is written", function()
  local mine = setmetatable({}, {__tostring = function() return "mine" end})
  store:set("r", 1)
  local ok, err = pcall(store.update, store, "r", function() error(mine) end)
  yes(not ok and err == mine)
  ok, err = pcall(store.update, store, "r", function() error("text", 0) end)
  same(err, "text")
  ok, err = pcall(store.update, store, "r", function() error() end)
  yes(not ok and err == nil)
  same(store:get "r", 1)
end)

test("inside an update function no store call, no waiting, no yield", function()
  store:set("n", 1)
  local function inside(fn)
    return function() return store:update("n", function(v) fn() return v end) end
  end
  for _, name in ipairs {"get", "set", "update", "delete"} do
    raises("nested", "inside an update function", inside(function() store[name](store, "n", 1) end))
  end
  raises("nested", "", inside(function() store:count "%" end))
  raises("nested", "", inside(function() appData:get "x" end))
  raises("nested", "", inside(function() coroutine.wrap(function() store:get "n" end)() end))
  local iterator = store:each "%"
  raises("nested", "", inside(iterator))
  fails("may not yield", inside(function() coroutine.yield() end))
  fails("may not wait", inside(function() bot.sleep(0) end))
  local sum = store:update("n", function(v)
    for x in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do v = v + x end
    return v
  end)
  same(sum, 7)
  same(store:get "n", 7)
end)

test("no store is taken for another one whose name differs only in case", function()
  local late = rootServer.dataStore.Twins -- named before the other one is there
  same(late:get "a", nil)
  local twins = rootServer.dataStore.twins
  twins:set("a", 1)
  local function fn() error "not to be called" end
  for _, call in ipairs {
    {"get", "a"}, {"get", "b"}, {"set", "a", 2}, {"update", "a", fn}, {"delete", "a"}, {"deleteLike", "%"},
    {"select", "%"}, {"selectValue", "%"}, {"keys", "%"}, {"count", "%"},
  } do
    raises("invalid_key", 'the store name "Twins" differs from the existing "twins" only in case',
      late[call[1]], late, table.unpack(call, 2))
  end
  raises("invalid_key", "only in case", late:each "%")
  raises("invalid_key", "only in case", appData.transaction, appData, function(tx)
    return tx:store("Twins"):get("a")
  end)
  same(twins:select "%", {{key = "a", value = 1}})
end)

test("mistakes are explained", function()
  fails("call get with a colon: appData:get(", appData.get, "x")
  fails('a store has no method "udpate" (did you mean "update"?)', function() appData:udpate("x", print) end)
  fails('did you mean "deleteLike"?', function() appData:deletelike("x") end)
  fails("use store:get", function() return appData[1] end)
  fails("use appData:set", function() appData.x = 1 end)
  same(raises("invalid_key", "", function() return rootServer.dataStore["no-name"] end).key, "no-name")
  raises("invalid_key", "", function() return rootServer.dataStore.sqlite_x end)
  raises("invalid_key", "number", function() return rootServer.dataStore[1] end)
  raises("invalid_key", "NUL", function() return rootServer.dataStore["a\0b"] end)
  appData:set("here", true)
  raises("invalid_key", "", function() return rootServer.dataStore.APPDATA:set("x", 1) end)
  yes(rootServer.dataStore.appData == appData)
  same(tostring(appData), "store appData")
end)
