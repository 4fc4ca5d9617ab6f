local function say(times, user)
  local texts
  for _ = 1, times do texts = test.say(user, "hello") end
  return texts
end

test("a message earns 50 points, a command none", function()
  say(1, "ann")
  test.say("ann", "!rank")
  test.equal(appData:get("xp:ann"), 50)
end)

test("whoever reaches a level is told once", function()
  test.equal(say(1, "ann"), {})
  test.equal(say(1, "ann"), {"ann is now level 2!"})
  test.equal(say(1, "ann"), {})
end)

test("the rank counts those with more points", function()
  test.equal(test.say("ann", "!rank"), {"ann has no XP yet: say something"})
  say(3, "ann")
  say(4, "bob")
  test.equal(test.say("ann", "!rank"), {"ann: level 2 with 150 XP, place 2"})
end)

test("the leaderboard shows the ten best, and equals by name", function()
  test.equal(test.say("ann", "!leaderboard"), {"nobody has said anything yet"})
  for i = 1, 12 do say(1, ("user%02d"):format(i)) end
  say(1, "user12")
  local texts = test.say("ann", "!leaderboard")
  test.contains(texts, "1. user12, level 2, 100 XP\n2. user01, level 1, 50 XP\n")
  test.contains(texts, "10. user09")
  test.ok(not texts[1]:find("user10", 1, true))
end)
