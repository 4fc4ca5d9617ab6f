-- Two players with a shield and a bow each; in the tests a hit of a hundred is the last (server/game.lua).
test.bots("damage", "loot")

local function hit(distance)
  test.emit{event = "joined", player = "ann"}
  test.emit{event = "joined", player = "bob"}
  local _, actions = test.emit{event = "hit", by = "ann", player = "bob", distance = distance}
  return actions[1].amount
end

test("a hit costs less from far away", function()
  local near, far = hit(0), hit(10)
  test.ok(near > far, near .. " and " .. far)
end)

test("a sword is better than a bow, and a shield takes some of it away", function()
  local arena = rootServer.dataStore.arena
  local bare = hit(0)
  arena:update("bag:ann", function(bag)
    bag.items["ann-9"] = {kind = "sword", moves = 0}
    return bag
  end)
  local armed = hit(0)
  arena:update("bag:bob", function(bag)
    bag.items = {}
    return bag
  end)
  test.ok(bare < armed and armed < hit(0))
end)
