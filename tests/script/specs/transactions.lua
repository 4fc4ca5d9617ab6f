-- Transactions: all or nothing over any keys of any stores, and nothing that they have read may have changed.
local check = require "_check"
local moonkeep = require "moonkeep"
local test, same, yes, raises, fails = check.test, check.same, check.yes, check.raises, check.fails

local function refused(code, ...) return raises(code, "", ...) end
local store, other = rootServer.dataStore.transactions_spec, rootServer.dataStore.transactions_spec_other

local function add(n) return function(was) return was + n end end

test("changes become visible together, and results come back", function()
  store:set("a", 10)
  same({store:transaction(function(tx)
    same(tx:get("a"), 10)
    same(tx:get("none", "default"), "default")
    same(tx:update("a", add(-4)), 6)
    tx:store("transactions_spec_other"):set("b", {4})
    same(tx:store("transactions_spec_other"):get("b"), {4})
    same(tx:get("a"), 6)
    tx:set("gone", 1)
    same(tx:delete("gone"), true)
    same(tx:delete("never"), false)
    return "x", nil, 3
  end)}, {"x", nil, 3})
  same(store:get("a"), 6)
  same(other:get("b"), {4})
  same(store:get("gone"), nil)
end)

test("an error writes nothing and goes on", function()
  store:set("e", 1)
  local ok, err = pcall(store.transaction, store, function(tx)
    tx:set("e", 2)
    error({mine = true})
  end)
  same(ok, false)
  same(err, {mine = true})
  same(store:get("e"), 1)
  same(store:update("e", add(1)), 2)
end)

test("updates keep the expiry, and know unchanged and absent", function()
  store:set("t", 1, {ttl = 1000})
  store:transaction(function(tx)
    same(tx:update("t", add(1)), 2)
    same(tx:update("t", function() return moonkeep.unchanged end), 2)
    same(tx:update("u", function(list) list[1] = 1 return list end, {}), {1})
    same(tx:update("u", function() return moonkeep.absent end), nil)
  end)
  yes(store:select("t")[1].expires_at)
  same(store:get("u"), nil)
  store:transaction(function(tx) tx:set("t", 3) end)
  same(store:select("t")[1].expires_at, nil)
end)

test("a key that was read and has changed makes it run again", function()
  store:set("c", 1)
  local runs = 0
  store:transaction(function(tx)
    runs = runs + 1
    local c = tx:get("c")
    if runs == 1 then
      local went = false
      bot.spawn(function() store:set("c", 5) went = true end)
      repeat bot.sleep(0) until went
    end
    tx:set("c", c + 1)
  end)
  same(runs, 2)
  same(store:get("c"), 6)
end)

test("what only reads sees one moment", function()
  store:set{ {key = "m1", value = 1}, {key = "m2", value = 1} }
  local runs = 0
  same({store:transaction(function(tx)
    runs = runs + 1
    local first = tx:get("m1")
    if runs == 1 then
      local went = false
      bot.spawn(function() store:set{ {key = "m1", value = 2}, {key = "m2", value = 2} } went = true end)
      repeat bot.sleep(0) until went
    end
    return first, tx:get("m2")
  end)}, {2, 2})
end)

test("after so many tries it gives up", function()
  local n = 0
  refused("conflict", store.transaction, store, function(tx)
    tx:get("busy")
    n = n + 1
    local went = false
    bot.spawn(function() store:set("busy", n) went = true end)
    repeat bot.sleep(0) until went
    tx:set("never", n)
  end)
  same(n, 100)
  same(store:get("never"), nil)
end)

test("many at once neither make nor lose anything", function()
  local keys, left = 5, 200
  for i = 1, keys do store:set("acc" .. i, 100) end
  for i = 1, left do
    bot.spawn(function()
      store:transaction(function(tx)
        local from, to = "acc" .. i % keys + 1, "acc" .. (i * 7 + 3) % keys + 1
        tx:update(from, add(-1))
        tx:update(to, add(1))
      end)
      left = left - 1
    end)
  end
  repeat bot.sleep(0) until left == 0
  local sum = 0
  for i = 1, keys do sum = sum + store:get("acc" .. i) end
  same(sum, keys * 100)
end)

test("only its tx may be used inside, and only there", function()
  local kept
  refused("nested", store.transaction, store, function() store:get("a") end)
  refused("nested", store.transaction, store, function() store:transaction(function() end) end)
  store:transaction(function(tx) kept = tx end)
  refused("invalid", kept.get, kept, "a")
  refused("invalid", store.transaction, store, 7)
  store:transaction(function(tx)
    refused("invalid_key", tx.get, tx, "")
    refused("invalid_value", tx.set, tx, "k", print)
    refused("invalid_value", tx.update, tx, "k", function() end, 1)
    refused("invalid_key", tx.store, tx, "no name")
    refused("nested", tx.update, tx, "k", function() return store:get("a") end)
    refused("invalid", tx.get)
    fails("no method", function() return tx.select end)
  end)
  same(store:get("k"), nil)
  same(store:update("a", add(1)), store:get("a"))
end)

test("it waits through coroutines and blocks where Lua cannot yield", function()
  store:set("y", 0)
  local next_y = coroutine.wrap(function()
    while true do coroutine.yield(store:transaction(function(tx) return tx:update("y", add(1)) end)) end
  end)
  same({next_y(), next_y()}, {1, 2})
  same(string.gsub("a", "a", function() return store:transaction(function(tx) return tx:update("y", add(1)) end) end), "3")
end)

test("its function does not yield out of it, so that nothing is left open; what it makes itself may", function()
  store:set("z", 0)
  local thrown = coroutine.create(function()
    store:transaction(function(tx)
      same(coroutine.isyieldable(), false)
      tx:set("z", 1)
      coroutine.yield()
    end)
  end)
  local ok, err = coroutine.resume(thrown)
  same(ok, false)
  yes(tostring(err):find("a transaction's function may not yield out of it", 1, true), tostring(err))
  same(store:get("z"), 0)
  same(store:transaction(function(tx)
    local sum = 0
    for n in coroutine.wrap(function()
      for _ = 1, 3 do coroutine.yield(tx:update("z", add(1))) end
    end) do sum = sum + n end
    return sum
  end), 6)
  same(store:get("z"), 3)
end)

test("what it sets is gone for itself, too, when that has expired", function()
  same(store:transaction(function(tx)
    tx:set("soon", 1, {ttl = 5})
    local before = tx:get("soon", "gone")
    bot.sleep(5)
    return {before, tx:get("soon", "gone"), tx:update("soon", function(v) return v == nil end), tx:delete("soon")}
  end), {1, "gone", true, true})
  same(store:get("soon"), nil)
end)
