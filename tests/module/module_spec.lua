-- luacheck: std +busted
-- The Lua module in a stock lua5.4, run by module_test.sh with busted. The folder is the test's own.
local moonkeep = require "moonkeep"

local root = assert(os.getenv("MODULE_DATA"))
local folders = 0

local function folder()
  folders = folders + 1
  return root .. "/" .. folders
end

local function fails(code, ...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  assert.equal(code, err.code, tostring(err))
  return err
end

describe("the module", function()
  it("keeps what was set, in the next opening too", function()
    local dir = folder()
    do
      local store <close> = moonkeep.open(dir)
      store:set("big", math.maxinteger)
      store:set{ {key = "list", value = moonkeep.array{}}, {key = "float", value = 1.0} }
    end
    local store <close> = moonkeep.open{dir = dir}
    assert.equal(math.maxinteger, store:get("big"))
    assert.equal("float", math.type(store:get("float")))
    assert.same({"big", "float", "list"}, store:keys("%"))
    assert.equal("default", store:get("none", "default"))
  end)

  it("has every method that scripts have", function()
    local store <close> = moonkeep.open(folder())
    assert.equal(1, store:update("n", function(n) return n + 1 end, 0))
    assert.equal(1, store:update("n", function() return moonkeep.unchanged end))
    assert.is_nil(store:update("n", function() return moonkeep.absent end))
    store:set("a:1", "x", {ttl = 100})
    store:set("a:2", moonkeep.null)
    assert.equal("a:1", store:select("a:%", {limit = 1})[1].key)
    assert.equal(moonkeep.null, store:selectValue("a:%")[2])
    assert.equal(2, store:count("a:%"))
    local seen = {}
    for key, value in store:each("a:%") do seen[key] = value end
    assert.equal("x", seen["a:1"])
    assert.is_true(store:delete("a:1"))
    assert.is_false(store:delete("a:1"))
    assert.equal(1, store:deleteLike("a:%"))
  end)

  it("has the other stores of the folder", function()
    local store <close> = moonkeep.open(folder())
    local economy = store:store("economy")
    economy:set("gold", 7)
    assert.equal(7, store.dataStore.economy:get("gold"))
    assert.is_nil(store:get("gold"))
    fails("invalid_key", function() return store:store("no name") end)
    fails("invalid", economy.close, economy)
    assert.equal(7, economy:get("gold"))
  end)

  it("raises objects", function()
    local store <close> = moonkeep.open(folder())
    local err = fails("invalid_value", store.set, store, "k", {items = {print}})
    assert.equal("k", err.key)
    assert.equal("appData:set: value.items[1] is a function (invalid_value)", tostring(err))
    fails("invalid_key", store.get, store, "")
    fails("invalid", store.get, "k")
    fails("nested", store.update, store, "k", function() return store:get("k") end)
    fails("nested", store.update, store, "k", function() return moonkeep.open(folder()) end)
    assert.has_error(function() store:update("k", function() error("mine", 0) end) end, "mine")
    assert.has_error(function() store:update("k", coroutine.yield) end)
    assert.equal(1, store:update("k", function() return 1 end), "and goes on afterwards")
    assert.has_error(function() return store:gett("k") end)
    fails("invalid", moonkeep.open, folder(), {lock_wiat = 1})
  end)

  it("lets one process have a folder, once", function()
    local dir = folder()
    local store = moonkeep.open(dir)
    local err = fails("busy", moonkeep.open, dir, {lock_wait = 0})
    assert.truthy(err.message:find("process %d+"))
    store:close()
    store:close()
    fails("closed", store.get, store, "k")
    fails("closed", function() return store:store("other") end)
    local next_one <close> = moonkeep.open(dir)
    next_one:set("k", 1)
  end)

  it("says which process has the folder when a host runs there", function()
    fails("busy", moonkeep.open, assert(os.getenv("MODULE_HOST")), {lock_wait = 0})
  end)

  it("has several folders open at once", function()
    local one <close>, two <const> = moonkeep.open(folder()), moonkeep.open(folder())
    one:set("k", 1)
    two:set("k", 2)
    local each = one:each("%")
    assert.equal(2, two:get("k"))
    assert.equal("k", (each()))
    assert.equal(1, one:get("k"))
    two:close()
    assert.equal(1, one:update("k", function(k) return k end))
  end)

  it("keeps transactions in one piece, and lets none of them be left open by a coroutine", function()
    local store <close> = moonkeep.open(folder())
    local thrown = coroutine.create(function()
      store:transaction(function(tx)
        tx:set("a", 1)
        coroutine.yield()
      end)
    end)
    assert.is_false((coroutine.resume(thrown)))
    assert.is_nil(store:get("a"))
    assert.equal(1, store:transaction(function(tx)
      return tx:update("a", function(n) return n + 1 end, 0)
    end))
  end)

  it("works in coroutines, and frees a folder that nobody has any more", function()
    local dir = folder()
    local wrapped = coroutine.wrap(function()
      local store = moonkeep.open(dir)
      for n = 1, 3 do coroutine.yield(store:update("n", function(was) return was + n end, 0)) end
    end)
    assert.same({1, 3, 6}, {wrapped(), wrapped(), wrapped()})
    wrapped = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    local store <close> = moonkeep.open(dir, {lock_wait = 0})
    assert.equal(6, store:get("n"))
  end)
end)
