-- The reward comes once a day, in Greenwich.
local number = 0

local function daily(player)
  number = number + 1
  local _, actions = test.emit{event = "ask daily", player = player, number = number, arguments = ""}
  return actions[1].text
end

test("once a day, and again on the next", function()
  test.equal(daily("ann"), "got 50")
  test.equal(daily("ann"), "refused come back tomorrow")
  test.equal(daily("bob"), "got 50")
  test.advance(24 * 60 * 60)
  test.equal(daily("ann"), "got 50")
  test.equal(rootServer.dataStore.arena:get("bag:ann").coins, 100)
end)
