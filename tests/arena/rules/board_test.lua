-- Ten places, the best first, also after a restart.
local function killed(by, times)
  for _ = 1, times do test.emit{event = "killed", by = by, player = "dummy"} end
end

local function top()
  local _, actions = test.emit{event = "ask top", player = "ann", number = 1, arguments = ""}
  return actions[1].text
end

test("who has won most often comes first", function()
  killed("ann", 1)
  killed("bob", 3)
  killed("cat", 2)
  test.equal(top(), "top 1 bob 3, 2 cat 2, 3 ann 1")
  killed("ann", 3)
  test.equal(top(), "top 1 ann 4, 2 bob 3, 3 cat 2")
  test.restart()
  test.equal(top(), "top 1 ann 4, 2 bob 3, 3 cat 2")
end)

test("there are ten places", function()
  for i = 1, 11 do killed("p" .. i, i) end
  test.ok(not top():find("p1 ", 1, true), "the worst of eleven is not on the board")
  test.contains(top(), "10 p2 2")
end)
