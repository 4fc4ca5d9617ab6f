-- Two players, each with a shield and a bow to begin with, and 100 coins.
local asks = {}

-- What a player is answered when he asks this, and what others are told.
local function ask(player, words, number)
  asks[player] = number or (asks[player] or 0) + 1
  local word, arguments = words:match("^(%a+) ?(.*)$")
  local _, actions = test.emit{event = "ask " .. word, player = player, number = asks[player], arguments = arguments}
  local answer, told
  for _, action in ipairs(actions) do
    if action.action == "answer" then answer = action.text end
    if action.action == "tell" then told = action.player .. ": " .. action.text end
  end
  return answer, told
end

local function join(player)
  asks[player] = 0
  test.emit{event = "joined", player = player}
end

local function both()
  join("ann")
  join("bob")
end

test.bots("trade", "loot")

test("a thing changes hands for coins", function()
  both()
  local answer, told = ask("ann", "offer bob ann-1 40")
  test.equal(answer, "offered ann-1")
  test.equal(told, "bob: told offer ann ann-1 40")
  answer, told = ask("bob", "accept ann-1")
  test.equal(answer, "bought ann-1 1")
  test.equal(told, "ann: told sold ann-1 1")
  test.equal(ask("ann", "bag"), "bag 140 ann-2")
  test.equal(ask("bob", "bag"), "bag 60 ann-1 bob-1 bob-2")
end)

test("a request that comes again is answered again, and done once", function()
  both()
  ask("ann", "offer bob ann-1 40")
  test.equal(ask("bob", "accept ann-1", 7), "bought ann-1 1")
  test.restart()
  test.equal(ask("bob", "accept ann-1", 7), "bought ann-1 1")
  test.equal(ask("bob", "bag"), "bag 60 ann-1 bob-1 bob-2")
end)

test("nothing is sold twice, nor by somebody else, nor for coins that are not there", function()
  both()
  join("cat")
  ask("ann", "offer bob ann-1 101")
  test.equal(ask("bob", "accept ann-1"), "refused you have only 100")
  ask("ann", "offer bob ann-1 1")
  ask("bob", "accept ann-1")
  test.equal(ask("bob", "accept ann-1"), "refused nobody offers you that")
  test.equal(ask("ann", "offer cat ann-1 1"), "refused you have no ann-1")
  test.equal(ask("ann", "offer ann ann-2 1"), "refused you have it already")
  test.equal(ask("ann", "offer dan ann-2 1"), "refused nobody is called dan")
  test.equal(ask("cat", "accept ann-2"), "refused nobody offers you that")
end)

test("an offer stands for a minute", function()
  both()
  ask("ann", "offer bob ann-1 40")
  test.advance(61)
  test.equal(ask("bob", "accept ann-1"), "refused nobody offers you that")
end)
